"""Fingerprints: the same everywhere and always, and other ones exactly when the bits are."""

import subprocess
import sys

import pytest

from evolution.texts import FILE_ID, SHAPES, id_of, schema_of
from hootbus.schemas import model, standard
from hootbus.schemas.fingerprint import describe, fingerprint, fingerprint_of, method_fingerprint
from hootbus.schemas.loaded import LOADED
from hootbus.schemas.structs import SchemaStruct

DESCRIBED = """\
struct @0x8994fce5221a2d66
field next struct @0x8994fce5221a2d66(@0x8994fce5221a2d66: parameter @0x8994fce5221a2d66.0) 1
field value parameter @0x8994fce5221a2d66.0 0
enum @0xe78c4b5ee40ec2a1
value x
value y
struct @0xf2ddf7a0a65edbaa
field any any 3
field box struct @0x8994fce5221a2d66(@0x8994fce5221a2d66: text) 2
field kind enum @0xe78c4b5ee40ec2a1 2
field left int8 8 in 3:2
field list list(struct @0xf2ddf7a0a65edbaa) 1
field name text 0 = 01000000120000007800000000000000
field number uint32 0 = 7
field peer interface @0xf5d0be8927c3a0dd 4
field rate float32 2 in 3:1 = 000000000000f83f
field right int8 9 in 3:2
member 3:0 none
member 3:1 rate
member 3:2 pair"""


def of(text: str, path: str = "A", file_id: int = FILE_ID) -> int:
    schema = schema_of(text, file_id)
    return fingerprint(schema, id_of(schema, path))


def test_the_description_and_the_fingerprint_are_what_they_were() -> None:
    """Golden: peers of other versions of hootbus, and in other languages, have these."""
    schema = schema_of(SHAPES)
    assert describe(schema, id_of(schema, "A")) == DESCRIBED
    assert f"{fingerprint(schema, id_of(schema, 'A')):#018x}" == "0xea7a60e27ea88ab3"
    assert f"{fingerprint(schema, id_of(schema, 'E')):#018x}" == "0x3cee78fd7a67070f"
    assert f"{method_fingerprint(1, 0):#018x}" == "0x9c6434ddd9ac39fc"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "x @1 :Bool;"),
        ("x @1 :Bool;", "x @1 :UInt8;"),
        ("x @1 :UInt8;", "x @1 :Int8;"),
        ("x @1 :UInt8;", "x @1 :UInt8 = 1;"),
        ("x @1 :Float32;", "x @1 :Float32 = -0.0;"),
        ('x @1 :Text = "a";', 'x @1 :Text = "b";'),
        ("x @1 :List(UInt8);", "x @1 :List(UInt8) = [1];"),
        ("x @1 :List(UInt8);", "x @1 :List(List(UInt8));"),
        ("x @1 :List(UInt8);", "x @1 :Data;"),
        ("x @1 :B;", "x @1 :C;"),
        ("x @1 :E;", "x @1 :F;"),
        ("x @1 :G(Text);", "x @1 :G(Data);"),
        ("x @1 :G(G(Text));", "x @1 :G(G(Data));"),
        ("x @1 :G(Text);", "x @1 :G;"),
        ("x @1 :I(Text);", "x @1 :I(Data);"),
        ("x @1 :UInt8; y @2 :Text;", "union { x @1 :UInt8; y @2 :Text; }"),
        ("union { x @1 :UInt8; y @2 :Text; }", "union { x @1 :UInt8; y @2 :Text; z @3 :Void; }"),
        ("u :union { x @1 :UInt8; y @2 :Text; }", "u :union { y @1 :Text; x @2 :UInt8; }"),
        ("x @1 :AnyPointer;", "x @1 :AnyStruct;"),
        ("x @1 :Bool;", "y @1 :Bool;"),
        ("x @1 :Bool; y @2 :Bool;", "y @1 :Bool; x @2 :Bool;"),
        ("union { x @1 :Void; y @2 :Void; }", "union { y @1 :Void; x @2 :Void; }"),
    ],
)
def test_what_the_bits_are_and_mean_changes_it(old: str, new: str) -> None:
    rest = "struct B {} struct C {} enum E { a @0; } enum F { a @0; } struct G(T) { t @0 :T; } interface I(T) {}"
    assert of(f"struct A {{ a @0 :UInt32; {old} }} {rest}") != of(f"struct A {{ a @0 :UInt32; {new} }} {rest}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a @0 :Text;", "# A comment.\n  a @0 :Text;  # Another.\n"),
        ("a @0 :Text; b @1 :Bool;", "b @1 :Bool; a @0 :Text;"),
        ("a @0 :Text;", 'a @0 :Text = "";'),
        ("a @0 :List(Text);", "a @0 :List(Text) = [];"),
        ("a @0 :B;", "a @0 :B = ();"),
        ("a @0 :UInt8;", "a @0 :UInt8 = 0;"),
        ("a @0 :UInt8; b @1 :Text;", "g :group { a @0 :UInt8; } b @1 :Text;"),
        ("union { a @0 :UInt8; b @1 :Text; }", "u :union { a @0 :UInt8; b @1 :Text; }"),
        ("union { a @0 :UInt8; b @1 :Text; }", "union { a @0 :UInt8; b :group { b @1 :Text; } }"),
        ("a @0 :UInt8;", "a @0 :UInt8; v @1 :Void;"),
        ("a @0 :UInt8; b @1 :Text;", "a @1 :UInt8; b @0 :Text;"),
        ("a @0 :G(AnyPointer);", "a @0 :G;"),
        ("a @0 :UInt8;", 'a @0 :UInt8 $note("x"); const c :Int32 = 4; struct Inner {}'),
        ("a @0 :E;", "a @0 :E; using Other = E;"),
    ],
)
def test_all_else_leaves_it_alone(old: str, new: str) -> None:
    rest = "struct B {} enum E { x @0; } struct G(T) { t @0 :T; } annotation note(*) :Text;"
    assert of(f"struct A {{ {old} }} {rest}") == of(f"{rest} struct A {{ {new} }}")


