"""Lists of numbers in place: equal to what pycapnp reads, inside the body, and safe against any bytes."""

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    Array,
    BodyError,
    Builder,
    CapnpError,
    FieldError,
    array,
    load,
    read_capnp,
    segments,
    view,
    write_capnp,
    write_struct,
)
from odd_bodies import misaligned, one_segment, scattered

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

Shapes = SHAPES.Shapes

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=40)
LONGS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9)
BYTES = st.lists(st.integers(0, 255), max_size=20)
PATHS = [
    "floats",
    "longs",
    "blob",
    "inner.values",
    "inner.deeper.values",
    "preset.values",
    "left",
    "right.values",
    "plain.doubles",
]


def address(values: Array) -> int:
    return int(values.__array_interface__["data"][0])


def inside(values: Array, body: bytes) -> bool:
    start = address(np.frombuffer(body, np.uint8))
    return start <= address(values) and address(values) + values.nbytes <= start + len(body)


def fill(builder: Builder, floats: list[float], longs: list[int], small: list[int]) -> bytes:
    builder.floats = floats
    builder.longs = longs
    builder.colours = [("red", "green", "blue")[value % 3] for value in small]
    builder.blob = bytes(small)
    builder.inner.deeper.values = small
    builder.init("right").values = small
    builder.plain.doubles = floats
    return write_capnp(builder)


@pytest.mark.parametrize("where", [scattered, type(Shapes).new_message], ids=["scattered", "one segment"])
@settings(deadline=None, derandomize=True, max_examples=40)
@given(floats=FLOATS, longs=LONGS, small=BYTES)
def test_an_array_is_what_pycapnp_reads_and_lies_in_the_body(
    where: type, floats: list[float], longs: list[int], small: list[int]
) -> None:
    body = fill(where(Shapes), floats, longs, small)
    expected = {
        "floats": (floats, "float32"),
        "longs": (longs, "int64"),
        "colours": ([value % 3 for value in small], "uint16"),
        "blob": (small, "uint8"),
        "inner.values": ([], "uint32"),
        "inner.deeper.values": (small, "uint32"),
        "right.values": (small, "uint8"),
        "plain.doubles": (floats, "float64"),
        "preset.values": ([7, 8], "uint32"),
    }
    for path, (values, dtype) in expected.items():
        found = array(body, Shapes, path)
        assert (found.tolist(), found.dtype.name) == (values, dtype), path
        assert not found.flags.writeable
        assert found.size == 0 or path == "preset.values" or inside(found, body)


def test_an_array_cannot_be_made_writable() -> None:
    body = bytearray(write_capnp(Shapes.new_message(floats=[1, 2])))
    for path in ("floats", "longs", "left"):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array(body, Shapes, path).flags.writeable = True


def test_an_array_holds_the_body_and_outlives_everything_else() -> None:
    body = bytearray(write_capnp(Shapes.new_message(floats=[1, 2, 3])))
    values = array(body, Shapes, "floats")
    gc.collect()
    with pytest.raises(BufferError):
        body.append(0)
    del body
    gc.collect()
    bytearray(1 << 16)
    assert values.tolist() == [1, 2, 3]


def test_a_misaligned_body_gives_the_same_array() -> None:
    assert array(misaligned(write_capnp(Shapes.new_message(floats=[1, 2]))), Shapes, "floats").tolist() == [1, 2]


def test_what_was_not_set_is_the_default() -> None:
    body = write_capnp(Shapes.new_message())
    null_root = b"\0\0\0\0\1\0\0\0" + b"\0" * 8
    for buffer in (body, null_root):
        assert array(buffer, Shapes, "floats").tolist() == []
        assert array(buffer, Shapes, "floats").dtype == np.float32
        assert array(buffer, Shapes, "inner.deeper.values").tolist() == []
        assert array(buffer, Shapes, "longs").tolist() == [1, -2]
        assert array(buffer, Shapes, "preset.values").tolist() == [7, 8]
        assert array(buffer, Shapes, "preset.deeper.values").tolist() == []
        assert array(buffer, Shapes, "left").tolist() == []


