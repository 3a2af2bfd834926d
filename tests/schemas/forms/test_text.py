"""The text form: to the byte what `capnp decode` writes, and what `capnp encode` takes, with faults at their place."""

import math
import random
import re
import struct
import subprocess
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp_tool import needs_tool
from conformance.everything import EVERYTHING, FORMS, SCHEMA, bomb, messages, spoiled
from hootbus.schemas import BodyError, StructReader, StructType, load, read_capnp, write_capnp, write_fields
from hootbus.schemas.forms import read_text, read_texts, split_body, write_text

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')

Everything: Final[StructType] = FORMS.Everything
_SPLIT: Final = split_body(write_fields(Everything, EVERYTHING).buffer, 50)


def reader(fields: dict[str, Any], kind: StructType = Everything) -> StructReader:
    return read_capnp(write_fields(kind, fields).buffer, kind)


def read(text: str, kind: StructType = Everything) -> StructReader:
    return read_capnp(read_text(text, kind).buffer, kind)


def decoded(body: "bytes | memoryview", kind: str, *options: str) -> str:
    """What the tool writes of a message."""
    command = ["capnp", "decode", "--quiet", *options, str(SCHEMA), kind]
    done = subprocess.run(command, input=body, capture_output=True, check=True, timeout=30)
    return done.stdout.decode()


def encoded(text: str, kind: str) -> bytes:
    """What the tool makes of a text."""
    command = ["capnp", "encode", str(SCHEMA), kind]
    return subprocess.run(command, input=text.encode(), capture_output=True, check=True, timeout=30).stdout


def fault(text: str, kind: StructType = Everything) -> str:
    with pytest.raises(BodyError) as caught:
        read_text(text, kind)
    return str(caught.value)


def assert_is_the_tools(body: "bytes | memoryview", kind: str) -> None:
    found = read_capnp(body, getattr(FORMS, kind))
    assert write_text(found) + "\n" == decoded(body, kind, "--short")
    assert write_text(found, pretty=True) + "\n" == decoded(body, kind)


@needs_tool
def test_every_type_is_spelled_and_broken_into_lines_as_the_tool_does_it() -> None:
    assert_is_the_tools(write_fields(Everything, EVERYTHING).buffer, "Everything")
    assert_is_the_tools(write_fields(Everything, {}).buffer, "Everything")


@needs_tool
@settings(max_examples=60)
@given(messages())
def test_any_message_is_written_as_the_tool_does_it(fields: dict[str, Any]) -> None:
    assert_is_the_tools(write_fields(Everything, fields).buffer, "Everything")


@needs_tool
def test_any_float_is_spelled_as_the_tool_does_it() -> None:
    rng = random.Random(4)
    singles = [struct.unpack("<f", rng.randbytes(4))[0] for _ in range(3000)]
    doubles = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(3000)]
    # Those for which a few digits are enough, and those next to zero.
    singles += [round(rng.random() * 10 ** rng.randrange(-6, 9), rng.randrange(9)) for _ in range(3000)]
    singles += [rng.getrandbits(23) * 2.0**-149 for _ in range(500)]
    doubles += [round(rng.random() * 10 ** rng.randrange(-6, 9), rng.randrange(9)) for _ in range(3000)]
    doubles += [rng.getrandbits(40) * 5e-324 for _ in range(500)]
    body = write_fields(Everything, {"float32s": singles, "float64s": doubles}).buffer
    assert_is_the_tools(body, "Everything")


@needs_tool
@pytest.mark.parametrize("fields", [{"text": ""}, {"other": None}, {"text": None}], ids=str)
@pytest.mark.parametrize("struct", [{"inner": {}}, {"inner": None}, {"deeper": None}, {"deeper": {}}], ids=str)
def test_of_a_union_the_member_that_is_set_is_written(fields: dict[str, Any], struct: dict[str, Any]) -> None:
    assert_is_the_tools(write_fields(FORMS.Null, fields | {"struct": struct}).buffer, "Null")


@needs_tool
def test_what_only_newer_peers_know_is_a_number_or_not_there() -> None:
    body = write_fields(FORMS.New, {"colour": 7, "colours": [0, 9], "three": 5}).buffer
    assert write_text(read_capnp(body, FORMS.Old)) == "(colour = (7), colours = [red, (9)])"
    assert_is_the_tools(body, "Old")


def test_a_pointer_of_no_stated_type_is_opaque() -> None:
    assert "any = <opaque pointer>" in write_text(reader({"any": "text"}))


