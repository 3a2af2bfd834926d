"""The segment table: every byte accounted for, and nothing copied that need not be."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import COPIES, BodyError, array, load, read_capnp, segments, write_capnp
from odd_bodies import misaligned, scattered

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

WORD = b"\1\2\3\4\5\6\7\x08"


def table(*sizes: int) -> bytes:
    head = struct.pack(f"<{1 + len(sizes)}I", len(sizes) - 1, *sizes)
    return head + b"\0" * (-len(head) % 8)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=9))
def test_segments_are_views_of_what_the_table_says(contents: list[bytes]) -> None:
    parts = [WORD, *(content * 8 for content in contents)]
    body = table(*(len(part) // 8 for part in parts)) + b"".join(parts)
    found = segments(body)
    assert [bytes(view) for view in found] == parts
    assert all(view.obj is body and view.readonly for view in found)


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=80))
def test_any_bytes_have_segments_or_a_body_error(body: bytes) -> None:
    try:
        found = segments(body)
    except BodyError:
        return
    assert sum(map(len, found)) < len(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "0 bytes are no"),
        (WORD, "8 bytes are no"),
        (table(1) + WORD[:7], "15 bytes are no"),
        (table(1) + WORD * 2, "says 16 bytes, the body has 24"),
        (table(2) + WORD, "says 24 bytes, the body has 16"),
        (table(0) + WORD, "says 8 bytes, the body has 16"),
        (table(1, 1) + WORD, "says 32 bytes, the body has 24"),
        (table(0, 1) + WORD, "no root pointer"),
        (struct.pack("<II", 0xFFFF_FFFF, 0) + WORD, "4294967296 segments, at most 512"),
        (struct.pack("<II", 511, 0) + WORD, "a table of 512 segments does not fit into 16 bytes"),
        (table(1, *[0] * 512) + WORD, "513 segments, at most 512"),
    ],
)
def test_a_table_that_is_wrong_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(BodyError, match=reason):
        segments(body)


def test_512_segments_are_accepted() -> None:
    assert len(segments(table(1, *[0] * 511) + WORD)) == 512


def test_a_misaligned_body_is_copied_once_and_counted() -> None:
    body = write_capnp(SHAPES.Shapes.new_message(floats=[1, 2]))
    copied, in_place = COPIES.copied, COPIES.in_place
    parts = segments(misaligned(body))
    assert (COPIES.copied, COPIES.in_place) == (copied + 1, in_place)
    # Who keeps the segments reads as often as he likes.
    assert list(read_capnp(parts, SHAPES.Shapes).floats) == array(parts, SHAPES.Shapes, "floats").tolist() == [1, 2]
    assert (COPIES.copied, COPIES.in_place) == (copied + 1, in_place)


def test_an_aligned_body_is_read_in_place_and_counted() -> None:
    body = write_capnp(SHAPES.Shapes.new_message(floats=[1, 2]))
    copied, in_place = COPIES.copied, COPIES.in_place
    segments(body)
    assert (COPIES.copied, COPIES.in_place) == (copied, in_place + 1)


def test_any_kind_of_buffer_will_do() -> None:
    body = write_capnp(SHAPES.Shapes.new_message(floats=[1, 2]))
    for buffer in (bytearray(body), memoryview(body).cast("Q"), memoryview(body).cast("B", (2, len(body) // 2))):
        assert bytes(segments(buffer)[0]) == body[8:]


def test_a_scattered_message_has_many_segments() -> None:
    builder = scattered(SHAPES.Shapes)
    builder.floats = [1, 2]
    assert len(segments(write_capnp(builder))) > 2
