"""Whether two peers understand each other, of whose schemas one is newer: in both directions, and with odd schemas."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolution.texts import SHAPES, id_of, schema_of
from hootbus.schemas import BodyError, model
from hootbus.schemas.evolution import Change, Verdict, compare, interoperable
from hootbus.schemas.fingerprint import fingerprint
from hootbus.schemas.transfer import read_request, write_request


def between(a: str, b: str, root: str = "A") -> list[str]:
    """What keeps them apart, with this type as the root."""
    one, other = schema_of(a), schema_of(b)
    type_id = id_of(one, root)
    forth = interoperable(one, type_id, other, type_id)
    back = interoperable(other, type_id, one, type_id)
    assert bool(forth) == bool(back)
    return told(forth)


def told(changes: tuple[Change, ...]) -> list[str]:
    return [f"{change.kind} {change.where}" for change in changes]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("struct A { a @0 :Text; }", "struct A { a @0 :Text; b @1 :Text; }"),
        ("struct A { a @0 :Text; }", "struct A { b @0 :Text; }"),
        ("struct A { a @0 :Text; }", "struct A { a @0 :AnyPointer; }"),
        ("struct A { a @0 :Text; }", "struct A { union { a @0 :Text; b @1 :Void; } }"),
        ("struct A { e @0 :E; } enum E { x @0; }", "struct A { e @0 :E; } enum E { x @0; y @1; }"),
        # Of two types each is newer on one side.
        (
            "struct A { a @0 :B; x @1 :Text; } struct B { a @0 :Text; }",
            "struct A { a @0 :B; } struct B { a @0 :Text; b @1 :Text; }",
        ),
        # What no message of it can contain is not looked at.
        ("struct A { a @0 :Text; } struct B { x @0 :Text; }", "struct A { a @0 :Text; } struct B { x @0 :UInt8; }"),
        (
            "struct A { a @0 :Text; } struct B { x @0 :Text; }",
            "struct A { a @0 :Text; b @1 :B; } struct B { x @0 :UInt8; }",
        ),
    ],
)
def test_peers_understand_each_other_whichever_is_newer(a: str, b: str) -> None:
    assert between(a, b) == []
    assert between(b, a) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("struct A { a @0 :Text; }", "struct A { a @0 :UInt8; }", ["field-type-changed A.a"]),
        ("struct A { a @0 :Bool; }", "struct A { a @0 :Bool = true; }", ["field-default-changed A.a"]),
        # Both have added a field of their own to what they had in common.
        (
            "struct A { a @0 :Text; b @1 :Text; }",
            "struct A { a @0 :Text; c @1 :UInt8; }",
            ["field-type-changed A.b"],
        ),
        (
            "struct A { a @0 :List(B); } struct B { c @0 :C; } struct C { x @0 :Text; }",
            "struct A { a @0 :List(B); } struct B { c @0 :C; } struct C { x @0 :Data = 0x'01'; }".replace("'", '"'),
            ["field-pointer-default-changed C.x"],
        ),
        (
            "struct A { a @0 :G(B); } struct G(T) { t @0 :T; } struct B { x @0 :Int8; }",
            "struct A { a @0 :G(B); } struct G(T) { t @0 :T; } struct B { x @0 :Int16; }",
            ["field-type-changed B.x"],
        ),
        ("struct A { e @0 :E; } enum E { x @0; y @1; }", "struct A { e @0 :E; } enum E { y @0; x @1; }",
         ["enumerant-renumbered E.x", "enumerant-renumbered E.y"]),
    ],
)  # fmt: skip
def test_what_keeps_peers_apart_is_said(a: str, b: str, expected: list[str]) -> None:
    assert between(a, b) == expected


def test_another_id_is_another_type() -> None:
    schema = schema_of("struct A {} struct B {}")
    (change,) = interoperable(schema, id_of(schema, "A"), schema, id_of(schema, "B"))
    assert change.kind == "type-id-changed"
    assert f"{id_of(schema, 'B'):#018x}" in change.reason


def test_groups_in_circles_are_walked_once() -> None:
    """No compiler makes them; whoever compares what a peer has sent must end all the same."""
    schema = schema_of("struct A { g :group { h :group { a @0 :Text; } b @1 :Text; } }")
    outer, inner = id_of(schema, "A.g"), id_of(schema, "A.g.h")
    body = schema.node(inner).body
    assert isinstance(body, model.Struct)
    back = msgspec.structs.replace(body.fields[0], name="back", place=model.Group(outer))
    knotted = msgspec.structs.replace(
        schema.node(inner), body=msgspec.structs.replace(body, fields=(back, *body.fields))
    )
    odd = model.Schema({**schema.nodes, inner: knotted}.values(), schema.files)
    assert interoperable(odd, id_of(odd, "A"), schema, id_of(schema, "A")) == ()


@settings(max_examples=80)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3))
def test_any_schema_that_is_let_in_is_compared(changes: list[tuple[int, int]]) -> None:
    """Sound, but nothing that a compiler has made: whatever it says, the comparison ends and says something."""
    schema = schema_of(SHAPES)
    body = bytearray(write_request(schema))
    for place, octet in changes:
        body[place % len(body)] = octet
    try:
        odd = read_request(body)
    except BodyError:
        return
    compare(schema, odd)
    compare(odd, schema)
    for node in odd.nodes.values():
        if isinstance(node.body, model.Struct) and schema.find(node.id) is not None:
            is_same = fingerprint(odd, node.id) == fingerprint(schema, node.id)
            found = interoperable(odd, node.id, schema, node.id)
            assert not (is_same and found)
            for change in found:
                assert change.verdict is Verdict.BREAKING


def test_generics_that_grow_with_every_step_are_compared_as_they_stand() -> None:
    text = "struct A { a @0 :G(A, A); } struct G(T, U) { left @0 :G(G(T, U), U); right @1 :G(T, G(U, T)); value @2 :T; "
    assert between(text + "}", text + "more @3 :U; }") == []


def test_deep_types_and_large_structs_are_compared() -> None:
    deep = "List(" * 50 + "UInt8" + ")" * 50
    many = " ".join(f"f{at} @{at} :UInt64;" for at in range(2000))
    assert between(f"struct A {{ {many} d @2000 :{deep}; }}", f"struct A {{ {many} d @2000 :{deep}; }}") == []
    assert between(f"struct A {{ {many} }}", f"struct A {{ {many[:-7]}Int64; }}") == ["field-type-changed A.f1999"]
