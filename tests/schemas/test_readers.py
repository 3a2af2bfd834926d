"""Readers: attributes over the bytes, for values of older, newer and hostile peers too."""

import copy
import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hootbus.schemas import (
    BodyError,
    Enumerant,
    FieldError,
    ListReader,
    StructReader,
    StructType,
    load,
    read_capnp,
    standard,
    validate,
    write_capnp,
    write_struct,
)
from hootbus.schemas.forms import write_capnp_json, write_text

SHAPES = load(Path(__file__).with_name("shapes.capnp"))
Shapes = SHAPES.Shapes
JobInfo = standard.jobs.JobInfo


def read(struct: StructType, **fields: object) -> Any:  # noqa: ANN401  # a reader of whatever struct
    return read_capnp(write_struct(struct, **fields).buffer, struct)


def test_lists_are_sequences() -> None:
    reader = read(Shapes, floats=[0.5, 1.5, 2.5], names=["a", "b"], flags=[True, False], colours=["red", "blue"])
    for found, values in (
        (reader.floats, [0.5, 1.5, 2.5]),
        (reader.names, ["a", "b"]),
        (reader.flags, [True, False]),
        (reader.colours, ["red", "blue"]),
    ):
        assert isinstance(found, ListReader)
        assert (len(found), list(found), found[:], found[-1], found[::-1]) == (
            len(values),
            values,
            values,
            values[-1],
            values[::-1],
        )
        assert found == values
        assert found != values[1:]
        assert values[0] in found
        assert list(reversed(found)) == values[::-1]
        with pytest.raises(IndexError, match=r"\[9\] of"):
            found[9]
        with pytest.raises(IndexError):
            found[-len(values) - 1]


def test_a_list_of_numbers_is_an_array_without_a_copy() -> None:
    reader = read(Shapes, floats=[0.5, 1.5], colours=["blue", "red"])
    view = np.asarray(reader.floats)
    assert (view.dtype.name, view.tolist(), view.flags.writeable, view.flags.owndata) == (
        "float32",
        [0.5, 1.5],
        False,
        False,
    )
    assert np.asarray(reader.colours).tolist() == [2, 0]
    assert np.array(reader.floats).flags.writeable
    assert np.asarray(reader.floats, np.float64).dtype == np.float64
    assert float(np.dot(reader.floats, reader.floats)) == 2.5


def test_the_attributes_are_the_fields() -> None:
    reader = read(Shapes)
    assert {"floats", "title", "inner", "plain", "which", "to_dict"} <= set(dir(reader))
    assert not hasattr(reader, "nope")
    with pytest.raises(AttributeError):
        reader.title = "read-only"
    with pytest.raises(FieldError, match="no such field"):
        reader._get("nope")


def test_an_enumerant_of_a_newer_peer_is_a_value_like_any_other() -> None:
    body = bytearray(write_capnp(JobInfo.new_message(status="failed", jobId="7")))
    assert read_capnp(body, JobInfo).status == "failed"
    assert read_capnp(body, JobInfo).status.raw == 3
    body[16] = 99
    found = read_capnp(body, JobInfo)
    assert (str(found.status), found.status.raw, found.status.known) == ("(99)", 99, False)
    assert found.status != "failed"
    assert found.to_dict()["status"] == "(99)"
    # It goes on as the number that it is.
    assert read(JobInfo, status=found.status).status.raw == 99


def test_enumerants_are_their_names_in_dicts_copies_and_pickles() -> None:
    for value in (Enumerant(3, "failed"), Enumerant(99, None)):
        for same in (copy.copy(value), pickle.loads(pickle.dumps(value))):
            assert (same, same.raw, same.known) == (value, value.raw, value.known)
    assert {"failed": 1}[Enumerant(3, "failed")] == 1
    assert repr(Enumerant(99, None)) == "<unknown enumerant 99>"


def test_an_arm_of_a_newer_peer_is_a_value_like_any_other() -> None:
    body = bytearray(write_capnp(Shapes.new_message(neither=None, title="new")))
    at = 16 + 8 * 0
    assert body[at] == 2
    body[at] = 7
    found = read_capnp(body, Shapes)
    assert (found.which(), found.which().known, found.which().raw) == ("(7)", False, 7)
    assert (found._has("left"), found._has("neither"), found.title) == (False, False, "new")
    assert "left" not in found.to_dict()
    with pytest.raises(BodyError, match=r"left: another member of the union is set: \(7\)"):
        _ = found.left


