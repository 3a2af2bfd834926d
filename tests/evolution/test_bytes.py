"""What is said of old readers and old writers, with messages that are really written by one and read by the other."""

from typing import Any, Final

import pytest

from evolution.texts import id_of, schema_of
from hootbus.schemas import BodyError, read_capnp, write_struct
from hootbus.schemas.evolution import compare
from hootbus.schemas.structs import SchemaStruct

ENUM: Final = " enum E { x @0; y @1; }"
SAMPLE: Final = " struct S { first @0 :UInt32; second @1 :Text; } struct Empty {}"
REFUSED: Final = "refused"
Fields = dict[str, Any]


def struct(text: str) -> SchemaStruct:
    schema = schema_of(text)
    return SchemaStruct(schema, id_of(schema, "A"))


def sent(writer: SchemaStruct, reader: SchemaStruct, fields: Fields) -> Fields | str:
    """The message of these fields as the reader reads it."""
    try:
        return read_capnp(write_struct(writer, **fields).buffer, reader).to_dict()
    except BodyError:
        return REFUSED


@pytest.mark.parametrize(
    ("kind", "old_text", "new_text", "by_old", "seen_by_new", "by_new", "seen_by_old"),
    [
        (
            "field-added",
            "a @0 :UInt8;",
            "a @0 :UInt8; b @1 :UInt8 = 4;",
            {"a": 1},
            {"a": 1, "b": 4},
            {"a": 1, "b": 2},
            {"a": 1},
        ),
        ("field-text-to-data", "a @0 :Text;", "a @0 :Data;", {"a": "hi"}, {"a": b"hi\0"}, {"a": b"hi"}, REFUSED),
        ("field-text-to-data", "a @0 :Text;", "a @0 :Data;", {"a": ""}, {"a": b"\0"}, {"a": b"hi\0"}, {"a": "hi"}),
        ("field-data-to-text", "a @0 :Data;", "a @0 :Text;", {"a": b"hi"}, REFUSED, {"a": "hi"}, {"a": b"hi\0"}),
        (
            "field-respelled",
            "a @0 :Data;",
            "a @0 :List(UInt8);",
            {"a": b"hi"},
            {"a": [104, 105]},
            {"a": [1]},
            {"a": b"\1"},
        ),
        ("field-respelled", "a @0 :UInt16;", "a @0 :E;", {"a": 1}, {"a": "y"}, {"a": "y"}, {"a": 1}),
        (
            "field-respelled",
            "a @0 :List(E);",
            "a @0 :List(UInt16);",
            {"a": ["y"]},
            {"a": [1]},
            {"a": [0, 1]},
            {"a": ["x", "y"]},
        ),
        ("field-void-to-value", "a @0 :Void;", "a @0 :UInt8 = 7;", {}, {"a": 7}, {"a": 1}, {"a": None}),
        (
            "list-elements-to-structs",
            "a @0 :List(UInt32);",
            "a @0 :List(S);",
            {"a": [1, 2]},
            {"a": [{"first": 1}, {"first": 2}]},
            {"a": [{"first": 3, "second": "x"}, {}]},
            {"a": [3, 0]},
        ),
        (
            "list-elements-to-structs",
            "a @0 :List(Void);",
            "a @0 :List(Empty);",
            {"a": [None, None]},
            {"a": [{}, {}]},
            {"a": [{}]},
            {"a": [None]},
        ),
        (
            "field-name-reused",
            "a @0 :UInt8;",
            "removedA @0 :UInt8; a @1 :UInt8;",
            {"a": 1},
            {"removedA": 1, "a": 0},
            {"a": 2},
            {"a": 0},
        ),
        (
            "field-renumbered-in-place",
            "a @0 :UInt32; b @1 :Text;",
            "a @1 :UInt32; b @0 :Text;",
            {"a": 1, "b": "x"},
            {"a": 1, "b": "x"},
            {"a": 2},
            {"a": 2},
        ),
        (
            "field-renumbered",
            "a @0 :UInt32; b @1 :UInt32;",
            "a @1 :UInt32; b @0 :UInt32;",
            {"a": 1, "b": 2},
            {"a": 2, "b": 1},
            {"a": 1, "b": 2},
            {"a": 2, "b": 1},
        ),
        ("field-default-changed", "a @0 :UInt8 = 1;", "a @0 :UInt8 = 3;", {"a": 1}, {"a": 3}, {"a": 3}, {"a": 1}),
        (
            "field-moved-between-groups",
            "a @0 :UInt8;",
            "g :group { a @0 :UInt8; }",
            {"a": 1},
            {"g": {"a": 1}},
            {"g": {"a": 2}},
            {"a": 2},
        ),
        (
            "field-moved-into-union",
            "a @0 :Float32;",
            "union { a @0 :Float32; b @1 :UInt32; }",
            {"a": 1.0},
            {"a": 1.0},
            {"b": 0x3F800000},
            {"a": 1.0},
        ),
        (
            "field-moved-into-union-late",
            "a @0 :UInt8; b @1 :UInt8;",
            "union { a @0 :UInt8; b @1 :UInt8; }",
            {"b": 2},
            {"a": 0},
            {"b": 2},
            {"a": 2, "b": 0},
        ),
        (
            "union-member-added",
            "union { a @0 :UInt8; b @1 :UInt8; }",
            "union { a @0 :UInt8; b @1 :UInt8; c @2 :UInt8; }",
            {"b": 2},
            {"b": 2},
            {"c": 3},
            {},
        ),
        (
            "union-added",
            "a @0 :UInt8;",
            "a @0 :UInt8; union { b @1 :UInt8 = 5; c @2 :Void; }",
            {"a": 1},
            {"a": 1, "b": 5},
            {"c": None},
            {"a": 0},
        ),
        (
            "field-type-changed",
            "a @0 :List(UInt16);",
            "a @0 :List(UInt32);",
            {"a": [1]},
            REFUSED,
            {"a": [65537]},
            {"a": [1]},
        ),
        ("field-type-changed", "a @0 :List(Bool);", "a @0 :List(S);", {"a": [True]}, REFUSED, {"a": [{}]}, REFUSED),
        ("field-type-changed", "a @0 :Text;", "a @0 :S;", {"a": "hi"}, REFUSED, {"a": {}}, REFUSED),
    ],
)
def test_a_kind_of_change_does_what_is_said(
    kind: str,
    old_text: str,
    new_text: str,
    by_old: Fields,
    seen_by_new: Fields | str,
    by_new: Fields,
    seen_by_old: Fields | str,
) -> None:
    old_text, new_text = (f"struct A {{ {fields} }}{ENUM}{SAMPLE}" for fields in (old_text, new_text))
    assert kind in {change.kind for change in compare(schema_of(old_text), schema_of(new_text))}
    old, new = struct(old_text), struct(new_text)
    assert sent(old, new, by_old) == seen_by_new
    assert sent(new, old, by_new) == seen_by_old
