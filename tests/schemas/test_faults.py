"""Whose fault it was: every malformed body is found out, no sound one is blamed, and the words are for people."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    BodyError,
    CapnpError,
    StructType,
    build,
    find_fault,
    load,
    reason_of,
    segments,
    standard,
    write_capnp,
)
from hootbus.schemas.faults import STEPS_MAX

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

AudioClip = standard.demo.AudioClip
WILD = struct.pack("<Q", 2 | 1000 << 3 | 7 << 32)
"""A far pointer into a segment that is not there."""


def fault(body: bytes, struct_type: StructType | None) -> str:
    error = find_fault(segments(body), struct_type)
    return "" if error is None else str(error)


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


def test_a_sound_message_has_no_fault() -> None:
    fields = {
        "floats": [0.5],
        "colours": ["red", "blue"],
        "blob": b"\xff",
        "flags": [True],
        "title": "é",
        "names": ["a", "b"],
        "inner": {"values": [1], "deeper": {"values": []}},
        "right": {"values": [1], "weight": 0.5},
        "plain": {"doubles": [1.0]},
    }
    for body in (write_capnp(build(SHAPES.Shapes, fields)), write_capnp(SHAPES.Shapes.new_message())):
        assert fault(body, SHAPES.Shapes) == ""
        assert fault(body, None) == ""


def test_the_malformed_field_is_named() -> None:
    text = write_capnp(SHAPES.Shapes.new_message(title="abc", names=["xyz", "uvw"]))
    assert fault(damaged(text, b"abc", b"a\xffc"), SHAPES.Shapes) == "title: not UTF-8 at byte 1"
    assert fault(damaged(text, b"uvw\0", b"uvw\1"), SHAPES.Shapes).startswith("names[1]: ")
    inner = SHAPES.Shapes.new_message(inner={"deeper": {"values": [1, 2, 3]}})
    # The upper half of a list pointer: elements of four bytes, three of them.
    three, many = struct.pack("<I", 4 | 3 << 3), struct.pack("<I", 4 | 999 << 3)
    found = fault(damaged(write_capnp(inner), three, many), SHAPES.Shapes)
    assert found.startswith("inner.deeper.values: Message contains out-of-bounds list pointer")


def test_pointers_of_any_kind_are_followed_whatever_the_schema() -> None:
    for field, pointer in (("title", 0), ("samples", 1)):
        assert fault(wild(AudioClip, pointer), AudioClip).startswith(f"{field}: ")
        assert fault(wild(AudioClip, pointer), None)
    any_pointer = SHAPES.Shapes.schema.fields["any"].proto.slot.offset
    assert fault(wild(SHAPES.Shapes, any_pointer), SHAPES.Shapes)


def test_a_member_that_is_not_known_is_a_fault() -> None:
    body = bytearray(write_capnp(SHAPES.Shapes.new_message()))
    body[16:18] = b"\x63\0"
    assert fault(bytes(body), SHAPES.Shapes) == "a member of the union is set that is not known here"


def test_more_fields_than_are_looked_at_one_by_one_take_no_longer() -> None:
    many = SHAPES.Shapes.new_message(names=["x"] * STEPS_MAX * 2)
    assert fault(write_capnp(many), SHAPES.Shapes) == ""


def test_pointers_that_share_their_targets_are_a_fault() -> None:
    tree = SHAPES.Tree.new_message(children=[{}] * 100)
    body = bytearray(write_capnp(tree))
    # Each of the hundred children claims the whole list as its own.
    first = 16 + 8 + 8
    for index in range(100):
        at = first + 8 * index
        offset = (first - 8 - at - 8) // 8
        body[at : at + 8] = struct.pack("<Q", (offset & 0x3FFF_FFFF) << 2 | 1 | 7 << 32 | 100 << 35)
    assert "traversal limit" in fault(bytes(body), SHAPES.Tree) or "nested" in fault(bytes(body), SHAPES.Tree)


@settings(deadline=None, derandomize=True)
@given(st.data())
def test_any_bytes_have_a_fault_or_none(data: st.DataObject) -> None:
    body = bytearray(write_capnp(SHAPES.Shapes.new_message(title="abc", names=["a"], inner={"values": [1]})))
    for at in data.draw(st.lists(st.integers(8, len(body) - 1), max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    found = find_fault(segments(bytes(body)), SHAPES.Shapes)
    assert found is None or isinstance(found, BodyError)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: AudioClip.new_message(nope=1), "struct has no such member; name = nope"),
        (lambda: AudioClip.new_message(sampleRate=-1), "Value out-of-range for requested type.; value = -1"),
        (lambda: AudioClip.new_message().nope, "struct has no such member; name = nope"),
    ],
)
def test_what_pycapnp_says_is_said_without_its_insides(mistake: Callable[[], object], words: str) -> None:
    with pytest.raises((CapnpError, AttributeError)) as raised:
        mistake()
    assert "stack" in str(raised.value), "or there is nothing to take out"
    assert reason_of(raised.value) == words
    assert reason_of(RuntimeError(f"it went wrong: {raised.value}")) == f"it went wrong: {words}"


@pytest.mark.parametrize("text", ["two\n  lines. failed: expected a; b", "of a kitchen\nstack: plates", ""])
def test_what_others_say_stays_as_it_is(text: str) -> None:
    assert reason_of(ValueError(text)) == text


def test_of_a_whole_file_the_beginning_is_said() -> None:
    assert set(reason_of(ValueError("x" * 100_000_000))) == {"x"}
