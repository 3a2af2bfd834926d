"""Bodies of the content types: in place, kept alive, strict."""

import gc
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    BodyError,
    FieldError,
    is_builder,
    is_struct_type,
    load,
    read_capnp,
    read_json,
    standard,
    validate,
    write_capnp,
    write_json,
    write_struct,
)
from odd_bodies import misaligned, scattered

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

AudioClip = standard.demo.AudioClip


class Point(msgspec.Struct):
    x: int
    tags: list[str] = []


def test_what_is_written_is_read() -> None:
    body = write_capnp(AudioClip.new_message(title="kick", sampleRate=48_000, samples=[0.5, -0.5]))
    reader = read_capnp(body, AudioClip)
    assert (reader.title, reader.sampleRate, list(reader.samples)) == ("kick", 48_000, [0.5, -0.5])


def test_a_message_of_many_segments_and_a_misaligned_one_are_read() -> None:
    builder = scattered(AudioClip)
    builder.title = "kick"
    builder.samples = [1, 2]
    body = write_capnp(builder)
    for buffer in (body, misaligned(body)):
        reader = read_capnp(buffer, AudioClip)
        assert (reader.title, list(reader.samples)) == ("kick", [1, 2])


def test_a_reader_and_a_reader_of_its_part_hold_the_body() -> None:
    body = bytearray(write_capnp(SHAPES.Shapes.new_message(inner={"values": [3, 4]})))
    values = read_capnp(body, SHAPES.Shapes).inner.values
    gc.collect()
    with pytest.raises(BufferError):
        body.append(0)
    assert list(values) == [3, 4]
    del values
    gc.collect()
    body.append(0)


def test_a_field_can_be_read_again_and_again() -> None:
    # 4 KB: with Cap'n Proto's default limit the 16 384th access fails.
    reader = read_capnp(write_capnp(AudioClip.new_message(samples=[1.0] * 1000)), AudioClip)
    for _ in range(60_000):
        assert reader.samples[0] == 1.0


def bomb(levels: int) -> bytes:
    """Lists of four pointers each, all to the list on the next level: few words, 4 ** levels ways through them."""

    def pointer(offset: int) -> int:
        return offset << 2 | 1 | (6 | 4 << 3) << 32

    words = [1 << 48, pointer(0)]
    for level in range(levels):
        words += [pointer(3 - at) if level + 1 < levels else 0 for at in range(4)]
    return b"".join(word.to_bytes(8, "little") for word in (len(words) << 32, *words))


def test_a_message_is_read_as_a_dict() -> None:
    builder = AudioClip.new_message(title="kick", samples=[1, 2])
    assert read_capnp(write_capnp(builder), AudioClip).to_dict() == {
        "title": "kick",
        "sampleRate": 0,
        "samples": [1, 2],
    }
    empty: dict[str, list[object]] = {"children": [{}] * 3}
    assert read_capnp(write_capnp(SHAPES.Tree.new_message(**empty)), SHAPES.Tree).to_dict() == empty


def test_a_small_body_that_takes_hours_to_walk_is_refused_at_once() -> None:
    assert read_capnp(bomb(30), SHAPES.Tree).children[3].children[0].children[1] is not None
    for walk in (
        lambda: read_capnp(bomb(30), SHAPES.Tree).to_dict(),
        lambda: validate(bomb(30), SHAPES.Tree),
        lambda: write_capnp(read_capnp(bomb(30), SHAPES.Tree)),
        lambda: write_struct(SHAPES.Shapes, any=read_capnp(bomb(30), SHAPES.Tree)),
    ):
        with pytest.raises(BodyError, match="long"):
            walk()
    assert len(read_capnp(bomb(3), SHAPES.Tree).to_dict()["children"]) == 4
    assert validate(bomb(3), SHAPES.Tree) == ()


def test_no_message_and_no_struct_at_the_root_are_body_errors() -> None:
    for body in (b"", b"{}", b"\0\0\0\0\1\0\0\0" + b"\xff" * 8, b"\0\0\0\0\1\0\0\0" + b"\0\0\0\0\xff\0\0\0"):
        with pytest.raises(BodyError) as caught:
            read_capnp(body, AudioClip)
        assert "stack" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_builder_can_be_written_twice_without_a_warning() -> None:
    builder = AudioClip.new_message(title="kick")
    assert write_capnp(builder) == write_capnp(builder)


def test_a_part_of_a_message_and_a_reader_can_be_written() -> None:
    builder = SHAPES.Shapes.new_message(inner={"values": [3, 4]})
    body = write_capnp(SHAPES.Inner.new_message(values=[3, 4]))
    assert write_capnp(builder.inner) == body
    for reader in (read_capnp(body, SHAPES.Inner), read_capnp(write_capnp(builder), SHAPES.Shapes).inner):
        assert read_capnp(write_capnp(reader), SHAPES.Inner).to_dict() == {"values": [3, 4]}
    with pytest.raises(TypeError, match=r"^plain is a group, no message of its own"):
        write_capnp(read_capnp(write_capnp(builder), SHAPES.Shapes).plain)


def test_a_malformed_reader_is_refused_when_written() -> None:
    body = bytearray(write_capnp(AudioClip.new_message(samples=[1.0] * 8)))
    body[35] = 0x7F
    with pytest.raises(BodyError):
        write_capnp(read_capnp(bytes(body), AudioClip))


