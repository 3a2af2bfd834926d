"""Sequence numbers: a gap is seen where there is one, and nowhere else."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from hootbus.frames.event import RESTARTED
from hootbus.workers.sequences import Gaps, Sequences

PUBLISHER = 7


def taken(sequences: Sequences, topic: bytes) -> tuple[int, int]:
    """The number and flags of an event that leaves at once."""
    sequence, flags = sequences.next(topic)
    sequences.sent(topic, sequence + 1)
    return sequence, flags


def test_each_topic_counts_for_itself() -> None:
    sequences = Sequences()
    assert [taken(sequences, topic) for topic in (b"a", b"b", b"a", b"a", b"b")] == [
        (0, 0),
        (0, 0),
        (1, 0),
        (2, 0),
        (1, 0),
    ]


def test_a_forgotten_topic_says_that_it_starts_again() -> None:
    sequences = Sequences(topics_max=2)
    for topic in (b"a", b"b", b"a", b"c"):
        taken(sequences, topic)
    assert taken(sequences, b"a") == (2, 0), "it was used after b"
    assert taken(sequences, b"b") == (0, RESTARTED)


def test_a_number_is_given_again_until_its_event_has_left() -> None:
    sequences = Sequences()
    assert [sequences.next(b"a"), sequences.next(b"a")] == [(0, 0), (0, 0)]
    sequences.sent(b"a", 10)
    assert sequences.next(b"a") == (10, 0), "ten left joined"


def test_the_first_event_of_a_topic_misses_nothing() -> None:
    assert Gaps().missed(PUBLISHER, b"a", 41, 1, 0) == 0


def test_a_gap_is_counted_once() -> None:
    gaps = Gaps()
    assert [gaps.missed(PUBLISHER, b"a", sequence, 1, 0) for sequence in (0, 1, 5, 6)] == [0, 0, 3, 0]


def test_joined_events_count_as_many() -> None:
    gaps = Gaps()
    assert gaps.missed(PUBLISHER, b"a", 0, 10, 0) == 0
    assert gaps.missed(PUBLISHER, b"a", 10, 1, 0) == 0
    assert gaps.missed(PUBLISHER, b"a", 12, 4, 0) == 1


def test_a_restart_and_another_publisher_are_no_gap() -> None:
    gaps = Gaps()
    gaps.missed(PUBLISHER, b"a", 0, 1, 0)
    assert gaps.missed(PUBLISHER, b"a", 0, 1, RESTARTED) == 0
    assert gaps.missed(PUBLISHER + 1, b"a", 9, 1, 0) == 0
    assert gaps.missed(PUBLISHER, b"a", 1, 1, 0) == 0


def test_no_more_topics_are_remembered_than_allowed() -> None:
    gaps = Gaps(topics_max=3)
    for number in range(10):
        gaps.missed(PUBLISHER, str(number).encode(), 0, 1, 0)
    assert len(gaps) == 3


@given(st.lists(st.booleans(), max_size=80), st.sampled_from([b"a", b"b"]))
def test_what_is_lost_between_two_events_that_arrive_is_counted(arrives: list[bool], topic: bytes) -> None:
    sequences, gaps = Sequences(), Gaps()
    missed = 0
    for arrived in arrives:
        sequence, flags = taken(sequences, topic)
        if arrived:
            missed += gaps.missed(PUBLISHER, topic, sequence, 1, flags)
    between = "".join("x" if arrived else "-" for arrived in arrives).strip("-")
    assert missed == between.count("-")


def test_numbers_that_are_used_up_are_a_gap_behind_what_has_left() -> None:
    sequences, gaps = Sequences(), Gaps()
    assert gaps.missed(PUBLISHER, b"a", *with_count(taken(sequences, b"a"))) == 0
    sequences.skip(b"a", 3)
    assert gaps.missed(PUBLISHER, b"a", *with_count(taken(sequences, b"a"))) == 3
    sequences.skip(b"new", 3)
    assert taken(sequences, b"new") == (0, 0), "in front of a first event nothing is missing"


def with_count(given: tuple[int, int]) -> tuple[int, int, int]:
    """Sequence and flags as `missed` takes them, of a single event."""
    return given[0], 1, given[1]


class PublishersMemory(RuleBasedStateMachine):
    """Publishers that forget topics, joined runs, losses: what is missed is what was published in between.

    The model knows everything: of each topic all that was ever published, and whether its publisher has forgotten it.
    """

    TOPICS = (b"a", b"b", b"c")
    PUBLISHERS = (1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.publishers = {name: Sequences(topics_max=2) for name in self.PUBLISHERS}
        # Topics that a publisher remembers, the oldest use first.
        self.remembered: dict[int, list[bytes]] = {name: [] for name in self.PUBLISHERS}
        self.gaps = Gaps(topics_max=4)
        # What the subscriber remembers: how much was lost since the last that it saw, by its own least recent use.
        self.since: dict[tuple[int, bytes], int] = {}

    @rule(
        publisher=st.sampled_from(PUBLISHERS),
        topic=st.sampled_from(TOPICS),
        count=st.integers(1, 5),
        arrives=st.booleans(),
    )
    def publish(self, publisher: int, topic: bytes, count: int, arrives: bool) -> None:
        sequences, remembered, key = self.publishers[publisher], self.remembered[publisher], (publisher, topic)
        sequence, flags = sequences.next(topic)
        sequences.sent(topic, sequence + count)
        if topic in remembered:
            remembered.remove(topic)
        elif key in self.since:
            # It was forgotten, and begins anew: what was lost before that will never be known, nor will it be if this
            # beginning is lost, unless the numbers go beyond those that the subscriber knows.
            self.since[key] = -1
        remembered.append(topic)
        del remembered[:-2]
        lost = self.since.get(key)
        if not arrives:
            if lost is not None and lost >= 0:
                self.since[key] = lost + count
            return
        missed = self.gaps.missed(publisher, topic, sequence, count, flags)
        if lost is None:
            assert missed == 0
        elif lost >= 0:
            assert missed == lost
        elif flags & RESTARTED:
            assert missed == 0
        else:
            assert missed <= sequence, "never more than there was since it began anew"
        self.since.pop(key, None)
        self.since[key] = 0
        if len(self.since) > 4:
            del self.since[next(iter(self.since))]


TestPublishersMemory = PublishersMemory.TestCase
