"""Pointers, followed: from a word of a message to the struct, list or bytes it points to, each bound checked.

Every word is judged before it is believed, so any bytes give an object that lies inside its segment, or a `BodyError`
that names the field. What Cap'n Proto's own reader refuses is refused here, what it lets pass is let pass (Cap'n Proto
encoding, "Structs" to "Capabilities"). Nothing here loops: a far pointer takes at most two hops. How often and how deep
a message is walked is counted by those who walk.
"""

import struct
from typing import Any, Final, TypeAlias

from hootbus.schemas.errors import BodyError
from hootbus.schemas.segments import WORD, Segments

# The two low bits of a pointer.
STRUCT: Final = 0
LIST: Final = 1
FAR: Final = 2
OTHER: Final = 3

# The three bits of a list's element size, and the data bits of an element of each. Elements of composite lists are
# structs, whose size is in the tag.
VOID: Final = 0
BIT: Final = 1
BYTE: Final = 2
POINTER: Final = 6
COMPOSITE: Final = 7
ELEMENT_BITS: Final = (0, 1, 8, 16, 32, 64, 0, 0)

# Cap'n Proto's own limit: so deep an honest message is not.
NESTING_MAX: Final = 64

# A list of nothing takes no bytes, however long it says it is, and a struct that many pointers share is small but long
# to walk. Whoever walks a whole message may touch all of its words this many times, and so many more.
WALKS_MAX: Final = 2
WALK_WORDS_MIN: Final = 16_384

# Spelled with Any, as mypyc cannot compile an alias of itself.
Trail: TypeAlias = "tuple[Any, str | int] | None"
"""The way to a value, from its end: ((None, "methods"), 3). Made into text only if something is wrong there."""

_WORD: Final = struct.Struct("<Q")


class Target:
    """What a pointer says after any far hops: its word, and where in which segment the object starts, in words."""

    __slots__ = ("pointer", "segment", "start")

    def __init__(self, pointer: int, segment: int, start: int) -> None:
        self.pointer = pointer
        self.segment = segment
        self.start = start


class StructRef:
    """A struct in the message, inside its segment for sure.

    `data` is the byte at which its data begins, `data_bits` how many bits of it there are; `at` the word at which its
    `pointers` pointers begin. An element of a list of numbers, read as a struct, has fewer bits than a word.
    """

    __slots__ = ("at", "data", "data_bits", "pointers", "segment")

    def __init__(self, segment: int, data: int, data_bits: int, at: int, pointers: int) -> None:
        self.segment = segment
        self.data = data
        self.data_bits = data_bits
        self.at = at
        self.pointers = pointers


class ListRef:
    """A list in the message, inside its segment for sure.

    `size` is the pointer's element size. Elements begin at byte `start` (of the tag's end in a composite list) and are
    `step` bits apart; each has `data_bits` bits of data and `pointers` pointers.
    """

    __slots__ = ("count", "data_bits", "pointers", "segment", "size", "start", "step")

    def __init__(self, segment: int, start: int, size: int, count: int, data_bits: int, pointers: int) -> None:
        self.segment = segment
        self.start = start
        self.size = size
        self.count = count
        self.data_bits = data_bits
        self.pointers = pointers
        self.step = data_bits + 64 * pointers

    @property
    def words(self) -> int:
        """How much there is to walk through: elements without size count as a word each."""
        return self.count * self.step + 63 >> 6 if self.step else self.count

    def struct(self, index: int) -> StructRef:
        """An element as a struct: of one field, if this is a list of numbers or pointers. Not for lists of bits."""
        data = self.start + (index * self.step >> 3)
        return StructRef(self.segment, data, self.data_bits, data + (self.data_bits >> 3) >> 3, self.pointers)

    def pointer(self, index: int) -> int:
        """The word of an element's first pointer."""
        return self.start + (index * self.step + self.data_bits >> 3) >> 3


