"""Messages gone wrong: not only bits that flip, but pointers that lie in every way that a pointer can.

Each mutation is made of a `random.Random` alone, so a number names it for ever (as long as the corpus stays the same).
"""

import struct
from collections.abc import Callable
from random import Random
from typing import Final

WORD: Final = 8
_FAR: Final = 2
# What 29 bits count, and what 30 signed bits of offset reach.
_MOST: Final = (1 << 29) - 1
_FARTHEST: Final = (1 << 30) - 1
_COUNTS: Final = (0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 1000, 8191, 8192, 8193, 1 << 16, 1 << 28, _MOST - 1, _MOST)
_SIZES: Final = (0, 0, 1, 1, 2, 3, 8, 255, 0xFFFE, 0xFFFF)


def struct_pointer(offset: int, data_words: int, pointers: int) -> int:
    return offset << 2 & 0xFFFF_FFFC | data_words << 32 | pointers << 48


def list_pointer(offset: int, size: int, count: int) -> int:
    return offset << 2 & 0xFFFF_FFFC | 1 | size << 32 | (count & _MOST) << 35


def far_pointer(segment: int, at: int, double: bool) -> int:
    return _FAR | double << 2 | at << 3 & 0xFFFF_FFF8 | segment << 32


class Message:
    """A message taken apart: segments of words, which mutations may change as they like."""

    def __init__(self, segments: list[list[int]]) -> None:
        self.segments = segments

    @classmethod
    def parse(cls, body: bytes) -> "Message":
        count = struct.unpack_from("<I", body)[0] + 1
        at = (4 + 4 * count + 7) // WORD * WORD
        segments = []
        for words in struct.unpack_from(f"<{count}I", body, 4):
            segments.append(list(struct.unpack_from(f"<{words}Q", body, at)))
            at += words * WORD
        return cls(segments)

    def body(self) -> bytes:
        sizes = [len(words) for words in self.segments]
        table = struct.pack(f"<{len(sizes) + 1}I", len(sizes) - 1, *sizes)
        table += bytes(-len(table) % WORD)
        return table + b"".join(struct.pack(f"<{len(words)}Q", *words) for words in self.segments)

    def place(self, random: Random) -> tuple[int, int]:
        """The segment and index of a word; pointers are preferred, as what looks like one often is one."""
        filled = [number for number, words in enumerate(self.segments) if words]
        segment = random.choice(filled)
        words = self.segments[segment]
        for _ in range(4):
            at = random.randrange(len(words))
            if words[at] >> 32 and (words[at] & 3 or words[at] >> 48):
                break
        return segment, at


Mutation = Callable[[Random, Message], None]


def _flip(random: Random, message: Message) -> None:
    segment, at = message.place(random)
    message.segments[segment][at] ^= 1 << random.randrange(64)


def _kind(random: Random, message: Message) -> None:
    segment, at = message.place(random)
    word = message.segments[segment][at]
    message.segments[segment][at] = word & ~3 | random.randrange(4)


def _offset(random: Random, message: Message) -> None:
    segment, at = message.place(random)
    word, length = message.segments[segment][at], len(message.segments[segment])
    nearby = word >> 2 & _FARTHEST
    offset = random.choice(
        (nearby + random.choice((-2, -1, 1, 2)), random.randrange(-length - 1, length + 1), -1, -at - 1, 1 << 29, _MOST)
    )
    message.segments[segment][at] = word & ~0xFFFF_FFFC | offset << 2 & 0xFFFF_FFFC


def _size(random: Random, message: Message) -> None:
    segment, at = message.place(random)
    word = message.segments[segment][at]
    if word & 3 == 1:
        kept = word >> 35
        count = random.choice((*_COUNTS, kept + 1, kept - 1, kept * 2, kept * 8)) & _MOST
        size = random.choice((word >> 32 & 7, random.randrange(8)))
        message.segments[segment][at] = word & 0xFFFF_FFFF | size << 32 | count << 35
    else:
        data, pointers = word >> 32 & 0xFFFF, word >> 48
        data = random.choice((data, data + 1 & 0xFFFF, random.choice(_SIZES)))
        pointers = random.choice((pointers, pointers + 1 & 0xFFFF, random.choice(_SIZES)))
        message.segments[segment][at] = word & 0xFFFF_FFFF | data << 32 | pointers << 48


def _tag(random: Random, message: Message) -> None:
    """A list of structs whose tag says something else: many elements, of little or no size."""
    composite = [
        (segment, at)
        for segment, words in enumerate(message.segments)
        for at, word in enumerate(words)
        if word & 3 == 1 and word >> 32 & 7 == 7
    ]
    if not composite:
        _size(random, message)
        return
    segment, at = random.choice(composite)
    words = message.segments[segment]
    tag = at + 1 + (words[at] >> 2 & _FARTHEST)
    if tag < len(words):
        count = random.choice((*_COUNTS, words[tag] >> 2 & _FARTHEST))
        data, pointers = random.choice(((0, 0), (words[tag] >> 32 & 0xFFFF, words[tag] >> 48), (1, 0), (0, 1)))
        words[tag] = struct_pointer(count, data, pointers) | random.choice((0, 0, 0, 0, 1, 2, 3))


