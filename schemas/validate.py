"""A whole message judged before it is used: everything that reading it could ever stumble over.

Reading needs no validation to be safe, as every access checks what it follows. But it finds a fault only when it comes
to it, perhaps with half of the work done. Here pointers, bounds, depth, the kinds of lists, texts' ends and UTF-8 are
checked to the last field, also of fields that only newer peers know, as far as they can be without a schema.
"""

from typing import Final

import msgspec
import numpy as np

from hootbus.schemas.arrays import numbers
from hootbus.schemas.fields import HALF_WORD
from hootbus.schemas.layout import Field, StructLayout, layout_of
from hootbus.schemas.pointers import (
    COMPOSITE,
    LIST,
    NESTING_MAX,
    OTHER,
    POINTER,
    STRUCT,
    ListRef,
    StructRef,
    Trail,
    Walk,
    bytes_of,
    expect_elements,
    follow,
    list_of,
    malformed,
    path_of,
    struct_of,
    text_of,
    too_deep,
)
from hootbus.schemas.segments import Segments, segments
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import ENUM_NUMBER, AnyPointer, Bool, Data, Enum, List, Number, Struct, Text, Type, Void

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Buffer

# Who sends more than so many values that are not known here speaks another schema; nobody reads a longer list.
UNKNOWN_MAX: Final = 100
# Elements of a list of structs without pointers that are looked at for such values: they may be as small as a byte.
LOOKED_AT_MAX: Final = 10_000


class Unknown(msgspec.Struct, frozen=True):
    """A value of a newer peer, which this process's schema has no name for: an enum's, or the arm of a union."""

    field: str
    value: int


def validate(body: "Buffer | Segments", struct: StructType) -> tuple[Unknown, ...]:
    """Check a whole message. Raises BodyError, which names the first field that is wrong.

    What is not known here, as a newer peer may send it, is no fault: the first UNKNOWN_MAX such values are returned.
    The time it takes is in proportion to the message's pointers; a list of numbers is one.
    """
    parts = body if isinstance(body, tuple) else segments(body)
    check = _Check(parts)
    target = follow(parts, 0, 0, None)
    if target is not None:
        check.struct(layout_of(struct), struct_of(parts, target, None), NESTING_MAX - 1, None)
    return tuple(check.unknown)