def test_a_member_of_a_union_that_is_not_set_is_a_body_error() -> None:
    body = write_capnp(Shapes.new_message(neither=None))
    with pytest.raises(BodyError, match="left: another member of the union is set: neither"):
        array(body, Shapes, "left")
    with pytest.raises(BodyError, match="right: another member of the union is set: neither"):
        array(body, Shapes, "right.values")


def test_a_list_that_became_structs_is_still_a_list_of_numbers() -> None:
    for new in (scattered(SHAPES.After), SHAPES.After.new_message()):
        for level, value in zip(new.init("levels", 3), (5, -6, 7), strict=True):
            level.value = value
            level.name = "between the numbers"
        body = write_capnp(new)
        values = array(body, SHAPES.Before, "levels")
        assert values.tolist() == list(read_capnp(body, SHAPES.Before).levels) == [5, -6, 7]
        assert values.strides == (16,)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("flags", r"is List\(Bool\), eight to a byte"),
        ("title", "is Text, not a list of numbers"),
        ("names", r"is List\(Text\), not a list of numbers"),
        ("any", "is AnyPointer, not a list of numbers"),
        ("plain", "is a group, not a list of numbers"),
        ("inner", "is Inner, not a list of numbers"),
        ("floats.values", r"is List\(Float32\), not a struct to go into"),
        ("inner.nothing", r"^shapes\.capnp:Shapes\.inner\.nothing: no such field; there are values, deeper"),
        ("inner.nothing.values", r"^shapes\.capnp:Shapes\.inner\.nothing: no such field"),
        ("floats[-1]", r"^shapes\.capnp:Shapes\.floats\[-1\]: indices count from 0, and none from the end"),
        ("", "is no path such as"),
        (".floats", "is no path such as"),
        ("floats.", "is no path such as"),
        ("inner..values", "is no path such as"),
        ("floats[x]", "is no path such as"),
        ("inner[0]", "an index into Inner, which is no list"),
        ("floats[0]", "is Float32, not a list of numbers"),
    ],
)
def test_a_field_that_is_no_list_of_numbers_is_our_own_mistake(path: str, reason: str) -> None:
    with pytest.raises(FieldError, match=reason):
        array(write_capnp(Shapes.new_message()), Shapes, path)


def test_a_null_pointers_array_is_not_an_alias_that_callers_can_spoil() -> None:
    first = array(write_capnp(Shapes.new_message()), Shapes, "longs")
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 9


# One pointer, no data; and a list of n Float32.
ROOT = 1 << 48
FAR = 2


