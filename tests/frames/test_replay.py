"""Events that are sent again: what is written is read, and what cannot be read is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.errors import BadFrame
from hootbus.frames.event import JOINED, RESTARTED, EventHeader, join, last_of, read_event, split, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.frames.replay import REPLAY_BYTES, REPLAY_MESSAGES_MAX, read_replay, write_replays

RAW = ContentType.RAW_BINARY
messages = st.lists(st.tuples(*[st.binary(max_size=30)] * 3), max_size=20)


@given(messages)
def test_what_is_written_is_read(several: list[tuple[bytes, bytes, bytes]]) -> None:
    read = [tuple(map(bytes, frames)) for body in write_replays(several) for frames in read_replay(body)]
    assert read == several


def test_bodies_are_bounded_but_for_one_large_event() -> None:
    small, large = (b"x", b"h", b""), (b"x", b"h", bytes(2 * REPLAY_BYTES))
    counts = [len(read_replay(body)) for body in write_replays([*[small] * (REPLAY_MESSAGES_MAX + 1), large, small])]
    assert counts == [REPLAY_MESSAGES_MAX, 1, 1, 1]


@given(st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    try:
        for frames in read_replay(body):
            assert len(frames) == 3
    except BadFrame as error:
        assert str(error)


@pytest.mark.parametrize("body", [b"", (REPLAY_MESSAGES_MAX + 1).to_bytes(8, "little"), (1).to_bytes(8, "little")])
def test_what_is_no_replay_is_refused(body: bytes) -> None:
    with pytest.raises(BadFrame):
        read_replay(body)


def test_the_last_events_of_a_joined_message_keep_what_was_said_of_them() -> None:
    bodies = [bytes([number]) for number in range(5)]
    header = EventHeader(RAW, JOINED | RESTARTED, 5, 10, 99, 7, 3)
    newer = write_event_header(header) + b"later ones"[:8]
    raw, body = last_of(newer, header, join(bodies), 2)
    assert raw[-8:] == b"later on"
    _, cut, _ = read_event([b"x", write_event_header(header)[:0] + raw[:48], body])
    assert cut == EventHeader(RAW, JOINED, 2, 13, 99, 7, 3)
    assert list(map(bytes, split(body, 2))) == bodies[3:]
