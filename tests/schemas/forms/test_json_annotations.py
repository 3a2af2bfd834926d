"""The annotations of `/capnp/compat/json.capnp`: what they make of a message as JSON, to the tool and to us."""

import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from conformance.capnp_tool import convert, needs_tool
from hootbus.schemas import BodyError, FieldError, StructType, load, model, read_capnp, write_fields
from hootbus.schemas.copies import SUPPLIED
from hootbus.schemas.forms import read_capnp_json, write_capnp_json
from hootbus.schemas.forms.jsonnames import BASE64, DISCRIMINATOR, FLATTEN, HEX, NAME, spelling_of
from hootbus.schemas.layout import layout_in, layout_of

SCHEMA: Final = Path(__file__).parents[2] / "conformance" / "annotated.capnp"
MODULE: Final = load(SCHEMA)
IMPORT: Final = f"--import-path={SUPPLIED}"

ALPHA: Final = "al/pha \\u0001é"
WRITTEN: Final = [
    (
        "Names",
        {"someField": "x", "b64": b"\1\2\xff", "hex": b"\n\xff", "colour": "red", "colours": [["green", "(9)"], []]},
        '{"some_field":"x","b64":"AQL/","hex":"0aff","colour":"Rot","colours":[["green",9],[]],"Platz":{"ex":0}}',
    ),
    ("Names", {"empty": b"", "colour": "(7)"}, '{"colour":7,"Platz":{"ex":0},"empty":""}'),
    ("Plain", {"text": "x"}, '{"txt":"x"}'),
    ("Plain", {"inner": {"a": 1}}, f'{{"inner":{{"{ALPHA}":1}}}}'),
    ("Tagged", {"text": "x"}, '{"before":0,"type":"text","value":"x"}'),
    ("Tagged", {"number": -(2**63)}, '{"before":0,"type":"number","value":"-9223372036854775808"}'),
    ("Tagged", {"nothing": None, "before": 1}, '{"before":1,"type":"void"}'),
    ("Tagged", {"data": b"\xab"}, '{"before":0,"type":"data","value":"ab"}'),
    ("Tagged", {"place": {"x": 3}}, '{"before":0,"type":"place","value":{"x":3}}'),
    ("TaggedByName", {"text": "x"}, '{"type":"txt","txt":"x"}'),
    ("TaggedByName", {"nothing": None}, '{"type":"nothing"}'),
    ("TaggedByName", {"inner": {"b": "x"}}, f'{{"type":"inner","in.{ALPHA}":0,"in.b":"x"}}'),
    ("TaggedByName", {"other": {"b": "x"}}, f'{{"type":"other","in.{ALPHA}":0,"in.b":"x"}}'),
    ("TaggedByName", {"place": {"x": 3}}, '{"type":"place","x":3}'),
    (
        "Flat",
        {
            "inner": {"a": 1},
            "again": {"b": "x"},
            "state": {"busy": {"since": 2}},
            "tagged": {"other": {"b": "y"}},
            "named": {"two": "z"},
        },
        f'{{"{ALPHA}":1,"2{ALPHA}":0,"2b":"x","state":"busy","busy-since":"2",'
        f'"t/type":"other","t/in.{ALPHA}":0,"t/in.b":"y","named":{{"kind":"two","two":"z"}}}}',
    ),
    ("Flat", {"state": {"idle": None}, "named": {"one": "z"}}, '{"state":"idle","named":{"kind":"one","one":"z"}}'),
    ("Nameless", {"number": 1}, '{"":"number","number":1}'),
    (
        "Boxes",
        {"box": {"content": "x", "more": {"half": "y", "colours": ["red"]}}, "list": [{"content": {"b": "z"}}]},
        '{"box":{"in_it":"x","half half":"y","half colours":["Rot"]},'
        f'"list":[{{"in_it":{{"{ALPHA}":0,"b":"z"}}}}]}}',
    ),
]  # fmt: skip

TAGGED: Final = "text, number, void, inner, data, place"
BY_NAME: Final = "txt, number, nothing, inner, other, place"
MISSING: Final = "it is missing, and says which member of a union is set; there are"
NO_MEMBER: Final = "is no member of the union; there are"
NOT_SET: Final = "belongs to a member of a union that is not the one that is set"
UNTOLD: Final = "nobody can tell which member of a union it belongs to: the schema names no discriminator"


def struct(name: str) -> StructType:
    found: StructType = getattr(MODULE, name)
    return found


def shown(text: str, kind: str) -> str:
    return str(read_capnp(read_capnp_json(text, struct(kind)).buffer, struct(kind)))


