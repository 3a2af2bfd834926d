"""A message written anew over segments of a chosen size: what sits in different segments is joined by far pointers.

For testing readers, mostly: a message that grew while it was built looks like that. `split_body` does what `capnp
convert --segment-size` does, if not with the same bytes.
"""

import struct
from typing import TYPE_CHECKING, Final

from hootbus.schemas.canonical import canonical
from hootbus.schemas.errors import BodyError
from hootbus.schemas.pointers import (
    COMPOSITE,
    POINTER,
    STRUCT,
    ListRef,
    StructRef,
    Target,
    follow,
    list_of,
    struct_of,
    word_at,
)
from hootbus.schemas.segments import SEGMENTS_MAX, WORD, Segments

if TYPE_CHECKING:
    from typing_extensions import Buffer

_WORD: Final = struct.Struct("<Q")
_FAR: Final = 2
_NO_OFFSET: Final = 0xFFFF_FFFF_0000_0003


def split_body(body: "Buffer | Segments", segment_words: int) -> bytes:
    """The message as a body with segments of so many words; an object that is larger has one of its own.

    Raises BodyError as `canonical` does, and if there were more segments than a body may have.
    """
    # Canonical words are a tree, in which nothing is shared: no walk through them is longer than they are.
    parts = (memoryview(canonical(body)).toreadonly(),)
    split = _Split(parts, max(segment_words, 1))
    split.pointer(0, 0, 0)
    if len(split.segments) > SEGMENTS_MAX:
        raise BodyError("", f"{len(split.segments)} segments of {segment_words} words, at most {SEGMENTS_MAX}")
    sizes = [len(segment) // WORD for segment in split.segments]
    table = struct.pack(f"<I{len(sizes)}I", len(sizes) - 1, *sizes)
    return b"".join((table, bytes(-len(table) % WORD), *split.segments))


class _Split:
    """A copy on its way, object by object, each to where there is room for it. Places are segments and words."""

    def __init__(self, parts: Segments, segment_words: int) -> None:
        self._parts = parts
        self._room = segment_words
        self.segments = [bytearray(WORD)]

    def pointer(self, source: int, segment: int, at: int) -> None:
        """Copies what the pointer at word `source` points to, and points to it from the place given."""
        target = follow(self._parts, 0, source, None)
        if target is None:
            return
        if target.pointer & 3 == STRUCT:
            self._struct(target, struct_of(self._parts, target, None), segment, at)
        else:
            self._list(target, list_of(self._parts, target, None), segment, at)

    def _struct(self, target: Target, found: StructRef, segment: int, at: int) -> None:
        words = (found.data_bits >> 6) + found.pointers
        if not words:
            _WORD.pack_into(self.segments[segment], at * WORD, target.pointer)
            return
        segment, start = self._copy(target, words, segment, at)
        self._pointers(found, segment, start + (found.data_bits >> 6))

    def _list(self, target: Target, found: ListRef, segment: int, at: int) -> None:
        is_composite = found.size == COMPOSITE
        segment, start = self._copy(target, int(is_composite) + (found.count * found.step + 63 >> 6), segment, at)
        if found.size == POINTER:
            for index in range(found.count):
                self.pointer(found.pointer(index), segment, start + index)
        elif is_composite and found.pointers:
            step, data_words = found.step >> 6, found.data_bits >> 6
            for index in range(found.count):
                self._pointers(found.struct(index), segment, start + 1 + index * step + data_words)

    def _pointers(self, found: StructRef, segment: int, at: int) -> None:
        for index in range(found.pointers):
            if word_at(self._parts, 0, found.at + index):
                self.pointer(found.at + index, segment, at + index)

    def _copy(self, target: Target, words: int, segment: int, at: int) -> tuple[int, int]:
        """Copies an object's words and points to it; where it is. Its pointers are still those of the source."""
        kind = target.pointer & _NO_OFFSET
        place, start = self._place(words, segment)
        memory = self.segments[place]
        if place == segment:
            _WORD.pack_into(memory, at * WORD, kind | start - at - 1 << 2)
        else:
            # The landing pad is the word in front of the object.
            memory += _WORD.pack(kind)
            _WORD.pack_into(self.segments[segment], at * WORD, _FAR | start << 3 | place << 32)
            start += 1
        memory += self._parts[0][target.start * WORD : (target.start + words) * WORD]
        return place, start

    def _place(self, words: int, near: int) -> tuple[int, int]:
        """A segment with room for so many words, the same one if it can be, and where in it they go."""
        for segment, needed in ((near, words), (len(self.segments) - 1, words + 1)):
            used = len(self.segments[segment]) // WORD
            if used + needed <= self._room:
                return segment, used
        self.segments.append(bytearray())
        return len(self.segments) - 1, 0
