"""A broadcast event: three frames in, a value out, and back.

The header's layout is `schemas/event.capnp`, one Cap'n Proto segment of 48 bytes read at fixed offsets; a test holds
this codec against the compiled schema. Several events of one topic that had to wait may travel joined in one body.
"""

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from hootbus.frames.buffer import Buffer, Frames, byte_count
from hootbus.frames.errors import BadFrame
from hootbus.frames.protocol import ContentType

EVENT_FRAMES: Final = 3
TOPIC_BYTES_MAX: Final = 255
HEADER_BYTES_MAX: Final = 512
JOINED_MAX: Final = 4096
# Events are joined up to this size: large ones gain nothing by it.
JOINED_BYTES: Final = 64 * 1024
JOINED: Final = 1
RESTARTED: Final = 2

_WORD: Final = 8
_HEADER: Final = struct.Struct("<QHHIQQQQ")
_LENGTH: Final = struct.Struct("<Q")
# Flags, count and sequence, which stand together behind the content type.
_FLAGS_AND_COUNT: Final = struct.Struct("<HIQ")
_FLAGS_AT: Final = 10
# A struct pointer with offset 0, five data words and no pointers.
_ROOT: Final = 5 << 32
_CONTENT_TYPES: Final = {int(number): number for number in ContentType}


class EventHeader(msgspec.Struct, frozen=True, gc=False):
    """What is said of an event beside its topic and body.

    `sequence` counts per publisher and topic, so that a subscriber sees gaps; with the flag RESTARTED it begins anew.
    `time_ns` is the publisher's wall clock, `publisher` its random 64-bit name. With the flag JOINED the body holds
    `count` events, the i-th with `sequence + i`.
    """

    content_type: ContentType
    flags: int = 0
    count: int = 1
    sequence: int = 0
    time_ns: int = 0
    publisher: int = 0
    schema_id: int = 0


def write_event_header(header: EventHeader) -> bytes:
    """The header frame's 48 bytes."""
    return _HEADER.pack(
        _ROOT,
        header.content_type,
        header.flags,
        header.count,
        header.sequence,
        header.time_ns,
        header.publisher,
        header.schema_id,
    )


def read_event(frames: Frames) -> tuple[bytes, EventHeader, Buffer]:
    """Topic, header and body. Raises BadFrame for anything but the three frames of docs/protocol.md."""
    if len(frames) != EVENT_FRAMES:
        raise BadFrame(f"event: {len(frames)} frames, not {EVENT_FRAMES}")
    topic, raw, body = frames
    if len(topic) > TOPIC_BYTES_MAX:
        raise BadFrame(f"event topic: {len(topic)} bytes, more than {TOPIC_BYTES_MAX}")
    if len(raw) % _WORD or not _HEADER.size <= len(raw) <= HEADER_BYTES_MAX:
        raise BadFrame(f"event header: {len(raw)} bytes, not {_HEADER.size} to {HEADER_BYTES_MAX} in whole words")
    root, content_type, flags, count, sequence, time_ns, publisher, schema_id = _HEADER.unpack_from(raw)
    # A newer publisher's header may be larger; its first five words are ours.
    if root & 0xFFFF_FFFF or not _ROOT >> 32 <= root >> 32 & 0xFFFF <= len(raw) // _WORD - 1:
        raise BadFrame("event header: the first word is no pointer to a struct of five words or more")
    if content_type not in _CONTENT_TYPES:
        raise BadFrame(f"event header: content type {content_type} is none")
    if not 1 <= count <= JOINED_MAX or (count > 1 and not flags & JOINED):
        raise BadFrame(f"event header: {count} events, not 1 to {JOINED_MAX} joined ones")
    kind = _CONTENT_TYPES[content_type]
    return topic, EventHeader(kind, flags, count, sequence, time_ns, publisher, schema_id), body


def join(bodies: Sequence[Buffer]) -> bytes:
    """One body for several events: each a u64 little-endian length, its bytes, zeros up to a whole word."""
    parts: list[Buffer] = []
    for body in bodies:
        size = byte_count(body)
        parts += (_LENGTH.pack(size), body, bytes(-size % _WORD))
    return b"".join(parts)


def split(body: Buffer, count: int) -> list[memoryview]:
    """The bodies in a joined one, as views of it, each on a word boundary. Raises BadFrame."""
    view = memoryview(body)
    bodies: list[memoryview] = []
    at = 0
    for index in range(count):
        if len(view) - at < _WORD:
            raise BadFrame(f"joined events: the length of event {index} of {count} is missing")
        (size,) = _LENGTH.unpack_from(view, at)
        at += _WORD
        if size + -size % _WORD > len(view) - at:
            raise BadFrame(
                f"joined events: event {index} of {count} announces {size} bytes and zeros up to a whole word, "
                f"{len(view) - at} are left"
            )
        bodies.append(view[at : at + size])
        at += size + -size % _WORD
    if at != len(view):
        raise BadFrame(f"joined events: {len(view) - at} bytes behind the last one")
    return bodies


def last_of(raw: Buffer, header: EventHeader, body: Buffer, count: int) -> tuple[bytes, bytes]:
    """Header frame and body of the last `count` events of a message that holds more. Raises BadFrame.

    What the header says beyond our own words stays as it is; only the first of the events began the sequence anew.
    """
    left_out = header.count - count
    kept = bytearray(raw)
    _FLAGS_AND_COUNT.pack_into(kept, _FLAGS_AT, header.flags & ~RESTARTED, count, header.sequence + left_out)
    return bytes(kept), join(split(body, header.count)[left_out:])


class Run:
    """Events that follow each other and have a topic, a content type and a schema in common: they can be joined."""

    def __init__(
        self, name: str, topic: bytes, content_type: ContentType, schema_id: int, time_ns: int, body: bytes
    ) -> None:
        self.name = name
        self.topic = topic
        self.content_type = content_type
        self.schema_id = schema_id
        self.time_ns = time_ns
        self.bodies = [body]
        self.size = len(body)
        self.room = 0

    def follow(self, name: str, body: object, schema_id: int) -> bool:
        """Takes a further event if it is raw bytes and of this run, and there is `room` for so many; else False."""
        return (
            self.room > 0
            and type(body) is bytes
            and self.content_type is ContentType.RAW_BINARY
            and name == self.name
            and schema_id == self.schema_id
            and self.add(body)
        )

    def add(self, body: bytes) -> bool:
        """Takes a further body, unless it is too much for one message."""
        size = self.size + len(body)
        if size > JOINED_BYTES or len(self.bodies) >= JOINED_MAX:
            return False
        self.bodies.append(body)
        self.size = size
        self.room -= 1
        return True
