"""The seam of what was replayed and what is live: no gap, no double, whatever overlaps."""

from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.buffer import Frames
from hootbus.frames.event import JOINED, RESTARTED, EventHeader, join, read_event, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.workers.event import events_of
from hootbus.workers.seam import Seam

RAW = ContentType.RAW_BINARY


def message(sequence: int, count: int = 1, *, time: int = 0, flags: int = 0, publisher: int = 7) -> Frames:
    """Events of the topic x."""
    body = join([b""] * count) if count > 1 else b""
    flags |= JOINED if count > 1 else 0
    return [b"x", write_event_header(EventHeader(RAW, flags, count, sequence, time, publisher)), body]


def joined(seam: Seam) -> list[tuple[int, int]]:
    """Publisher and sequence of all events in the order in which they are given out."""
    found = [(event.publisher, event.sequence) for _, _, event in seam.before()]
    for frames in seam.after():
        topic, header, body = read_event(frames)
        found += [(event.publisher, event.sequence) for event in events_of(topic.decode(), header, body, 0)]
    return found


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(1, 7), st.integers(1, 7))
def test_a_history_is_whole_however_it_overlaps(
    begin: int, live: int, behind: int, joined_before: int, joined_live: int
) -> None:
    """Replayed from `begin` on, up to `behind` later than the first live event; live to the end."""
    end = 40
    replay_end = min(live + behind, end)
    seam = Seam()
    # The recorder and the subscriber may have cut what was joined differently.
    for at in range(begin, replay_end, joined_before):
        seam.replayed(message(at, min(joined_before, replay_end - at)))
    for at in range(live, end, joined_live):
        seam.live(message(at, min(joined_live, end - at)))
    first = min(begin, live) if begin < replay_end else live
    assert joined(seam) == [(7, number) for number in range(first, end)]


def test_each_publisher_has_a_seam_of_its_own() -> None:
    seam = Seam()
    for sequence in (3, 4, 5):
        seam.replayed(message(sequence, publisher=1))
        seam.replayed(message(sequence, publisher=2))
    seam.live(message(4, publisher=1))
    seam.live(message(5, publisher=1))
    assert joined(seam) == [(1, 3), (2, 3), (2, 4), (2, 5), (1, 4), (1, 5)]


def test_a_sequence_that_began_anew_is_told_apart_by_time() -> None:
    seam = Seam()
    for sequence, time, flags in ((8, 10, 0), (9, 11, 0), (0, 12, RESTARTED), (1, 13, 0)):
        seam.replayed(message(sequence, time=time, flags=flags))
    seam.live(message(9, time=11))
    seam.live(message(0, time=12, flags=RESTARTED))
    seam.live(message(1, time=13))
    assert joined(seam) == [(7, 8), (7, 9), (7, 0), (7, 1)]


def test_what_comes_meanwhile_is_bounded_and_what_cannot_be_read_is_passed_on() -> None:
    seam = Seam(messages_max=3)
    seam.live([b"x", b"no header", b""])
    for sequence in range(5):
        seam.live(message(sequence))
    assert len(list(seam.after())) == 3
    seam = Seam(bytes_max=1000)
    for sequence in range(5):
        seam.live(message(sequence))
    assert len(list(seam.after())) == 3


def test_what_was_replayed_may_be_asked_for_again() -> None:
    seam = Seam()
    seam.replayed(message(1))
    seam.live(message(2))
    seam.forget_replayed()
    seam.replayed(message(0))
    seam.replayed(message(1))
    assert joined(seam) == [(7, 0), (7, 1), (7, 2)]