def floats_pointer(offset: int, count: int, size: int = 4) -> int:
    return (offset << 2 & 0xFFFF_FFFC) | 1 | (size | count << 3) << 32


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([1], "not a struct"),
        ([3], "not a struct"),
        ([ROOT | 1 << 2], "pointer leaves the segment"),
        ([ROOT, ROOT], "not a list"),
        ([ROOT, floats_pointer(0, 1)], "pointer leaves the segment"),
        ([ROOT, floats_pointer(-3, 1)], "pointer leaves the segment"),
        ([ROOT, floats_pointer(0, 3), 0], "pointer leaves the segment"),
        ([ROOT, floats_pointer(0, 0x1FFF_FFFF, 5), 0], "pointer leaves the segment"),
        ([ROOT, floats_pointer(0, 1, 3), 0], "elements of 16 bits, not 32"),
        ([ROOT, floats_pointer(0, 1, 6), 0], "elements of 0 bits, not 32"),
        ([ROOT, floats_pointer(0, 1, 7)], "pointer leaves the segment"),
        ([ROOT, floats_pointer(0, 1, 7), 1 << 2 | 1, 0], "the tag of the list is no struct's"),
        ([ROOT, floats_pointer(0, 1, 7), 1 << 2 | 1 << 48, 0], "elements of 0 bits, not 32"),
        ([ROOT, floats_pointer(0, 1, 7), 2 << 2 | 1 << 32, 0], "2 elements of 1 words in 1 words"),
        ([ROOT, FAR | 1 << 32], "far pointer to segment 1 of 1"),
        ([ROOT, FAR | 2 << 3], "pointer leaves the segment"),
        ([ROOT, FAR | 1 << 3], "a far pointer to a far pointer"),
        ([ROOT, FAR | 4 | 1 << 3], "pointer leaves the segment"),
        ([ROOT, FAR | 4 | 2 << 3, ROOT, 0], "a landing pad without a far pointer"),
        ([ROOT, FAR | 4 | 2 << 3, FAR | 4 | 2 << 3, floats_pointer(0, 1)], "a landing pad without a far pointer"),
        ([ROOT, FAR | 4 | 2 << 3, FAR | 9 << 3, floats_pointer(0, 1)], "pointer leaves the segment"),
        ([ROOT, FAR | 4 | 2 << 3, FAR | 3 << 3, floats_pointer(0, 9)], "pointer leaves the segment"),
    ],
)
def test_a_pointer_that_lies_is_named(words: list[int], reason: str) -> None:
    body = one_segment(*words)
    with pytest.raises(BodyError, match=reason):
        array(body, Shapes, "floats")
    with pytest.raises(BodyError):
        list(read_capnp(body, Shapes).floats)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([ROOT, 0], []),
        ([ROOT, floats_pointer(0, 0)], []),
        ([ROOT, floats_pointer(99, 0)], []),
        ([99 << 2], []),
        ([ROOT, floats_pointer(0, 1), 0x3F80_0000], [1.0]),
        ([ROOT, floats_pointer(0, 2, 5), 0x3F80_0000, 0x4000_0000], [1.0, 2.0]),
        ([ROOT, floats_pointer(0, 2, 7), 2 << 2 | 1 << 32, 0x3F80_0000, 0x4000_0000], [1.0, 2.0]),
        ([ROOT, FAR | 2 << 3, floats_pointer(0, 1), 0x3F80_0000], [1.0]),
        ([ROOT, FAR | 4 | 2 << 3, FAR | 4 << 3, floats_pointer(0, 1), 0x3F80_0000], [1.0]),
    ],
)
def test_every_form_of_a_list_is_read(words: list[int], values: list[float]) -> None:
    body = one_segment(*words)
    assert array(body, Shapes, "floats").tolist() == list(read_capnp(body, Shapes).floats) == values


WHOLE = [
    fill(Shapes.new_message(), [1.0, 2.0], [3, -4], [5, 6, 7]),
    fill(scattered(Shapes), [1.0, 2.0], [3, -4], [5, 6, 7]),
]


def by_pycapnp(body: bytes, path: str) -> list[float] | None:
    """What pycapnp reads at the path; None if it refuses."""
    try:
        found = Shapes.from_segments(segments(body))
        for part in path.split("."):
            found = getattr(found, part)
        return list(found)
    except (BodyError, CapnpError):
        return None


@settings(deadline=None, derandomize=True, max_examples=400)
@given(
    body=st.sampled_from(WHOLE),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_what_pycapnp_refuses_is_refused_and_the_rest_is_equal(body: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(body)
    for at, value in changes:
        mutated[at % len(body)] = value
    # Not "colours": an enumerant from a newer peer makes pycapnp raise, and is a plain number here.
    for path in PATHS:
        expected = by_pycapnp(bytes(mutated), path)
        try:
            found = array(bytes(mutated), Shapes, path)
        except BodyError:
            assert expected is None, path
        else:
            assert expected is not None, path
            assert np.array_equal(found, np.array(expected, found.dtype), equal_nan=found.dtype.kind == "f"), path


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.binary(max_size=64).map(lambda raw: raw + b"\0" * (-len(raw) % 8)), st.sampled_from(PATHS))
def test_any_segment_gives_an_array_or_a_body_error(raw: bytes, path: str) -> None:
    body = (len(raw) // 8 << 32).to_bytes(8, "little") + raw
    try:
        values = array(body, Shapes, path)
    except BodyError:
        return
    assert values.size == 0 or inside(values, body) or values.tolist() in ([1, -2], [7, 8])


def test_a_view_of_an_element_that_is_not_there_is_the_bodys_fault() -> None:
    body = write_struct(SHAPES.Shapes, names=["one"]).buffer
    assert bytes(view(body, SHAPES.Shapes, "names[0]")) == b"one"
    with pytest.raises(BodyError, match=r"names\[1\]: there are 1 elements"):
        view(body, SHAPES.Shapes, "names[1]")
