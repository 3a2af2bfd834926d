"""What a recorder keeps: of each topic its last events, bounded in every direction. No socket, no clock.

What has to go first is what is missed least: events that newer ones of their topic have followed, the oldest of them
first; and only when there are none left a topic's last event, of the topic that has been silent for longest. So last
values outlive histories.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import last_of, read_event
from hootbus.frames.protocol import MESSAGE_BYTES_MAX

MEBIBYTE: Final = 1024 * 1024
# What an event costs beside its frames, so that many small ones cannot take many times the memory that was allowed.
OVERHEAD_BYTES: Final = 512


class RecordingLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept: topics, events of each, and bytes of all."""

    topics: int = 10_000
    events_per_topic: int = 1_000
    bytes: int = 256 * MEBIBYTE

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a recorder keeps at least 1")


class Kept(msgspec.Struct, frozen=True, gc=False):
    """One message, with its frames as they came; it has `events` events, several if they are joined."""

    number: int
    topic: bytes
    header: bytes
    body: bytes
    events: int

    @property
    def size(self) -> int:
        """What it counts for."""
        return len(self.topic) + len(self.header) + len(self.body) + OVERHEAD_BYTES


class Topic:
    """The messages kept of one topic, oldest first; those of several publishers as they came."""

    def __init__(self) -> None:
        self.messages: deque[Kept] = deque()
        self.events = 0


class Recording:
    """The last events of each topic."""

    def __init__(self, limits: RecordingLimits) -> None:
        self.limits: Final = limits
        # What is larger could not be sent again, either: its frames share a body then.
        self._largest = min(limits.bytes, MESSAGE_BYTES_MAX)
        # Events that are no longer there, by the bound that they had to go for.
        self.evicted: Final = dict.fromkeys(RecordingLimits.__struct_fields__, 0)
        self.recorded = 0
        self.events = 0
        self.bytes = 0
        self._numbered = 0
        # The one that has been silent for longest comes first.
        self._topics: OrderedDict[bytes, Topic] = OrderedDict()
        # By number, all messages but the last one of each topic, in the order in which they were followed by another.
        self._followed: OrderedDict[int, Topic] = OrderedDict()

    @property
    def topics(self) -> int:
        """Topics of which there is something."""
        return len(self._topics)

    def add(self, frames: Frames) -> None:
        """Keeps a message. Raises BadFrame if it is no event."""
        name, header, body = read_event(frames)
        self._numbered += 1
        kept = Kept(self._numbered, bytes(name), bytes(frames[1]), bytes(body), header.count)
        self.recorded += kept.events
        if kept.size > self._largest:
            # What there is of its topic is not the last any more, and nobody else has to go for it.
            self.evicted["bytes"] += kept.events
            self._forget_topic(kept.topic, "bytes")
            return
        topic = self._topics.get(kept.topic)
        if topic is None:
            topic = self._topics[kept.topic] = Topic()
        else:
            self._topics.move_to_end(kept.topic)
            self._followed[topic.messages[-1].number] = topic
        topic.messages.append(kept)
        topic.events += kept.events
        self.events += kept.events
        self.bytes += kept.size
        self._keep_bounds(topic)

    def replay(self, prefixes: Iterable[str], count: int) -> Iterator[tuple[bytes, bytes, bytes]]:
        """The last `count` events of each topic that begins with one of `prefixes`; of all topics without any.

        Each is topic, header and body. A topic's events are those that are there when its turn comes; topics that begin
        meanwhile are left out. Others may be added while this goes on.
        """
        wanted = tuple(prefix.encode() for prefix in prefixes) or (b"",)
        # Sorted, as topics that come and go must not make a difference.
        for name in sorted(topic for topic in self._topics if topic.startswith(wanted)):
            topic = self._topics.get(name)
            if topic is not None:
                yield from _last(topic, count)

    def _keep_bounds(self, topic: Topic) -> None:
        limits = self.limits
        # A message is kept for as long as one of the last events is in it.
        while topic.events - topic.messages[0].events >= limits.events_per_topic:
            self._forget_first(topic, "events_per_topic")
        while len(self._topics) > limits.topics:
            self._forget_topic(next(iter(self._topics)), "topics")
        while self.bytes > limits.bytes:
            if self._followed:
                self._forget_first(next(iter(self._followed.values())), "bytes")
            else:
                self._forget_topic(next(iter(self._topics)), "bytes")

    def _forget_first(self, topic: Topic, bound: str) -> None:
        kept = topic.messages.popleft()
        self._followed.pop(kept.number, None)
        topic.events -= kept.events
        self.events -= kept.events
        self.bytes -= kept.size
        self.evicted[bound] += kept.events

    def _forget_topic(self, name: bytes, bound: str) -> None:
        topic = self._topics.pop(name, None)
        while topic is not None and topic.messages:
            self._forget_first(topic, bound)


def _last(topic: Topic, count: int) -> list[tuple[bytes, bytes, bytes]]:
    """The last `count` events; the message that is only partly among them is cut."""
    found: list[tuple[bytes, bytes, bytes]] = []
    left = count
    for kept in reversed(topic.messages):
        if left <= 0:
            break
        header, body = kept.header, kept.body
        if kept.events > left:
            _, read, _ = read_event([kept.topic, header, body])
            # One that is not joined as it claims is for its reader to find, as it was for those who saw it first.
            with suppress(BadFrame):
                header, body = last_of(header, read, body, left)
        found.append((kept.topic, header, body))
        left -= kept.events
    found.reverse()
    return found
