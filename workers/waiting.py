"""Events that met a full socket: kept in their order, and put together with those that can travel with them."""

from collections import deque
from typing import Final

from hootbus.frames.buffer import Frames
from hootbus.frames.event import JOINED, EventHeader, write_event_header
from hootbus.frames.wire import Run, join
from hootbus.workers.session import Body

# What may wait. A publisher that has so much waiting waits itself.
_EVENTS_MAX: Final = 4096
_BYTES_MAX: Final = 4 * 1024 * 1024
# It is looked for room again after so many more events. Asking costs as much as a dozen of them, and what travels by
# the hundred costs the broker and the subscriber next to nothing.
_ASK_EVENTS: Final = 128


class Waiting:
    """The runs that wait, oldest first. Numbers are given when they leave, as they leave in their order."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque()
        # Of all runs but the last one, which grows.
        self._events = 0
        self._bytes = 0
        # The last run: what is published next is mostly taken by its `follow`.
        self.last: Run | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        if self.last is None:
            return False
        return self._events + len(self.last.bodies) >= _EVENTS_MAX or self._bytes + self.last.size >= _BYTES_MAX

    @property
    def is_due(self) -> bool:
        """Whether it is time to look for room: so much has come since `asked`."""
        return self.last is not None and (self.last.room <= 0 or self.is_full)

    def asked(self, *, again: bool) -> None:
        """It was looked for room; `again` if more may come before it has to be looked for again."""
        if self.last is not None:
            self.last.room = _ASK_EVENTS if again and not self.is_full else 0

    def add(self, name: str, topic: bytes, body: Body, time_ns: int) -> None:
        """Puts an event behind all others."""
        # A program's own buffer is copied: it may release it once it is published.
        buffer = bytes(body.buffer)
        # An enum's member may be a topic too; a Run has a plain text.
        run = Run(str.__str__(name), topic, body.content_type, body.schema_id, time_ns, buffer)
        last = self.last
        if last is not None:
            alike = last.topic == topic and last.content_type is body.content_type and last.schema_id == body.schema_id
            if alike and last.add(buffer):
                return
            run.room = last.room - 1
            self._events += len(last.bodies)
            self._bytes += last.size
        self._runs.append(run)
        self.last = run

    def first(self) -> Run | None:
        """The run that has to leave next."""
        return self._runs[0] if self._runs else None

    def left(self) -> None:
        """The first run has left."""
        run = self._runs.popleft()
        if run is self.last:
            self.last = None
        else:
            self._events -= len(run.bodies)
            self._bytes -= run.size


def message(run: Run, sequence: int, flags: int, publisher: int) -> Frames:
    """The frames of one message for a whole run; `sequence` is its first event's."""
    body = run.bodies[0]
    if len(run.bodies) > 1:
        flags |= JOINED
        body = join(run.bodies)
    header = EventHeader(run.content_type, flags, len(run.bodies), sequence, run.time_ns, publisher, run.schema_id)
    return [run.topic, write_event_header(header), body]
