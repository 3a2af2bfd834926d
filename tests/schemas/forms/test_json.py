"""The JSON form: what `capnp convert binary:json` writes, and what it reads, but held to the schema."""

import json
import math
import random
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp_tool import convert, needs_tool
from conformance.everything import EVERYTHING, FORMS, SCHEMA, bomb, messages, spoiled
from hootbus.schemas import (
    BodyError,
    FieldError,
    StructReader,
    StructType,
    load,
    read_capnp,
    write_capnp,
    write_fields,
)
from hootbus.schemas.forms import read_capnp_json, read_capnp_jsons, split_body, write_capnp_json, write_text
from hootbus.schemas.forms.jsonwrite import _is_endless
from hootbus.schemas.layout import layout_of

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_MISREAD: Final = re.compile(r"[][{}]|\\u....")

Everything: Final[StructType] = FORMS.Everything
_SPLIT: Final = split_body(write_fields(Everything, EVERYTHING).buffer, 50)


def reader(fields: dict[str, Any], kind: StructType = Everything) -> StructReader:
    return read_capnp(write_fields(kind, fields).buffer, kind)


def read(text: str, kind: StructType = Everything) -> StructReader:
    return read_capnp(read_capnp_json(text, kind).buffer, kind)


def tools(conversion: str, message: bytes, kind: str) -> bytes:
    """What the tool converts it into."""
    command = ["capnp", "convert", "--quiet", "--short", conversion, str(SCHEMA), kind]
    return subprocess.run(command, input=message, capture_output=True, check=True, timeout=30).stdout


def assert_is_the_tools(body: "bytes | memoryview", kind: str) -> None:
    assert (
        write_capnp_json(read_capnp(body, getattr(FORMS, kind)))
        == tools("binary:json", bytes(body), kind).decode()[:-1]
    )


@needs_tool
def test_every_type_is_written_as_the_tool_does_it() -> None:
    assert_is_the_tools(write_fields(Everything, EVERYTHING).buffer, "Everything")
    assert_is_the_tools(write_fields(Everything, {}).buffer, "Everything")


@needs_tool
@settings(max_examples=60)
@given(messages())
def test_any_message_is_written_as_the_tool_does_it(fields: dict[str, Any]) -> None:
    assert_is_the_tools(write_fields(Everything, fields).buffer, "Everything")


@needs_tool
@pytest.mark.parametrize("fields", [{"text": ""}, {"other": None}, {"text": None}], ids=str)
@pytest.mark.parametrize("struct", [{"inner": {}}, {"inner": None}, {"deeper": None}], ids=str)
def test_the_member_of_a_union_that_is_set_is_always_written(fields: dict[str, Any], struct: dict[str, Any]) -> None:
    assert_is_the_tools(write_fields(FORMS.Null, fields | {"struct": struct}).buffer, "Null")


def test_a_struct_that_leads_back_to_itself_has_an_end() -> None:
    text = write_capnp_json(reader({"number": 1, "next": {"number": 2}}, FORMS.Endless))
    assert text == '{"number":1,"next":{"number":2,"next":null}}'
    assert write_capnp_json(read(text, FORMS.Endless)) == text


@needs_tool
def test_what_only_newer_peers_know_is_a_number_or_not_there() -> None:
    body = write_fields(FORMS.New, {"colour": 7, "colours": [0, 9], "three": 5}).buffer
    assert write_capnp_json(read_capnp(body, FORMS.Old)) == '{"colour":7,"colours":["red",9]}'
    assert_is_the_tools(body, "Old")


def test_it_is_json_to_any_other_program() -> None:
    found = json.loads(write_capnp_json(reader(EVERYTHING)))
    assert found["int64s"] == [str(-(2**63)), str(2**63 - 1)]
    assert found["data"] == list(range(256))
    assert found["voids"] == [None, None, None]
    assert found["float64s"][-6:-3] == ["Infinity", "-Infinity", "NaN"]
    assert list(found)[-1] == "right"


def test_a_pointer_of_no_stated_type_has_no_json_form() -> None:
    with pytest.raises(FieldError, match=r"Everything\.any: a pointer of no stated type has no JSON form"):
        write_capnp_json(reader({"any": "text"}))