@pytest.mark.parametrize(("kind", "fields", "text"), WRITTEN)
def test_what_is_written_has_the_names_that_the_annotations_give(kind: str, fields: dict[str, Any], text: str) -> None:
    body = write_fields(struct(kind), fields).buffer
    assert write_capnp_json(read_capnp(body, struct(kind))) == text
    assert shown(text, kind) == str(read_capnp(body, struct(kind)))


@needs_tool
@pytest.mark.parametrize(("kind", "fields", "text"), WRITTEN)
def test_the_tool_agrees(kind: str, fields: dict[str, Any], text: str) -> None:
    body = bytes(write_fields(struct(kind), fields).buffer)
    assert convert("binary:json", body, "--short", IMPORT, of=(SCHEMA, kind)).decode() == text + "\n"
    # It reads \u001f as \u0015, and control characters in names not at all.
    if ALPHA not in text:
        there = convert("json:binary", text.encode(), IMPORT, of=(SCHEMA, kind))
        assert str(read_capnp(there, struct(kind))) == shown(text, kind)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("Tagged", '{"value": 3, "type": "number"}', "(number = 3, before = 0)"),
        ("Tagged", '{"type": "void", "value": null}', "(nothing = void, before = 0)"),
        ("Tagged", '{"type": "number"}', "(number = 0, before = 0)"),
        ("Tagged", '{"type": "place"}', "(before = 0, place = (x = 0))"),
        ("Tagged", "{}", "(before = 0)"),
        ("TaggedByName", '{"y": "u", "type": "place"}', '(place = (x = 0, y = "u"))'),
        ("Names", '{"hex": "0AfF", "b64": null}', '(hex = "\\n\\377", colour = red, place = (x = 0))'),
        ("UntoldFlat", '{"number": 3}', "(number = 3)"),
        ("Untold", "{}", "()"),
    ],
)  # fmt: skip
def test_other_spellings_are_read(kind: str, text: str, expected: str) -> None:
    assert shown(text, kind).replace('text = "", ', "") == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("Names", '{"someField": "x"}', "someField: no such field; there are some_field, b64, hex, "),
        ("Names", '{"some_field": 5}', "some_field: 5 is no Text"),
        ("Names", '{"Platz": {"x": 1}}', "Platz.x: no such field; there are ex"),
        ("Names", '{"colour": "red"}', 'colour: "red" is no Colour; there are Rot, green'),
        ("Names", '{"colours": [[], ["Rot", "(9)"]]}', 'colours[1][1]: "(9)" is no Colour; there are Rot, green'),
        ("Names", '{"b64": "AQL"}', 'b64: "AQL" is no Data, which is a string in base64'),
        ("Names", '{"b64": "AQL/ "}', 'b64: "AQL/ " is no Data, which is a string in base64'),
        ("Names", '{"b64": "AR=="}', 'b64: "AR==" is no Data, which is a string in base64'),
        ("Names", '{"b64": "é"}', 'b64: "é" is no Data, which is a string in base64'),
        ("Names", '{"b64": [1]}', "b64: a list is no Data, which is a string in base64"),
        ("Names", '{"hex": "abc"}', 'hex: "abc" is no Data, which is a string in hex'),
        ("Names", '{"hex": "0a ff"}', 'hex: "0a ff" is no Data, which is a string in hex'),
        ("Tagged", '{"value": 3}', f"type: {MISSING} {TAGGED}"),
        ("Tagged", '{"type": "nothing"}', f'type: "nothing" {NO_MEMBER} {TAGGED}'),
        ("Tagged", '{"type": 1}', f"type: 1 {NO_MEMBER} {TAGGED}"),
        ("Tagged", '{"type": "number", "value": "x"}', 'value: "x" is no Int64'),
        ("Tagged", '{"type": "number", "number": 3}', "number: no such field; there are type, value, before"),
        ("Tagged", '{"type": "void", "value": 1}', "value: 1 is no Void"),
        ("TaggedByName", '{"txt": "x"}', f"type: {MISSING} {BY_NAME}"),
        ("TaggedByName", '{"type": "number", "txt": "x"}', f"txt: {NOT_SET}"),
        ("TaggedByName", '{"type": "number", "in.b": "x"}', f"in.b: {NOT_SET}"),
        ("Flat", '{"t/type": "other", "t/in.b": 5}', "t/in.b: 5 is no Text"),
        ("Flat", '{"t/in.b": "x"}', f"t/type: {MISSING} {BY_NAME}"),
        ("Flat", '{"inner": {}}', "inner: no such field; there are "),
        ("Flat", '{"busy-since": 1}', f"state: {MISSING} idle, busy, words"),
        ("Untold", '{"value": 3}', f"value: {UNTOLD}"),
        ("UntoldFlat", '{"b": "x"}', f"b: {UNTOLD}"),
        ("Boxes", '{"list": [{}, {"in_it": {"b": 1}}]}', "list[1].in_it.b: 1 is no Text"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_as_it_is_in_json(kind: str, text: str, expected: str) -> None:
    with pytest.raises(BodyError) as caught:
        read_capnp_json(text, struct(kind))
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Twice", "Twice.b: is the name of two fields in JSON"),
        ("TwiceSaid", "TwiceSaid.x: is the name of two fields in JSON"),
        ("TwiceEnum", "Confused.two: is the name of two enumerants in JSON"),
        ("TwiceFlat", "TwiceFlat.type: is the name of two fields in JSON"),
        ("Endless", "Endless.endless: is flattened into itself, without end"),
        ("Wrong", "Wrong.data: is no Data, and cannot be base64"),
        ("WrongFlat", "WrongFlat.text: is no struct and no group, and cannot be flat"),
    ],
)
def test_annotations_that_make_no_sense_are_the_schemas_mistake(kind: str, expected: str) -> None:
    empty = read_capnp(write_fields(struct(kind), {}).buffer, struct(kind))
    for attempt in (lambda: write_capnp_json(empty), lambda: read_capnp_json("{}", struct(kind))):
        with pytest.raises(FieldError) as caught:
            attempt()
        assert str(caught.value).endswith(expected)


