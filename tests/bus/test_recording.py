"""What a recorder keeps: the last events of each topic, within its bounds, and nothing that it should have let go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.bus.recording import OVERHEAD_BYTES, Recording, RecordingLimits
from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import JOINED, EventHeader, join, read_event, split, write_event_header
from hootbus.frames.protocol import ContentType

RAW = ContentType.RAW_BINARY
TOPICS = (b"a", b"b.1", b"b.2")


def event(topic: bytes, sequence: int, count: int = 1, size: int = 0, publisher: int = 7) -> Frames:
    header = EventHeader(RAW, JOINED if count > 1 else 0, count, sequence, 0, publisher)
    body = join([bytes(size)] * count) if count > 1 else bytes(size)
    return [topic, write_event_header(header), body]


def replayed(recording: Recording, *prefixes: str, count: int = 1000) -> list[tuple[bytes, int]]:
    """Topic and sequence of all events that are given out."""
    found = []
    for frames in recording.replay(prefixes, count):
        topic, header, body = read_event(list(frames))
        parts = split(body, header.count) if header.flags & JOINED else [body]
        assert len(parts) == header.count
        found += [(topic, header.sequence + number) for number in range(header.count)]
    return found


def recorded(*messages: Frames, **limits: int) -> Recording:
    recording = Recording(RecordingLimits(**limits))
    for message in messages:
        recording.add(message)
    return recording


def test_the_last_events_of_the_topics_asked_for_are_given_out_as_they_came() -> None:
    messages = [event(topic, number) for number in range(4) for topic in TOPICS]
    recording = recorded(*messages)
    assert replayed(recording, "b.", count=2) == [(b"b.1", 2), (b"b.1", 3), (b"b.2", 2), (b"b.2", 3)]
    assert replayed(recording, "a", "b.2", count=1) == [(b"a", 3), (b"b.2", 3)]
    assert len(replayed(recording)) == 12
    assert replayed(recording, "c") == []
    (only,) = recording.replay(["a"], 1)
    assert list(only) == messages[9]


def test_of_each_topic_only_so_many_are_kept() -> None:
    recording = recorded(*[event(b"a", number) for number in range(10)], events_per_topic=3)
    assert replayed(recording) == [(b"a", 7), (b"a", 8), (b"a", 9)]
    assert (recording.recorded, recording.events, recording.evicted["events_per_topic"]) == (10, 3, 7)


def test_joined_events_are_cut_where_only_some_are_wanted() -> None:
    recording = recorded(event(b"a", 0, 5), event(b"a", 5, 5), events_per_topic=6)
    assert replayed(recording, count=7) == [(b"a", number) for number in range(3, 10)]
    recording.add(event(b"a", 10))
    assert recording.evicted["events_per_topic"] == 5

    recording = recorded(event(b"a", 0), event(b"b", 0), event(b"a", 1), event(b"c", 0), topics=2)
    assert replayed(recording) == [(b"a", 0), (b"a", 1), (b"c", 0)]
    assert recording.evicted["topics"] == 1


def test_histories_go_before_last_values() -> None:
    size = 3 * (OVERHEAD_BYTES + 49 + 100)
    messages = [event(b"a", 0, size=100), event(b"b", 0, size=100), event(b"b", 1, size=100)]
    recording = recorded(*messages, bytes=size)
    recording.add(event(b"b", 2, size=100))
    assert replayed(recording) == [(b"a", 0), (b"b", 1), (b"b", 2)]
    recording.add(event(b"c", 0, size=100))
    assert replayed(recording) == [(b"a", 0), (b"b", 2), (b"c", 0)]
    recording.add(event(b"d", 0, size=100))
    assert replayed(recording) == [(b"b", 2), (b"c", 0), (b"d", 0)]
    assert recording.evicted["bytes"] == 3


def test_an_event_too_large_to_keep_takes_the_one_before_with_it_and_nobody_else() -> None:
    recording = recorded(event(b"a", 0), event(b"b", 0), bytes=2000)
    recording.add(event(b"a", 1, size=2000))
    assert replayed(recording) == [(b"b", 0)]
    assert recording.evicted["bytes"] == 2


def test_what_is_no_event_is_refused_and_what_is_not_joined_as_it_claims_is_passed_on() -> None:
    recording = Recording(RecordingLimits())
    with pytest.raises(BadFrame):
        recording.add([b"a", b"no header", b""])
    wrong = [b"a", write_event_header(EventHeader(RAW, JOINED, 3)), b"not joined"]
    recording.add(wrong)
    assert [list(frames) for frames in recording.replay([], 1)] == [wrong]


@pytest.mark.parametrize("bound", RecordingLimits.__struct_fields__)
def test_a_bound_of_nothing_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match=bound):
        RecordingLimits(**{bound: 0})


@given(
    st.lists(st.tuples(st.sampled_from(TOPICS), st.integers(1, 4), st.integers(0, 60)), max_size=60),
    st.integers(1, 6),
    st.integers(1, 3),
    st.integers(600, 4000),
    st.integers(1, 8),
)
def test_the_bounds_hold_and_what_is_there_is_the_end_of_what_came(
    messages: list[tuple[bytes, int, int]], per_topic: int, topics: int, size: int, count: int
) -> None:
    recording = Recording(RecordingLimits(events_per_topic=per_topic, topics=topics, bytes=size))
    came: dict[bytes, int] = dict.fromkeys(TOPICS, 0)
    for topic, joined, each in messages:
        recording.add(event(topic, came[topic], joined, each))
        came[topic] += joined
        assert recording.bytes <= size
        assert recording.topics <= topics
        assert recording.events < (per_topic + 4) * topics
    there = replayed(recording)
    for topic in TOPICS:
        mine = [sequence for name, sequence in there if name == topic]
        assert mine == list(range(came[topic] - len(mine), came[topic]))
        assert replayed(recording, topic.decode(), count=count) == [(topic, number) for number in mine[-count:]]
    assert len(there) == recording.events
    assert recording.recorded == recording.events + sum(recording.evicted.values())
    if not there:
        assert recording.bytes == 0
