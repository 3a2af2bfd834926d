"""Events: three frames there and back, and several events in one body."""

import struct
from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.errors import BadFrame
from hootbus.frames.event import (
    HEADER_BYTES_MAX,
    JOINED,
    JOINED_MAX,
    RESTARTED,
    TOPIC_BYTES_MAX,
    EventHeader,
    join,
    read_event,
    split,
    write_event_header,
)
from hootbus.frames.protocol import ContentType

U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
headers = st.builds(
    EventHeader,
    content_type=st.sampled_from(ContentType),
    flags=st.integers(0, 2**16 - 1).map(lambda flags: flags | JOINED),
    count=st.integers(1, JOINED_MAX),
    sequence=U64,
    time_ns=U64,
    publisher=U64,
    schema_id=U64,
)
bodies = st.lists(st.binary(max_size=40), max_size=12)
HEADER = EventHeader(ContentType.JSON, 0, 1, 2, 3, 4, 5)
RAW = write_event_header(HEADER)


@given(headers, st.binary(max_size=TOPIC_BYTES_MAX), st.binary(max_size=100))
def test_what_is_written_is_read(header: EventHeader, topic: bytes, body: bytes) -> None:
    raw = write_event_header(header)
    assert len(raw) == 48
    assert read_event([topic, raw, body]) == (topic, header, body)


@given(st.lists(st.binary(max_size=HEADER_BYTES_MAX + 16), max_size=5))
def test_any_frames_are_an_event_or_a_bad_frame(frames: list[bytes]) -> None:
    try:
        topic, header, body = read_event(frames)
    except BadFrame as error:
        assert error.message.startswith("event")
    else:
        assert read_event([topic, write_event_header(header), body]) == (topic, header, body)


@given(st.binary(min_size=48, max_size=48))
def test_any_48_bytes_are_a_header_or_a_bad_frame(raw: bytes) -> None:
    raw = RAW[:8] + raw[8:]
    try:
        _, header, _ = read_event([b"", raw, b""])
    except BadFrame as error:
        assert error.message.startswith("event header")
    else:
        assert write_event_header(header) == raw


def test_the_fields_stand_where_the_wire_says() -> None:
    header = EventHeader(ContentType.JSON, RESTARTED, 1, 4, 5, 6, 7)
    assert write_event_header(header) == struct.pack("<IHHHHIQQQQ", 0, 5, 0, 3, 2, 1, 4, 5, 6, 7)
    assert (JOINED, RESTARTED) == (1, 2)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 200])
def test_an_event_has_three_frames(count: int) -> None:
    with pytest.raises(BadFrame, match=f"event: {count} frames, not 3"):
        read_event([b"t", RAW, *[b""] * 200][:count])


def test_the_topics_bound_is_exact() -> None:
    read_event([bytes(TOPIC_BYTES_MAX), RAW, b""])
    with pytest.raises(BadFrame, match="event topic: 256 bytes"):
        read_event([bytes(TOPIC_BYTES_MAX + 1), RAW, b""])


@pytest.mark.parametrize("size", [0, 8, 40, 47, 49, 55, HEADER_BYTES_MAX + 8])
def test_a_header_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(BadFrame, match=f"event header: {size} bytes"):
        read_event([b"t", RAW.ljust(size, b"\0")[:size], b""])


@pytest.mark.parametrize("words", [0, 1, HEADER_BYTES_MAX // 8 - 6])
def test_a_newer_publishers_larger_header_is_read(words: int) -> None:
    raw = struct.pack("<IHH", 0, 5 + words, 0) + RAW[8:] + b"\xff" * 8 * words
    assert read_event([b"t", raw, b""])[1] == HEADER
    with_pointers = struct.pack("<IHH", 0, 5, words) + RAW[8:] + b"\xff" * 8 * words
    assert read_event([b"t", with_pointers, b""])[1] == HEADER


@pytest.mark.parametrize(
    ("what", "root"),
    [
        ("offset", (4, 5, 0)),
        ("a list", (1, 5, 0)),
        ("too few words", (0, 4, 0)),
        ("words that are not there", (0, 6, 0)),
    ],
)
def test_a_root_that_is_no_such_struct_is_refused(what: str, root: tuple[int, int, int]) -> None:
    with pytest.raises(BadFrame, match="event header: the first word"):
        read_event([b"t", struct.pack("<IHH", *root) + RAW[8:], b""])


@pytest.mark.parametrize(
    ("flags", "count", "taken"),
    [
        (0, 0, False),
        (0, 1, True),
        (0, 2, False),
        (JOINED, 0, False),
        (JOINED, 1, True),
        (JOINED, JOINED_MAX, True),
        (JOINED, JOINED_MAX + 1, False),
        (JOINED, 2**32 - 1, False),
    ],
)
def test_several_events_are_joined_ones_and_bounded(flags: int, count: int, taken: bool) -> None:
    raw = write_event_header(msgspec.structs.replace(HEADER, flags=flags, count=count))
    if taken:
        assert read_event([b"t", raw, b""])[1].count == count
    else:
        with pytest.raises(BadFrame, match=f"event header: {count} events"):
            read_event([b"t", raw, b""])


def test_an_unknown_content_type_is_refused() -> None:
    with pytest.raises(BadFrame, match="content type 4 is none"):
        read_event([b"t", RAW[:8] + b"\x04\0" + RAW[10:], b""])


@given(bodies)
def test_joined_bodies_come_apart_again(several: list[bytes]) -> None:
    joined = join([*several])
    assert len(joined) % 8 == 0
    assert [bytes(body) for body in split(joined, len(several))] == several


@given(st.binary(max_size=100), st.integers(0, 20))
def test_any_bytes_come_apart_or_are_a_bad_frame(body: bytes, count: int) -> None:
    try:
        apart = split(body, count)
    except BadFrame as error:
        assert error.message.startswith("joined events: ")
        assert "-" not in error.message
    else:
        assert len(apart) == count


@given(bodies.filter(bool), st.data())
def test_a_joined_body_cut_anywhere_is_a_bad_frame(several: list[bytes], data: st.DataObject) -> None:
    joined = join([*several])
    cut = data.draw(st.integers(0, len(joined) - 1))
    with pytest.raises(BadFrame):
        split(joined[:cut], len(several))


def test_an_announced_length_of_all_ones_is_no_length() -> None:
    with pytest.raises(BadFrame, match="announces 18446744073709551615 bytes"):
        split(b"\xff" * 8, 1)


def test_bytes_behind_the_last_event_are_refused() -> None:
    with pytest.raises(BadFrame, match="8 bytes behind the last one"):
        split(join([b"a"]) + bytes(8), 1)


def test_the_parts_are_views_of_the_body_each_on_a_whole_word() -> None:
    joined = join([b"abc", b"", b"12345678"])
    assert joined == b"".join(
        [b"\x03" + bytes(7), b"abc" + bytes(5), bytes(8), b"\x08" + bytes(7), b"12345678"],
    )
    parts = split(joined, 3)
    assert all(part.obj is joined and part.readonly for part in parts)


def test_items_larger_than_a_byte_are_counted_in_bytes() -> None:
    samples = array("d", [1.0, 2.0, 3.0])
    (apart,) = split(join([memoryview(samples)]), 1)
    assert bytes(apart) == samples.tobytes()