@needs_tool
@pytest.mark.parametrize("kind", ["Twice", "TwiceSaid", "TwiceEnum", "TwiceFlat", "Endless", "Wrong", "WrongFlat"])
def test_the_tool_has_no_use_for_them_either(kind: str) -> None:
    body = bytes(write_fields(struct(kind), {}).buffer)
    command = ["capnp", "convert", "--quiet", IMPORT, "binary:json", str(SCHEMA), kind]
    assert subprocess.run(command, input=body, capture_output=True, check=False, timeout=30).returncode


def flattened(count: int, times: int) -> str:
    """Structs of which each is flattened into the one before, so many times."""
    file = f"@0xe4d1a6c3b2f0{count:02x}{times:02x};" + 'using Json = import "/capnp/compat/json.capnp";'
    for number in range(count):
        fields = [f'f{at} @{at} :S{number + 1} $Json.flatten(prefix = "{at}");' for at in range(times)]
        file += f"struct S{number} {{ {' '.join(fields)} }}"
    return file + f"struct S{count} {{ last @0 :Int8; }}"


@pytest.mark.parametrize(
    ("count", "times", "expected"),
    [(40, 2, "makes more than 65536 names, flattened"), (90, 1, "is flattened more than 64 deep")],
)
def test_what_is_flattened_is_bounded(tmp_path: Path, count: int, times: int, expected: str) -> None:
    (tmp_path / "flat.capnp").write_text(flattened(count, times))
    with pytest.raises(FieldError, match=expected):
        read_capnp_json("{}", load(tmp_path / "flat.capnp").S0)


def test_annotations_of_a_schema_that_no_compiler_has_made_are_an_error() -> None:
    layout = layout_of(struct("Flat"))
    body = layout.node.body
    assert isinstance(body, model.Struct)
    for value in (None, 5, model.Pointed(b"\xff" * 8), model.Pointed(bytes(8)), model.Pointed(bytes(16))):
        for annotation_id in (NAME, FLATTEN):
            annotation = model.Annotation(annotation_id, "text", value)
            field = structs.replace(body.fields[0], annotations=(annotation,))
            node = structs.replace(layout.node, body=structs.replace(body, fields=(field,)))
            with pytest.raises(FieldError, match="its annotation for JSON has a wrong value"):
                spelling_of(layout_in(model.Schema([node, layout_of(struct("Inner")).node]), node.id))


def test_the_file_has_the_official_ids() -> None:
    found = load(Path(SUPPLIED) / "capnp" / "compat" / "json.capnp")
    annotations = {nested.name: nested.id for nested in found.schema.node.nestedNodes}
    assert found.schema.node.id == 0x8EF99297A43A5E34
    assert annotations == {
        "Value": 0xA3FA7845F919DD83,
        "name": NAME,
        "flatten": FLATTEN,
        "FlattenOptions": 0xC4DF13257BC2EA61,
        "discriminator": DISCRIMINATOR,
        "DiscriminatorOptions": 0xC2F8C20C293E5319,
        "base64": BASE64,
        "hex": HEX,
        "notification": 0xA0A054DEA32FD98C,
    }
