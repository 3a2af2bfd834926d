"""Values into messages: equal to what pycapnp builds, arrays copied once, in memory that is sent as it is."""

import re
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    FieldError,
    array,
    load,
    read_capnp,
    segments,
    standard,
    type_id,
    validate,
    view,
    write_capnp,
    write_fields,
    write_struct,
)

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

AudioClip = standard.demo.AudioClip
MEGABYTE = 1 << 20


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32, allow_nan=False), max_size=50), st.text(max_size=40))
def test_the_message_is_what_pycapnp_builds(samples: list[float], title: str) -> None:
    body = write_struct(AudioClip, title=title, sampleRate=8000, samples=samples)
    assert isinstance(body.buffer, memoryview)
    assert body.buffer.readonly
    assert body.type_id == type_id(AudioClip)
    assert bytes(body.buffer) == write_capnp(AudioClip.new_message(title=title, sampleRate=8000, samples=samples))


def test_values_go_into_structs_groups_unions_and_lists_of_everything() -> None:
    fields = {
        "floats": np.array([0.5, 1.5], np.float32),
        "longs": [np.int64(-1), 2],
        "colours": ["blue", 1, np.int32(0)],
        "blob": bytearray(b"ab"),
        "flags": [True, np.bool_(False), True],
        "title": np.str_("text"),
        "names": ("a", "", "é"),
        "inner": {"values": range(3), "deeper": {"values": (np.uint32(7),)}},
        "right": {"values": b"\1\2", "weight": np.float64(0.25)},
        "plain": {"doubles": np.arange(2.0).data},
    }
    reader = read_capnp(write_fields(SHAPES.Shapes, fields).buffer, SHAPES.Shapes)
    assert reader.to_dict() == {
        "floats": [0.5, 1.5],
        "longs": [-1, 2],
        "colours": ["blue", "green", "red"],
        "blob": b"ab",
        "flags": [True, False, True],
        "title": "text",
        "names": ["a", "", "é"],
        "inner": {"values": [0, 1, 2], "deeper": {"values": [7]}},
        "right": {"values": [1, 2], "weight": 0.25},
        "plain": {"doubles": [0.0, 1.0]},
    }


def test_what_is_none_is_left_null_and_reads_as_its_default() -> None:
    reader = read_capnp(write_struct(SHAPES.Shapes, longs=None, title=None, neither=None).buffer, SHAPES.Shapes)
    assert (list(reader.longs), reader.title, reader.which()) == ([1, -2], "", "neither")
    assert not reader._has("longs")


def test_a_struct_of_msgspecs_is_taken_for_its_fields() -> None:
    class Inner(msgspec.Struct):
        values: list[int]

    reader = read_capnp(write_struct(SHAPES.Shapes, inner=Inner([1, 2])).buffer, SHAPES.Shapes)
    assert list(reader.inner.values) == [1, 2]


def test_parts_of_other_messages_are_copied_whatever_made_them() -> None:
    inner = SHAPES.Inner.new_message(values=[1, 2], deeper={"values": [3]})
    given = write_capnp(inner)
    for part in (inner, read_capnp(given, SHAPES.Inner)):
        reader = read_capnp(write_struct(SHAPES.Shapes, inner=part, any=part).buffer, SHAPES.Shapes)
        assert reader.inner.to_dict() == {"values": [1, 2], "deeper": {"values": [3]}}
        assert reader.any.as_struct(SHAPES.Inner).to_dict() == reader.inner.to_dict()
        again = read_capnp(write_struct(SHAPES.Shapes, any=reader.any).buffer, SHAPES.Shapes)
        assert again.any.as_struct(SHAPES.Inner).to_dict() == reader.inner.to_dict()
    levels = SHAPES.After.new_message(levels=[{"value": 1, "name": "one"}, {"value": 2}])
    after = read_capnp(write_capnp(levels), SHAPES.After)
    copied = read_capnp(write_struct(SHAPES.After, levels=after.levels).buffer, SHAPES.After)
    assert copied.to_dict() == after.to_dict()


