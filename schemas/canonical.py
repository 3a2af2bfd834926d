"""The canonical form of a message: of the many ways to write a value the one that can be compared, hashed and signed.

No schema is needed: one segment, objects in the order in which a depth-first walk meets them, what is zero at the end
of a struct left out (Cap'n Proto encoding, "Canonicalization"). The bytes are those of `capnp convert
binary:canonical`. Whatever copies a tree of objects out of one message into another can use the same `TreeCopier`.
"""

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from hootbus.schemas.errors import BodyError
from hootbus.schemas.pointers import (
    BIT,
    BYTE,
    COMPOSITE,
    EMPTY,
    LIST,
    NESTING_MAX,
    OTHER,
    POINTER,
    STRUCT,
    ListRef,
    StructRef,
    Trail,
    follow,
    list_of,
    malformed,
    struct_of,
    too_deep,
    walk_limit,
)
from hootbus.schemas.segments import WORD, Segments, segments

if TYPE_CHECKING:
    from typing_extensions import Buffer

# A pointer reaches so many words ahead, and a list has no more of them.
_REACH_WORDS: Final = (1 << 29) - 1

# A struct of no size lies nowhere: its pointer points to itself, so that it is not taken for a null pointer.
_EMPTY_STRUCT: Final = 0xFFFF_FFFC

_TABLE: Final = struct.Struct("<II")
_WORD: Final = struct.Struct("<Q")


def canonical(body: "Buffer | Segments") -> bytearray:
    """The message's canonical words: its only segment, without a segment table. The bytes are the caller's own.

    Of lists of numbers, however large, one copy is made. Raises BodyError for what no walk of the whole message can
    follow, and for capabilities, which mean nothing outside their connection. Its field counts a struct's pointers:
    "pointer 0[3].pointer 1" is the second pointer of the fourth element of the list at the root's first pointer.
    """
    words = bytearray()
    _copy_root(body, words)
    return words


