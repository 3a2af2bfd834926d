"""What waits behind a full socket leaves in its order, numbered without gaps, and joined where that can be."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames import event as event_frames
from hootbus.frames import wire
from hootbus.frames.event import JOINED, read_event
from hootbus.frames.protocol import ContentType
from hootbus.workers import waiting as module
from hootbus.workers.event import events_of
from hootbus.workers.sequences import Gaps, Sequences
from hootbus.workers.session import Body
from hootbus.workers.waiting import Waiting, message

published = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([ContentType.RAW_BINARY, ContentType.JSON]),
        st.sampled_from([0, 7]),
        st.binary(max_size=30),
        st.booleans(),
    ),
    max_size=60,
)
Published = tuple[str, ContentType, int, bytes, bool]


@given(published)
def test_whatever_waits_arrives_in_order_and_without_gaps(events: list[Published]) -> None:
    waiting, sequences, gaps = Waiting(), Sequences(), Gaps()
    received = []
    numbers: dict[str, list[int]] = {"a": [], "b": []}

    def leave() -> None:
        while (run := waiting.first()) is not None:
            sequence, flags = sequences.next(run.topic)
            topic, header, body = read_event(message(run, sequence, flags, 1))
            sequences.sent(run.topic, sequence + len(run.bodies))
            waiting.left()
            assert gaps.missed(1, topic, header.sequence, header.count, header.flags) == 0
            for event in events_of(topic.decode(), header, body, 0):
                received.append((event.topic, event.content_type, event.schema_id, bytes(event.raw)))
                numbers[event.topic].append(event.sequence)

    for name, kind, schema_id, body, now in events:
        last = waiting.last
        short = kind is ContentType.RAW_BINARY and last is not None and last.follow(name, body, schema_id)
        if not short:
            waiting.add(name, name.encode(), Body(kind, body, schema_id), 5)
        waiting.asked(again=True)
        if now:
            leave()
            assert waiting.last is None
    leave()
    assert received == [event[:4] for event in events]
    assert all(found == list(range(len(found))) for found in numbers.values())


def test_events_that_are_alike_travel_together() -> None:
    waiting = Waiting()
    for name, body in [("a", b"1"), ("a", b"2"), ("b", b"3"), ("a", b"4")]:
        waiting.add(name, name.encode(), Body(ContentType.RAW_BINARY, body), 5)
    counts = []
    while (run := waiting.first()) is not None:
        _, header, _ = read_event(message(run, 0, 0, 1))
        counts.append((header.count, header.flags))
        waiting.left()
    assert counts == [(2, JOINED), (1, 0), (1, 0)]


def test_a_buffer_that_waits_is_copied() -> None:
    waiting, mine = Waiting(), bytearray(b"before")
    waiting.add("a", b"a", Body(ContentType.RAW_BINARY, mine), 5)
    mine[:] = b"after!"
    run = waiting.first()
    assert run is not None
    assert run.bodies == [b"before"]


@pytest.mark.parametrize("name", ["same", "other"])
def test_what_waits_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVENTS_MAX", 3)
    monkeypatch.setattr(module, "_BYTES_MAX", 10)
    for size, count in [(0, 3), (5, 2), (100, 1)]:
        waiting = Waiting()
        for number in range(count):
            assert not waiting.is_full
            topic = name if number else "same"
            waiting.add(topic, topic.encode(), Body(ContentType.RAW_BINARY, bytes(size)), 5)
        assert waiting.is_full
        assert waiting.is_due
        while waiting.first() is not None:
            waiting.left()
        assert not waiting.is_full


def test_it_is_looked_for_room_once_in_a_while() -> None:
    waiting = Waiting()
    due = [waiting.is_due]
    # Topics in turn cannot travel together, and are looked after no more often.
    for number in range(module._ASK_EVENTS + 1):
        name = "ab"[number % 2]
        waiting.add(name, name.encode(), Body(ContentType.RAW_BINARY, b""), 5)
        due.append(waiting.is_due)
        if number == 0:
            waiting.asked(again=True)
    assert due == [False, True, *[False] * (module._ASK_EVENTS - 1), True]
    waiting.asked(again=True)
    assert not waiting.is_due
    waiting.asked(again=False)
    assert waiting.is_due


class Topic(StrEnum):
    DONE = "jobs.done"


@pytest.mark.parametrize("run", [event_frames.Run, wire.Run])
def test_a_topic_may_be_a_text_of_another_class(run: type[event_frames.Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hootbus.workers.waiting.Run", run)
    waiting = Waiting()
    for _ in range(3):
        waiting.add(Topic.DONE, b"jobs.done", Body(ContentType.RAW_BINARY, b"1"), 0)
    assert waiting.last is not None
    assert waiting.last.name == "jobs.done"
    assert len(waiting.last.bodies) == 3
