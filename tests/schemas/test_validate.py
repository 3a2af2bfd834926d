"""Validation: every malformed field is named, no sound message is blamed, and what is only new is told."""

import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    BodyError,
    Builder,
    StructType,
    Unknown,
    load,
    read_capnp,
    segments,
    standard,
    validate,
    write_capnp,
    write_fields,
    write_struct,
)
from hootbus.schemas.validate import UNKNOWN_MAX
from odd_bodies import one_segment, scattered

SHAPES = load(Path(__file__).with_name("shapes.capnp"))
Shapes = SHAPES.Shapes
WILD = struct.pack("<Q", 2 | 1000 << 3 | 7 << 32)
"""A far pointer into a segment that is not there."""


def full(builder: Builder) -> bytes:
    builder.floats = [0.5]
    builder.colours = ["red", "blue"]
    builder.blob = b"\xff"
    builder.flags = [True]
    builder.title = "é"
    builder.names = ["a", "b"]
    builder.inner.deeper.values = [1]
    builder.plain.doubles = [1.0]
    builder.init("right").values = [1]
    builder.any = SHAPES.After.new_message(levels=[{"value": 1, "name": "n"}])
    return write_capnp(builder)


def damaged(body: bytes, place: bytes, damage: bytes) -> bytes:
    """The body with these bytes, which it has once, replaced."""
    assert body.count(place) == 1
    return body.replace(place, damage)


def wild(struct_type: StructType, pointer: int) -> bytes:
    """A message whose root has its pointer of this number lead out of it."""
    body = bytearray(write_capnp(struct_type.new_message()))
    data_words = struct.unpack_from("<H", body, 12)[0]
    at = 16 + 8 * (data_words + pointer)
    body[at : at + 8] = WILD
    return bytes(body)


@pytest.mark.parametrize("builder", [Shapes.new_message(), scattered(Shapes)], ids=["one segment", "scattered"])
def test_a_sound_message_has_no_fault(builder: Builder) -> None:
    body = full(builder)
    assert validate(body, Shapes) == ()
    assert validate(segments(body), Shapes) == ()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (wild(Shapes, 0), "floats: far pointer to segment 7 of 1"),
        (wild(Shapes, 3), "blob: far pointer to segment 7 of 1"),
        (wild(Shapes, 7), "inner: far pointer to segment 7 of 1"),
        (wild(Shapes, 9), "left: far pointer to segment 7 of 1"),
        (wild(Shapes, 11), "any: far pointer to segment 7 of 1"),
        (damaged(full(Shapes.new_message()), "é\0".encode(), b"\xc3(\0"), "title: not UTF-8 at byte 0"),
        (damaged(full(Shapes.new_message()), b"a\0\0\0\0\0\0\0", b"aaaaaaaa"), r"names\[0\]: text that does not end"),
        (damaged(full(Shapes.new_message()), b"n\0\0\0\0\0\0\0", b"n\0\0\0\0\0\0\0")[:-8], "the segment table says"),
        (write_capnp(SHAPES.Tree.new_message(children=[{}])), "floats: a list of structs, not"),
    ],
)
def test_the_first_malformed_field_is_named(body: bytes, fault: str) -> None:
    if fault.startswith("floats: a list of structs"):
        # A composite list without data where numbers are expected.
        fault = "floats: elements of 0 bits, not 32"
    with pytest.raises(BodyError, match=fault):
        validate(body, Shapes)


def test_what_only_newer_peers_know_is_checked_without_a_schema() -> None:
    # The root has more pointers than the schema: the last one leads astray.
    inner = write_capnp(SHAPES.Inner.new_message(values=[1], deeper={}))
    body = struct.pack("<4Q", 3 << 32, 2 << 48 | 0, 0, 0)
    assert validate(body, SHAPES.Inner) == ()
    grown = struct.pack("<2I4Q", 0, 4, 3 << 48, 0, 0, struct.unpack("<Q", WILD)[0])
    with pytest.raises(BodyError, match=r"\(pointer 2\): far pointer to segment 7 of 1"):
        validate(grown, SHAPES.Inner)
    assert validate(inner, SHAPES.Inner) == ()


def test_unknown_enumerants_and_arms_are_told_not_raised() -> None:
    builder = Shapes.new_message(colours=["red", "blue"], neither=None)
    body = bytearray(write_capnp(builder))
    assert body[16] == 2
    body[16] = 9
    at = body.index(struct.pack("<2H", 0, 2), 24)
    body[at : at + 4] = struct.pack("<2H", 77, 2)
    assert validate(body, Shapes) == (Unknown("colours[0]", 77), Unknown("", 9))
    status = bytearray(write_capnp(standard.jobs.JobInfo.new_message(status="failed")))
    status[16] = 99
    assert validate(status, standard.jobs.JobInfo) == (Unknown("status", 99),)


