"""Where what was ends and what is begins: replayed events in front of live ones, none twice and none left out.

A subscriber that joins late subscribes first and asks then, so that some events come both ways. For each publisher and
topic the first live event is the seam: of what was replayed only what stands before it is taken, and from there on the
live ones count. That holds once everything was taken in live that the replay may hold (`Subscription.mark`).
"""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TypeAlias

from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import RESTARTED, EventHeader, read_event
from hootbus.workers.event import Event, events_of

# Live messages that come meanwhile, and their bytes; more are lost, which the sequences show.
LIVE_MESSAGES_MAX: Final = 100_000
LIVE_BYTES_MAX: Final = 256 * 1024 * 1024
_OVERHEAD_BYTES: Final = 256

_Key: TypeAlias = tuple[int, bytes]


class Seam:
    """Takes in replayed and live messages, and gives them out as one."""

    def __init__(self, messages_max: int = LIVE_MESSAGES_MAX, bytes_max: int = LIVE_BYTES_MAX) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._live: deque[Frames] = deque()
        self._first: dict[_Key, EventHeader] = {}
        self._replayed: list[tuple[bytes, EventHeader, list[Event]]] = []
        # Whose sequence began anew, in what was replayed or live: there, numbers alone do not tell what came first.
        self._restarted: set[_Key] = set()

    def live(self, frames: Frames) -> None:
        """A message that came as all do. What cannot be read is left to who reads it."""
        size = sum(map(len, frames)) + _OVERHEAD_BYTES
        if len(self._live) >= self._messages_max or self._bytes + size > self._bytes_max:
            return
        self._bytes += size
        self._live.append(frames)
        with suppress(BadFrame):
            topic, header, _ = read_event(frames)
            self._note(topic, header)
            self._first.setdefault((header.publisher, topic), header)

    def replayed(self, frames: Frames) -> None:
        """A message that was asked for. Raises BadFrame, UnicodeDecodeError."""
        topic, header, body = read_event(frames)
        events = events_of(topic.decode(), header, body, 0)
        self._note(topic, header)
        self._replayed.append((topic, header, events))

    def forget_replayed(self) -> None:
        """What was replayed is asked for once more."""
        self._replayed.clear()

    def before(self) -> Iterator[tuple[bytes, int, Event]]:
        """What was replayed and stands before the live ones, in its order: topic, the header's flags, and the event."""
        for topic, header, events in self._replayed:
            key = header.publisher, topic
            first = self._first.get(key)
            by_time = key in self._restarted
            flags = header.flags
            for event in events:
                if first is None or _precedes(event, first, by_time):
                    yield topic, flags, event
                flags &= ~RESTARTED

    def after(self) -> Iterator[Frames]:
        """The live messages."""
        while self._live:
            yield self._live.popleft()

    def _note(self, topic: bytes, header: EventHeader) -> None:
        if header.flags & RESTARTED:
            self._restarted.add((header.publisher, topic))


def _precedes(event: Event, first: EventHeader, by_time: bool) -> bool:
    if by_time:
        return (event.time_ns, event.sequence) < (first.time_ns, first.sequence)
    return event.sequence < first.sequence
