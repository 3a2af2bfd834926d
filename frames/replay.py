"""Events that are sent again: several messages of the event sockets, as they were, in one body.

The body is the number of messages, u64 little-endian, and then the three frames of each, one after the other, as the
bodies of joined events stand: so every one of them lies on a word boundary and is read in place.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from hootbus.frames.buffer import Buffer, Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import EVENT_FRAMES, join, split

# A body is sent when it has so much; a large event has one of its own.
REPLAY_BYTES: Final = 256 * 1024
REPLAY_MESSAGES_MAX: Final = 1024

_COUNT: Final = struct.Struct("<Q")


def write_replays(messages: Iterable[tuple[bytes, bytes, bytes]]) -> Iterator[bytes]:
    """Bodies with these messages, each topic, header and body, in their order."""
    frames: list[bytes] = []
    size = 0
    for message in messages:
        more = sum(map(len, message))
        if frames and (size + more > REPLAY_BYTES or len(frames) >= EVENT_FRAMES * REPLAY_MESSAGES_MAX):
            yield _written(frames)
            frames, size = [], 0
        frames += message
        size += more
    if frames:
        yield _written(frames)


def read_replay(body: Buffer) -> list[Frames]:
    """The messages in a body, their frames as views of it. Raises BadFrame."""
    view = memoryview(body)
    if len(view) < _COUNT.size:
        raise BadFrame(f"replayed events: {len(view)} bytes have no room for their number")
    (count,) = _COUNT.unpack_from(view)
    if count > REPLAY_MESSAGES_MAX:
        raise BadFrame(f"replayed events: {count} messages, more than {REPLAY_MESSAGES_MAX}")
    frames = split(view[_COUNT.size :], EVENT_FRAMES * count)
    # Topic and header are read as bytes; the body stays where it is.
    threes = zip(*[iter(frames)] * EVENT_FRAMES, strict=True)
    return [[bytes(topic), bytes(header), body] for topic, header, body in threes]


def _written(frames: list[bytes]) -> bytes:
    return _COUNT.pack(len(frames) // EVENT_FRAMES) + join(frames)