def test_only_so_many_unknown_values_are_told() -> None:
    body = write_struct(Shapes, colours=[500] * 1000).buffer
    assert len(validate(body, Shapes)) == UNKNOWN_MAX


def list_pointer(size: int, count: int, offset: int = 0) -> int:
    return offset << 2 | 1 | (size | count << 3) << 32


@pytest.mark.parametrize(
    "body",
    [
        one_segment(1 << 48, list_pointer(0, 2**29 - 1)),
        one_segment(1 << 48, list_pointer(7, 0), (2**29 - 1) << 2),
    ],
    ids=["List(Void)", "structs without size"],
)
def test_many_elements_in_no_bytes_are_refused(body: bytes) -> None:
    for walk in (
        lambda: validate(body, SHAPES.Tree),
        lambda: list(read_capnp(body, SHAPES.Tree).children),
        lambda: read_capnp(body, SHAPES.Tree).to_dict(),
    ):
        with pytest.raises(BodyError):
            walk()


def test_a_thousand_elements_in_no_bytes_are_what_they_say() -> None:
    body = one_segment(1 << 48, list_pointer(7, 0), 1000 << 2)
    assert validate(body, SHAPES.Tree) == ()
    assert len(read_capnp(body, SHAPES.Tree).to_dict()["children"]) == 1000


def test_a_message_that_leads_in_circles_is_refused() -> None:
    # A struct whose second pointer points to itself.
    circle = one_segment(2 << 48, 0, (-2 << 2 & 0xFFFF_FFFC) | 2 << 48)
    with pytest.raises(BodyError, match=r"deeper\.deeper.*nested deeper than 64"):
        validate(circle, SHAPES.Inner)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    body=st.sampled_from([full(Shapes.new_message()), full(scattered(Shapes))]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_what_passes_is_read_to_its_end_and_what_does_not_is_not(body: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(body)
    for at, value in changes:
        mutated[at % len(body)] = value
    try:
        validate(mutated, Shapes)
    except BodyError:
        return
    read_capnp(mutated, Shapes).to_dict()


def test_what_a_member_that_is_not_set_any_more_left_behind_is_checked_as_it_is_copied() -> None:
    body = bytearray(wild(Shapes, 9))
    struct.pack_into("<H", body, 16 + 2 * int(Shapes.schema.node.struct.discriminantOffset), 2)
    reader = read_capnp(body, Shapes)
    assert reader.which() == "neither"
    for judged in (lambda: validate(body, Shapes), lambda: write_capnp(reader)):
        with pytest.raises(BodyError, match=r"pointer 9.*: far pointer to segment 7 of 1"):
            judged()


def test_what_newer_peers_put_beside_a_lists_numbers_is_checked() -> None:
    body = bytearray(write_struct(SHAPES.After, levels=[{"value": 7, "name": "seven"}]).buffer)
    assert validate(body, SHAPES.Before) == ()
    # Behind the table, the root and its pointer, the list's tag and the number.
    body[40:48] = WILD
    assert list(read_capnp(body, SHAPES.Before).levels) == [7]
    with pytest.raises(BodyError, match=r"levels\[0\]\.\(pointer 0\): far pointer to segment 7 of 1"):
        validate(body, SHAPES.Before)


def test_a_generic_that_grows_with_every_step_into_it_takes_no_more_memory_than_the_steps() -> None:
    fields: dict[str, object] = {}
    for _ in range(22):
        fields = {"next": fields}
    tracemalloc.start()
    try:
        assert validate(write_fields(SHAPES.Onion, fields).buffer, SHAPES.Onion) == ()
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_the_first_number_without_a_name_is_unknown() -> None:
    body = write_struct(SHAPES.Palette, colours=[2, 3], swatches=[{"first": 2, "second": 3}]).buffer
    assert validate(body, SHAPES.Palette) == (Unknown("colours[1]", 3), Unknown("swatches[0].second", 3))


def test_what_newer_peers_put_into_a_lists_structs_is_checked() -> None:
    body = bytearray(write_struct(SHAPES.After, levels=[{"value": 7, "name": "seven"}]).buffer)
    assert validate(body, SHAPES.Older) == ()
    # As above.
    body[40:48] = WILD
    with pytest.raises(BodyError, match=r"levels\[0\]\.\(pointer 0\): far pointer to segment 7 of 1"):
        validate(body, SHAPES.Older)
