"""Everything that a program may do with a peer's message, done to one: each step gives a value or raises BodyError.

What is done is counted, never timed: no step may look at, or make, more than a few times what the message is long.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, TypeVar

import numpy as np

from conformance.capnp.corpus import CORPUS
from conformance.capnp_tool import framed
from hootbus.schemas import (
    AnyReader,
    BodyError,
    FieldError,
    ListReader,
    StructReader,
    StructType,
    Unknown,
    array,
    read_capnp,
    segments,
    validate,
    view,
    write_capnp,
    write_struct,
)
from hootbus.schemas.canonical import canonical, is_canonical
from hootbus.schemas.forms import write_capnp_json
from hootbus.schemas.forms.outline import outline
from hootbus.schemas.forms.packed import pack_body, unpack
from hootbus.schemas.forms.segmented import split_body
from hootbus.schemas.forms.text import write_text
from hootbus.schemas.layout import StructLayout, layout_of
from hootbus.schemas.pointers import NESTING_MAX, walk_limit
from hootbus.schemas.segments import Segments
from hootbus.schemas.types import AnyPointer, Data, Enum, List, Number, Struct, Text, Type
from hootbus.schemas.validate import UNKNOWN_MAX

T = TypeVar("T")

# A reader looks at what it is asked for, also if that is asked for a thousand times. So much is asked here.
ITEMS_MAX: Final = 400
UNPACKED_BYTES_MAX: Final = 1 << 20
OUTLINE_PARTS_MAX: Final = 200
# A word may hold 64 bits of a List(Bool), and a struct of no size has as many values as its schema has fields.
VALUES_A_WORD_MAX: Final = 64


class Verdict:
    """What became of a message: by step, the error's text, or None where it went well."""

    def __init__(self) -> None:
        self.errors: dict[str, str | None] = {}

    def step(self, name: str, done: Callable[[], T]) -> T | None:
        """The step's result, None if it raised a BodyError. Any other error is a defect and leaves here."""
        try:
            found = done()
        except BodyError as error:
            assert len(str(error)) < 10_000
            self.errors[name] = str(error)
            return None
        self.errors[name] = None
        return found

    def passed(self, name: str) -> bool:
        return name in self.errors and self.errors[name] is None


def probe(body: bytes, struct: StructType) -> Verdict:
    """Do everything with the message."""
    verdict = Verdict()
    parts = verdict.step("segments", lambda: segments(body))
    if parts is None:
        return verdict
    limit = walk_limit(parts)
    unknown = verdict.step("validate", lambda: validate(parts, struct))
    assert unknown is None or len(unknown) <= UNKNOWN_MAX
    reader = verdict.step("root", lambda: read_capnp(parts, struct))
    if reader is not None:
        _probe_reader(verdict, reader, struct, limit, unknown)
    _probe_paths(parts, struct)
    words = verdict.step("canonical", lambda: canonical(parts))
    if words is not None:
        assert len(words) <= 8 * (limit + 2 + limit)
        assert is_canonical(words)
        assert canonical(framed(words)) == words
    is_canonical(body)
    assert len(outline(parts, depth=NESTING_MAX, limit=OUTLINE_PARTS_MAX).segments) == len(parts)
    split = verdict.step("split", lambda: split_body(parts, 100))
    assert split is None or canonical(split) == words
    _probe_packed(verdict, body)
    if verdict.passed("validate"):
        # What was found to be in order is, whatever is done with it. Capabilities are, though nobody can copy them.
        failed = {name: error for name, error in verdict.errors.items() if error and "capability" not in error}
        assert failed.keys() <= {"unpack"}, failed
    return verdict