def canonical_body(body: "Buffer | Segments") -> bytearray:
    """The canonical words with the segment table in front: a body, ready to be sent. Raises BodyError."""
    words = bytearray(WORD)
    _copy_root(body, words)
    _TABLE.pack_into(words, 0, 0, len(words) // WORD - 1)
    return words


def is_canonical(words: "Buffer") -> bool:
    """Whether these words, without a segment table, are in canonical form. What `canonical` refuses is not."""
    view = memoryview(words).toreadonly()
    if view.nbytes < WORD or view.nbytes % WORD:
        return False
    segment = view.cast("B")
    try:
        return canonical((segment,)) == segment
    except BodyError:
        return False


def _copy_root(body: "Buffer | Segments", words: bytearray) -> None:
    parts = body if isinstance(body, tuple) else segments(body)
    at = len(words)
    words += bytes(WORD)
    target = follow(parts, 0, 0, None)
    # A message that says nothing is a struct all of whose fields have their defaults.
    root = EMPTY if target is None else struct_of(parts, target, None)
    TreeCopier(parts, words).copy_struct(root, at, None)


class TreeCopier:
    """Copies structs and lists, with all they point to, out of one message to the end of growing words.

    `words` may hold anything already, as long as it is whole words; what is copied follows in canonical form. All that
    is ever copied by one copier is bounded by the message's `walk_limit`, so that pointers that share their targets, or
    lead in circles, end in a BodyError and in no more than a few times the memory of the message.
    """

    __slots__ = ("_left", "_parts", "_words")

    def __init__(self, parts: Segments, words: bytearray) -> None:
        self._parts = parts
        self._words = words
        self._left = min(walk_limit(parts), _REACH_WORDS)

    def copy_pointer(self, segment: int, source: int, at: int, trail: Trail, depth: int = 0) -> None:
        """Copy what the pointer at word `source` points to, and point to it from byte `at` of the words.

        Nothing happens for a null pointer: what is at `at` should be null already. `depth` pointers were followed on
        the way here.
        """
        target = follow(self._parts, segment, source, trail)
        if target is None:
            return
        kind = target.pointer & 3
        if kind == OTHER:
            raise malformed(self._parts, trail, "a capability, which cannot be copied")
        # As readers have it, the texts of the deepest struct lie no deeper than the struct.
        if depth == NESTING_MAX and (kind != LIST or target.pointer >> 32 & 7 != BYTE):
            raise too_deep(self._parts, trail)
        if kind == LIST:
            self.copy_list(list_of(self._parts, target, trail), at, trail, depth + 1)
        else:
            self.copy_struct(struct_of(self._parts, target, trail), at, trail, depth + 1)

    def copy_struct(self, found: StructRef, at: int, trail: Trail, depth: int = 1) -> None:
        """Copy a struct with all it points to, and point to it from byte `at` of the words."""
        data_bytes = found.data_bits >> 3
        self._charge((data_bytes >> 3) + found.pointers, trail)
        memory = self._parts[found.segment]
        data = bytes(memory[found.data : found.data + data_bytes]).rstrip(b"\0")
        data_words = len(data) + 7 >> 3
        pointers = _trimmed_pointers(memory, found)
        words, start = self._words, len(self._words)
        if data_words + len(pointers) == 0:
            _WORD.pack_into(words, at, _EMPTY_STRUCT)
            return
        _WORD.pack_into(words, at, _offset(at, start) | STRUCT | data_words << 32 | len(pointers) << 48)
        words += data
        words += bytes((data_words + len(pointers)) * WORD - len(data))
        to = start + data_words * WORD
        for index, pointer in enumerate(pointers):
            if pointer:
                step = (trail, f"pointer {index}")
                self.copy_pointer(found.segment, found.at + index, to + index * WORD, step, depth)

    def copy_list(self, found: ListRef, at: int, trail: Trail, depth: int = 1) -> None:
        """Copy a list with all it points to, and point to it from byte `at` of the words."""
        # Elements without size are not charged: neither time nor memory is spent on them here.
        self._charge((found.count * found.step + 63 >> 6) + (found.size == COMPOSITE), trail)
        if found.size == COMPOSITE:
            self._structs(found, at, trail, depth)
            return
        start = len(self._words)
        _WORD.pack_into(self._words, at, _offset(at, start) | LIST | found.size << 32 | found.count << 35)
        if found.size == POINTER:
            self._words += bytes(found.count * WORD)
            self._pointers(found, start, trail, depth)
        else:
            self._numbers(found)

    def _numbers(self, found: ListRef) -> None:
        bits = found.count * found.step
        self._words += self._parts[found.segment][found.start : found.start + (bits + 7 >> 3)]
        if found.size == BIT and bits & 7:
            self._words[-1] &= (1 << (bits & 7)) - 1
        self._words += bytes(-len(self._words) % WORD)

    def _pointers(self, found: ListRef, to: int, trail: Trail, depth: int) -> None:
        for index in np.flatnonzero(_matrix(self._parts, found)).tolist():
            self.copy_pointer(found.segment, found.pointer(index), to + index * WORD, (trail, index), depth)

    def _structs(self, found: ListRef, at: int, trail: Trail, depth: int) -> None:
        """A list of structs: all of them as large as the one of which most is used."""
        elements = _matrix(self._parts, found)
        declared = found.data_bits >> 6
        used: np.ndarray = np.any(elements, axis=0)
        data_words, pointers = _last(used[:declared]), _last(used[declared:])
        start, step = len(self._words), data_words + pointers
        _WORD.pack_into(self._words, at, _offset(at, start) | LIST | COMPOSITE << 32 | found.count * step << 35)
        self._words += _WORD.pack(STRUCT | found.count << 2 | data_words << 32 | pointers << 48)
        # The old pointers are copied with the data. Null ones can stay, the others are replaced as they are followed.
        if step * 64 == found.step:
            self._words += self._parts[found.segment][found.start : found.start + elements.nbytes]
        else:
            kept = np.concatenate((elements[:, :data_words], elements[:, declared : declared + pointers]), axis=1)
            self._words += kept.tobytes()
        if pointers == 0:
            return
        to = start + WORD + data_words * WORD
        rows, columns = np.nonzero(elements[:, declared : declared + pointers])
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            way = ((trail, row), f"pointer {column}")
            source = found.pointer(row) + column
            self.copy_pointer(found.segment, source, to + (row * step + column) * WORD, way, depth)

    def _charge(self, words: int, trail: Trail) -> None:
        self._left -= words
        if self._left < 0:
            raise malformed(self._parts, trail, "pointers share so much that the message is too long to walk")


def _trimmed_pointers(memory: memoryview, found: StructRef) -> tuple[int, ...]:
    """The words of a struct's pointers, without those at the end that are null."""
    if not found.pointers:
        return ()
    pointers: tuple[int, ...] = struct.unpack_from(f"<{found.pointers}Q", memory, found.at * WORD)
    count = len(pointers)
    while count and not pointers[count - 1]:
        count -= 1
    return pointers[:count]


def _matrix(parts: Segments, found: ListRef) -> np.ndarray:
    """A list's words where they lie, a row for each element."""
    row = found.step >> 6
    if not row or not found.count:
        # It may start anywhere, also where numpy takes no offset.
        return np.zeros((0, row), "<u8")
    words = np.frombuffer(parts[found.segment], "<u8", found.count * row, found.start)
    return words.reshape(found.count, row)


def _last(used: np.ndarray) -> int:
    """How many columns there are up to the last that is used."""
    found = np.flatnonzero(used)
    return int(found[-1]) + 1 if len(found) else 0


def _offset(at: int, start: int) -> int:
    """The offset's bits of a pointer at byte `at` to an object at byte `start` further on."""
    return (start - at - WORD) // WORD << 2