# What a null pointer stands for: all fields have their defaults.
EMPTY: Final = StructRef(0, 0, 0, 0, 0)


def path_of(trail: Trail) -> str:
    """The way as text: `methods[3].name`."""
    steps: list[str] = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return "".join(reversed(steps)).removeprefix(".")


def malformed(parts: Segments, trail: Trail, reason: str) -> BodyError:
    """The error for a message that is not what it should be at this place."""
    return BodyError(path_of(trail), reason, parts)


def too_deep(parts: Segments, trail: Trail) -> BodyError:
    """The error for what is nested deeper than anybody should follow."""
    return malformed(parts, trail, f"nested deeper than {NESTING_MAX}")


def walk_limit(parts: Segments) -> int:
    """How many words a walk of the whole message may touch, elements without size counted as one each."""
    return WALK_WORDS_MIN + WALKS_MAX * (sum(map(len, parts)) // WORD)


class Walk:
    """How many words a walk of a whole message may still touch.

    A message whose pointers share their targets is small and takes hours to walk: 1 KB of it kept one busy for 80 s. Of
    an honest one each word is touched once.
    """

    __slots__ = ("left", "parts")

    def __init__(self, parts: Segments) -> None:
        self.parts = parts
        self.left = walk_limit(parts)

    def spend(self, words: int, trail: Trail) -> None:
        """Counts what is touched. Raises BodyError when it is too much."""
        self.left -= words
        if self.left < 0:
            raise malformed(
                self.parts, trail, "far more to walk through than the message is long: parts of it are shared"
            )


def word_at(parts: Segments, segment: int, at: int) -> int:
    """A word that is known to lie inside its segment."""
    word: int = _WORD.unpack_from(parts[segment], at * WORD)[0]
    return word


def follow(parts: Segments, segment: int, at: int, trail: Trail) -> Target | None:
    """Resolve the pointer at word `at`, which must lie inside its segment; None for a null pointer."""
    pointer: int = _WORD.unpack_from(parts[segment], at * WORD)[0]
    if pointer == 0:
        return None
    if pointer & 3 != FAR:
        return Target(pointer, segment, at + 1 + _offset(pointer))
    double = bool(pointer & 4)
    pad_segment, pad = _far(parts, pointer, 2 if double else 1, trail)
    landing = word_at(parts, pad_segment, pad)
    if not double:
        if landing & 3 == FAR:
            raise malformed(parts, trail, "a far pointer to a far pointer")
        return Target(landing, pad_segment, pad + 1 + _offset(landing))
    # A landing pad of two words: where the object is, and then what it is.
    if landing & 7 != FAR:
        raise malformed(parts, trail, "a landing pad without a far pointer")
    segment, start = _far(parts, landing, 0, trail)
    return Target(word_at(parts, pad_segment, pad + 1), segment, start)


def struct_of(parts: Segments, target: Target, trail: Trail) -> StructRef:
    """The struct at a pointer's target."""
    pointer = target.pointer
    if pointer & 3 != STRUCT:
        raise malformed(parts, trail, f"{_KINDS[pointer & 3]}, not a struct")
    data_words, pointers = pointer >> 32 & 0xFFFF, pointer >> 48
    _check_inside(parts, target.segment, target.start, data_words + pointers, trail)
    return StructRef(target.segment, target.start * WORD, data_words * 64, target.start + data_words, pointers)


def list_of(parts: Segments, target: Target, trail: Trail) -> ListRef:
    """The list at a pointer's target, whatever its elements."""
    pointer, segment, start = target.pointer, target.segment, target.start
    if pointer & 3 != LIST:
        raise malformed(parts, trail, f"{_KINDS[pointer & 3]}, not a list")
    size, count = pointer >> 32 & 7, pointer >> 35
    if size != COMPOSITE:
        data_bits, pointers = ELEMENT_BITS[size], int(size == POINTER)
        _check_inside(parts, segment, start, (count * (data_bits + 64 * pointers) + 63) >> 6, trail)
        return ListRef(segment, start * WORD, size, count, data_bits, pointers)
    # Composite: the count was in words; a tag in front, shaped like a struct pointer, has the count of elements.
    _check_inside(parts, segment, start, count + 1, trail)
    tag = word_at(parts, segment, start)
    if tag & 3 != STRUCT:
        raise malformed(parts, trail, "the tag of the list is no struct's")
    elements, data_words, pointers = tag >> 2 & 0x3FFF_FFFF, tag >> 32 & 0xFFFF, tag >> 48
    words = data_words + pointers
    if elements * words > count:
        raise malformed(parts, trail, f"{elements} elements of {words} words in {count} words")
    return ListRef(segment, (start + 1) * WORD, size, elements, data_words * 64, pointers)


def bytes_of(parts: Segments, target: Target, trail: Trail) -> memoryview:
    """The bytes of a Data or, with its terminator, of a Text."""
    pointer, segment, start = target.pointer, target.segment, target.start
    if pointer & 3 != LIST:
        raise malformed(parts, trail, f"{_KINDS[pointer & 3]}, not bytes")
    if pointer >> 32 & 7 != BYTE:
        raise malformed(parts, trail, f"a list of element size {pointer >> 32 & 7}, not of bytes")
    count = pointer >> 35
    _check_inside(parts, segment, start, (count + 7) >> 3, trail)
    if not count:
        return parts[segment][:0]
    return parts[segment][start * WORD : start * WORD + count]


def text_of(parts: Segments, target: Target, trail: Trail) -> memoryview:
    """The bytes of a Text without its terminator, which must be there. Whether they are UTF-8 is not looked at."""
    found = bytes_of(parts, target, trail)
    if not len(found) or found[-1]:
        raise malformed(parts, trail, "text that does not end with a zero byte")
    return found[:-1]


def expect_elements(parts: Segments, found: ListRef, bits: int, pointers: int, trail: Trail) -> ListRef:
    """The list, if its elements can be read as ones with so many bits of data, or as pointers.

    Elements may be larger than asked for: a list of numbers may have become one of structs whose first field they are.
    """
    if bits == 1 and found.size == COMPOSITE:
        raise malformed(parts, trail, "a list of structs, not of bits")
    if found.size == BIT and bits != 1:
        raise malformed(parts, trail, "a list of bits, not of what the schema says")
    if found.data_bits < bits:
        raise malformed(parts, trail, f"elements of {found.data_bits} bits, not {bits}")
    if found.pointers < pointers:
        raise malformed(parts, trail, "elements without pointers")
    if not found.step and found.count > walk_limit(parts):
        raise malformed(parts, trail, f"{found.count} elements without size in so small a message")
    return found


# The kinds of pointers for people; a landing pad is a far pointer's business.
_KINDS: Final = ("a struct", "a list", "a far pointer", "a capability")


def _far(parts: Segments, pointer: int, words: int, trail: Trail) -> tuple[int, int]:
    """Where a far pointer leads, checked to have that many words there."""
    segment, at = pointer >> 32, pointer >> 3 & 0x1FFF_FFFF
    if segment >= len(parts):
        raise malformed(parts, trail, f"far pointer to segment {segment} of {len(parts)}")
    _check_inside(parts, segment, at, words, trail)
    return segment, at


def _offset(pointer: int) -> int:
    """Bits 2 to 31, signed: words from the end of the pointer to the object."""
    offset = pointer >> 2 & 0x3FFF_FFFF
    return offset - 0x4000_0000 if offset & 0x2000_0000 else offset


def _check_inside(parts: Segments, segment: int, at: int, words: int, trail: Trail) -> None:
    # What has no size may be anywhere, as for Cap'n Proto's own reader: nothing is read there.
    if words and (at < 0 or (at + words) * WORD > len(parts[segment])):
        raise malformed(parts, trail, "pointer leaves the segment")