def test_any_pointer_takes_a_text_and_bytes_too() -> None:
    text = read_capnp(write_struct(SHAPES.Shapes, any="text").buffer, SHAPES.Shapes)
    data = read_capnp(write_struct(SHAPES.Shapes, any=b"data").buffer, SHAPES.Shapes)
    assert (text.any.as_text(), bytes(data.any.as_data())) == ("text", b"data")
    assert list(data.any.as_list("uint8")) == list(b"data")


def test_large_lists_lie_behind_the_small_ones_wherever_they_belong() -> None:
    floats, longs, blob = np.arange(5000, dtype=np.float32), np.arange(3001), bytes(range(256)) * 9 + b"odd"
    body = write_struct(SHAPES.Shapes, floats=floats, title="small", longs=longs, blob=blob, inner={"values": [1]})
    assert len(segments(body.buffer)) == 1
    assert np.array_equal(array(body.buffer, SHAPES.Shapes, "floats"), floats)
    assert np.array_equal(array(body.buffer, SHAPES.Shapes, "longs"), longs)
    assert view(body.buffer, SHAPES.Shapes, "blob") == blob
    assert list(read_capnp(body.buffer, SHAPES.Shapes).inner.values) == [1]
    # What pads the odd list to a word is zero.
    assert bytes(body.buffer)[-(-len(blob) % 8) :] == bytes(-len(blob) % 8)