def _segment(random: Random, message: Message) -> None:
    """A far pointer leads into another segment, or to another word."""
    far = [
        (segment, at)
        for segment, words in enumerate(message.segments)
        for at, word in enumerate(words)
        if word & 3 == _FAR
    ]
    segment, at = random.choice(far) if far else message.place(random)
    word, many = message.segments[segment][at], len(message.segments)
    to = random.choice((word >> 32, random.randrange(many), many, 0xFFFF_FFFF))
    pad = random.choice((word >> 3 & _MOST, (word >> 3) + 1 & _MOST, random.randrange(9), _MOST, at))
    message.segments[segment][at] = far_pointer(to, pad, random.choice((bool(word & 4), random.random() < 0.5)))


def _far(random: Random, message: Message) -> None:
    """A pointer becomes a far one to a pad of our own, which may be good or lie; pads may lead to pads."""
    segment, at = message.place(random)
    word = message.segments[segment][at]
    home = random.randrange(len(message.segments))
    pad = len(message.segments[home])
    double = random.random() < 0.5
    if not double:
        message.segments[home].append(random.choice((word, word & ~0xFFFF_FFFC, far_pointer(home, pad, False))))
    else:
        target = at + 1 + (word >> 2 & _FARTHEST)
        inner = far_pointer(segment, target & _MOST, random.random() < 0.1)
        message.segments[home] += [inner, random.choice((word & ~0xFFFF_FFFC, word, far_pointer(home, pad, True)))]
    message.segments[segment][at] = far_pointer(home, pad, double)


def _share(random: Random, message: Message) -> None:
    """A pointer leads to where another one does: shared, or in a circle."""
    segment, at = message.place(random)
    words = message.segments[segment]
    source = random.randrange(len(words))
    word = words[source]
    offset = (word >> 2 & _FARTHEST) + source - at
    words[at] = word & ~0xFFFF_FFFC | offset << 2 & 0xFFFF_FFFC


def _bomb(random: Random, message: Message) -> None:
    """What is small and says to be large, or leads back to itself."""
    segment, at = message.place(random)
    many = random.choice((8192, 9000, 1 << 20, _MOST))
    message.segments[segment][at] = random.choice(
        (
            list_pointer(random.choice((0, -1)), 0, many),
            list_pointer(0, random.randrange(1, 8), many),
            list_pointer(-1, 6, 1),
            list_pointer(-at - 1, 6, at + 1),
            list_pointer(-at - 1, 7, max(0, at)),
            struct_pointer(-1, 0, 0),
            struct_pointer(-1, 0, 1),
            struct_pointer(-at - 1, 0, min(at + 1, 0xFFFF)),
            struct_pointer(-at - 1, 1, min(at, 0xFFFF)),
            struct_pointer(0, 0xFFFF, 0xFFFF),
            far_pointer(segment, at, False),
            far_pointer(segment, at, True),
            3 | random.choice((0, 4, 1 << 32, 0xFFFF_FFFF << 32)),
        )
    )


def _chain(random: Random, message: Message) -> None:
    """Deeply nested, about as deep as is allowed, with a bush at the end."""
    segment, at = message.place(random)
    words = message.segments[segment]
    # Two ways on from every struct are more ways than anybody walks.
    depth, fan = random.choice((30, 60, 61, 62, 63, 64, 65, 66, 200)), random.choice((1,) * 20 + (2, 3))
    words[at] = struct_pointer(len(words) - at - 1, 0, fan)
    for level in range(depth):
        # Every pointer of a struct leads to the next one.
        words += [struct_pointer(fan - 1 - index, 0, fan if level < depth - 1 else 0) for index in range(fan)]


def _swap(random: Random, message: Message) -> None:
    (one, at), (other, to) = message.place(random), message.place(random)
    first, second = message.segments[one], message.segments[other]
    first[at], second[to] = second[to], first[at]


def _zero(random: Random, message: Message) -> None:
    segment, at = message.place(random)
    message.segments[segment][at] = random.choice((0, 0, 0xFFFF_FFFF_FFFF_FFFF, random.getrandbits(64)))


def _cut(random: Random, message: Message) -> None:
    words = random.choice(message.segments)
    del words[random.randrange(len(words) + 1) :]
    if not message.segments[0]:
        message.segments[0].append(0)


def _split(random: Random, message: Message) -> None:
    """A segment becomes two in the middle, so that pointers lead out of it."""
    number = random.randrange(len(message.segments))
    words = message.segments[number]
    if len(words) > 1:
        at = random.randrange(1, len(words))
        message.segments[number : number + 1] = [words[:at], words[at:]]


_MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip, _flip, _kind, _offset, _offset, _size, _size, _tag, _segment, _far, _far, _share, _share, _bomb, _bomb,
    _chain, _swap, _zero, _cut, _split,
)  # fmt: skip


def mutated(random: Random, body: bytes) -> bytes:
    """The message after one to four accidents; now and then its bytes are broken as well."""
    message = Message.parse(body)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        if not any(message.segments):
            break
        random.choice(_MUTATIONS)(random, message)
    made = bytearray(message.body())
    if random.random() < 0.05:
        at = random.randrange(len(made))
        match random.randrange(3):
            case 0:
                del made[at:]
            case 1:
                made[at] ^= 1 << random.randrange(8)
            case _:
                made += random.randbytes(at % 17)
    return bytes(made)
