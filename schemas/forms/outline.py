"""A message's structure from its words alone: structs, lists and pointers with their places, without any schema.

For looking at bytes whose schema is not at hand, or which are broken: hostile bytes are shown as far as they go, and
what is wrong stands where it is. An outline is bounded in depth and in the number of its parts.
"""

from codecs import getincrementaldecoder
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from hootbus.schemas.errors import BodyError
from hootbus.schemas.pointers import (
    BYTE,
    COMPOSITE,
    FAR,
    LIST,
    OTHER,
    POINTER,
    STRUCT,
    ListRef,
    StructRef,
    follow,
    list_of,
    struct_of,
    word_at,
)
from hootbus.schemas.segments import WORD, Segments, segments

if TYPE_CHECKING:
    from typing_extensions import Buffer

# So many bytes of a text, of a struct's data, or of a list's elements are shown.
SHOWN_BYTES_MAX: Final = 48

# What a list has, by its pointer's element size.
_ELEMENTS: Final = ("nothing", "bit", "byte", "2 bytes", "4 bytes", "8 bytes", "pointer", "struct")


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object of a message, and what its pointers lead to.

    `step` is how one gets there from the object around it ("root", "pointer 2", "[5]"), `at` where the pointer is and
    `place` where the object starts, each "segment:word", `far` the landing pad of a far pointer. `kind` is "struct",
    "list", "text", "capability" or, if the pointer cannot be followed, "fault", and then `fault` is what is wrong. A
    list has `count` elements of a kind; it and a struct have the sizes of their structs. `shown` is the beginning of
    what is in there, text or else hexadecimal, `left_out` how many parts are not shown here.
    """

    step: str
    at: str
    kind: str
    place: str = ""
    far: str = ""
    count: int | None = None
    element: str = ""
    data_words: int | None = None
    pointers: int | None = None
    shown: str = ""
    fault: str = ""
    left_out: int = 0
    parts: "tuple[Part, ...]" = ()


class Outline(msgspec.Struct, frozen=True):
    """A message: how many words its segments have, and its root, None for a null pointer."""

    segments: tuple[int, ...]
    root: Part | None


def outline(body: "Buffer | Segments", *, depth: int, limit: int) -> Outline:
    """The outline of a message, `depth` levels of it and `limit` parts at most.

    Raises BodyError only if the segment table is wrong: everything else that is, is in the outline.
    """
    parts = body if isinstance(body, tuple) else segments(body)
    return Outline(tuple(len(part) // WORD for part in parts), _Sketch(parts, limit).pointer("root", 0, 0, depth))


class _Sketch:
    """One walk through a message, as long as there are parts left to be shown."""

    def __init__(self, parts: Segments, limit: int) -> None:
        self._parts = parts
        self._left = limit

    def pointer(self, step: str, segment: int, at: int, depth: int) -> Part | None:
        """What a pointer leads to, None for a null one."""
        word = word_at(self._parts, segment, at)
        if not word:
            return None
        self._left -= 1
        here = f"{segment}:{at}"
        far = f"{word >> 32}:{word >> 3 & 0x1FFF_FFFF}" if word & 3 == FAR else ""
        try:
            target = follow(self._parts, segment, at, None)
            assert target is not None, "the word is not zero"
            place = f"{target.segment}:{target.start}"
            kind = target.pointer & 3
            if kind == STRUCT:
                return self._struct(Part(step, here, "struct", place, far), struct_of(self._parts, target, None), depth)
            if kind == LIST:
                return self._list(Part(step, here, "list", place, far), list_of(self._parts, target, None), depth)
        except BodyError as error:
            return Part(step, here, "fault", far=far, fault=f"{error.reason} ({word:#018x})")
        if kind != OTHER or target.pointer & 0xFFFF_FFFC:
            return Part(
                step, here, "fault", far=far, fault=f"no kind of pointer that is known ({target.pointer:#018x})"
            )
        return Part(step, here, "capability", far=far, shown=f"index {target.pointer >> 32}")

    def _struct(self, part: Part, found: StructRef, depth: int) -> Part:
        inner, left_out = self._pointers(found, depth)
        return replace(
            part,
            data_words=found.data_bits >> 6,
            pointers=found.pointers,
            shown=self._data(found),
            parts=inner,
            left_out=left_out,
        )

    def _data(self, found: StructRef) -> str:
        data = self._parts[found.segment][found.data : found.data + (found.data_bits >> 3)]
        words = [data[at : at + WORD].hex() for at in range(0, min(len(data), SHOWN_BYTES_MAX), WORD)]
        return " ".join(words) + ("…" if len(data) > SHOWN_BYTES_MAX else "")

    def _pointers(self, found: StructRef, depth: int) -> tuple[tuple[Part, ...], int]:
        places = [
            (f"pointer {index}", found.at + index) for index in self._set(found.segment, found.at, found.pointers)
        ]
        return self._all(found.segment, places, depth)

    def _set(self, segment: int, at: int, count: int) -> list[int]:
        """Which of so many pointers are not null."""
        return np.flatnonzero(np.frombuffer(self._parts[segment], "<u8", count, at * WORD)).tolist() if count else []

    def _all(self, segment: int, places: list[tuple[str, int]], depth: int) -> tuple[tuple[Part, ...], int]:
        """What these pointers lead to, and how many of them are not shown."""
        found: list[Part] = []
        for step, at in places:
            if depth <= 1 or self._left <= 0:
                break
            part = self.pointer(step, segment, at, depth - 1)
            assert part is not None, "the pointer is set"
            found.append(part)
        return tuple(found), len(places) - len(found)

    def _list(self, part: Part, found: ListRef, depth: int) -> Part:
        part = replace(part, count=found.count, element=_ELEMENTS[found.size])
        if found.size == COMPOSITE:
            return self._structs(part, found, depth)
        if found.size == POINTER:
            first = found.start // WORD
            places = [(f"[{index}]", first + index) for index in self._set(found.segment, first, found.count)]
            inner, left_out = self._all(found.segment, places, depth)
            return replace(part, parts=inner, left_out=left_out)
        octets = self._parts[found.segment][found.start : found.start + (found.count * found.step + 7 >> 3)]
        text = _text(octets) if found.size == BYTE else None
        if text is not None:
            return replace(part, kind="text", shown=text)
        shown = octets[:SHOWN_BYTES_MAX].hex(" ", max(found.step >> 3, 1))
        return replace(part, shown=shown + ("…" if len(octets) > SHOWN_BYTES_MAX else ""))

    def _structs(self, part: Part, found: ListRef, depth: int) -> Part:
        elements: list[Part] = []
        for index in self._first(found):
            if depth <= 1 or self._left <= 0:
                break
            self._left -= 1
            ref = found.struct(index)
            place = f"{found.segment}:{ref.data // WORD}"
            inner, left_out = self._pointers(ref, depth - 1)
            elements.append(
                Part(f"[{index}]", part.at, "struct", place, shown=self._data(ref), parts=inner, left_out=left_out)
            )
        return replace(
            part,
            data_words=found.data_bits >> 6,
            pointers=found.pointers,
            parts=tuple(elements),
            left_out=found.count - len(elements),
        )

    def _first(self, found: ListRef) -> range:
        """The elements that there is room for."""
        return range(min(found.count, max(self._left, 0)))


def _text(octets: memoryview) -> str | None:
    """The beginning of a text, None for bytes that do not look like one."""
    if not len(octets) or octets[-1]:
        return None
    try:
        # What is left of a character that was cut in two does not matter to it.
        shown = getincrementaldecoder("utf-8")().decode(octets[: min(len(octets) - 1, SHOWN_BYTES_MAX)])
    except UnicodeDecodeError:
        return None
    if not all(char.isprintable() or char in "\n\t\r" for char in shown):
        return None
    return shown + ("…" if len(octets) > SHOWN_BYTES_MAX + 1 else "")
