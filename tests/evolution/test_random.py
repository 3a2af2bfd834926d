"""Random schemas: against themselves, against what they were, and after edits whose effect is known."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp.generated import STRUCTS, Field, Group, SchemaMaker
from evolution.texts import FILE_ID, id_of, schema_of
from hootbus.schemas import model
from hootbus.schemas.evolution import Verdict, compare, interoperable
from hootbus.schemas.fingerprint import fingerprint

EXAMPLES: Final = 12
# What lies deeper is in the pairs, and in what is generated for the readers.
NESTING: Final = 1
Members = list[Field | Group]


def version(maker: SchemaMaker, share: float = 1.0) -> model.Schema:
    return schema_of(maker.version(FILE_ID, share).partition("\n")[2])


def fingerprints(schema: model.Schema) -> list[int]:
    return [fingerprint(schema, id_of(schema, f"S{number}")) for number in range(STRUCTS)]


def worst(old: model.Schema, new: model.Schema) -> Verdict | None:
    found = {change.verdict for change in compare(old, new)}
    return next((verdict for verdict in reversed(Verdict) if verdict in found), None)


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000))
def test_a_schema_has_not_changed_against_itself(seed: int) -> None:
    one, other = version(SchemaMaker(seed, NESTING)), version(SchemaMaker(seed, NESTING))
    assert compare(one, other) == ()
    assert fingerprints(one) == fingerprints(other)


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000), share=st.floats(0.2, 0.95))
def test_what_is_only_added_never_breaks_anything(seed: int, share: float) -> None:
    old, new = version(SchemaMaker(seed, NESTING), share), version(SchemaMaker(seed, NESTING))
    assert worst(old, new) is not Verdict.BREAKING
    for number in range(STRUCTS):
        type_id = id_of(new, f"S{number}")
        assert interoperable(old, type_id, new, type_id) == ()
        assert interoperable(new, type_id, old, type_id) == ()
        if fingerprint(old, type_id) == fingerprint(new, type_id):
            # Fields of type Void and members of groups are the only ones without a trace.
            assert old.node(type_id).body.data_words == new.node(type_id).body.data_words  # type: ignore[union-attr]  # a struct


def fields_of(members: Members) -> list[Field]:
    return [field for each in members for field in ([each] if isinstance(each, Field) else fields_of(each.members))]


def shuffled(random: Random, members: Members) -> None:
    random.shuffle(members)
    for member in members:
        if isinstance(member, Group):
            shuffled(random, member.members)


def renamed(random: Random, members: Members) -> None:
    for member in members:
        member.name = member.name and f"{member.name}Now"
        if isinstance(member, Group):
            renamed(random, member.members)


def grouped(random: Random, members: Members) -> None:
    members[:] = [Group("gathered", list(members), is_union=False)] if all(named(each) for each in members) else members


def named(member: Field | Group) -> bool:
    return isinstance(member, Field) or bool(member.name)


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000), random=st.randoms(use_true_random=False))
@pytest.mark.parametrize(("edit", "expected"), [(shuffled, None), (grouped, Verdict.CARE)])
def test_what_neither_bits_nor_names_show_leaves_fingerprints_alone(
    edit: Callable[[Random, Members], None], expected: Verdict | None, seed: int, random: Random
) -> None:
    maker = SchemaMaker(seed, NESTING)
    old = version(maker)
    for members in maker.structs:
        edit(random, members)
    new = version(maker)
    assert fingerprints(old) == fingerprints(new)
    assert worst(old, new) in (expected, None)


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000), random=st.randoms(use_true_random=False))
def test_other_names_are_told_and_break_nothing(seed: int, random: Random) -> None:
    maker = SchemaMaker(seed, NESTING)
    old = version(maker)
    for members in maker.structs:
        renamed(random, members)
    new = version(maker)
    assert (fingerprints(old) == fingerprints(new)) == (worst(old, new) is None)
    assert worst(old, new) in (Verdict.CARE, None)


def with_numbers_exchanged(random: Random, members: Members) -> None:
    one, other = random.choices(fields_of(members), k=2)
    one.ordinal, other.ordinal = other.ordinal, one.ordinal


def with_names_exchanged(random: Random, members: Members) -> None:
    """Of two that are named side by side, fields or groups."""
    one, other = random.choices([each for each in members if each.name] or members, k=2)
    one.name, other.name = other.name, one.name


def with_a_group_around_one(random: Random, members: Members) -> None:
    at = random.randrange(len(members))
    if members[at].name:
        members[at] = Group(f"around{random.randrange(1 << 30)}", [members[at]], is_union=False)


EDITS: Final = [shuffled, grouped, with_numbers_exchanged, with_names_exchanged, with_a_group_around_one]


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000), random=st.randoms(use_true_random=False))
@pytest.mark.parametrize("count", [1, 3])
def test_peers_with_equal_fingerprints_understand_each_other(count: int, seed: int, random: Random) -> None:
    maker = SchemaMaker(seed, NESTING)
    old = version(maker)
    for members in maker.structs:
        for _ in range(count):
            random.choice(EDITS)(random, members)
    new = version(maker)
    for number in range(STRUCTS):
        type_id = id_of(old, f"S{number}")
        if fingerprint(old, type_id) == fingerprint(new, type_id):
            assert interoperable(old, type_id, new, type_id) == ()


def retyped(field: Field, fields: Sequence[Field]) -> None:
    field.type, field.default = ("Int64", None) if field.type != "Int64" else ("Data", None)


def with_another_default(field: Field, fields: Sequence[Field]) -> None:
    field.type, field.default = "UInt32", 77


def with_another_number(field: Field, fields: Sequence[Field]) -> None:
    other = next(each for each in fields if each is not field)
    field.ordinal, other.ordinal = other.ordinal, field.ordinal


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10_000), number=st.integers(0, STRUCTS - 1), index=st.integers(0, 100))
@pytest.mark.parametrize("edit", [retyped, with_another_default, with_another_number])
def test_what_the_bits_show_breaks_and_changes_fingerprints(
    edit: Callable[[Field, Sequence[Field]], None], seed: int, number: int, index: int
) -> None:
    maker = SchemaMaker(seed, NESTING)
    fields = fields_of(maker.structs[number])
    field = fields[index % len(fields)]
    if edit is with_another_default:
        field.type, field.default = "UInt32", 76
    old = version(maker)
    edit(field, fields)
    new = version(maker)
    type_id = id_of(new, f"S{number}")
    found = compare(old, new)
    if edit is with_another_number:
        # Two numbers may be exchanged without a trace: of a text and of a number.
        assert found
        same = fingerprint(old, type_id) == fingerprint(new, type_id)
        assert not same or not interoperable(old, type_id, new, type_id)
        return
    is_told = fingerprint(old, type_id) != fingerprint(new, type_id)
    assert is_told
    if not any(change.kind == "field-void-to-value" for change in found):
        assert worst(old, new) is Verdict.BREAKING
        assert interoperable(old, type_id, new, type_id)