@given(messages())
def test_what_is_written_is_read_again(fields: dict[str, Any]) -> None:
    if not {"left", "neither", "weight", "right"} & fields.keys():
        # Null and empty are the same in JSON for a union's first member.
        fields["neither"] = None
    found = reader(fields)
    again = read(write_capnp_json(found))
    assert write_capnp_json(again) == write_capnp_json(found)
    assert write_capnp(again) == write_capnp(found)


@needs_tool
@settings(max_examples=40)
@given(messages())
def test_json_means_to_the_tool_what_it_means_here(fields: dict[str, Any]) -> None:
    # It takes braces in strings for the ends of objects, and reads \u001f as \u0015.
    text = _STRING.sub(lambda string: _MISREAD.sub("-", string[0]), write_capnp_json(reader(fields)))
    there = tools("json:binary", text.encode(), "Everything")
    # As words, since text has too few digits for Float32.
    assert convert("binary:canonical", bytes(read_capnp_json(text, Everything).buffer)) == convert(
        "binary:canonical", there
    )


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ('{"uint64": "18446744073709551615"}', "uint64", 2**64 - 1),
        ('{"uint64": 18446744073709551615}', "uint64", 2**64 - 1),
        ('{"int64": -9223372036854775808}', "int64", -(2**63)),
        ('{"int8": "5"}', "int8", 5),
        ('{"int8": 1e2}', "int8", 100),
        ('{"float64": "1.5"}', "float64", 1.5),
        ('{"float64": "-Infinity"}', "float64", -math.inf),
        ('{"float32": 7}', "float32", 7.0),
        ('{"float64s": ["Infinity", 1, "2"]}', "float64s", [math.inf, 1, 2]),
        ('{"flag": true}', "flag", True),
        ('{"nothing": null}', "nothing", None),
        ('{"colour": "blue"}', "colour", "blue"),
        ('{"colour": 1}', "colour", "green"),
        ('{"colours": ["red", 9]}', "colours", ["red", "(9)"]),
        ('{"text": "\\u00e9\\n"}', "text", "é\n"),
        ('{"data": [0, 255]}', "data", b"\0\xff"),
        ('{"voids": [null, null]}', "voids", [None, None]),
        ('{"inners": [{"children": [{"number": 1}]}]}', "inners", [{"number": 0, "children": [{"number": 1}]}]),
        ('{"right": {"x": 3}}', "right", {"x": 3}),
        (' {"box": {"content": "x"}} \n', "box", {"content": "x"}),
    ],
)
def test_all_spellings_are_read(text: str, field: str, value: object) -> None:
    assert read(text).to_dict()[field] == value


def test_null_leaves_a_pointer_null() -> None:
    nulls = '{"text": null, "data": null, "inner": null, "matrix": null, "any": null, "service": null}'
    assert write_text(read(nulls)) == write_text(read("{}"))


