"""Pairs of versions, each with all that has changed between them."""

from typing import Final, NamedTuple


class Pair(NamedTuple):
    """Two versions, and the changes as "kind where"; `where` is "-" for a file."""

    old: str
    new: str
    expected: tuple[str, ...]

    def __str__(self) -> str:
        return self.expected[0] if self.expected else f"nothing: {self.old}"


def _pair(old: str, new: str, *expected: str) -> Pair:
    return Pair(old, new, expected)


_SAMPLE: Final = "struct S { first @0 :UInt32; second @1 :Text; }"
_TEXTS: Final = "struct S { first @0 :Text; }"
# As /capnp/compat/json.capnp declares them.
_JSON: Final = (
    "annotation name @0xfa5b1fd61c2e7c3d (field, enumerant, method, group, union) :Text; "
    "annotation flatten @0x82d3e852af0336bf (field, group, union) :Options; struct Options { prefix @0 :Text; } "
    "annotation base64 @0xd7d879450a253e4b (field) :Void; annotation hex @0xf061e22f0ae5c7b5 (field) :Void; "
)
_MAP: Final = "struct Map { entries @0 :List(Entry); struct Entry { key @0 :Text; value @1 :Data; } } "
_GENERIC_MAP: Final = "struct Map(K, V) { entries @0 :List(Entry); struct Entry { key @0 :K; value @1 :V; } } "
_MAP_IS_GENERIC: Final = (
    "type-parameters-changed Map",
    "field-made-generic Map.Entry.key",
    "field-made-generic Map.Entry.value",
)