def test_a_large_array_is_copied_once_and_nothing_else_of_its_size_is_made() -> None:
    samples = np.ones(4 * MEGABYTE // 4, np.float32)
    write_struct(AudioClip, samples=samples[:1000])
    tracemalloc.start()
    try:
        body = write_struct(AudioClip, samples=samples)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert samples.nbytes < most < samples.nbytes + MEGABYTE // 2
    assert len(body.buffer) == samples.nbytes + 40


def test_numbers_are_converted_within_their_kind_only() -> None:
    body = write_struct(AudioClip, samples=np.array([0.5, 1.5], np.float64)[::-1])
    assert array(body.buffer, AudioClip, "samples").tolist() == [1.5, 0.5]
    assert read_capnp(write_struct(AudioClip, sampleRate=3.0).buffer, AudioClip).sampleRate == 3
    large = write_struct(SHAPES.Shapes, plain={"doubles": [2**70, 0.5]})
    assert array(large.buffer, SHAPES.Shapes, "plain.doubles").tolist() == [2.0**70, 0.5]
    longs = [-1, 2**63 - 1, 0]
    assert list(read_capnp(write_struct(SHAPES.Shapes, longs=longs).buffer, SHAPES.Shapes).longs) == longs


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"longs": np.array([0.5])}, "longs: float64 does not become Int64"),
        ({"longs": [-1, 2**63]}, "longs: -1 to 9223372036854775808 does not fit into Int64"),
        ({"blob": [7, -1]}, "blob: -1 to 7 does not fit into UInt8"),
        ({"floats": np.zeros((2, 2))}, "floats: 2 dimensions, not 1"),
        ({"floats": 1.0}, "floats: 1.0 is no list of numbers$"),
        ({"floats": "abc"}, "floats: 'abc' is no list of numbers$"),
        ({"floats": {0.5}}, r"floats: \{0.5\} is no list of numbers; make it one with list\(\)"),
        ({"longs": iter([1])}, r"longs: <list_iterator .*> is no list of numbers; make it one with list\(\)"),
        ({"floats": {"a": 1}}, "floats: {'a': 1} is no list of numbers$"),
        ({"floats": [10**400]}, "floats: a number in it does not fit into Float32"),
        ({"plain": {"doubles": (0.5, -(10**400))}}, "plain.doubles: a number in it does not fit into Float64"),
        ({"plain": {"doubles": [None, 2**70]}}, "plain.doubles: object does not become Float64"),
        ({"longs": [10**5000]}, "longs: int of too many digits to .* does not fit into Int64"),
        ({"right": {"weight": -(10**5000)}}, "right.weight: int of too many digits does not fit into Float64"),
        ({"longs": [10**400]}, "longs: 10+… to 10+… does not fit into Int64"),
        ({"floats": ["x"]}, "floats: .* does not become Float32"),
        ({"floats": [[1.0], [1.0, 2.0]]}, "floats: no list of Float32"),
        ({"title": 1}, "title: 1 is no Text"),
        ({"title": "\udc80"}, "title: a text that UTF-8 cannot say, at character 0"),
        ({"names": "text"}, "names: 'text' is no list$"),
        ({"names": {"a"}}, r"names: \{'a'\} is no list; make it one with list\(\)"),
        ({"flags": (flag for flag in [True])}, r"flags: <generator .* is no list; make it one with list\(\)"),
        ({"names": ["a", 1]}, r"names\[1\]: 1 is no Text"),
        ({"flags": [True, 1]}, r"flags\[1\]: 1 is no Bool"),
        ({"colours": ["red", "pink"]}, r"colours\[1\]: 'pink' is no Colour; there are red, green, blue"),
        ({"colours": [-1]}, r"colours\[0\]: -1 is no Colour"),
        ({"inner": [1]}, r"inner: \[1\] is no Inner; a dict of its fields is"),
        ({"inner": {"deeper": {"nope": 1}}}, "inner.deeper.nope: no such field; there are values, deeper"),
        ({"nope": 1}, "nope: no such field"),
        ({"left": [], "neither": None}, "neither: of a union only one member can be set, and left is"),
        ({"neither": 1}, "neither: 1 is no Void"),
        ({"right": {"weight": "1"}}, "right.weight: '1' is no Float64"),
        ({"right": {"weight": True}}, "right.weight: True is no Float64"),
        ({"any": 1}, "any: 1 does not say its type"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(FieldError, match=rf"^shapes.capnp:Shapes\.{reason}"):
        write_fields(SHAPES.Shapes, fields)


def test_numbers_out_of_their_bounds_and_the_wrong_readers_are_refused() -> None:
    with pytest.raises(FieldError, match="sampleRate: 4294967296 does not fit into UInt32"):
        write_struct(AudioClip, sampleRate=2**32)
    clip = read_capnp(write_struct(AudioClip, title="kick").buffer, AudioClip)
    with pytest.raises(FieldError, match="inner: <AudioClip in a message> is no Inner"):
        write_struct(SHAPES.Shapes, inner=clip)


def test_a_value_nested_deeper_than_any_reader_follows_is_refused() -> None:
    tree: dict[str, object] = {}
    for _ in range(70):
        tree = {"children": [tree]}
    with pytest.raises(FieldError, match="nested deeper than 64"):
        write_fields(SHAPES.Tree, tree)


CORPUS = load(Path(__file__).parents[1] / "conformance" / "capnp" / "corpus.capnp")


def test_pointers_of_a_stated_kind_take_no_other() -> None:
    tree = read_capnp(write_struct(CORPUS.Tree, name="t").buffer, CORPUS.Tree)
    group = read_capnp(write_struct(CORPUS.Shape, area=1).buffer, CORPUS.Shape).origin
    for fields, reason in (
        ({"struct": "text"}, "struct: 'text' is a list, not AnyStruct"),
        ({"list": tree}, "list: <Tree in a message> is a struct, not AnyList"),
        ({"service": tree}, "service: <Tree in a message> is a struct, not Capability"),
        ({"any": group}, "any: origin is a group, no struct of its own"),
    ):
        with pytest.raises(FieldError, match=re.escape(reason)):
            write_struct(CORPUS.Anything, **fields)
    written = read_capnp(write_struct(CORPUS.Anything, any="x", struct=tree, list=b"x").buffer, CORPUS.Anything)
    with pytest.raises(FieldError, match="any pointer in a message> is a list, not AnyStruct"):
        write_struct(CORPUS.Anything, struct=written.any)
    assert (
        validate(write_struct(CORPUS.Anything, struct=written.struct, list=written.any).buffer, CORPUS.Anything) == ()
    )


def test_a_text_given_as_bytes_is_utf_8() -> None:
    assert read_capnp(write_struct(CORPUS.Tree, name="é".encode()).buffer, CORPUS.Tree).name == "é"
    with pytest.raises(FieldError, match="name: bytes that are not UTF-8 at byte 1"):
        write_struct(CORPUS.Tree, name=b"a\xff")


def test_a_field_may_be_called_what_a_parameter_is() -> None:
    tree = read_capnp(write_struct(CORPUS.Tree, name="t").buffer, CORPUS.Tree)
    found = read_capnp(write_struct(CORPUS.Anything, struct=tree).buffer, CORPUS.Anything)
    assert found.struct.as_struct(CORPUS.Tree).name == "t"


@pytest.mark.parametrize(("field", "levels", "one"), [("parent", 63, False), ("children", 31, True)])
def test_what_can_be_written_can_be_read(field: str, levels: int, one: bool) -> None:
    value: dict[str, object] = {"name": "deepest"}
    for _ in range(levels):
        value = {field: [value] if one else value}
    body = write_struct(CORPUS.Tree, **value).buffer
    assert validate(body, CORPUS.Tree) == ()
    assert "deepest" in repr(read_capnp(body, CORPUS.Tree).to_dict())
    assert b"deepest" in write_capnp(read_capnp(body, CORPUS.Tree))
    with pytest.raises(FieldError, match="nested deeper than 64"):
        write_struct(CORPUS.Tree, **{field: [value] if one else value})


def test_a_float_that_becomes_infinite_is_refused_alone_and_in_a_list() -> None:
    for value in (1e300, -1e300):
        with pytest.raises(FieldError, match="does not fit into Float32"):
            write_struct(standard.demo.AudioFeatures, peak=value)
        with pytest.raises(FieldError, match="samples: a number in it is too large"):
            write_struct(AudioClip, samples=[0.5, value])
    odd = [float("inf"), float("-inf"), float("nan"), 1e-300]
    written = array(write_struct(AudioClip, samples=odd).buffer, AudioClip, "samples")
    assert np.array_equal(written, np.array(odd, np.float32), equal_nan=True)


def test_an_unknown_enumerant_can_be_read_into_a_dict_and_written_again() -> None:
    body = write_struct(SHAPES.Shapes, colours=[1, 500]).buffer
    found = read_capnp(body, SHAPES.Shapes).to_dict()
    assert found["colours"] == ["green", "(500)"]
    assert bytes(write_fields(SHAPES.Shapes, {"colours": found["colours"]}).buffer) == bytes(body)
    assert bytes(write_fields(SHAPES.Shapes, {"colours": ["green", "(500)"]}).buffer) == bytes(body)


def test_a_list_of_structs_of_a_newer_peer_is_copied_with_what_is_not_known_here() -> None:
    newer = write_struct(SHAPES.After, levels=[{"value": 1, "name": "one"}])
    levels = read_capnp(newer.buffer, SHAPES.Older).levels
    assert [level.to_dict() for level in levels] == [{"value": 1}]
    copied = read_capnp(write_struct(SHAPES.Older, levels=levels).buffer, SHAPES.After)
    assert copied.to_dict() == {"levels": [{"value": 1, "name": "one"}]}


@pytest.mark.parametrize("fields", [{"longs": [10**5000]}, {"colours": [10**5000]}, {"plain": {"doubles": 10**5000}}])
def test_a_number_that_python_does_not_spell_is_a_field_error_too(fields: dict[str, object]) -> None:
    with pytest.raises(FieldError):
        write_fields(SHAPES.Shapes, fields)


def test_a_message_that_is_written_is_read_only_however_large() -> None:
    for count in (1, 100_000):
        assert memoryview(write_struct(SHAPES.Shapes, floats=np.zeros(count, np.float32)).buffer).readonly


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (np.array([1, 2], np.int16), b"\1\0\2\0"),
        (np.array([[1, 2], [3, 4]], np.uint8), b"\1\2\3\4"),
        (np.arange(6, dtype=np.uint8)[::2], b"\0\2\4"),
        (memoryview(b"ab").cast("c"), b"ab"),
        (np.array([True, False]), b"\1\0"),
        ([1, 255], b"\1\xff"),
        (b"", b""),
    ],
)
def test_data_is_the_bytes_of_any_buffer(given: object, found: bytes) -> None:
    assert view(write_struct(SHAPES.Shapes, blob=given).buffer, SHAPES.Shapes, "blob") == found


