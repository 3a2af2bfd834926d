"""The memory a message is written into: small objects side by side, and behind them the large ones, each copied once.

A message grows while it is written, and memory that grows is copied. So what is large (`LARGE` bytes and more) is only
noted, and copied when the size of everything is known, from where it lies into the very memory that is sent.
"""

import struct
from typing import Final

import numpy as np

from hootbus.schemas.pointers import BYTE, COMPOSITE, LIST, Trail
from hootbus.schemas.segments import WORD

LARGE: Final = 1024
# Behind the segment table.
ROOT: Final = WORD
# What 29 bits of a list pointer can count, and 30 signed bits of offset reach.
ELEMENTS_MAX: Final = (1 << 29) - 1

_WORD: Final = struct.Struct("<Q")
_TABLE: Final = struct.Struct("<II")
# An empty struct's pointer: it must not be null, and points to itself.
_EMPTY_STRUCT: Final = 0xFFFF_FFFC


class TooLarge(Exception):
    """A float that the type it is to become has no room for, in the list to which `trail` leads."""

    def __init__(self, trail: Trail) -> None:
        super().__init__(trail)
        self.trail = trail


class Arena:
    """A message of one segment, with its segment table. Places are bytes from its start, that of the root is ROOT.

    Counts are within ELEMENTS_MAX.
    """

    def __init__(self) -> None:
        self.small = bytearray(ROOT + WORD)
        self._large: list[tuple[int, int, np.ndarray, np.dtype[np.generic], Trail]] = []

    def struct(self, pointer: int, data_words: int, pointers: int) -> int:
        """A struct for the pointer at this place; where it is."""
        at = len(self.small)
        if data_words or pointers:
            self.small += bytes((data_words + pointers) * WORD)
            word = ((at - pointer >> 3) - 1) << 2 & 0xFFFF_FFFF | data_words << 32 | pointers << 48
        else:
            word = _EMPTY_STRUCT
        _WORD.pack_into(self.small, pointer, word)
        return at

    def list(self, pointer: int, size: int, count: int, byte_count: int) -> int:
        """A list of zeros for the pointer at this place; where its first element is."""
        at = len(self.small)
        self.small += bytes(byte_count + 7 & ~7)
        self._point(pointer, at, size, count)
        return at

    def structs(self, pointer: int, count: int, data_words: int, pointers: int) -> int:
        """A list of structs for the pointer at this place; where the first of them is."""
        words = count * (data_words + pointers)
        at = len(self.small)
        self.small += bytes((1 + words) * WORD)
        _WORD.pack_into(self.small, at, count << 2 | data_words << 32 | pointers << 48)
        self._point(pointer, at, COMPOSITE, words)
        return at + WORD

    def numbers(self, pointer: int, size: int, values: np.ndarray, dtype: "np.dtype[np.generic]", trail: Trail) -> None:
        """A list of these numbers as this type, for the pointer at this place.

        That integers fit is known. Whether floats do turns out as they are copied: TooLarge has their trail.
        """
        count, byte_count = len(values), len(values) * dtype.itemsize
        if byte_count < LARGE:
            at = self.list(pointer, size, count, byte_count)
            converted = np.empty(count, dtype)
            _copy(converted, values, trail)
            self.small[at : at + byte_count] = converted.tobytes()
        else:
            self._large.append((pointer, size << 32 | count << 35, values, dtype, trail))

    def text(self, pointer: int, text: bytes) -> None:
        """A text and its terminator, for the pointer at this place."""
        at = self.list(pointer, BYTE, len(text) + 1, len(text) + 1)
        self.small[at : at + len(text)] = text

    def body(self) -> memoryview:
        """The message, in memory that nothing writes to any more. Raises TooLarge."""
        if not self._large:
            _TABLE.pack_into(self.small, 0, 0, (len(self.small) >> 3) - 1)
            return memoryview(self.small).toreadonly()
        size = len(self.small)
        places: list[int] = []
        for pointer, kind, values, dtype, _ in self._large:
            _WORD.pack_into(self.small, pointer, (size - pointer - WORD >> 1) & 0xFFFF_FFFC | LIST | kind)
            places.append(size)
            size += len(values) * dtype.itemsize + 7 & ~7
        _TABLE.pack_into(self.small, 0, 0, (size >> 3) - 1)
        # Not zeroed first: all of it is written.
        memory = np.empty(size, np.uint8)
        memory[: len(self.small)] = np.frombuffer(self.small, np.uint8)
        for start, (_, _, values, dtype, trail) in zip(places, self._large, strict=True):
            end = start + len(values) * dtype.itemsize
            _copy(memory[start:end].view(dtype), values, trail)
            memory[end : end + 7 & ~7] = 0
        return memory.data.toreadonly()

    def _point(self, pointer: int, at: int, size: int, count: int) -> None:
        word = ((at - pointer >> 3) - 1) << 2 & 0xFFFF_FFFF | LIST | size << 32 | count << 35
        _WORD.pack_into(self.small, pointer, word)


def _copy(to: np.ndarray, values: np.ndarray, trail: Trail) -> None:
    if values.dtype.kind != "f" or values.dtype.itemsize <= to.dtype.itemsize:
        np.copyto(to, values, casting="unsafe")
        return
    try:
        with np.errstate(over="raise"):
            np.copyto(to, values, casting="unsafe")
    except FloatingPointError:
        raise TooLarge(trail) from None