def test_a_struct_without_a_union_has_no_arm_to_ask_for() -> None:
    with pytest.raises(FieldError, match="the struct has no union"):
        read(JobInfo).which()


def test_older_and_newer_structs_are_read() -> None:
    before, after = SHAPES.Before, SHAPES.After
    old = write_struct(before, levels=[1, -2]).buffer
    new = write_capnp(after.new_message(levels=[{"value": 1, "name": "one"}, {"value": -2}]))
    assert [level.value for level in read_capnp(old, after).levels] == [1, -2]
    assert [level.name for level in read_capnp(old, after).levels] == ["", ""]
    assert list(read_capnp(new, before).levels) == [1, -2]


def test_a_field_can_be_read_any_number_of_times() -> None:
    # 4 KB: with Cap'n Proto's default limit the 16 384th access would fail.
    reader = read(Shapes, floats=[1.0] * 1000)
    for _ in range(20_000):
        assert reader.floats[0] == 1.0


def test_data_is_a_view_that_holds_the_body() -> None:
    body = bytearray(write_struct(Shapes, blob=b"kept").buffer)
    blob = read_capnp(body, Shapes).blob
    gc.collect()
    assert (bytes(blob), blob.readonly) == (b"kept", True)
    with pytest.raises(BufferError):
        body.append(0)


def test_readers_say_what_they_are_and_are_no_values_to_pickle() -> None:
    reader = read(Shapes, inner={"values": [1]}, any="x")
    assert repr(reader) == "<Shapes in a message>"
    assert repr(reader.inner.values) == "<1 elements in a message>"
    assert (repr(reader.any), repr(read(Shapes).any)) == ("<any pointer in a message>", "<null pointer>")
    for value in (reader, reader.inner.values, reader.any):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(value)


def test_sixty_four_levels_are_read_and_not_one_more() -> None:
    # Structs of two pointers, the second of each to the next struct.
    words = [0, 2 << 48, *[0, 2 << 48] * 100, 0, 0]
    words[0] = (len(words) - 1) << 32
    body = b"".join(word.to_bytes(8, "little") for word in words)
    found = read_capnp(body, SHAPES.Inner)
    for _ in range(63):
        found = found.deeper
    with pytest.raises(BodyError, match="nested deeper than 64"):
        _ = found.deeper


def test_what_is_null_is_empty_however_deep() -> None:
    found = read(SHAPES.Inner)
    for _ in range(100):
        found = found.deeper
    assert list(found.values) == []


@pytest.mark.parametrize("plain", [StructReader.to_dict, write_text, write_capnp_json])
def test_many_enums_in_few_words_are_not_too_much_to_walk(plain: Callable[[StructReader], object]) -> None:
    assert plain(read(SHAPES.Palette, colours=["green"] * 300_000))
    assert plain(read(SHAPES.Palette, swatches=[{"fourth": "blue"}] * 100_000))


def test_a_field_that_is_wider_than_the_elements_that_were_sent_has_its_default() -> None:
    octets = write_struct(SHAPES.Octets, octets=[1, 2, 255]).buffer
    assert [level.value for level in read_capnp(octets, SHAPES.After).levels] == [0, 0, 0]
    assert [choice.which() for choice in read_capnp(octets, SHAPES.Choices).choices] == ["nothing"] * 3
    assert [swatch.first for swatch in read_capnp(octets, SHAPES.Swatches).swatches] == ["red"] * 3
    assert validate(octets, SHAPES.Choices) == validate(octets, SHAPES.Swatches) == ()


def test_fields_that_two_threads_have_worked_out_at_once_are_the_same_fields() -> None:
    reader = read(Shapes, left=[1])
    layout = reader._layout
    before, arms = reader.to_dict(), layout.arms
    del layout.__dict__["fields"], layout.__dict__["by_number"]
    assert layout.fields["left"] is not arms[layout.fields["left"].arm]
    assert reader.to_dict() == before


def test_a_field_named_as_something_of_a_class_is_an_attribute() -> None:
    reader = read(SHAPES.Named, **{"which": 1, "mro": 2, "class": 3})
    assert (reader._get("which"), reader.mro, getattr(reader, "class")) == (1, 2, 3)
    assert reader.to_dict() == {"which": 1, "mro": 2, "class": 3}
