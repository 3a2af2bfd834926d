"""One broadcast event, as its subscriber sees it."""

from hootbus.frames.buffer import Buffer
from hootbus.frames.event import JOINED, EventHeader, split
from hootbus.workers.content import Content


class Event(Content):
    """An event's body and what was said of it.

    `sequence` counts per publisher and topic. `time_ns` is the publisher's wall clock, `publisher` its random 64-bit
    name. `missed` events of this publisher and topic were lost between the one before and this one.
    """

    __slots__ = ("missed", "publisher", "sequence", "time_ns", "topic")

    def __init__(self, topic: str, header: EventHeader, body: Buffer, index: int = 0, missed: int = 0) -> None:
        super().__init__(header.content_type, body, header.schema_id)
        self.topic = topic
        self.sequence = header.sequence + index
        self.time_ns = header.time_ns
        self.publisher = header.publisher
        self.missed = missed

    def __repr__(self) -> str:
        return f"<Event {self.topic} {self.sequence} of {self.size} bytes, {self.content_type.name}>"


def events_of(topic: str, header: EventHeader, body: Buffer, missed: int) -> list[Event]:
    """The events that travelled together, one mostly. Raises BadFrame if they are not joined as they claim."""
    if not header.flags & JOINED:
        return [Event(topic, header, body, 0, missed)]
    return [
        Event(topic, header, part, index, missed if index == 0 else 0)
        for index, part in enumerate(split(body, header.count))
    ]
