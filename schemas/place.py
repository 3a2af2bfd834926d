"""Where in a message a struct is. Readers are places; what reads their fields is compiled, and they cannot be."""

from typing import TYPE_CHECKING, ClassVar

from hootbus.schemas.pointers import StructRef, Trail
from hootbus.schemas.segments import Segments

if TYPE_CHECKING:
    from hootbus.schemas.layout import StructLayout


class Place:
    """A struct's place in a message: what its fields are read from."""

    __slots__ = ("_depth", "_parts", "_ref", "_trail")

    _layout: ClassVar["StructLayout"]

    def __init__(self, parts: Segments, ref: StructRef, depth: int, trail: Trail) -> None:
        self._parts = parts
        self._ref = ref
        self._depth = depth
        self._trail = trail
