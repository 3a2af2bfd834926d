"""What messages and options are: values, equal when their fields are, and shown by them."""

from typing import ClassVar, Self


class Value:
    """Fields that are set once. `__match_args__` names them, in the order in which they are given."""

    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__match_args__))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """For copies and pickles, which would set the fields otherwise."""
        return type(self), tuple(getattr(self, name) for name in self.__match_args__)

    def __replace__(self, **changes: object) -> Self:
        """A copy with other values for some fields (`copy.replace` of Python 3.13)."""
        fields = {name: getattr(self, name) for name in self.__match_args__}
        return type(self)(**{**fields, **changes})
