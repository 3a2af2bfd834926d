"""Two versions of a schema: every change is told, with its verdict and in words."""

from typing import Final

import capnp
import msgspec
import pytest

from evolution.pairs import PAIRS, Pair
from evolution.texts import FILE_ID, FILE_NAME, id_of, parsed, schema_of
from hootbus.schemas import model
from hootbus.schemas.evolution import KINDS, Verdict, compare, interoperable
from hootbus.schemas.fingerprint import fingerprint
from hootbus.schemas.loaded import _all_nodes
from hootbus.schemas.transfer import read_request, write_request


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_every_change_is_told_and_nothing_else(pair: Pair) -> None:
    found = compare(schema_of(pair.old), schema_of(pair.new))
    assert tuple(f"{change.kind} {change.where or '-'}" for change in found) == pair.expected
    for change in found:
        assert change.file == FILE_NAME
        assert change.verdict is KINDS[change.kind].verdict
        assert "{" not in f"{change.reason}{change.old_reader}{change.old_writer}"


def test_every_kind_of_change_has_a_pair() -> None:
    found = {expected.partition(" ")[0] for pair in PAIRS for expected in pair.expected}
    assert set(KINDS) - found == {"file-id-changed"}


def test_a_new_id_of_the_file_changes_the_ids_of_its_types() -> None:
    text = "struct A { a @0 :A; } interface I { m @0 (a :Text); }"
    found = compare(schema_of(text), schema_of(text + " struct B {}", FILE_ID + 1))
    assert [f"{change.kind} {change.where}" for change in found] == [
        "file-id-changed ",
        "type-id-changed A",
        "type-id-changed I",
        "type-id-changed I.m$Params",
        "type-id-changed I.m$Results",
        "type-added B",
    ]


def test_a_type_that_is_only_needed_is_compared_too() -> None:
    """As the types of an imported file are, which nobody has asked for."""
    old, new = (
        model.Schema(found.nodes.values(), [model.RequestedFile(FILE_ID, FILE_NAME)])
        for found in (
            _beside(schema_of("struct B { b @0 :UInt8; }", FILE_ID + 1)),
            _beside(schema_of("struct B {}", FILE_ID + 1)),
        )
    )
    assert [f"{change.kind} {change.where}" for change in compare(old, new)] == ["field-removed B.b"]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_what_has_the_same_fingerprint_is_not_breaking(pair: Pair) -> None:
    old, new = schema_of(pair.old), schema_of(pair.new)
    breaking = {change.where for change in compare(old, new) if change.verdict is Verdict.BREAKING}
    for node in _structs(old):
        if node.id in {each.id for each in _structs(new)} and fingerprint(old, node.id) == fingerprint(new, node.id):
            assert interoperable(old, node.id, new, node.id) == ()
            assert not any(where.startswith(f"{node.path}.") for where in breaking)


def test_words_are_those_of_a_sentence() -> None:
    (change,) = compare(schema_of("struct A {}"), schema_of("enum A { a @0; }"))
    assert change.reason == "was a struct, is an enum"


def test_a_lost_id_is_told_with_what_to_write() -> None:
    old = schema_of("enum E { x @0; }")
    (change,) = compare(old, schema_of("enum F { x @0; }"))
    assert "is F now" in change.reason
    assert f"write `@{id_of(old, 'E'):#018x}` behind the new name" in change.reason


# Where bits are told alike that a schema loader keeps apart; test_bytes shows that they are.
SAME_BITS: Final = {
    "field-made-generic",
    "field-renumbered-in-place",
    "field-respelled",
    "field-specialised",
    "field-text-to-data",
    "field-void-to-value",
    "field-widened",
}


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_what_capnps_own_loader_takes_for_no_version_of_the_same_is_breaking(pair: Pair) -> None:
    """It knows less: nothing of names, and a removal is an older version to it."""
    loader = capnp.SchemaLoader()
    try:
        for text in (pair.old, pair.new):
            with parsed(text) as module:
                for node in _all_nodes(module.schema):
                    loader.load_dynamic(node)
    except capnp.KjException as error:
        kinds = {expected.partition(" ")[0] for expected in pair.expected}
        is_breaking = any(KINDS[kind].verdict is Verdict.BREAKING for kind in kinds)
        assert is_breaking or kinds & SAME_BITS or "nan == nan" in str(error)


# What `-> stream` needs is in a file of Cap'n Proto's own, which these texts leave out.
@pytest.mark.parametrize("pair", [pair for pair in PAIRS if "stream" not in pair.new], ids=str)
def test_a_schema_that_has_travelled_compares_as_before(pair: Pair) -> None:
    old, new = (read_request(write_request(schema_of(text))) for text in (pair.old, pair.new))
    assert compare(old, new) == compare(schema_of(pair.old), schema_of(pair.new))
    for schema, text in ((old, pair.old), (new, pair.new)):
        before = schema_of(text)
        for node in schema.nodes.values():
            if isinstance(node.body, model.Struct | model.Enum):
                assert fingerprint(schema, node.id) == fingerprint(before, node.id)


def _structs(schema: model.Schema) -> list[model.Node]:
    """But for groups."""
    return [
        node
        for node in schema.nodes.values()
        if isinstance(node.body, model.Struct) and not node.body.is_group and node.path
    ]


def _beside(other: model.Schema) -> model.Schema:
    """A file whose struct A has a field of the other file's only struct, B."""
    file = schema_of("struct A { b @0 :AnyStruct; }")
    a, b = (id_of(schema, path) for schema, path in ((file, "A"), (other, "B")))
    struct = file.node(a).body
    assert isinstance(struct, model.Struct)
    slot = model.Slot(model.StructType(b), 0, None)
    changed = msgspec.structs.replace(struct, fields=(msgspec.structs.replace(struct.fields[0], place=slot),))
    nodes = {**other.nodes, **file.nodes, a: msgspec.structs.replace(file.node(a), body=changed)}
    return model.Schema(nodes.values(), file.files)