PAIRS: Final = (
    # Nothing
    _pair("struct A { a @0 :UInt32; }", "# Well.\nstruct A { # Yes.\n a @0 :UInt32; # Indeed.\n}"),
    _pair(
        "struct A { a @0 :Text; b @1 :Bool; } enum E { x @0; }", "enum E { x @0; } struct A { b @1 :Bool; a @0 :Text; }"
    ),
    _pair("struct A { a @0 :UInt32; b @1 :Text; }", 'struct A { a @0 :UInt32 = 0; b @1 :Text = ""; }'),
    _pair("struct A { a @0 :Float32 = nan; }", "struct A { a @0 :Float32 = nan; }"),
    # Fields
    _pair("struct A { a @0 :UInt32; }", "struct A { a @0 :UInt32; b @1 :Text; }", "field-added A.b"),
    _pair(
        "struct A { g :group { a @0 :UInt8; } }", "struct A { g :group { a @0 :UInt8; b @1 :A; } }", "field-added A.g.b"
    ),
    _pair("struct A { a @0 :UInt32; }", "struct A { removedA @0 :UInt32; }", "field-retired A.a"),
    _pair("struct A { a @0 :UInt32; }", "struct A { b @0 :UInt32; }", "field-renamed A.a"),
    _pair(
        "struct A { g :group { a @0 :Bool; b @1 :Bool; } }",
        "struct A { h :group { a @0 :Bool; b @1 :Bool; } }",
        "group-renamed A.g",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :Text; }",
        "struct A { g :group { a @0 :UInt32; } b @1 :Text; }",
        "field-moved-between-groups A.a",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "struct A { u :union { a @0 :UInt32; b @1 :Text; } }",
        "field-moved-between-groups A.a",
        "field-moved-between-groups A.b",
    ),
    _pair("struct A { a @0 :UInt32; b @1 :Text; }", "struct A { a @0 :UInt32; }", "field-removed A.b"),
    _pair(
        "struct A { a @0 :UInt32; b @1 :UInt32; }",
        "struct A { b @0 :UInt32; }",
        "field-removed A.a",
        "field-renumbered A.b",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :UInt32; }",
        "struct A { a @1 :UInt32; b @0 :UInt32; }",
        "field-renumbered A.a",
        "field-renumbered A.b",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :Text; }",
        "struct A { a @1 :UInt32; b @0 :Text; }",
        "field-renumbered-in-place A.a",
        "field-renumbered-in-place A.b",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :UInt32; }",
        "struct A { a @0 :UInt32; x @1 :UInt32; b @2 :UInt32; }",
        "field-renumbered A.b",
        "field-added A.x",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :UInt8; }",
        "struct A { a @0 :UInt64; b @1 :UInt8; }",
        "field-type-changed A.a",
        "field-moved A.b",
    ),
    # Names that are used again
    _pair(
        "struct A { a @0 :Text; }",
        "struct A { removedA @0 :Text; a @1 :Text; }",
        "field-retired A.a",
        "field-name-reused A.a",
        "field-added A.a",
    ),
    _pair(
        "struct A { u :union { a @0 :Text; b @1 :Int32; } }",
        "struct A { u :union { aDEPRECATED @0 :Text; b @1 :Int32; a @2 :Text; } }",
        "field-retired A.u.a",
        "field-name-reused A.u.a",
        "union-member-added A.u.a",
    ),
    _pair(
        "struct A { aDEPRECATED @0 :Text; a @1 :Int32; }",
        "struct A { aLegacyDEPRECATED @0 :Text; aDEPRECATED @1 :Int32; a @2 :Bool; }",
        "field-renamed A.aDEPRECATED",
        "field-name-reused A.aDEPRECATED",
        "field-retired A.a",
        "field-name-reused A.a",
        "field-added A.a",
    ),
    # Of one type, it cannot be told from fields that were moved.
    _pair(
        "struct A { aDEPRECATED @0 :Text; a @1 :Text; }",
        "struct A { aLegacyDEPRECATED @0 :Text; aDEPRECATED @1 :Text; }",
        "field-renumbered A.aDEPRECATED",
        "field-removed A.a",
        "field-added A.aLegacyDEPRECATED",
    ),
    _pair(
        "struct A { a @0 :Text; removedA @1 :Text; }",
        "struct A { removedA @0 :Text; a @1 :Text; }",
        "field-renumbered A.a",
        "field-renumbered A.removedA",
    ),
    _pair(
        "struct A { a @0 :Text; b @1 :UInt32; }",
        "struct A { b @0 :Text; a @1 :UInt32; }",
        "field-renamed A.a",
        "field-name-reused A.a",
        "field-renamed A.b",
        "field-name-reused A.b",
    ),
    _pair(
        "struct A { g :group { a @0 :UInt32; } h :group { a @1 :UInt32; } }",
        "struct A { h :group { a @0 :UInt32; } g :group { a @1 :UInt32; } }",
        "group-renamed A.h",
        "field-name-reused A.h.a",
        "group-renamed A.g",
        "field-name-reused A.g.a",
    ),
    _pair(
        "struct A { g :group { a @0 :UInt32; } h :group { a @1 :Text; } }",
        "struct A { g :group { a @0 :Text; } h :group { a @1 :UInt32; } }",
        "field-renumbered-in-place A.h.a",
        "field-name-reused A.h.a",
        "field-renumbered-in-place A.g.a",
        "field-name-reused A.g.a",
    ),
    # Which of two that are alike is set is what the bits say.
    _pair(
        "struct A { union { g :group { a @0 :UInt32; } h :group { a @1 :UInt32; } } }",
        "struct A { union { h :group { a @0 :UInt32; } g :group { a @1 :UInt32; } } }",
        "union-member-renumbered A.h",
        "field-name-reused A.h.a",
        "union-member-renumbered A.g",
        "field-name-reused A.g.a",
    ),
    _pair(
        "struct A { union { g :group { a @0 :UInt32; } h @1 :Void; } }",
        "struct A { union { gUnused :group { a @0 :UInt32; } h @1 :Void; g :group { a @2 :UInt32; } } }",
        "group-renamed A.g",
        "field-name-reused A.g.a",
        "union-member-added A.g",
    ),
    # Types
    _pair("struct A { a @0 :UInt32; }", "struct A { a @0 :Int32; }", "field-type-changed A.a"),
    _pair("struct A { a @0 :UInt32; }", "struct A { a @0 :Float32; }", "field-type-changed A.a"),
    _pair("struct A { a @0 :Text; }", "struct A { a @0 :List(Text); }", "field-type-changed A.a"),
    _pair("struct A { a @0 :Text; }", "struct A { a @0 :A; }", "field-type-changed A.a"),
    _pair("struct A { a @0 :A; } struct B {}", "struct A { a @0 :B; } struct B {}", "field-type-changed A.a"),
    _pair(
        "struct A { a @0 :E; } enum E { x @0; } enum F { x @0; }",
        "struct A { a @0 :F; } enum E { x @0; } enum F { x @0; }",
        "field-type-changed A.a",
    ),
    _pair(
        "struct A { a @0 :I; } interface I {} interface J {}",
        "struct A { a @0 :J; } interface I {} interface J {}",
        "field-type-changed A.a",
    ),
    _pair("struct A { a @0 :List(UInt16); }", "struct A { a @0 :List(UInt32); }", "field-type-changed A.a"),
    _pair("struct A { a @0 :List(Void); }", "struct A { a @0 :List(UInt32); }", "field-type-changed A.a"),
    _pair("struct A { a @0 :Text; }", "struct A { a @0 :Data; }", "field-text-to-data A.a"),
    _pair("struct A { a @0 :List(Text); }", "struct A { a @0 :List(Data); }", "field-text-to-data A.a"),
    _pair("struct A { a @0 :Text; }", "struct A { a @0 :List(UInt8); }", "field-text-to-data A.a"),
    _pair("struct A { a @0 :Data; }", "struct A { a @0 :Text; }", "field-data-to-text A.a"),
    _pair("struct A { a @0 :Data; }", "struct A { a @0 :List(UInt8); }", "field-respelled A.a"),
    _pair("struct A { a @0 :List(Int8); }", "struct A { a @0 :Data; }", "field-respelled A.a"),
    _pair(
        "struct A { a @0 :E; } enum E { x @0; }", "struct A { a @0 :UInt16; } enum E { x @0; }", "field-respelled A.a"
    ),
    _pair(
        "struct A { a @0 :List(UInt16); } enum E { x @0; }",
        "struct A { a @0 :List(E); } enum E { x @0; }",
        "field-respelled A.a",
    ),
    _pair("struct A { a @0 :Text; }", "struct A { a @0 :AnyPointer; }", "field-widened A.a"),
    _pair("struct A { a @0 :A; }", "struct A { a @0 :AnyStruct; }", "field-widened A.a"),
    _pair("struct A { a @0 :List(A); }", "struct A { a @0 :AnyList; }", "field-widened A.a"),
    _pair("struct A { a @0 :AnyList; }", "struct A { a @0 :AnyPointer; }", "field-widened A.a"),
    _pair("struct A { a @0 :A; }", "struct A { a @0 :AnyList; }", "field-type-changed A.a"),
    _pair("struct A { a @0 :AnyPointer; }", "struct A { a @0 :Text; }", "field-specialised A.a"),
    _pair("struct A { a @0 :AnyPointer; }", "struct A { a @0 :Capability; }", "field-specialised A.a"),
    _pair("struct A { a @0 :AnyPointer; }", "struct A { a @0 :UInt32; }", "field-type-changed A.a"),
    _pair("struct A { a @0 :Void; }", "struct A { a @0 :UInt32; }", "field-void-to-value A.a"),
    _pair("struct A { a @0 :UInt32; }", "struct A { a @0 :Void; }", "field-value-to-void A.a"),
    _pair(
        "struct A { a @0 :List(UInt32); }" + _SAMPLE,
        "struct A { a @0 :List(S); }" + _SAMPLE,
        "list-elements-to-structs A.a",
    ),
    _pair(
        "struct A { a @0 :List(Text); }" + _TEXTS,
        "struct A { a @0 :List(S); }" + _TEXTS,
        "list-elements-to-structs A.a",
    ),
    _pair(
        "struct A { a @0 :List(List(UInt32)); }" + _SAMPLE,
        "struct A { a @0 :List(List(S)); }" + _SAMPLE,
        "list-elements-to-structs A.a",
    ),
    _pair("struct A { a @0 :List(Void); }", "struct A { a @0 :List(A); }", "field-type-changed A.a"),
    _pair(
        "struct A { a @0 :List(Void); } struct S {}",
        "struct A { a @0 :List(S); } struct S {}",
        "list-elements-to-structs A.a",
    ),
    _pair(
        "struct A { a @0 :List(S); }" + _SAMPLE,
        "struct A { a @0 :List(UInt32); }" + _SAMPLE,
        "list-elements-from-structs A.a",
    ),
    _pair(
        "struct A { a @0 :List(UInt16); }" + _SAMPLE, "struct A { a @0 :List(S); }" + _SAMPLE, "field-type-changed A.a"
    ),
    _pair(
        "struct A { a @0 :List(Bool); } struct S { x @0 :Bool; }",
        "struct A { a @0 :List(S); } struct S { x @0 :Bool; }",
        "field-type-changed A.a",
    ),
    _pair(
        "struct A { a @0 :List(UInt8); } struct S { x @0 :UInt8 = 4; }",
        "struct A { a @0 :List(S); } struct S { x @0 :UInt8 = 4; }",
        "field-type-changed A.a",
    ),
    # Defaults
    _pair("struct A { a @0 :UInt32; }", "struct A { a @0 :UInt32 = 1; }", "field-default-changed A.a"),
    _pair("struct A { a @0 :Bool = true; }", "struct A { a @0 :Bool; }", "field-default-changed A.a"),
    _pair("struct A { a @0 :Float64; }", "struct A { a @0 :Float64 = -0.0; }", "field-default-changed A.a"),
    _pair('struct A { a @0 :Text = "x"; }', 'struct A { a @0 :Text = "y"; }', "field-pointer-default-changed A.a"),
    _pair(
        "struct A { a @0 :List(UInt8); }", "struct A { a @0 :List(UInt8) = [1]; }", "field-pointer-default-changed A.a"
    ),
    # Unions
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "struct A { union { a @0 :UInt32; b @1 :Text; c @2 :Void; } }",
        "union-member-added A.c",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "struct A { union { a @0 :UInt32; b @1 :Text; c :group { d @2 :Void; e @3 :Text; } } }",
        "union-member-added A.c",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b :group { c @1 :Text; } } }",
        "struct A { union { a @0 :UInt32; b :group { c @1 :Text; d @2 :Text; } } }",
        "field-added A.b.d",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; c @2 :Void; } }",
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "union-member-removed A.c",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "struct A { union { a @0 :UInt32; removedB @1 :Text; } }",
        "field-retired A.b",
    ),
    _pair(
        "struct A { a @0 :UInt32; }",
        "struct A { a @0 :UInt32; u :union { b @1 :Text; c @2 :Void; } }",
        "union-added A.u",
    ),
    _pair(
        "struct A { a @0 :UInt32; }",
        "struct A { a @0 :UInt32; union { b @1 :Text; c @2 :Void; } }",
        "union-added A.(union)",
    ),
    _pair(
        "struct A { a @0 :UInt32; }",
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "field-moved-into-union A.a",
        "union-member-added A.b",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :Text; }",
        "struct A { u :union { old :group { a @0 :UInt32; b @1 :Text; } new @2 :Void; } }",
        "field-moved-into-union A.a",
        "field-moved-into-union A.b",
        "union-member-added A.u.new",
    ),
    _pair(
        "struct A { a @0 :UInt32; b @1 :Text; }",
        "struct A { union { a @0 :UInt32; b @1 :Text; } }",
        "field-moved-into-union A.a",
        "field-moved-into-union-late A.b",
    ),
    _pair(
        "struct A { x @2 :Text; union { a @0 :UInt32; b @1 :Text; } }",
        "struct A { union { a @0 :UInt32; b @1 :Text; x @2 :Text; } }",
        "field-moved-into-existing-union A.x",
        "field-moved A.x",
    ),
    _pair(
        "struct A { union { a @0 :UInt32; b @1 :Text; c @2 :Bool; } }",
        "struct A { c @2 :Bool; union { a @0 :UInt32; b @1 :Text; } }",
        "field-moved-out-of-union A.c",
        "field-moved A.c",
    ),
    _pair(
        "struct A { a @0 :UInt32; u :union { b @1 :Text; c @2 :Void; } }",
        "struct A { a @0 :UInt64; u :union { b @1 :Text; c @2 :Void; } }",
        "field-type-changed A.a",
        "union-moved A.u",
    ),
    _pair(
        "struct A { union { a @0 :Text; b @1 :Void; } }",
        "struct A { union { b @1 :Text; a @0 :Void; } }",
        "field-value-to-void A.a",
        "field-void-to-value A.b",
    ),
    _pair(
        "struct A { x @1 :Text; union { a @0 :Text; b @2 :Void; } }",
        "struct A { union { a @0 :Text; x @1 :Text; b @2 :Void; } }",
        "field-moved-into-existing-union A.x",
        "field-moved A.x",
        "union-member-renumbered A.b",
    ),
    # In unions that are never there together: what they share says nothing of one about the other.
    _pair(
        "struct A { union { a :group { union { b @0 :Void; c @1 :Void; } } d :group { e @2 :Text; } } }",
        "struct A { union { a :group { union { b @0 :Void; c @1 :Void; } } "
        "d :group { union { e @2 :Text; f @3 :Void; } } } }",
        "field-moved-into-union A.d.e",
        "union-member-added A.d.f",
    ),
    _pair(
        "struct A { union { a :group { union { b @0 :Void; c @1 :Void; } } d @2 :Void; } }",
        "struct A { union { a :group { union { b @0 :Void; c @1 :Void; x @4 :Void; } } d @2 :Void; e @3 :Void; } }",
        "union-member-added A.e",
        "union-member-added A.a.x",
    ),
    # Enums
    _pair("enum E { a @0; }", "enum E { a @0; b @1; }", "enumerant-added E.b"),
    _pair("enum E { a @0; b @1; }", "enum E { a @0; }", "enumerant-removed E.b"),
    _pair("enum E { a @0; b @1; }", "enum E { a @0; removedB @1; }", "enumerant-retired E.b"),
    _pair("enum E { a @0; b @1; }", "enum E { a @0; c @1; }", "enumerant-renamed E.b"),
    _pair("enum E { a @0; b @1; }", "enum E { b @0; a @1; }", "enumerant-renumbered E.a", "enumerant-renumbered E.b"),
    _pair(
        "enum E { a @0; b @1; }",
        "enum E { removedA @0; b @1; a @2; }",
        "enumerant-retired E.a",
        "enumerant-name-reused E.a",
        "enumerant-added E.a",
    ),
    _pair(
        "enum E { a @0; b @1; }",
        "enum E { removedA @0; a @1; }",
        "enumerant-retired E.a",
        "enumerant-name-reused E.a",
        "enumerant-removed E.b",
    ),
    _pair(
        "enum E { a @0; removedA @1; }",
        "enum E { removedA @0; a @1; }",
        "enumerant-renumbered E.a",
        "enumerant-renumbered E.removedA",
    ),
    # Interfaces
    _pair(
        "interface I { m @0 (); }",
        "interface I { m @0 (); n @1 (); }",
        "method-added I.n",
    ),
    _pair("interface I { m @0 (); n @1 (); }", "interface I { m @0 (); }", "method-removed I.n"),
    _pair("interface I { m @0 (); }", "interface I { n @0 (); }", "method-renamed I.m"),
    _pair(
        "interface I { m @0 A -> A; n @1 A -> A; } struct A {}",
        "interface I { n @0 A -> A; m @1 A -> A; } struct A {}",
        "method-renumbered I.m",
        "method-renumbered I.n",
    ),
    _pair(
        "interface I { m @0 A -> A; } struct A {} struct B {}",
        "interface I { m @0 A -> B; } struct A {} struct B {}",
        "method-type-changed I.m",
    ),
    _pair(
        "interface I { m @0 A -> A; } struct A {}",
        "interface I { m @0 A -> stream; } struct A {}",
        "method-type-changed I.m",
    ),
    _pair("interface I { m @0 (a :Text); }", "interface I { m @0 (a :Text, b :Text); }", "field-added I.m$Params.b"),
    _pair("interface I { m @0 (a :Text); }", "interface I { m @0 (a :UInt8); }", "field-type-changed I.m$Params.a"),
    _pair(
        "interface I { m @0 (a :Text); }",
        "interface I { m @0 A; } struct A {}",
        "method-type-changed I.m",
        "type-added A",
    ),
    _pair(
        "struct Box(T) { value @0 :T; } interface I { m @0 Box(Text) -> Box(Text); }",
        "struct Box(T) { value @0 :T; } interface I { m @0 Box(Data) -> Box(I); }",
        "field-text-to-data I.m",
        "method-type-changed I.m",
    ),
    _pair(
        "struct Box(T) { value @0 :T; } struct A {} interface I { m @0 [T] Box(T) -> A; }",
        "struct Box(T) { value @0 :T; } struct A {} interface I { m @0 [T, U] Box(T) -> A; }",
        "type-parameters-changed I.m",
    ),
    _pair("interface I {} interface J {}", "interface I extends(J) {} interface J {}", "superclass-added I"),
    _pair("interface I extends(J) {} interface J {}", "interface I {} interface J {}", "superclass-removed I"),
    _pair(
        "interface I extends(J(Text)) {} interface J(T) {} struct A {}",
        "interface I extends(J(A)) {} interface J(T) {} struct A {}",
        "superclass-changed I",
    ),
    _pair(
        "interface I extends(J(Text)) {} interface J(T) {}",
        "interface I extends(J(Data)) {} interface J(T) {}",
        "field-text-to-data I",
    ),
    _pair(
        "struct A { a @0 :I(Text); } interface I(T) {}",
        "struct A { a @0 :I(List(Int32)); } interface I(T) {}",
        "field-type-changed A.a",
    ),
    # Types
    _pair("struct A {}", "struct A {} struct B {}", "type-added B"),
    _pair("struct A {} struct B {}", "struct A {}", "type-removed B"),
    _pair("struct A @0xd5d5010203040511 {}", "struct B @0xd5d5010203040511 {}", "type-renamed A"),
    _pair(
        "struct A { struct B @0xd5d5010203040511 {} }", "struct A {} struct B @0xd5d5010203040511 {}", "type-moved A.B"
    ),
    _pair(
        "struct A @0xd5d5010203040511 {} struct B { a @0 :A; }",
        "struct A @0xd5d5010203040512 {} struct B { a @0 :A; }",
        "type-id-changed A",
    ),
    _pair("struct A {}", "enum A { a @0; }", "type-kind-changed A"),
    # The cause is told, and not each field of the type.
    _pair(
        "struct A { a @0 :B; } struct B { b @0 :E; enum E { x @0; } }",
        "struct A { a @0 :C; } struct C { b @0 :E; enum E { x @0; } }",
        "type-renamed-without-id B",
        "type-id-changed B.E",
    ),
    _pair(
        "struct A { a @0 :E; enum E { x @0; } }",
        "struct A { a @0 :E; } enum E { x @0; }",
        "type-renamed-without-id A.E",
    ),
    _pair(
        "interface I { m @0 (a :Text); }",
        "interface J { m @0 (a :Text); }",
        "type-renamed-without-id I",
        "type-id-changed I.m$Params",
        "type-id-changed I.m$Results",
    ),
    # Which of them it is cannot be told.
    _pair(
        "struct A { a @0 :Text; }",
        "struct B { a @0 :Text; } struct C { a @0 :Text; }",
        "type-removed A",
        "type-added B",
        "type-added C",
    ),
    # Generics
    _pair("struct Box { value @0 :AnyPointer; }", "struct Box(T) { value @0 :T; }", "type-parameters-changed Box"),
    _pair(
        "struct Box(T) { value @0 :T; }",
        "struct Box { value @0 :AnyPointer; }",
        "type-parameters-changed Box",
        "field-widened Box.value",
    ),
    _pair("struct Box(T) { value @0 :T; }", "struct Box(T, U) { value @0 :T; }", "type-parameters-changed Box"),
    _pair("struct Box(T, U) { a @0 :T; }", "struct Box(T, U) { a @0 :U; }", "field-type-changed Box.a"),
    _pair(
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(Text); }",
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(A); }",
        "field-type-changed A.a",
    ),
    _pair(
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(Text); }",
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(Data); }",
        "field-text-to-data A.a",
    ),
    _pair(
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box; }",
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(Text); }",
        "field-specialised A.a",
    ),
    _pair(
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box(AnyPointer); }",
        "struct Box(T) { value @0 :T; } struct A { a @0 :Box; }",
    ),
    _pair(_MAP + "struct A { a @0 :Map; }", _GENERIC_MAP + "struct A { a @0 :Map(Text, Data); }", *_MAP_IS_GENERIC),
    _pair(
        _MAP + "struct A { a @0 :Map; }",
        _GENERIC_MAP + "struct A { a @0 :Map(Text, A); }",
        *_MAP_IS_GENERIC,
        "field-type-changed A.a",
    ),
    # Constants and annotations
    _pair("struct A {}", "struct A {} const x :Int32 = 4;", "const-added x"),
    _pair("const x :Int32 = 4;", "const x :Int32 = 5;", "const-changed x"),
    _pair('const x :Text = "a";', 'const x :Text = "b";', "const-changed x"),
    _pair("const x :Int32 = 4;", "", "const-removed x"),
    _pair("struct A {}", "struct A {} annotation n(field) :Text;", "annotation-declaration-added n"),
    _pair("annotation n(field) :Text;", "annotation n(field, struct) :Text;", "annotation-declaration-changed n"),
    _pair("annotation n(field) :Text;", "", "annotation-declaration-removed n"),
    _pair(
        "annotation n(field) :Text; struct A { a @0 :Text; }",
        'annotation n(field) :Text; struct A { a @0 :Text $n("x"); }',
        "annotations-changed A.a",
    ),
    _pair(_JSON + "struct A { a @0 :Text; }", _JSON + 'struct A { a @0 :Text $name("x"); }', "json-form-changed A.a"),
    _pair(_JSON + "struct A { a @0 :Data $hex; }", _JSON + "struct A { a @0 :Data $base64; }", "json-form-changed A.a"),
    _pair(
        _JSON + "struct A { g :group { a @0 :Data; } }",
        _JSON + "struct A { g :group $flatten() { a @0 :Data; } }",
        "json-form-changed A.g",
    ),
    _pair(_JSON + "enum E { a @0; }", _JSON + 'enum E { a @0 $name("A"); }', "json-form-changed E.a"),
)