def test_str_of_a_reader_is_its_text() -> None:
    found = reader({"number": 1, "children": [{"name": "x"}]}, FORMS.Inner)
    assert str(found) == '(number = 1, children = [(number = 0, name = "x")])'
    assert f"{found.children[0]}" == '(number = 0, name = "x")'


def test_a_message_over_many_segments_reads_the_same() -> None:
    body = write_fields(Everything, EVERYTHING).buffer
    expected = write_text(read_capnp(body, Everything))
    for words in (1, 2, 3, 5, 10, 100):
        assert write_text(read_capnp(split_body(body, words), Everything)) == expected


@given(messages())
def test_what_is_written_is_read_again(fields: dict[str, Any]) -> None:
    # Float32 has fewer digits in text than it needs.
    fields = {name: value for name, value in fields.items() if not name.startswith("float32")}
    found = reader(fields)
    for pretty in (False, True):
        again = read(write_text(found, pretty=pretty))
        assert write_capnp(again) == write_capnp(found)


@needs_tool
@settings(max_examples=40)
@given(messages())
def test_a_text_means_to_the_tool_what_it_means_here(fields: dict[str, Any]) -> None:
    # The tool takes no negative numbers for 64-bit integers, and none for floats that look like integers: -0 is 0.
    text = write_text(reader({name: fields[name] for name in fields if name[:5] not in ("int64", "float", "weigh")}))
    # It takes parentheses in strings for the ends of structs.
    text = _STRING.sub(lambda string: string[0].replace("(", "<").replace(")", ">"), text)
    assert write_text(read_capnp(encoded(text, "Everything"), Everything)) == text


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("(int32 = 12)", "int32", 12),
        ("(int32 = -0x1F)", "int32", -31),
        ("(int32 = - 017)", "int32", -15),
        ("(uint64 = 18446744073709551615)", "uint64", 2**64 - 1),
        ("(int64 = -9223372036854775808)", "int64", -(2**63)),
        ("(float64 = 1e5)", "float64", 1e5),
        ("(float64 = -1.5E+3)", "float64", -1500.0),
        ("(float64 = 7)", "float64", 7.0),
        ("(float64 = 5.)", "float64", 5.0),
        ("(float64 = 0x10)", "float64", 16.0),
        ("(float64 = 123456789012345678901234567890)", "float64", 1.2345678901234568e29),
        ("(float64 = -inf)", "float64", -math.inf),
        ("(flag = true)", "flag", True),
        ("(nothing = void)", "nothing", None),
        ("(colour = blue,)", "colour", "blue"),
        ("(colour = (9))", "colour", "(9)"),
        (r'(text = "\a\b\f\n\r\t\v\'\"\\\?")', "text", "\a\b\f\n\r\t\v'\"\\?"),
        (r'(text = "\x41\xc3\xa9\1\12\1234")', "text", "Aé\1\nS4"),
        ('(text = "two" # and\n "gether")', "text", "twogether"),
        ('(data = 0x"00 ff 4142")', "data", b"\0\xffAB"),
        (r'(data = "a\xff")', "data", b"a\xff"),
        ("(uint8s = [1, 2, 0x3,])", "uint8s", [1, 2, 3]),
        ("(voids = [void, void])", "voids", [None, None]),
        ("# first\n(matrix = [[1], []]) # last", "matrix", [[1], []]),
        (
            "(inner = (children = [(number = 1), ()]))",
            "inner",
            {"number": 0, "children": [{"number": 1}, {"number": 0}]},
        ),
        ("(right = (x = 3))", "right", {"x": 3}),
    ],
)
def test_all_spellings_are_read(text: str, field: str, value: object) -> None:
    found = read(text)
    assert found.to_dict()[field] == value


