"""The canonical form: one for each value, whatever its layout; the tool's, to the byte; and bounded for any bytes."""

import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp_tool import convert, needs_tool, refuses
from conformance.layouts import Struct, random_struct, written
from hootbus.schemas import Builder, load
from hootbus.schemas.canonical import TreeCopier, canonical, canonical_body, is_canonical
from hootbus.schemas.errors import BodyError
from hootbus.schemas.pointers import follow, struct_of
from hootbus.schemas.segments import segments

SHAPES = load(Path(__file__).with_name("shapes.capnp"))
WORD = 8


def struct_pointer(offset: int, data: int, pointers: int) -> int:
    return offset << 2 & 0xFFFF_FFFC | data << 32 | pointers << 48


def list_pointer(offset: int, size: int, count: int) -> int:
    return 1 | offset << 2 & 0xFFFF_FFFC | size << 32 | count << 35


def far_pointer(segment: int, at: int, *, double: bool = False) -> int:
    return 2 | double << 2 | at << 3 | segment << 32


def raw(words: list[int]) -> bytes:
    return b"".join(word.to_bytes(WORD, "little") for word in words)


def framed(*parts: bytes | bytearray) -> bytes:
    sizes = (len(parts) - 1, *(len(part) // WORD for part in parts))
    table = b"".join(size.to_bytes(4, "little") for size in sizes)
    return table + bytes(-len(table) % WORD) + b"".join(parts)


# Capitals in front of a row of words, for what they stand for: S a struct, L a list, E a struct of no size.
S, L = struct_pointer, list_pointer
E = S(-1, 0, 0)
VOID, BIT, BYTE, LONG, POINTER, COMPOSITE = 0, 1, 2, 5, 6, 7

FORMS = {
    "a null root is an empty struct": ([0], [E]),
    "an empty struct lies nowhere": ([S(0, 0, 0)], [E]),
    "a struct of zeros is an empty one": ([S(0, 2, 1), 0, 0, 0], [E]),
    "zeros at the end are left out, those before are not": (
        [S(0, 3, 3), 0, 5, 0, 0, S(1, 1, 0), 0, 7],
        [S(0, 2, 2), 0, 5, 0, S(0, 1, 0), 7],
    ),
    "a pointer to an empty struct is not null": ([S(0, 0, 2), 0, S(0, 1, 0), 0], [S(0, 0, 2), 0, E]),
    "objects come in the order of their pointers": (
        [S(0, 0, 2), S(2, 1, 0), S(0, 1, 0), 2, 1],
        [S(0, 0, 2), S(1, 1, 0), S(1, 1, 0), 1, 2],
    ),
    "what is below a pointer comes before the next one's": (
        [S(0, 0, 2), S(1, 0, 1), S(1, 1, 0), S(1, 1, 0), 2, 1],
        [S(0, 0, 2), S(1, 0, 1), S(2, 1, 0), S(0, 1, 0), 1, 2],
    ),
    "what is shared is doubled": (
        [S(0, 0, 2), S(1, 1, 0), S(0, 1, 0), 9],
        [S(0, 0, 2), S(1, 1, 0), S(1, 1, 0), 9, 9],
    ),
    "what nothing points to is left out": ([S(1, 1, 0), 99, 5, 99], [S(0, 1, 0), 5]),
    "bits behind the last of a list of bits": (
        [S(0, 0, 1), L(0, BIT, 11), 2**64 - 1],
        [S(0, 0, 1), L(0, BIT, 11), 2047],
    ),
    "bytes behind the last of a text": ([S(0, 0, 1), L(0, BYTE, 3), 0x99_006968], [S(0, 0, 1), L(0, BYTE, 3), 0x6968]),
    "an empty list lies where it would": (
        [S(0, 0, 2), L(99, BYTE, 0), S(0, 1, 0), 7],
        [S(0, 0, 2), L(1, BYTE, 0), S(0, 1, 0), 7],
    ),
    "a list of nothing": ([S(0, 0, 1), L(-1, VOID, 5)], [S(0, 0, 1), L(0, VOID, 5)]),
    "null pointers of a list stay": (
        [S(0, 0, 1), L(0, POINTER, 4), 0, S(0, 0, 0), S(-1, 0, 0), 0],
        [S(0, 0, 1), L(0, POINTER, 4), 0, 0, E, 0],
    ),
    "structs are as large as what is used of any": (
        [S(0, 0, 1), L(0, COMPOSITE, 10), S(2, 3, 2), 0, 1, 0, L(6, BYTE, 1), 0, 2, 0, 0, 0, 0, 3],
        [S(0, 0, 1), L(0, COMPOSITE, 6), S(2, 2, 1), 0, 1, L(3, BYTE, 1), 2, 0, 0, 3],
    ),
    "data that is all used is kept as it is": (
        [S(0, 0, 1), L(0, COMPOSITE, 3), S(2, 1, 0), 1, 2, 99],
        [S(0, 0, 1), L(0, COMPOSITE, 2), S(2, 1, 0), 1, 2],
    ),
    "structs of zeros have no size": (
        [S(0, 0, 1), L(0, COMPOSITE, 4), S(2, 1, 1), 0, 0, 0, 0],
        [S(0, 0, 1), L(0, COMPOSITE, 0), S(2, 0, 0)],
    ),
    "no structs have no size": ([S(0, 0, 1), L(0, COMPOSITE, 0), S(0, 3, 4)], [S(0, 0, 1), L(0, COMPOSITE, 0), 0]),
    "below one struct of a list comes before below the next": (
        [S(0, 0, 1), L(0, COMPOSITE, 2), S(2, 0, 1), S(2, 0, 1), S(2, 1, 0), 0, S(1, 1, 0), 2, 1],
        [S(0, 0, 1), L(0, COMPOSITE, 2), S(2, 0, 1), S(1, 0, 1), S(2, 1, 0), S(0, 1, 0), 1, 2],
    ),
    "a far pointer": ([far_pointer(0, 2), 99, S(1, 1, 0), 99, 5], [S(0, 1, 0), 5]),
    "a double far pointer": ([far_pointer(0, 2, double=True), 99, far_pointer(0, 4), S(0, 1, 0), 5], [S(0, 1, 0), 5]),
    "a far pointer to an empty struct": ([S(0, 0, 1), far_pointer(0, 2), 0], [S(0, 0, 1), E]),
}


@pytest.mark.parametrize(("given_words", "expected"), FORMS.values(), ids=FORMS)
def test_the_form_of(given_words: list[int], expected: list[int]) -> None:
    body = framed(raw(given_words))
    words = canonical(body)
    assert words.hex(" ", WORD) == raw(expected).hex(" ", WORD)
    assert canonical(segments(body)) == words
    assert canonical_body(body) == framed(words)
    assert is_canonical(words)
    assert is_canonical(raw(given_words)) == (given_words == expected)


@needs_tool
def test_the_forms_above_are_the_tools() -> None:
    messages = b"".join(framed(raw(words)) for words, _ in FORMS.values())
    assert convert("binary:canonical", messages) == b"".join(raw(words) for _, words in FORMS.values())


@pytest.mark.parametrize(
    ("words", "field", "reason"),
    [
        ([S(0, 0, 2), 0, 3], "pointer 1", "a capability, which cannot be copied"),
        ([L(0, BYTE, 0)], "", "a list, not a struct"),
        ([3], "", "a capability, not a struct"),
        ([S(0, 1, 0)], "", "pointer leaves the segment"),
        ([S(0, 0, 1), L(0, POINTER, 2), 0, S(9, 1, 0)], "pointer 0[1]", "pointer leaves the segment"),
        (
            [S(0, 0, 1), L(0, COMPOSITE, 3), S(1, 1, 2), 5, 0, L(9, LONG, 1)],
            "pointer 0[0].pointer 1",
            "pointer leaves the segment",
        ),
    ],
)
def test_what_has_no_canonical_form_is_refused_by_name(words: list[int], field: str, reason: str) -> None:
    with pytest.raises(BodyError) as refused:
        canonical(framed(raw(words)))
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert not is_canonical(raw(words))


@pytest.mark.parametrize("words", [b"", b"\0", bytes(7), raw([E]) + b"\0", raw([0]), raw([E, 0]), raw([S(0, 0, 0)])])
def test_what_is_no_message_or_not_the_shortest_is_not_canonical(words: bytes) -> None:
    assert not is_canonical(words)


@pytest.mark.parametrize("buffer", [memoryview, bytearray, lambda words: np.frombuffer(words, np.float64)])
def test_any_buffer_can_be_canonical(buffer: type) -> None:
    assert is_canonical(buffer(raw([S(0, 2, 0), 1, 2])))
    assert not is_canonical(buffer(raw([S(0, 2, 0), 1, 0])))
    at_an_odd_address = memoryview(b"\0" + raw([S(0, 0, 1), L(0, COMPOSITE, 1), S(1, 1, 0), 2]))[1:]
    assert is_canonical(at_an_odd_address)


@pytest.mark.parametrize("seed", range(300))
def test_a_value_has_one_canonical_form_in_whatever_layout(seed: int) -> None:
    root = random_struct(random.Random(seed))
    forms = {bytes(canonical(written(root, random.Random(layout)))) for layout in range(6)}
    assert len(forms) == 1
    (words,) = forms
    assert is_canonical(words)


@needs_tool
def test_the_canonical_form_of_random_messages_is_the_tools() -> None:
    rng = random.Random(4)
    messages = [written(random_struct(rng), rng) for _ in range(2000)]
    assert convert("binary:canonical", b"".join(messages)) == b"".join(map(canonical, messages))


def in_segments(rng: random.Random) -> Builder:
    """A builder with room for now one, now many objects in each of its segments."""
    most = rng.choice((0, 3, 20, 200))
    return SHAPES.Shapes.new_message(
        num_first_segment_words=1 + rng.randrange(most + 1),
        allocate_seg_callable=lambda words: bytearray((words + rng.randrange(most + 1)) * WORD),
    )


SHAPE = st.fixed_dictionaries(
    {},
    optional={
        "floats": st.lists(st.floats(width=32), max_size=40),
        "longs": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
        "colours": st.lists(st.sampled_from(("red", "green", "blue")), max_size=9),
        "blob": st.binary(max_size=40),
        "flags": st.lists(st.booleans(), max_size=70),
        "title": st.text(max_size=20),
        "names": st.lists(st.text(max_size=9), max_size=9),
        "inner": st.fixed_dictionaries({"deeper": st.fixed_dictionaries({"values": st.lists(st.integers(0, 9))})}),
        "plain": st.fixed_dictionaries({"doubles": st.lists(st.floats(), max_size=9)}),
        "left": st.lists(st.integers(-5, 5), max_size=9),
    },
)


def built(fields: dict[str, object], seed: int) -> bytes:
    builder = in_segments(random.Random(seed))
    builder.from_dict(fields)
    body: bytes = builder.to_bytes()
    return body


@settings(max_examples=200)
@given(SHAPE, st.integers(0, 99), st.integers(0, 99))
def test_a_canonical_message_says_the_same(fields: dict[str, object], one: int, other: int) -> None:
    body = built(fields, one)
    again = canonical_body(body)
    assert canonical(again) == canonical(body) == canonical(built(fields, other))
    with SHAPES.Shapes.from_bytes(bytes(again)) as reader, SHAPES.Shapes.from_bytes(body) as original:
        # As text, in which a NaN is equal to itself.
        assert str(reader.to_dict()) == str(original.to_dict())


@needs_tool
@settings(max_examples=15)
@given(st.lists(st.tuples(SHAPE, st.integers(0, 99)), min_size=10, max_size=30))
def test_the_canonical_form_of_what_pycapnp_builds_is_the_tools(values: list[tuple[dict[str, object], int]]) -> None:
    messages = [built(fields, seed) for fields, seed in values]
    assert convert("binary:canonical", b"".join(messages)) == b"".join(map(canonical, messages))


def mutated(count: int) -> list[bytes]:
    """Messages of which some words, mostly pointers, have changed. Their tables have not."""
    rng = random.Random(11)
    messages = []
    for _ in range(count):
        message = written(random_struct(rng), rng)
        at = len(message) - sum(map(len, segments(message)))
        words = bytearray(message)
        for _ in range(rng.choice((1, 1, 1, 2, 9))):
            words[rng.randrange(at, len(words))] = rng.choice((0, 1, 2, 3, 255, rng.randrange(256)))
        messages.append(bytes(words))
    return messages


def form_or_none(message: bytes) -> bytearray | None:
    try:
        return canonical(message)
    except BodyError:
        return None


def test_any_message_has_a_canonical_form_or_is_refused() -> None:
    messages = mutated(5000)
    forms = [form for form in map(form_or_none, messages) if form is not None]
    assert 500 < len(forms) < 4500
    for form in forms:
        assert is_canonical(form)


@needs_tool
def test_what_is_left_of_mutated_messages_is_what_the_tool_makes_of_it() -> None:
    both = [(message, form) for message in mutated(3000) if (form := form_or_none(message)) is not None]
    made = convert("binary:canonical", b"".join(message for message, _ in both))
    assert made == b"".join(form for _, form in both)


@needs_tool
def test_what_is_refused_the_tool_refuses() -> None:
    refused = [message for message in mutated(300) if form_or_none(message) is None]
    assert [message.hex(" ", WORD) for message in refused[:40] if not refuses(message)] == []


def test_a_changed_bit_breaks_the_form_or_changes_the_value() -> None:
    rng = random.Random(3)
    broken = changed = 0
    for _ in range(100):
        words = canonical(written(random_struct(rng), rng))
        for _ in range(20):
            other = bytearray(words)
            other[rng.randrange(len(other))] ^= 1 << rng.randrange(8)
            if is_canonical(other):
                changed += 1
                assert form_or_none(framed(other)) == other
            else:
                broken += 1
                assert form_or_none(framed(other)) != other
    assert broken > 200
    assert changed > 200


def chain(length: int, last: int) -> bytes:
    """A root with this many structs and lists below each other, the last of them empty."""
    return raw([S(0, 0, 1)] + [L(0, POINTER, 1)] * (length - 2) + [last])


def test_nesting_is_bounded() -> None:
    deepest = chain(64, E)
    assert canonical(framed(deepest)) == deepest
    with pytest.raises(BodyError, match="nested deeper than 64"):
        canonical(framed(chain(65, E)))


# Each is a few words long and takes for ever to walk: circles, with two ways at each step; pointers that share all.
CIRCLES = {
    "structs": [S(0, 0, 2), S(-1, 0, 2), S(-2, 0, 2)],
    "a list of pointers": [S(0, 0, 1), L(0, POINTER, 2), L(-1, POINTER, 2), L(-2, POINTER, 2)],
    "a list of structs": [S(0, 0, 1), L(0, COMPOSITE, 2), S(2, 0, 1), L(-2, COMPOSITE, 2), L(-3, COMPOSITE, 2)],
}


@pytest.mark.parametrize("words", CIRCLES.values(), ids=CIRCLES)
def test_circles_end(words: list[int]) -> None:
    with pytest.raises(BodyError, match="nested deeper than 64"):
        canonical(framed(raw(words)))


@pytest.mark.parametrize("kind", [L(0, LONG, 1000), S(0, 1000, 0), L(0, BIT, 64_000)])
def test_what_is_shared_too_often_is_refused(kind: int) -> None:
    pointers = 100
    shared = [kind + (pointers - 1 - index << 2) for index in range(pointers)]
    with pytest.raises(BodyError, match="too long to walk"):
        canonical(framed(raw([S(0, 0, 1), L(0, POINTER, pointers), *shared, *[7] * 1000])))


def test_ways_that_double_at_each_step_end() -> None:
    steps = [S(1, 0, 2), S(0, 0, 2)] * 40
    with pytest.raises(BodyError, match="too long to walk"):
        canonical(framed(raw([S(0, 0, 2), *steps, S(1, 1, 0), S(0, 1, 0), 7])))


def test_a_tree_is_copied_behind_what_is_there() -> None:
    inner = Struct((1, 2), (Struct((3,), ()),))
    body = written(Struct((), (None, inner)), random.Random(5))
    parts = segments(body)
    words = bytearray(raw([99, 0]))
    root = follow(parts, 0, 0, None)
    assert root is not None
    TreeCopier(parts, words).copy_pointer(root.segment, struct_of(parts, root, None).at + 1, WORD, None)
    assert words == raw([99]) + canonical(written(inner, random.Random(6)))


def test_a_large_list_is_copied_once() -> None:
    numbers = np.arange(500_000, dtype="<u8")
    body = framed(raw([S(0, 0, 1), L(0, LONG, len(numbers))]) + numbers.tobytes())
    tracemalloc.start()
    try:
        words = canonical_body(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words == body
    # A bytearray that grows takes an eighth more than it needs.
    assert peak < 1.2 * len(body)
