"""A value of an enumeration: its name, or the number of one that only newer peers know."""

import keyword
from collections.abc import Iterator
from typing import ClassVar, Final, Self


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


class EnumClass(type):
    """What makes an enum's class one that its values are of, though readers know them by their numbers alone."""

    names: tuple[str, ...]

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, Enumerant) and (not value.known or str(value) in cls.names[value.raw : value.raw + 1])

    def __iter__(cls) -> Iterator[Enumerant]:
        return iter(enumerants(cls.names))


class EnumValue(Enumerant, metaclass=EnumClass):
    """The base of a generated module's enums: `Colour.red`, `Colour("red")`, `Colour(17)`, `list(Colour)`.

    What a reader gives is one of them (`isinstance`), also a number that this process has no name for. An enumerant
    whose name is a method's of `str`, or a word of Python's, has an underscore behind it: `Step.split_`.
    """

    __slots__ = ()

    names: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, value: str | int) -> Self:
        """Raises ValueError for a name that the enum does not have."""
        if isinstance(value, Enumerant):
            value = value.raw
        if isinstance(value, str) and value not in cls.names:
            raise ValueError(f"{value!r} is no {cls.__name__}; there are {', '.join(cls.names)}")
        raw = cls.names.index(value) if isinstance(value, str) else value
        return super().__new__(cls, raw, cls.names[raw] if raw < len(cls.names) else None)


def enum_class(name: str, names: tuple[str, ...], doc: str | None = None) -> type[EnumValue]:
    """The class of an enum of these names."""
    known = {enumerant_attribute(each): Enumerant(raw, each) for raw, each in enumerate(names)}
    made = EnumClass(name, (EnumValue,), {"__slots__": (), "__doc__": doc, "names": names, **known})
    assert issubclass(made, EnumValue)
    return made


def enumerant_attribute(name: str) -> str:
    """What an enumerant is called as an attribute of its enum."""
    return f"{name}_" if name in _TAKEN or keyword.iskeyword(name) else name


_TAKEN: Final = frozenset(dir(EnumValue))
