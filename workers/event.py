"""One broadcast event, as its subscriber sees it."""

import msgspec

from hootbus.frames.buffer import Buffer
from hootbus.frames.event import JOINED, EventHeader
from hootbus.frames.protocol import ContentType
from hootbus.frames.wire import split
from hootbus.schemas import Segments, StructType
from hootbus.workers.content import Readable


# A Struct, as hundreds of thousands are made in a second: a third of the time of a class with as many slots, and the
# garbage collector need not walk through what waits to be read. It refers to nothing that could refer to it.
class Event(Readable, msgspec.Struct, eq=False, gc=False):
    """An event's body and what was said of it.

    `sequence` counts per publisher and topic. `time_ns` is the publisher's wall clock, `publisher` its random 64-bit
    name. `missed` events of this publisher and topic were lost between the one before and this one. `replayed` says
    that it was published before the subscriber was there, and comes from a recorder.
    """

    topic: str
    _content_type: ContentType
    _buffer: Buffer
    _schema_id: int
    sequence: int
    time_ns: int
    publisher: int
    missed: int = 0
    _received_attachments: tuple[Buffer, ...] = ()
    _schema: StructType | None = None
    _segments: Segments | None = None
    replayed: bool = False

    def __repr__(self) -> str:
        return f"<Event {self.topic} {self.sequence} of {self.size} bytes, {self.content_type.name}>"


def events_of(topic: str, header: EventHeader, body: Buffer, missed: int) -> list[Event]:
    """The events that travelled together, one mostly. Raises BadFrame if they are not joined as they claim."""
    kind, schema_id, sequence = header.content_type, header.schema_id, header.sequence
    time_ns, publisher = header.time_ns, header.publisher
    if not header.flags & JOINED:
        return [Event(topic, kind, body, schema_id, sequence, time_ns, publisher, missed)]
    events = [
        Event(topic, kind, part, schema_id, number, time_ns, publisher)
        for number, part in enumerate(split(body, header.count), sequence)
    ]
    events[0].missed = missed
    return events
