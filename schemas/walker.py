"""Lists of numbers as numpy views over the body: a small pointer walker of our own.

pycapnp has no buffer view of a list and takes 130 ms to read a million floats one by one. Following the pointers to
where the list lies takes microseconds. Every word is judged before it is believed: any bytes give an array or a
`BodyError`, and what Cap'n Proto's own reader refuses is refused here (Cap'n Proto encoding, "Structs" to "Far
Pointers"). A path has as many steps as its author wrote, and a far pointer at most two hops, so nothing can loop.
"""

import struct
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from hootbus.schemas.errors import BodyError
from hootbus.schemas.fieldpath import Array, LeafPlan, Member, StructStep, plan_of
from hootbus.schemas.segments import WORD, Segments, segments
from hootbus.schemas.structs import StructType

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The two low bits of a pointer.
STRUCT: Final = 0
LIST: Final = 1
FAR: Final = 2

# The three bits of a list's element size. Bytes per element of those that can hold numbers; the others are void, bits,
# pointers (none of them data bytes) and composite.
ELEMENT_BYTES: Final = {2: 1, 3: 2, 4: 4, 5: 8}
BYTES: Final = 2
COMPOSITE: Final = 7

_WORD: Final = struct.Struct("<Q")
_HALF_WORD: Final = struct.Struct("<H")