def _probe_packed(verdict: Verdict, body: bytes) -> None:
    packed = pack_body(body)
    assert unpack(packed) == body
    assert len(packed) <= len(body) * 5 // 4 + 16
    # Bytes that are no packed ones, and packed ones that end too early.
    for wrong in (body, packed[:-1], packed[: len(packed) // 2]):
        found = verdict.step("unpack", lambda wrong=wrong: unpack(wrong, size_max=UNPACKED_BYTES_MAX))  # type: ignore[misc]  # a default is no type
        assert found is None or len(found) <= UNPACKED_BYTES_MAX


def _probe_reader(
    verdict: Verdict, reader: StructReader, struct: StructType, limit: int, unknown: tuple[Unknown, ...] | None
) -> None:
    verdict.step("walk", lambda: walk(reader))
    plain = verdict.step("to_dict", reader.to_dict)
    if plain is not None:
        assert count_values(plain) <= limit * VALUES_A_WORD_MAX
        if unknown == ():
            _write_again(plain, struct)
    for write in (write_text, write_capnp_json):
        try:
            verdict.step(write.__name__, lambda write=write: write(reader))  # type: ignore[misc]  # a default is no type
        except FieldError as error:
            assert write is write_capnp_json
            assert "has no JSON form" in str(error)
    copy = verdict.step("copy", lambda: write_capnp(reader))
    assert copy is None or len(copy) <= 8 * (2 * limit + 3)
    verdict.step("part", lambda: write_struct(CORPUS.Anything, any=reader, struct=reader))


def _write_again(plain: dict[str, Any], struct: StructType) -> None:
    if not any(isinstance(field.type, AnyPointer) for field in layout_of(struct).fields.values()):
        body = write_struct(struct, **plain)
        assert repr(read_capnp(body.buffer, struct).to_dict()) == repr(plain)


def _probe_paths(parts: Segments, struct: StructType) -> None:
    size = sum(map(len, parts))
    for path, is_array in paths(struct):  # type: ignore[arg-type]  # a struct's type can be hashed
        try:
            if is_array:
                found = array(parts, struct, path)
                assert not found.flags.writeable
            else:
                seen = view(parts, struct, path)
                assert seen.readonly
                found = np.frombuffer(seen, np.uint8)
            # It lies in the message, or in the schema's default.
            assert found.nbytes <= size or not any(np.may_share_memory(found, np.asarray(part)) for part in parts)
        except BodyError as error:
            assert error.field or error.reason


@cache
def paths(struct: StructType) -> tuple[tuple[str, bool], ...]:
    """Paths into a struct's fields that `array` (with True) or `view` take, a few levels deep."""
    return tuple(_paths(layout_of(struct), "", 3))


def _paths(layout: StructLayout, so_far: str, depth: int) -> Iterator[tuple[str, bool]]:
    for field in layout.fields.values():
        yield from _paths_at(field.type, f"{so_far}{field.name}", depth)


def _paths_at(kind: Type, path: str, depth: int) -> Iterator[tuple[str, bool]]:
    if isinstance(kind, Text | Data):
        yield path, False
    elif isinstance(kind, List) and isinstance(kind.element, Number | Enum):
        yield path, True
    elif isinstance(kind, List) and depth:
        yield from _paths_at(kind.element, f"{path}[1]", depth - 1)
    elif isinstance(kind, Struct) and depth:
        yield from _paths(kind.layout, f"{path}.", depth - 1)


def walk(reader: StructReader) -> int:
    """Ask a reader for everything it has, to a limit: shared parts make a tree that is as large as one likes."""
    left = ITEMS_MAX
    waiting: list[object] = [reader]
    first: BodyError | None = None
    while waiting and left:
        left -= 1
        value = waiting.pop()
        assert len(repr(value)) < 1_000_000
        try:
            if isinstance(value, StructReader):
                waiting += _fields(value)
            elif isinstance(value, ListReader):
                waiting += _elements(value)
            elif isinstance(value, AnyReader):
                _ask_any(value)
            else:
                assert isinstance(value, str | int | float | bool | None | memoryview)
                str(value)
        except BodyError as error:
            first = first or error
    if first is not None:
        raise first
    return ITEMS_MAX - left


def _fields(reader: StructReader) -> list[object]:
    """Its fields' values; of a union, of the member that is set. The first error is raised when all were asked for."""
    found: list[object] = []
    first: BodyError | None = None
    layout = reader._layout
    arm = str(reader.which()) if layout.discriminant >= 0 else None
    for name, field in layout.fields.items():
        try:
            value = reader._get(name)
            assert field.arm < 0 or name == arm
            # Behind a null pointer is a struct of defaults, with null pointers, and so on.
            if reader._has(name):
                found.append(value)
        except BodyError as error:
            if field.arm < 0 or name == arm:
                first = first or error
    if first is not None:
        raise first
    return found


def _elements(found: ListReader) -> list[object]:
    count = len(found)
    try:
        found[count]
    except IndexError:
        pass
    else:
        raise AssertionError("an element behind the last one")
    if type(found).__name__ in ("NumberList", "EnumList"):
        assert len(np.asarray(found)) == count
    if not count:
        assert not list(found)
        return []
    return [found[0], found[-1], found[count // 2], *found[:40], *found[-1:]]


def _ask_any(found: AnyReader) -> None:
    """What is behind a pointer of no stated type is what it is asked for, or is not."""
    asked: list[Callable[[], object]] = [
        lambda: repr(found),
        lambda: bool(found),
        found.as_text,
        found.as_data,
        lambda: walk(found.as_struct(CORPUS.Tree)),
        lambda: _elements(found.as_list(CORPUS.Point)),
        *(lambda kind=kind: _elements(found.as_list(kind)) for kind in ("void", "bool", "uint8", "float64", "text")),
        lambda: write_struct(CORPUS.Anything, any=found),
    ]
    for question in asked:
        try:
            question()
        except BodyError as error:
            assert error.reason


def count_values(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count_values, value.values()))
    if isinstance(value, list):
        return 1 + sum(map(count_values, value))
    return 1