def test_lists_of_other_messages_are_copied_into_pointers_of_no_stated_type() -> None:
    source = read_capnp(write_struct(SHAPES.Shapes, names=["a", "b"], floats=[0.5]).buffer, SHAPES.Shapes)
    names = read_capnp(write_struct(SHAPES.Shapes, any=source.names).buffer, SHAPES.Shapes).any
    assert list(names.as_list("text")) == ["a", "b"]
    floats = read_capnp(write_struct(SHAPES.Shapes, any=source.floats).buffer, SHAPES.Shapes).any
    assert list(floats.as_list("float32")) == [0.5]


def test_a_dict_of_a_message_is_that_message_again_also_where_its_schema_says_nothing() -> None:
    body = write_struct(SHAPES.Shapes, any=SHAPES.Inner.new_message(values=[7])).buffer
    found = read_capnp(body, SHAPES.Shapes).to_dict()
    again = read_capnp(write_fields(SHAPES.Shapes, found).buffer, SHAPES.Shapes)
    assert again.any.as_struct(SHAPES.Inner).to_dict() == {"values": [7]}


def test_fields_of_a_msgspec_struct_go_by_the_names_it_encodes() -> None:
    class Method(msgspec.Struct, rename="camel"):
        name: str
        is_default: bool
        request_type: int | msgspec.UnsetType = msgspec.UNSET

    registration = standard.envelope.WorkerRegistration
    body = write_struct(registration, methods=[Method("a", True), Method("b", False, 7)]).buffer
    methods = read_capnp(body, registration).methods
    assert [(method.name, method.isDefault, method.requestType) for method in methods] == [
        ("a", True, 0),
        ("b", False, 7),
    ]


