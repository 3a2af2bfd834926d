"""Lists read in place: sequences whose elements are looked up in the message when they are asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, overload

import numpy as np

from hootbus.schemas.arrays import Array, numbers
from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.pointers import ListRef, Target, Trail, follow, malformed, path_of, too_deep
from hootbus.schemas.segments import Segments
from hootbus.schemas.types import ENUM_NUMBER


class ListReader(Sequence[Any]):
    """A list in a message. Its elements are looked up when they are asked for; a slice of it is a list of Python's."""

    __slots__ = ("_depth", "_kind", "_parts", "_ref", "_trail")

    def __init__(self, parts: Segments, ref: ListRef, depth: int, trail: Trail, kind: Any) -> None:  # noqa: ANN401  # see heirs
        self._parts = parts
        self._ref = ref
        self._depth = depth
        self._trail = trail
        self._kind = kind

    def __len__(self) -> int:
        return self._ref.count

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401  # what the schema says
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        count = self._ref.count
        if isinstance(index, slice):
            return [self._item(at) for at in range(*index.indices(count))]
        at = index + count if index < 0 else index
        if not 0 <= at < count:
            raise IndexError(f"{path_of(self._trail)}[{index}] of {count} elements")
        return self._item(at)

    def __iter__(self) -> Iterator[Any]:
        return map(self._item, range(self._ref.count))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ListReader | list | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list has none

    def __repr__(self) -> str:
        return f"<{len(self)} elements in a message>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a list reader is a place in a message; pickle list(it)")

    def _at(self, index: int) -> Any:  # noqa: ANN401  # what the schema says
        """An element that a path names: if there is none, the body is not what the program needs."""
        self._check_index(index)
        return self._item(index)

    def _check_index(self, index: int) -> None:
        if index >= self._ref.count:
            raise malformed(self._parts, (self._trail, index), f"there are {self._ref.count} elements")

    def _item(self, index: int) -> Any:  # noqa: ANN401  # what the schema says
        """An element, Void's if no heir says otherwise."""
        return None


class BoolList(ListReader):
    """Bits, or what has become of them."""

    __slots__ = ()

    def _item(self, index: int) -> bool:
        bit = index * self._ref.step
        return bool(self._parts[self._ref.segment][self._ref.start + (bit >> 3)] >> (bit & 7) & 1)


class ArrayList(ListReader):
    """Numbers, or enums as numbers. `numpy.asarray` of it is a read-only view over the message."""

    __slots__ = ()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "np.ndarray[Any, Any]":  # noqa: ANN401  # numpy's protocol
        view = self._view()
        return view if dtype is None and not copy else np.array(view, dtype, copy=copy or None)

    def _view(self) -> Array:
        return numbers(self._parts, self._ref, self._kind.dtype)


class NumberList(ArrayList):
    """Numbers."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._view().tolist())

    def _item(self, index: int) -> Any:  # noqa: ANN401  # an int or a float
        ref = self._ref
        return self._kind.unpack(self._parts[ref.segment], ref.start + (index * ref.step >> 3))[0]


class EnumList(ArrayList):
    """Enums' values."""

    __slots__ = ()

    def _item(self, index: int) -> Enumerant:
        ref, known = self._ref, self._kind
        raw = ENUM_NUMBER.unpack(self._parts[ref.segment], ref.start + (index * ref.step >> 3))[0]
        return known[raw] if raw < len(known) else Enumerant(raw, None)

    def _view(self) -> Array:
        return numbers(self._parts, self._ref, ENUM_NUMBER.dtype)


class StructList(ListReader):
    """Structs, or what can be read as structs of one field."""

    __slots__ = ()

    def _item(self, index: int) -> Any:  # noqa: ANN401  # a reader of that struct
        if self._depth <= 0:
            raise too_deep(self._parts, self._trail)
        return self._kind(self._parts, self._ref.struct(index), self._depth - 1, (self._trail, index))


class PointerList(ListReader):
    """What lies behind one pointer each: text, data, lists."""

    __slots__ = ()

    def _target(self, index: int) -> tuple[Segments, Target | None, Trail]:
        """What an element points to, None for null."""
        trail: Trail = (self._trail, index)
        return self._parts, follow(self._parts, self._ref.segment, self._ref.pointer(index), trail), trail

    def _item(self, index: int) -> Any:  # noqa: ANN401  # what the schema says
        parts, target, trail = self._target(index)
        return self._kind(parts, target, self._depth, trail)
