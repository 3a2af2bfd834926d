"""A value of an enumeration: its name, or the number of one that only newer peers know."""

from typing import Self


class Enumerant(str):
    """An enum's value as it was read. It is its name: `state == "playing"`, a dict's key, JSON.

    `raw` is the number on the wire. `known` is false for a number that this process's schema has no name for, as a
    newer peer may send; such a value is spelled `(17)` and equals no name.
    """

    __slots__ = ("known", "raw")

    raw: int
    known: bool

    def __new__(cls, raw: int, name: str | None) -> Self:
        made = super().__new__(cls, f"({raw})" if name is None else name)
        made.raw = raw
        made.known = name is not None
        return made

    def __reduce__(self) -> tuple[object, ...]:
        return Enumerant, (self.raw, str(self) if self.known else None)

    def __repr__(self) -> str:
        return str.__repr__(self) if self.known else f"<unknown enumerant {self.raw}>"


def enumerants(names: tuple[str, ...]) -> tuple[Enumerant, ...]:
    """The values of an enumeration, in order."""
    return tuple(Enumerant(raw, name) for raw, name in enumerate(names))