def test_arrays_of_booleans_and_of_enums_numbers_are_taken_whole() -> None:
    flags = np.arange(1000) % 3 == 0
    colours = np.arange(1000, dtype=np.int64) % 3
    reader = read_capnp(write_struct(SHAPES.Shapes, flags=flags, colours=colours).buffer, SHAPES.Shapes)
    assert list(reader.flags) == flags.tolist()
    assert np.asarray(reader.colours).tolist() == colours.tolist()
    with pytest.raises(FieldError, match="colours: -1 to -1 does not fit into UInt16"):
        write_struct(SHAPES.Shapes, colours=np.array([-1]))


def test_more_elements_without_size_than_a_reader_takes_are_refused() -> None:
    with pytest.raises(FieldError, match="voids: 20000 elements without size"):
        write_struct(SHAPES.Nothings, voids=[None] * 20_000)
    with pytest.raises(FieldError, match="empties: 20000 elements without size"):
        write_struct(SHAPES.Nothings, empties=[{}] * 20_000)
    body = write_struct(SHAPES.Nothings, voids=[None] * 10_000, empties=[{}] * 5000)
    assert validate(body.buffer, SHAPES.Nothings) == ()
    assert len(read_capnp(body.buffer, SHAPES.Nothings).to_dict()["voids"]) == 10_000