def test_minus_zero_keeps_its_sign() -> None:
    assert math.copysign(1, read("(float64 = -0)").float64) == -1
    assert math.copysign(1, read("(float32s = [-0])").float32s[0]) == -1
    assert math.isnan(read("(float32 = nan)").float32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the end is no Everything, which begins with a parenthesis (line 1, column 1)"),
        ("[1]", "[ is no Everything, which begins with a parenthesis (line 1, column 1)"),
        ("(flag = true", "the end where ')' should be (line 1, column 13)"),
        ("(flag = true) x", "there is more behind the struct (line 1, column 15)"),
        ("(flag true)", "flag: true where '=' should be (line 1, column 7)"),
        ("(flag)", "flag: ) where '=' should be (line 1, column 6)"),
        ("(\n  flag = 1)", "flag: 1 is no Bool (line 2, column 10)"),
        ("(,)", ", where a field's name should be (line 1, column 2)"),
        ("(nothing = null)", "nothing: null is no Void (line 1, column 12)"),
        ("(int8 = 128)", "int8: 128 does not fit into Int8 (line 1, column 9)"),
        ("(uint8 = -1)", "uint8: -1 does not fit into UInt8 (line 1, column 10)"),
        ("(int8 = 1.0)", "int8: 1.0 is no Int8 (line 1, column 9)"),
        ("(int8 = 08)", "int8: '0' is no Int8 (line 1, column 9)"),
        ("(int8 = +1)", "int8: '+' is no Int8 (line 1, column 9)"),
        ("(float64 = 1e999)", "float64: 1e999 does not fit into Float64 (line 1, column 12)"),
        ("(float32 = -1e39)", "float32: 1e39 does not fit into Float32 (line 1, column 12)"),
        ("(float64 = infinity)", "float64: infinity is no Float64 (line 1, column 12)"),
        ("(text = void)", "text: void is no Text (line 1, column 9)"),
        (r'(text = "\xff")', "text: the text is not UTF-8 (line 1, column 9)"),
        (r'(text = "\q")', r"text: \q is no escape (line 1, column 9)"),
        (r'(text = "\x1")', r"text: \x is no escape (line 1, column 9)"),
        ('(text = "two\nlines")', "text: '\"' is no Text (line 1, column 9)"),
        ('(data = 0x"0")', "data: '0' is no Data (line 1, column 9)"),
        ("(data = [1])", "data: [ is no Data (line 1, column 9)"),
        ("(colour = purple)", "colour: purple is no Colour; there are red, green, blue (line 1, column 11)"),
        ("(colour = (65536))", "colour: 65536 is no enumerant's number (line 1, column 12)"),
        ("(colour = (" + "1" * 5000 + "))", f"colour: {'1' * 40}… is no enumerant's number (line 1, column 12)"),
        ("(inners = (number = 1))", "inners: ( is no List(Inner), which begins with a bracket (line 1, column 11)"),
        ("(inners = [(number = x)])", "inners[0].number: x is no Int32 (line 1, column 22)"),
        ("(int8s = [1 2])", "int8s: 2 where ']' should be (line 1, column 13)"),
        ("(int8 = 1, int8 = 2)", "int8: the field is given twice (line 1, column 12)"),
        (
            '(neither = void, left = "x")',
            "left: of a union only one member can be set, and neither is (line 1, column 18)",
        ),
        ('(any = "x")', "any: a pointer of no stated type has no text form (line 1, column 8)"),
        ("(int8 = " + "1" * 500 + ")", f"int8: {'1' * 40}… is no Int8 (line 1, column 9)"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, expected: str) -> None:
    assert fault(text) == expected


def test_an_unknown_field_is_named_with_those_there_are() -> None:
    assert fault("(one = void, colour = 1, nope = 1)", FORMS.Old).startswith("colour: 1 is no Colour")
    assert (
        fault("(nope = 1)", FORMS.Old) == "nope: no such field; there are colour, colours, one, two (line 1, column 2)"
    )


def test_several_structs_in_a_row_are_several_messages() -> None:
    bodies = list(read_texts("(int8 = 1)(int8 = 2)\n# nothing\n(int8 = 3)\n", Everything))
    assert [read_capnp(body.buffer, Everything).int8 for body in bodies] == [1, 2, 3]
    assert list(read_texts("  # nothing at all", Everything)) == []


def test_nesting_is_bounded() -> None:
    assert "nested deeper than 64" in fault("(deep = " * 70 + "()" + ")" * 70)
    assert "nested deeper than 64" in fault("(inner = " + "(children = [" * 100_000)
    deepest = "(deep = " * 60 + "()" + ")" * 60
    assert write_text(read(deepest)).count("deep = ") == 60


@given(st.text(st.sampled_from('()[]=,-"\\x0123456789.einftrudvoalsgh #\n'), max_size=40))
def test_any_text_is_a_message_or_raises_body_error(text: str) -> None:
    try:
        bodies = list(read_texts(text, Everything))
    except BodyError as error:
        assert "(line " in error.reason
    else:
        assert all(read_capnp(body.buffer, Everything) is not None for body in bodies)


@given(st.randoms(use_true_random=False))
def test_words_that_were_changed_are_written_or_raise_body_error(rng: random.Random) -> None:
    body = spoiled(_SPLIT, rng)
    try:
        assert write_text(read_capnp(body, Everything), pretty=True).startswith("(")
    except BodyError as error:
        assert error.reason


def test_shared_parts_do_not_make_a_small_message_a_long_text() -> None:
    with pytest.raises(BodyError, match="parts of it are shared"):
        write_text(read_capnp(bomb(), load(SCHEMA.parents[1] / "schemas" / "shapes.capnp").Tree))