def test_names_of_types_and_files_do_not_matter_as_ids_do() -> None:
    one, other = "struct A @0xd5d5010203040511 { a @0 :A; }", "struct B @0xd5d5010203040511 { a @0 :B; }"
    assert of(one) == of(other, "B", FILE_ID + 1)
    assert of("struct A {}") != of("struct A {}", file_id=FILE_ID + 1)


@pytest.mark.parametrize(
    "field", ["b @0 :B;", "b @0 :List(B);", "b @0 :List(List(B));", "b @0 :G(B);", "g :group { b @0 :B; }"]
)
def test_a_change_is_seen_from_wherever_it_can_be_reached(field: str) -> None:
    text = f"struct A {{ {field} }} struct G(T) {{ t @0 :T; }} struct B {{ c @0 :C; a @1 :A; }} struct C "
    assert of(text + "{ x @0 :UInt8; }") != of(text + "{ x @0 :UInt8; y @1 :UInt8; }")
    assert of(text + "{ e @0 :E; } enum E { x @0; }") != of(text + "{ e @0 :E; } enum E { x @0; y @1; }")
    assert of(text + "{ e @0 :E; } enum E { x @0; y @1; }") != of(text + "{ e @0 :E; } enum E { y @0; x @1; }")


def test_a_capability_is_its_interfaces_id() -> None:
    assert of("struct A { i @0 :I; } interface I {}") == of("struct A { i @0 :I; } interface I { m @0 (); }")


def test_another_process_finds_the_same() -> None:
    program = (
        "from hootbus.schemas import standard\n"
        "from hootbus.schemas.fingerprint import fingerprint_of\n"
        "print(fingerprint_of(standard.proof.ProofState))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == fingerprint_of(standard.proof.ProofState)


def test_a_type_has_it_wherever_it_comes_from() -> None:
    found = fingerprint_of(standard.demo.AudioClip)
    type_id = standard.demo.AudioClip.schema.node.id
    assert found == fingerprint_of(SchemaStruct(LOADED.closure([type_id]), type_id))


def test_a_method_has_one_of_its_two_types_in_their_order() -> None:
    assert (
        len({method_fingerprint(1, 2), method_fingerprint(2, 1), method_fingerprint(0, 1), method_fingerprint(1, 0)})
        == 4
    )


def test_each_type_is_described_once_however_many_contain_it() -> None:
    count = 1000
    schema = schema_of(" ".join(f"struct S{at} {{ next @0 :S{(at + 1) % count}; }}" for at in range(count)))
    asked: list[int] = []

    class Counted(model.Schema):
        def node(self, node_id: int) -> model.Node:
            asked.append(node_id)
            return super().node(node_id)

    counted = Counted(schema.nodes.values())
    structs = [each.id for each in schema.nodes.values() if each.path]
    assert len({fingerprint(counted, each) for each in structs}) == count
    assert sorted(asked) == sorted(structs)