def test_minus_zero_keeps_its_sign() -> None:
    assert math.copysign(1, read('{"float64": -0}').float64) == -1
    assert read('{"int8": -0}').int8 == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no JSON object, but nothing at all"),
        ("{} {}", "more than one JSON object"),
        ("{", "no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "a list is no Everything, which is an object"),
        ('{"inners": [{}, 5]}', "inners[1]: 5 is no Inner, which is an object"),
        ('{"inner": {"nope": 1}}', "inner.nope: no such field; there are number, name, children"),
        ('{"flag": 1}', "flag: 1 is no Bool"),
        ('{"flag": "true"}', 'flag: "true" is no Bool'),
        ('{"flags": [true, null]}', "flags[1]: null is no Bool"),
        ('{"nothing": 1}', "nothing: 1 is no Void"),
        ('{"int8": 128}', "int8: 128 is no Int8"),
        ('{"uint8": -1}', "uint8: -1 is no UInt8"),
        ('{"uint64": 18446744073709551616}', "uint64: 18446744073709551616 is no UInt64"),
        ('{"int8": 1.5}', "int8: 1.5 is no Int8"),
        ('{"int8": "0x10"}', 'int8: "0x10" is no Int8'),
        ('{"int8": true}', "int8: true is no Int8"),
        ('{"int8": null}', "int8: null is no Int8"),
        ('{"int16s": [1, "x"]}', 'int16s[1]: "x" is no Int16'),
        ('{"float64": "x"}', 'float64: "x" is no Float64'),
        ('{"float64": NaN}', 'no JSON: NaN; it is the string "NaN"'),
        ('{"float64": 1e999}', "1e999 is more than a Float64 has room for"),
        ('{"float32": 1e39}', "float32: 1e+39 is no Float32"),
        ('{"float64": ' + "1" * 401 + "}", "a number of 401 digits"),
        ('{"text": 5}', "text: 5 is no Text"),
        ('{"text": "\\ud800"}', "text: a text that UTF-8 cannot say, at character 0"),
        ('{"data": "abc"}', 'data: "abc" is no Data, which is a list'),
        ('{"data": [1, 256]}', "data: is no Data, which is a list of numbers from 0 to 255"),
        ('{"data": [true]}', "data: is no Data, which is a list of numbers from 0 to 255"),
        ('{"colour": "purple"}', 'colour: "purple" is no Colour; there are red, green, blue'),
        ('{"colour": 65536}', "colour: 65536 is no Colour; there are red, green, blue"),
        ('{"colour": 1.5}', "colour: 1.5 is no Colour; there are red, green, blue"),
        ('{"matrix": [[1], {}]}', "matrix[1]: an object is no List(Int32), which is a list"),
        ('{"right": null}', "right: null is no right, which is an object"),
        ('{"neither": null, "left": "x"}', "left: of a union only one member can be set, and neither is"),
        ('{"any": {}}', "any: a pointer of no stated type has no JSON form"),
        ('{"int8": 1, "int8": 2}', "an object has 'int8' twice"),
        ('{"deep": ' * 70 + "{}" + "}" * 70, ".".join(["deep"] * 65) + ": nested deeper than 64"),
        ('{"deep": ' * 100_000, "no JSON of a message: nested too deeply"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_named_and_never_dropped(text: str, expected: str) -> None:
    with pytest.raises(BodyError) as caught:
        read_capnp_json(text, Everything)
    assert str(caught.value) == expected


def test_several_objects_in_a_row_are_several_messages() -> None:
    bodies = list(read_capnp_jsons('{"int8": 1}{"int8": 2}\n\n{\n"int8": 3}\n', Everything))
    assert [read_capnp(body.buffer, Everything).int8 for body in bodies] == [1, 2, 3]


_ANY_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(EVERYTHING)), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(list(EVERYTHING)), _ANY_JSON, max_size=3))
def test_any_object_is_a_message_or_raises_body_error(value: dict[str, Any]) -> None:
    try:
        body = read_capnp_json(json.dumps(value), Everything)
    except BodyError as error:
        assert error.reason
    else:
        assert write_capnp_json(read_capnp(body.buffer, Everything))


@given(st.randoms(use_true_random=False))
def test_words_that_were_changed_are_written_or_raise_body_error(rng: random.Random) -> None:
    body = spoiled(_SPLIT, rng)
    try:
        assert json.loads(write_capnp_json(read_capnp(body, Everything))) is not None
    except (BodyError, FieldError) as error:
        assert error.reason


def test_shared_parts_do_not_make_a_small_message_a_long_text() -> None:
    with pytest.raises(BodyError, match="parts of it are shared"):
        write_capnp_json(read_capnp(bomb(), load(SCHEMA.parents[1] / "schemas" / "shapes.capnp").Tree))


@pytest.mark.parametrize(
    ("last", "endless"), [("last @0 :Int8;", False), ("union { back @0 :S0; none @1 :Void; }", True)]
)
def test_structs_that_lead_to_many_others_are_gone_through_once(tmp_path: Path, last: str, endless: bool) -> None:
    """By two ways from each to the next: a walk of every way would never end."""
    ways = "g{0} :group {{ union {{ s{0} @{1} :S{3}; n{0} @{2} :Void; }} }}"
    text = f"@{0xDB8DB2F1BD2BD0C0 + endless:#x}; struct S60 {{ {last} }}"
    for level in range(60):
        text += f"struct S{level} {{ {ways.format(0, 0, 1, level + 1)} {ways.format(1, 2, 3, level + 1)} }}"
    (tmp_path / "ways.capnp").write_text(text)

    assert _is_endless(layout_of(load(tmp_path / "ways.capnp").S0)) == endless