def test_mutated_readers_are_written_or_refused_and_the_process_lives() -> None:
    # In a child, since what is tested for is an abort.
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", MUTATE], capture_output=True, text=True, check=False, timeout=50
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert "refused" in child.stdout


MUTATE = """
import random
from hootbus.schemas import BodyError, read_capnp, standard, write_capnp
Status = standard.broker.Status
random = random.Random(7)
counters = [{"name": "a" * at, "value": at} for at in range(6)]
good = write_capnp(Status.new_message(broker="b", version="1", counters=counters, errors=counters))
refused = 0
for _ in range(5000):
    body = bytearray(good)
    for _ in range(random.randint(1, 4)):
        body[random.randrange(8, len(body))] = random.randrange(256)
    try:
        write_capnp(read_capnp(bytes(body), Status))
    except BodyError:
        refused += 1
print("refused", refused)
"""


def test_only_messages_are_written_as_capnp() -> None:
    with pytest.raises(TypeError, match="dict is no Cap'n Proto builder"):
        write_capnp({})


def test_struct_types_builders_and_readers_are_told_apart() -> None:
    builder = AudioClip.new_message()
    reader = read_capnp(write_capnp(builder), AudioClip)
    things = (AudioClip, builder, reader, Point, Point(x=1), None, standard.demo, standard.common.WorkerType)
    assert [is_struct_type(thing) for thing in things] == [True] + [False] * 7
    assert [is_builder(thing) for thing in things] == [False, True] + [False] * 6


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(deadline=None, derandomize=True)
@given(JSON)
def test_json_that_is_written_is_read(value: object) -> None:
    assert read_json(write_json(value)) == value


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=30) | st.text(alphabet='{}[]":,0aé\\', max_size=12).map(str.encode))
def test_any_bytes_are_json_or_a_body_error(body: bytes) -> None:
    for wanted in (object, Point, dict[str, int]):
        try:
            read_json(body, wanted)
        except BodyError:
            continue


def test_equal_values_are_equal_json() -> None:
    assert write_json({"b": 1, "a": {3, 1}}) == write_json({"a": {1, 3}, "b": 1}) == b'{"a":[1,3],"b":1}'


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (b'{"x":"1"}', "$.x", "Expected `int`, got `str`"),
        (b'{"x":1,"tags":["a",2]}', "$.tags[1]", "Expected `str`, got `int`"),
        (b"{}", "", "missing required field `x`"),
        (b"[]", "", "Expected `object`, got `array`"),
        (b'{"x":1', "", "truncated"),
        (b'{"x":1,"tags":["\xff"]}', "", "UTF-8"),
        (b"", "", "truncated"),
    ],
)
def test_json_of_another_type_is_a_body_error_with_its_path(body: bytes, field: str, reason: str) -> None:
    with pytest.raises(BodyError) as caught:
        read_json(body, Point)
    assert caught.value.field == field
    assert reason in caught.value.reason


def test_json_nested_too_deeply_is_a_body_error() -> None:
    with pytest.raises(BodyError, match="nested too deeply"):
        read_json(b"[" * 100_000)


def test_numpys_numbers_are_numbers_in_json() -> None:
    written = write_json(
        {
            "mean": np.float64(0.5),
            "deep": [{"count": np.int32(3), "set": (np.bool_(True), np.str_("x"))}],
            "array": np.arange(6, dtype=np.int16).reshape(2, 3),
            "point": np.array(1.5),
            "long": np.longdouble(0.5),
        }
    )
    assert read_json(written) == {
        "mean": 0.5,
        "deep": [{"count": 3, "set": [True, "x"]}],
        "array": [[0, 1, 2], [3, 4, 5]],
        "point": 1.5,
        "long": 0.5,
    }


@pytest.mark.parametrize("value", [np.complex64(1), np.clongdouble(1), np.ones(2, complex), object(), 1j])
def test_what_json_cannot_say_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be written"):
        write_json([value])


def test_an_array_larger_than_a_message_is_refused_before_it_is_spelled_out() -> None:
    # One byte of memory, seen ten billion times.
    endless = np.broadcast_to(np.uint8(1), (10_000_000_000,))
    with pytest.raises(ValueError, match="an array of 10000000000 numbers"):
        write_json({"endless": endless})
    with pytest.raises(FieldError, match="samples: 10000000000 elements, more than a list can count"):
        write_struct(AudioClip, samples=endless)


def test_parts_of_a_message_are_written_as_json() -> None:
    body = write_struct(SHAPES.Shapes, colours=["blue"], names=["a"], inner={"values": [1]}, blob=b"\1\2")
    reader = read_capnp(body.buffer, SHAPES.Shapes)
    value = {
        "arm": reader.which(),
        "inner": reader.inner,
        "names": reader.names,
        "colours": reader.colours,
        "blob": reader.blob,
    }
    assert read_json(write_json(value)) == {
        "arm": "left",
        "inner": {"values": [1]},
        "names": ["a"],
        "colours": ["blue"],
        "blob": "AQI=",
    }


def test_what_is_no_struct_is_refused_by_name() -> None:
    for wrong in (SHAPES, SHAPES.Colour, AudioClip.new_message(), "AudioClip"):
        with pytest.raises(TypeError, match="is no struct of a loaded schema"):
            read_capnp(write_capnp(AudioClip.new_message()), wrong)  # type: ignore[arg-type]  # that is the case
