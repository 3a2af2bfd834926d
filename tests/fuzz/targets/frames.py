"""What comes over the wire, before anything is known of it: messages, options, events, joined events."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from conformance import notation
from fuzz.messages import BODIES, IDS, SERVICES, message
from hootbus.frames import event
from hootbus.frames.errors import BadFrame
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import check, parse, serialize
from hootbus.frames.options import read_options, write_options
from hootbus.frames.protocol import ContentType

try:
    from hootbus.frames import _joined as native
except ImportError:  # without a C compiler there is the one in Python alone
    native = None  # type: ignore[assignment]

_LENGTH: Final = struct.Struct("<H")


def frames_of(data: bytes) -> list[bytes]:
    """Frames from a fuzzer's bytes: a length of 16 bits, and as much as there is of it."""
    frames, at = [], 0
    while at + _LENGTH.size <= len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        frames.append(data[at : at + size])
        at += size
    return frames


def as_data(frames: Sequence[bytes]) -> bytes:
    """What `frames_of` makes these frames of."""
    return b"".join(_LENGTH.pack(len(frame)) + frame for frame in frames)


def parse_target(data: bytes) -> None:
    """A message or MalformedMessage, with a router's identity in front and without; and what is read can be sent."""
    frames = frames_of(data)
    for start, given in ((0, frames), (1, [b"peer", *frames])):
        try:
            found = parse(given, start)
        except MalformedMessage as error:
            assert error.field, "it names the frame"
            continue
        if not start:
            check(found)
        assert parse(serialize(found), start) == found


def parse_corpus() -> Iterator[bytes]:
    for command in notation.COMMANDS:
        for content_type, body in zip(notation.CONTENT_TYPES, BODIES, strict=False):
            yield as_data(message(command, content_type, IDS[0], SERVICES[0], body))
    seven = message("REQUEST", "JSON", IDS[0], b"up/say", b"{}")
    yield as_data([*seven, notation.options(flags=9, deadline=50), b"attached", b""])
    yield as_data([b"a", b"", *seven, b""])


def options_target(data: bytes) -> None:
    """Options or BadFrame; and what is read can be written and read."""
    try:
        options = read_options(data)
    except BadFrame:
        return
    assert read_options(write_options(options)) == options


def options_corpus() -> Iterator[bytes]:
    yield notation.options()
    yield notation.options(flags=31, deadline=50, status=13, sequence=7)
    # Of an older and of a newer peer.
    yield struct.pack("<Q", 0)
    yield struct.pack("<QQ", 1 << 32, 5)
    yield struct.pack("<Q", 6 << 32 | 2 << 48) + bytes(64)


def event_target(data: bytes) -> None:
    """An event or BadFrame, and its joined bodies or BadFrame."""
    try:
        topic, header, body = event.read_event(frames_of(data))
    except BadFrame:
        return
    again = event.read_event([topic, event.write_event_header(header), body])
    assert (again[0], again[1], bytes(again[2])) == (topic, header, bytes(body))
    if header.flags & event.JOINED:
        _split(bytes(body), header.count)


def event_corpus() -> Iterator[bytes]:
    yield as_data([b"a.b", event.write_event_header(event.EventHeader(ContentType.JSON)), b"{}"])
    joined = event.EventHeader(ContentType.RAW_BINARY, event.JOINED, 3, 5, 7, 9, 11)
    yield as_data([b"a", event.write_event_header(joined), event.join([b"", b"one", bytes(9)])])
    yield as_data([b"a", struct.pack("<Q", 7 << 32) + bytes(56), b""])


def joined_target(data: bytes) -> None:
    """Bodies or BadFrame; both readers agree, and what is joined comes apart again."""
    if len(data) < _LENGTH.size:
        return
    count = _LENGTH.unpack_from(data)[0] % (event.JOINED_MAX + 1)
    bodies = _split(data[_LENGTH.size :], count)
    if bodies is not None:
        assert _split(event.join(bodies), count) == bodies


def joined_corpus() -> Iterator[bytes]:
    for bodies in ([], [b""], [b"one", b"eight by", bytes(17)]):
        yield _LENGTH.pack(len(bodies)) + event.join(bodies)
    yield _LENGTH.pack(1) + struct.pack("<Q", (1 << 64) - 1) + bytes(8)


def _split(body: bytes, count: int) -> list[bytes] | None:
    try:
        found = [bytes(each) for each in event.split(body, count)]
    except BadFrame:
        found = None
    if native is not None:
        try:
            theirs = [bytes(each) for each in native.split(body, count)]
        except BadFrame:
            theirs = None
        assert theirs == found, "the compiled reader and the other one agree"
    return found
