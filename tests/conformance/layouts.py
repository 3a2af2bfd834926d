"""The same message in many layouts: trees of objects, written as untidily as the encoding allows."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, TypeAlias

# Bits of an element of each element size that has no pointers.
_BITS: Final = (0, 1, 8, 16, 32, 64)


@dataclass(frozen=True)
class Struct:
    data: tuple[int, ...]
    pointers: tuple[Tree | None, ...]


@dataclass(frozen=True)
class Numbers:
    size: int
    count: int
    bits: int


@dataclass(frozen=True)
class Pointers:
    items: tuple[Tree | None, ...]


@dataclass(frozen=True)
class Structs:
    """Elements of any sizes: written all as large as the largest needs, or larger."""

    items: tuple[Struct, ...]


Tree: TypeAlias = Struct | Numbers | Pointers | Structs


def random_tree(rng: random.Random, depth: int = 4) -> Tree:
    kind = rng.choice(("struct", "struct", "numbers", "pointers", "structs"))
    if kind == "numbers" or depth == 0:
        size, count = rng.randrange(6), rng.choice((0, 1, 2, 3, 7, 8, 9, 30))
        return Numbers(size, count, rng.getrandbits(_BITS[size] * count + 1) >> 1)
    if kind == "pointers":
        return Pointers(_random_pointers(rng, depth))
    if kind == "structs":
        return Structs(tuple(random_struct(rng, depth - 1) for _ in range(rng.choice((0, 1, 2, 5)))))
    return random_struct(rng, depth)


def random_struct(rng: random.Random, depth: int = 4) -> Struct:
    data = tuple(rng.choice((0, 0, 1, rng.getrandbits(64))) for _ in range(rng.randrange(4)))
    return Struct(data, _random_pointers(rng, depth))


def _random_pointers(rng: random.Random, depth: int) -> tuple[Tree | None, ...]:
    return tuple(random_tree(rng, depth - 1) if rng.random() < 0.6 else None for _ in range(rng.randrange(4)))


def written(root: Struct, rng: random.Random) -> bytes:
    """A stream-framed message: segments, far pointers, gaps, padding and unused words as chance wants them."""
    writer = _Writer(rng)
    writer.point(0, 0, root)
    sizes = [len(segment) for segment in writer.segments]
    table = b"".join(value.to_bytes(4, "little") for value in (len(sizes) - 1, *sizes))
    table += bytes(-len(table) % 8)
    return table + b"".join(word.to_bytes(8, "little") for segment in writer.segments for word in segment)


class _Writer:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        # The first word is the root pointer. Without a word Cap'n Proto takes a segment for none at all.
        self.segments: list[list[int]] = [[0] for _ in range(rng.choice((1, 1, 2, 5)))]

    def point(self, segment: int, at: int, tree: Tree | None) -> None:
        """Write the tree, and the pointer to it, by way of far ones where it lies in another segment."""
        if tree is None:
            return
        place, start, kind = self._write(tree)
        if kind == 0 and self._rng.random() < 0.7:
            # A struct without size lies nowhere, but its pointer is not null.
            self.segments[segment][at] = _offset(at, at)
        elif kind and place == segment and self._rng.random() < 0.9:
            self.segments[segment][at] = kind | _offset(at, start)
        elif self._rng.random() < 0.5:
            pad = self._allocate(place, 1)
            self.segments[place][pad] = kind | _offset(pad, start)
            self.segments[segment][at] = 2 | pad << 3 | place << 32
        else:
            pad_segment = self._some_segment()
            pad = self._allocate(pad_segment, 2)
            self.segments[pad_segment][pad : pad + 2] = [2 | start << 3 | place << 32, kind]
            self.segments[segment][at] = 6 | pad << 3 | pad_segment << 32

    def _write(self, tree: Tree) -> tuple[int, int, int]:
        """Where the object is, and its pointer without an offset."""
        place = self._some_segment()
        if isinstance(tree, Struct):
            data, pointers = self._sizes((tree,))
            start = self._allocate(place, data + pointers)
            self._fill(place, start, data, tree)
            return place, start, data << 32 | pointers << 48
        if isinstance(tree, Numbers):
            return place, self._numbers(place, tree), 1 | tree.size << 32 | tree.count << 35
        if isinstance(tree, Pointers):
            start = self._allocate(place, len(tree.items))
            for index, item in enumerate(tree.items):
                self.point(place, start + index, item)
            return place, start, 1 | 6 << 32 | len(tree.items) << 35
        data, pointers = self._sizes(tree.items)
        step = data + pointers
        words = len(tree.items) * step + self._rng.choice((0, 0, 3))
        start = self._allocate(place, words + 1)
        self.segments[place][start] = len(tree.items) << 2 | data << 32 | pointers << 48
        for index, element in enumerate(tree.items):
            self._fill(place, start + 1 + index * step, data, element)
        return place, start, 1 | 7 << 32 | words << 35

    def _fill(self, place: int, start: int, data: int, element: Struct) -> None:
        self.segments[place][start : start + len(element.data)] = element.data
        for index, pointer in enumerate(element.pointers):
            self.point(place, start + data + index, pointer)

    def _numbers(self, place: int, tree: Numbers) -> int:
        bits = tree.count * _BITS[tree.size]
        words = (bits + 63) // 64
        start = self._allocate(place, words)
        dirty = self._rng.getrandbits(words * 64 - bits) if words * 64 > bits else 0
        value = tree.bits | dirty << bits
        self.segments[place][start : start + words] = [value >> 64 * word & 2**64 - 1 for word in range(words)]
        return start

    def _sizes(self, structs: tuple[Struct, ...]) -> tuple[int, int]:
        """As much data and as many pointers as the largest has, or more."""
        data = max((len(struct.data) for struct in structs), default=0)
        pointers = max((len(struct.pointers) for struct in structs), default=0)
        return data + self._rng.choice((0, 0, 2)), pointers + self._rng.choice((0, 0, 2))

    def _some_segment(self) -> int:
        return self._rng.randrange(len(self.segments))

    def _allocate(self, segment: int, words: int) -> int:
        """Zeroed words of a segment, mostly behind some that nothing points to."""
        gap = [self._rng.getrandbits(64) for _ in range(self._rng.choice((0, 0, 1, 3)))]
        start = len(self.segments[segment]) + len(gap)
        self.segments[segment] += gap + [0] * words
        return start


def _offset(at: int, start: int) -> int:
    return start - at - 1 << 2 & 0xFFFF_FFFC