class StructRef(msgspec.Struct, frozen=True, gc=False):
    """A struct in the body, inside its segment for sure. `at` counts words."""

    segment: int
    at: int
    data_words: int
    pointers: int


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a pointer says after any far hops: its word, and where in which segment the object would start."""

    pointer: int
    segment: int
    start: int


# What a null pointer stands for: all fields have their defaults.
EMPTY: Final = StructRef(segment=0, at=0, data_words=0, pointers=0)


def array(body: "Buffer | Segments", struct_type: StructType, field: str) -> Array:
    """A read-only view of a list of numbers (or enums, or Data as bytes), over the body's memory.

    Shape (n,), dtype of the schema's element, no copy. `field` may lead through structs and groups: "clip.samples".
    A list that was not set is the field's default, mostly empty. Valid as long as the array lives: it holds the body.
    The view has gaps (strides) if the sender's schema made the list one of structs whose first field is the number.
    Raises BodyError if a pointer on the way leaves the message or is of another kind, or if the field is in a union
    and another member is set; FieldError if the schema has no such field, or it is no list of numbers.
    """
    plan = plan_of(struct_type, field)
    parts = body if isinstance(body, tuple) else segments(body)
    here = struct_at(parts, 0, 0, "")
    for step in plan.steps:
        parts, here = _enter(parts, here or EMPTY, step)
    return _list_of(parts, here or EMPTY, plan.leaf)


def _enter(parts: Segments, here: StructRef, step: StructStep) -> tuple[Segments, StructRef | None]:
    _check_members(parts, here, step.members)
    found = None
    if step.pointer < here.pointers:
        found = struct_at(parts, here.segment, here.at + here.data_words + step.pointer, step.path)
    if found is None and step.default is not None:
        # The default is a message of the schema's own: go on in there.
        return step.default, struct_at(step.default, 0, 0, step.path)
    return parts, found


def _list_of(parts: Segments, here: StructRef, leaf: LeafPlan) -> Array:
    _check_members(parts, here, leaf.members)
    if leaf.pointer >= here.pointers:
        return leaf.default
    target = follow(parts, here.segment, here.at + here.data_words + leaf.pointer, leaf.path)
    if target is None:
        return leaf.default
    if target.pointer & 3 != LIST:
        raise BodyError(leaf.path, "not a list")
    start, count, stride = _elements(parts, target, leaf)
    if count == 0:
        # It may start just behind the segment's end, where numpy takes no offset.
        return leaf.empty
    # Through `frombuffer`, whose array keeps the view, and so the body, pinned and read-only. If the view itself were
    # the ndarray's `buffer`, numpy would look through it to what is behind, and pin neither.
    memory = np.frombuffer(parts[target.segment], np.uint8)
    return np.ndarray((count,), leaf.dtype, buffer=memory, offset=start * WORD, strides=(stride,))


def _elements(parts: Segments, target: Target, leaf: LeafPlan) -> tuple[int, int, int]:
    """The first element's word, their number, and the bytes from one to the next."""
    size, count, start = target.pointer >> 32 & 7, target.pointer >> 35, target.start
    if leaf.is_data and size != BYTES:
        raise BodyError(leaf.path, f"element size {size} is no Data")
    if size != COMPOSITE:
        stride = ELEMENT_BYTES.get(size, 0)
        if stride < leaf.dtype.itemsize:
            raise BodyError(leaf.path, f"element size {size} is too small for {leaf.dtype.name}")
        _check_inside(parts, target.segment, start, (count * stride + WORD - 1) // WORD, leaf.path)
        return start, count, stride
    # Composite: the count was in words; a tag in front, shaped like a struct pointer, has the count of elements.
    _check_inside(parts, target.segment, start, count + 1, leaf.path)
    tag = _word(parts, target.segment, start)
    if tag & 3 != STRUCT:
        raise BodyError(leaf.path, "the tag of the list is no struct's")
    elements, data_words, words = tag >> 2 & 0x3FFF_FFFF, tag >> 32 & 0xFFFF, (tag >> 32 & 0xFFFF) + (tag >> 48)
    if data_words == 0:
        raise BodyError(leaf.path, "a list of structs without data")
    if elements * words > count:
        raise BodyError(leaf.path, f"{elements} elements of {words} words in {count} words")
    return start + 1, elements, words * WORD


def struct_at(parts: Segments, segment: int, at: int, path: str) -> StructRef | None:
    """The struct that the pointer at this word of this segment points to; None for a null pointer."""
    target = follow(parts, segment, at, path)
    if target is None:
        return None
    if target.pointer & 3 != STRUCT:
        raise BodyError(path, "not a struct")
    data_words, pointers = target.pointer >> 32 & 0xFFFF, target.pointer >> 48
    _check_inside(parts, target.segment, target.start, data_words + pointers, path)
    return StructRef(segment=target.segment, at=target.start, data_words=data_words, pointers=pointers)


def follow(parts: Segments, segment: int, at: int, path: str) -> Target | None:
    """Resolve the pointer at word `at`, which must lie inside its segment; None for a null pointer."""
    pointer = _word(parts, segment, at)
    if pointer == 0:
        return None
    if pointer & 3 != FAR:
        return Target(pointer=pointer, segment=segment, start=at + 1 + _offset(pointer))
    double = bool(pointer & 4)
    pad_segment, pad = _far(parts, pointer, 2 if double else 1, path)
    landing = _word(parts, pad_segment, pad)
    if not double:
        if landing & 3 == FAR:
            raise BodyError(path, "a far pointer to a far pointer")
        return Target(pointer=landing, segment=pad_segment, start=pad + 1 + _offset(landing))
    # A landing pad of two words: where the object is, and then what it is.
    if landing & 7 != FAR:
        raise BodyError(path, "a landing pad without a far pointer")
    segment, start = _far(parts, landing, 0, path)
    return Target(pointer=_word(parts, pad_segment, pad + 1), segment=segment, start=start)


def _far(parts: Segments, pointer: int, words: int, path: str) -> tuple[int, int]:
    """Where a far pointer leads, checked to have that many words there."""
    segment, at = pointer >> 32, pointer >> 3 & 0x1FFF_FFFF
    if segment >= len(parts):
        raise BodyError(path, f"far pointer to segment {segment} of {len(parts)}")
    _check_inside(parts, segment, at, words, path)
    return segment, at


def _offset(pointer: int) -> int:
    """Bits 2 to 31, signed: words from the end of the pointer to the object."""
    offset = pointer >> 2 & 0x3FFF_FFFF
    return offset - 0x4000_0000 if offset & 0x2000_0000 else offset


def _check_inside(parts: Segments, segment: int, at: int, words: int, path: str) -> None:
    # What has no size may be anywhere, as for Cap'n Proto's own reader: nothing is read there.
    if words and (at < 0 or (at + words) * WORD > len(parts[segment])):
        raise BodyError(path, "pointer leaves the segment")


def _word(parts: Segments, segment: int, at: int) -> int:
    word: int = _WORD.unpack_from(parts[segment], at * WORD)[0]
    return word


def _check_members(parts: Segments, here: StructRef, members: tuple[Member, ...]) -> None:
    """That of each union on the way the member that the path names is the one that is set."""
    for member in members:
        found = 0
        if member.discriminant_at + 2 <= here.data_words * WORD:
            found = _HALF_WORD.unpack_from(parts[here.segment], here.at * WORD + member.discriminant_at)[0]
        if found != member.value:
            raise BodyError(member.path, f"another member of the union is set: {found}, not {member.value}")
