"""What waits for a busy subscriber: the bounds hold, what is let go is counted, and nothing is counted twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.protocol import ContentType
from hootbus.workers.backlog import OVERHEAD_BYTES, POLICIES, Backlog, Let, Policy
from hootbus.workers.event import Event

TOPICS = ("a", "b", "c")


def event(topic: str, sequence: int, missed: int = 0, size: int = 0) -> Event:
    return Event(topic, ContentType.RAW_BINARY, bytes(size), 0, sequence, 0, 7, missed)


def taken(backlog: Backlog) -> list[tuple[str, int, int]]:
    """All that waits: topic, sequence, missed."""
    found = []
    while (event := backlog.take()) is not None:
        found.append((event.topic, event.sequence, event.missed))
    return found


def filled(policy: Policy, *events: Event, room: int = 2) -> Backlog:
    backlog = Backlog(policy, events_max=room)
    for each in events:
        backlog.put(each)
    return backlog


def test_the_newest_is_let_go_and_missing_before_the_one_that_comes_after_it() -> None:
    backlog = filled("drop_newest", *(event("a", number) for number in range(4)))
    assert backlog.dropped == {Let.NEWEST: 2, Let.OLDEST: 0, Let.REPLACED: 0}
    assert taken(backlog) == [("a", 0, 0), ("a", 1, 0)]
    backlog.put(event("a", 4))
    assert taken(backlog) == [("a", 4, 2)]


def test_the_oldest_is_let_go_and_missing_before_the_one_behind_it() -> None:
    backlog = filled("drop_oldest", event("a", 0), event("b", 0), event("a", 1), event("a", 2, missed=5))
    assert backlog.dropped[Let.OLDEST] == 2
    assert taken(backlog) == [("a", 1, 1), ("a", 2, 5)]
    backlog.put(event("b", 1))
    assert taken(backlog) == [("b", 1, 1)]


def test_the_latest_of_a_topic_has_the_place_of_the_one_before() -> None:
    backlog = filled("latest", event("a", 0, missed=1), event("b", 0), event("a", 1), event("a", 2))
    assert backlog.dropped[Let.REPLACED] == 2
    assert taken(backlog) == [("a", 2, 3), ("b", 0, 0)]


def test_a_key_of_ones_own_may_put_topics_together_or_take_them_apart() -> None:
    backlog = Backlog("latest", lambda event: event.sequence % 2)
    for number in range(4):
        backlog.put(event("a" if number < 2 else "b", number))
    assert taken(backlog) == [("b", 2, 0), ("b", 3, 0)]
    backlog.put(event("a", 4))
    assert taken(backlog) == [("a", 4, 2)]


def test_bytes_are_bounded_too_but_one_event_always_has_room() -> None:
    room = 2 * (OVERHEAD_BYTES + 100)
    for policy in POLICIES:
        backlog = Backlog(policy, bytes_max=room)
        backlog.put(event("a", 0, size=10 * room))
        assert len(taken(backlog)) == 1
        for number, topic in enumerate(TOPICS):
            backlog.put(event(topic, number, size=100))
        assert (len(backlog), backlog.bytes) == (2, room)


@given(
    st.sampled_from(POLICIES),
    st.lists(st.one_of(st.none(), st.tuples(st.sampled_from(TOPICS), st.integers(0, 3))), max_size=60),
    st.integers(1, 4),
)
def test_what_is_seen_missed_and_still_waits_is_what_came(
    policy: Policy, steps: list[tuple[str, int] | None], room: int
) -> None:
    backlog = Backlog(policy, events_max=room)
    came = dict.fromkeys(TOPICS, 0)
    seen: dict[str, list[tuple[int, int]]] = {topic: [] for topic in TOPICS}
    for step in steps:
        if step is None:
            if (given_out := backlog.take()) is not None:
                seen[given_out.topic].append((given_out.sequence, given_out.missed))
        else:
            topic, missed = step
            came[topic] += missed + 1
            backlog.put(event(topic, came[topic] - 1, missed))
        assert len(backlog) <= room
        # Each event tells exactly what is missing since the one before.
        for several in seen.values():
            expected = 0
            for sequence, told in several:
                assert sequence == expected + told
                expected = sequence + 1
    backlog_left = taken(backlog)
    assert backlog.bytes == 0
    let_go = sum(backlog.dropped.values())
    assert sum(map(len, seen.values())) + len(backlog_left) + let_go == sum(step is not None for step in steps)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_remembered_of_topics_is_bounded(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hootbus.workers.backlog.TOPICS_MAX", 5)
    backlog = filled(policy, *(event(f"t{number}", 0) for number in range(100)))
    assert sum(backlog.dropped.values()) == 98
    assert len(backlog._untold) == 5
