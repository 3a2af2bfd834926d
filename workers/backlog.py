"""What waits for a subscriber that is busy, and what is let go when that is too much. No thread, no socket."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from hootbus.workers.event import Event
from hootbus.workers.sequences import TOPICS_MAX

Policy: TypeAlias = Literal["drop_newest", "drop_oldest", "latest"]
POLICIES: Final[tuple[Policy, ...]] = ("drop_newest", "drop_oldest", "latest")
BUFFER_EVENTS: Final = 10_000
BUFFER_BYTES: Final = 64 * 1024 * 1024
# What an event costs beside its body, so that many small ones cannot take many times the memory that was allowed.
OVERHEAD_BYTES: Final = 256


class Let(StrEnum):
    """Why an event was let go."""

    NEWEST = "newest"
    OLDEST = "oldest"
    REPLACED = "replaced"


class Backlog:
    """Events that wait to be read, oldest first, within bounds of their number and their bytes.

    `drop_newest` lets go what finds no room, `drop_oldest` what has waited longest, and `latest` keeps one event of
    each key, in the place of the one that it replaces, so that a busy key has its turn like all others; what is too
    much then goes as with `drop_oldest`. What was let go is counted in `dropped`, and in `missed` of the next event of
    its publisher and topic that is given out behind it.
    """

    def __init__(
        self,
        policy: Policy,
        key: Callable[[Event], Hashable] | None = None,
        *,
        events_max: int = BUFFER_EVENTS,
        bytes_max: int = BUFFER_BYTES,
    ) -> None:
        self._policy = policy
        self._key = key
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._waiting: OrderedDict[Hashable, Event] = OrderedDict()
        self._numbered = 0
        # Let go, and not yet told, by publisher and topic.
        self._untold: OrderedDict[tuple[int, str], int] = OrderedDict()
        self.bytes = 0
        self.dropped: Final = dict.fromkeys(Let, 0)

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._waiting)

    def put(self, event: Event) -> None:
        """Puts an event behind the others, or in the place of one of them; what is too much is let go."""
        waiting = self._waiting
        size = _size(event)
        if self._policy == "drop_newest":
            if waiting and not self._has_room(size):
                self._let_go(event, Let.NEWEST)
                return
            # Nothing that waits has come after what was let go before.
            event.missed += self._untold.pop((event.publisher, event.topic), 0)
        key = self._place(event)
        replaced = waiting.get(key)
        if replaced is not None:
            self.bytes -= _size(replaced)
            self._let_go(replaced, Let.REPLACED)
        waiting[key] = event
        self.bytes += size
        while len(waiting) > self._events_max or (self.bytes > self._bytes_max and len(waiting) > 1):
            self._let_go(self._first(), Let.OLDEST)

    def take(self) -> Event | None:
        """The event that has waited longest."""
        if not self._waiting:
            return None
        event = self._first()
        if self._untold and self._policy != "drop_newest":
            event.missed += self._untold.pop((event.publisher, event.topic), 0)
        return event

    def _place(self, event: Event) -> Hashable:
        if self._policy != "latest":
            self._numbered += 1
            return self._numbered
        return event.topic if self._key is None else self._key(event)

    def _has_room(self, size: int) -> bool:
        return len(self._waiting) < self._events_max and self.bytes + size <= self._bytes_max

    def _first(self) -> Event:
        _, event = self._waiting.popitem(last=False)
        self.bytes -= _size(event)
        return event

    def _let_go(self, event: Event, reason: Let) -> None:
        self.dropped[reason] += 1
        key = event.publisher, event.topic
        # What was missing before it is missing before the next one.
        self._untold[key] = self._untold.get(key, 0) + event.missed + 1
        if len(self._untold) > TOPICS_MAX:
            self._untold.popitem(last=False)


def _size(event: Event) -> int:
    return event.size + OVERHEAD_BYTES
