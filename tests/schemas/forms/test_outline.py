"""A message's structure from its words alone, also where they are broken."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.everything import EVERYTHING, FORMS, bomb, spoiled
from hootbus.schemas import BodyError, write_fields
from hootbus.schemas.forms import split_body
from hootbus.schemas.forms.outline import Outline, Part, outline


def body_of(*words: int) -> bytes:
    return struct.pack(f"<II{len(words)}Q", 0, len(words), *words)


def parts_of(part: Part | None) -> list[Part]:
    return [] if part is None else [part, *(inner for each in part.parts for inner in parts_of(each))]


def test_objects_are_shown_with_their_places_and_sizes() -> None:
    body = write_fields(FORMS.Inner, {"number": 258, "name": "kick", "children": [{}, {"name": "x"}]}).buffer
    assert outline(body, depth=9, limit=99) == Outline(
        (13,),
        Part(
            "root", "0:0", "struct", "0:1", data_words=1, pointers=2, shown="0201000000000000",
            parts=(
                Part("pointer 0", "0:2", "text", "0:4", count=5, element="byte", shown="kick"),
                Part(
                    "pointer 1", "0:3", "list", "0:5", count=2, element="struct", data_words=1, pointers=2,
                    parts=(
                        Part("[0]", "0:3", "struct", "0:6", shown="0000000000000000"),
                        Part(
                            "[1]", "0:3", "struct", "0:9", shown="0000000000000000",
                            parts=(Part("pointer 0", "0:10", "text", "0:12", count=2, element="byte", shown="x"),),
                        ),
                    ),
                ),
            ),
        ),
    )  # fmt: skip


def test_far_pointers_are_marked() -> None:
    found = outline(split_body(write_fields(FORMS.Inner, {"name": "kick"}).buffer, 1), depth=9, limit=99)
    assert found.root is not None
    assert (found.root.far, found.root.place) == ("1:0", "1:1")
    assert [(part.far, part.shown) for part in found.root.parts] == [("2:0", "kick")]


def test_everything_is_found_in_any_segments() -> None:
    body = write_fields(FORMS.Everything, EVERYTHING).buffer
    whole = parts_of(outline(body, depth=64, limit=10_000).root)
    split = parts_of(outline(split_body(body, 8), depth=64, limit=10_000).root)
    assert len(whole) == len(split) >= 60
    assert [part.count for part in whole] == [part.count for part in split]
    assert not any(part.fault or part.left_out for part in whole)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ((1 << 48, 9 << 2 | 1 << 32), "pointer leaves the segment (0x0000000100000024)"),
        ((1 << 48, 2 | 7 << 32), "far pointer to segment 7 of 1 (0x0000000700000002)"),
        ((1 << 48, 7), "no kind of pointer that is known (0x0000000000000007)"),
        # The second word of a landing pad says what there is, and says that it is elsewhere.
        ((1 << 48, 2 << 3 | 6, 2, 2), "no kind of pointer that is known (0x0000000000000002)"),
        ((1 << 48, 1 | 7 << 32 | 1 << 35, 1, 0), "the tag of the list is no struct's (0x0000000f00000001)"),
    ],
)
def test_a_pointer_that_cannot_be_followed_is_shown_with_what_is_wrong(words: tuple[int, ...], fault: str) -> None:
    root = outline(body_of(*words), depth=9, limit=99).root
    assert root is not None
    assert [part.kind for part in root.parts] == ["fault"]
    assert fault in root.parts[0].fault


def test_what_is_too_deep_or_too_much_is_counted() -> None:
    many = write_fields(FORMS.Everything, {"texts": ["a"] * 50, "inners": [{}] * 50}).buffer
    root = outline(many, depth=9, limit=10).root
    assert root is not None
    assert len(parts_of(root)) == 10
    # The second list is missing, and all texts of the first but eight.
    assert [root.left_out, root.parts[0].left_out] == [1, 42]
    shallow = outline(many, depth=1, limit=99).root
    assert shallow is not None
    assert (shallow.parts, shallow.left_out) == ((), 2)
    assert len(parts_of(outline(bomb(30), depth=64, limit=500).root)) == 500


def test_text_is_what_looks_like_it() -> None:
    datas = [b"text\0", b"\x01\0", b"\xff\0", b"no end", "ä".encode() * 100 + b"\0", b"\0"]
    root = outline(write_fields(FORMS.Everything, {"datas": datas}).buffer, depth=9, limit=99).root
    assert [(part.kind, part.shown[:6]) for part in parts_of(root)[2:]] == [
        ("text", "text"), ("list", "01 00"), ("list", "ff 00"), ("list", "6e 6f "), ("text", "ääääää"), ("text", ""),
    ]  # fmt: skip


def test_a_null_root_is_no_part() -> None:
    assert outline(body_of(0), depth=9, limit=99) == Outline((1,), None)


@given(st.randoms(use_true_random=False))
def test_words_that_were_changed_have_an_outline(rng: random.Random) -> None:
    body = split_body(write_fields(FORMS.Everything, EVERYTHING).buffer, 50)
    assert len(parts_of(outline(spoiled(body, rng), depth=20, limit=300).root)) <= 300


@given(st.integers(1, 30).flatmap(lambda words: st.binary(min_size=8 * words, max_size=8 * words)))
def test_any_words_have_an_outline(words: bytes) -> None:
    assert outline((memoryview(words),), depth=20, limit=300).segments == (len(words) // 8,)


def test_what_has_no_segment_table_is_refused() -> None:
    with pytest.raises(BodyError, match="the segment table says"):
        outline(b"\0\0\0\0\2\0\0\0" + bytes(8), depth=1, limit=1)