class _Check:
    """One walk through a message."""

    def __init__(self, parts: Segments) -> None:
        self.unknown: list[Unknown] = []
        self._parts = parts
        self._walk = Walk(parts)

    def struct(self, layout: StructLayout, ref: StructRef, depth: int, trail: Trail) -> None:
        self._walk.spend(1 + (ref.data_bits >> 6) + ref.pointers, trail)
        self._struct(layout, ref, depth, trail)

    def _struct(self, layout: StructLayout, ref: StructRef, depth: int, trail: Trail) -> None:
        seen = self._fields(layout, ref, depth, trail)
        if seen != (1 << ref.pointers) - 1:
            # A newer peer's fields, and what members of unions that are no longer set have left behind: nobody reads
            # it, but who copies the message stumbles over it.
            self._pointers(ref, depth, trail, seen)

    def _fields(self, layout: StructLayout, ref: StructRef, depth: int, trail: Trail) -> int:
        """Checks the fields that are set. Which of the struct's pointers that were, as bits."""
        seen = 0
        for field in layout.plain_fields:
            seen |= self._field(field, ref, depth, trail)
        if layout.discriminant < 0:
            return seen
        found = self._half_word(ref, layout.discriminant, 0)
        arm = layout.arms.get(found)
        if arm is not None:
            seen |= self._field(arm, ref, depth, trail)
        else:
            self._unknown(trail, found)
        return seen

    def _field(self, field: Field, ref: StructRef, depth: int, trail: Trail) -> int:
        kind = field.type
        if isinstance(kind, Enum):
            raw = self._half_word(ref, field.offset, field.default)
            if raw >= len(kind.names):
                self._unknown((trail, field.name), raw)
        elif field.is_group:
            assert isinstance(kind, Struct)
            return self._fields(kind.layout, ref, depth, (trail, field.name))
        elif not field.is_data and field.offset < ref.pointers:
            self._pointer(kind, ref.segment, ref.at + field.offset, depth, (trail, field.name))
            return 1 << field.offset
        return 0

    def _pointer(self, kind: Type, segment: int, at: int, depth: int, trail: Trail) -> None:
        parts = self._parts
        if isinstance(kind, AnyPointer):
            self._any(segment, at, depth, trail, kind.kind)
            return
        target = follow(parts, segment, at, trail)
        if target is None:
            return
        if isinstance(kind, Text):
            found = text_of(parts, target, trail)
            self._walk.spend(1 + (len(found) >> 3), trail)
            try:
                str(found, "utf-8")
            except UnicodeDecodeError as error:
                raise malformed(parts, trail, f"not UTF-8 at byte {error.start}") from error
        elif isinstance(kind, Data):
            self._walk.spend(1 + (len(bytes_of(parts, target, trail)) >> 3), trail)
        elif depth <= 0:
            raise too_deep(parts, trail)
        elif isinstance(kind, Struct):
            self.struct(kind.layout, struct_of(parts, target, trail), depth - 1, trail)
        else:
            assert isinstance(kind, List)
            self._list(kind.element, list_of(parts, target, trail), depth - 1, trail)

    def _list(self, element: Type, found: ListRef, depth: int, trail: Trail) -> None:
        self._walk.spend(1 + found.words, trail)
        parts, seen = self._parts, 0
        if isinstance(element, Struct):
            expect_elements(parts, found, 0, 0, trail)
            self._structs(element.layout, found, depth, trail)
            return
        if isinstance(element, Number | Bool | Void):
            bits = element.bits if isinstance(element, Number) else int(isinstance(element, Bool))
            expect_elements(parts, found, bits, 0, trail)
        elif isinstance(element, Enum):
            expect_elements(parts, found, 16, 0, trail)
            raw = numbers(parts, found, ENUM_NUMBER.dtype).astype(np.uint16, copy=False)
            for index in np.flatnonzero(raw >= len(element.names))[:UNKNOWN_MAX].tolist():
                self._unknown((trail, index), int(raw[index]))
        else:
            seen = 1
            expect_elements(parts, found, 0, 1, trail)
            for index in range(found.count):
                self._pointer(element, found.segment, found.pointer(index), depth, (trail, index))
        if found.pointers > seen:
            # A newer peer made the elements structs, of which this is the first field.
            for index in range(found.count):
                self._pointers(found.struct(index), depth - 1, (trail, index), seen)

    def _structs(self, layout: StructLayout, found: ListRef, depth: int, trail: Trail) -> None:
        if depth <= 0:
            raise too_deep(self._parts, trail)
        if not found.pointers and layout.only_numbers:
            return
        # Elements without pointers have nothing that could be wrong, and those without size are all alike.
        count = found.count if found.pointers else min(found.count, LOOKED_AT_MAX if found.step else 1)
        for index in range(count):
            self._struct(layout, found.struct(index), depth - 1, (trail, index))

    def _any(self, segment: int, at: int, depth: int, trail: Trail, kind: str = "anyKind") -> None:
        """What is behind a pointer of which no schema says more than its kind."""
        parts = self._parts
        target = follow(parts, segment, at, trail)
        if target is None:
            return
        found = target.pointer & 3
        if kind != "anyKind" and kind != _KINDS.get(found):
            raise malformed(parts, trail, f"not the {kind} that the schema says")
        if found == OTHER:
            if target.pointer & 0xFFFF_FFFC:
                raise malformed(parts, trail, "neither a struct, a list nor a capability")
            return
        if depth <= 0:
            raise too_deep(parts, trail)
        if found == STRUCT:
            ref = struct_of(parts, target, trail)
            self._walk.spend(1 + (ref.data_bits >> 6) + ref.pointers, trail)
            self._pointers(ref, depth - 1, trail)
            return
        elements = list_of(parts, target, trail)
        self._walk.spend(1 + elements.words, trail)
        if elements.size == POINTER:
            for index in range(elements.count):
                self._any(elements.segment, elements.pointer(index), depth - 1, (trail, index))
        elif elements.size == COMPOSITE and elements.pointers:
            for index in range(elements.count):
                self._pointers(elements.struct(index), depth - 2, (trail, index))

    def _pointers(self, ref: StructRef, depth: int, trail: Trail, seen: int = 0) -> None:
        """Checks a struct's pointers as far as can be without its schema, but for those that were seen."""
        for index in range(ref.pointers):
            if not seen >> index & 1:
                self._any(ref.segment, ref.at + index, depth, (trail, f"(pointer {index})"))

    def _half_word(self, ref: StructRef, bit: int, default: int) -> int:
        if bit + 16 > ref.data_bits:
            return default
        found: int = HALF_WORD.unpack_from(self._parts[ref.segment], ref.data + (bit >> 3))[0]
        return found ^ default

    def _unknown(self, trail: Trail, value: int) -> None:
        if len(self.unknown) < UNKNOWN_MAX:
            self.unknown.append(Unknown(path_of(trail), value))


_KINDS: Final = {STRUCT: "struct", LIST: "list", OTHER: "capability"}
