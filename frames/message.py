"""One HOOT01 message: frames in, a value out, and back.

Sans-I/O: `parse` takes the frames of a multipart message as they were received, `serialize` gives those to send.
Nothing here reads a body.
"""

from typing import Final

from hootbus.frames.buffer import Buffer, Frames, byte_count
from hootbus.frames.errors import BadFrame
from hootbus.frames.malformed import MalformedMessage, Route
from hootbus.frames.options import Options, read_options, write_options
from hootbus.frames.protocol import (
    ATTACHMENTS_MAX,
    FRAMES_PLAIN,
    MESSAGE_BYTES_MAX,
    REQUEST_ID_BYTES,
    RETURN_ADDRESSES_MAX,
    ROUTE_FRAME_BYTES_MAX,
    SERVICE_BYTES_MAX,
    SIGNATURE,
    TRACEPARENT_BYTES_MAX,
    Command,
    ContentType,
)
from hootbus.frames.value import Value

COMMANDS: Final = {number.to_bytes(2, "big"): number for number in Command}
_COMMAND_FRAMES: Final = {number: frame for frame, number in COMMANDS.items()}
CONTENT_TYPES: Final = {number.to_bytes(2, "big"): number for number in ContentType}
_CONTENT_TYPE_FRAMES: Final = {number: frame for frame, number in CONTENT_TYPES.items()}


# With so many frames from the signature on there is an id, under which the sender can be told.
_ANSWERABLE: Final = 4


class Message(Value):
    """A whole message. `route` is the ROUTER's identity frame (if one received it) and the return addresses.

    `options` is None when the peer sent none: such a peer is plain HOOT01 and must get none of our extension.
    """

    __match_args__ = (
        "route",
        "command",
        "content_type",
        "request_id",
        "service",
        "traceparent",
        "body",
        "options",
        "attachments",
    )

    def __init__(
        self,
        route: Route,
        command: Command,
        content_type: ContentType,
        request_id: bytes,
        service: bytes = b"",
        traceparent: bytes = b"",
        body: Buffer = b"",
        options: Options | None = None,
        attachments: tuple[Buffer, ...] = (),
    ) -> None:
        self.route: Final = route
        self.command: Final = command
        self.content_type: Final = content_type
        self.request_id: Final = request_id
        self.service: Final = service
        self.traceparent: Final = traceparent
        self.body: Final = body
        self.options: Final = options
        self.attachments: Final = attachments

    @property
    def size(self) -> int:
        """Bytes of the body and the attachments."""
        if self.attachments:
            return byte_count(self.body) + sum(map(byte_count, self.attachments))
        return byte_count(self.body)


def parse(frames: Frames, start: int = 0) -> Message:
    """The message in `frames`; `start` is 1 where a ROUTER put the sender's identity in front, else 0.

    Raises MalformedMessage, whose text names the frame that is wrong.
    """
    try:
        # Where it is without return addresses, and else wherever it is.
        at = start if frames[start] == SIGNATURE else frames.index(SIGNATURE, start)
    except (IndexError, ValueError):
        reason = f"no {SIGNATURE.decode()} frame among {len(frames)}"
        raise MalformedMessage("signature", reason, tuple(frames[:start])) from None
    count = len(frames) - at
    if count < FRAMES_PLAIN:
        reason = f"{count} from the signature on, not {FRAMES_PLAIN} or more"
        if count < _ANSWERABLE:
            raise MalformedMessage("frames", reason, _route(frames, at))
        raise _malformed(frames, at, "frames", reason)
    command = COMMANDS.get(frames[at + 1])
    content_type = CONTENT_TYPES.get(frames[at + 2])
    request_id, service, traceparent, body = frames[at + 3], frames[at + 4], frames[at + 5], frames[at + 6]
    if (
        command is None
        or content_type is None
        or len(request_id) != REQUEST_ID_BYTES
        or len(service) > SERVICE_BYTES_MAX
        or len(traceparent) > TRACEPARENT_BYTES_MAX
        or len(body) > MESSAGE_BYTES_MAX
        or at > start  # return addresses: the uncommon case, judged in full
    ):
        _judge(frames, start, at)
    options: Options | None = None
    attachments: tuple[Buffer, ...] = ()
    if count > FRAMES_PLAIN:
        raw = frames[at + FRAMES_PLAIN]
        if raw:
            try:
                options = read_options(raw)
            except BadFrame as error:
                raise _malformed(frames, at, "options", error.message.removeprefix("options: ")) from None
        if count > FRAMES_PLAIN + 1:
            attachments = tuple(frames[at + FRAMES_PLAIN + 1 :])
            if len(attachments) > ATTACHMENTS_MAX:
                raise _malformed(frames, at, "attachments", f"{len(attachments)}, more than {ATTACHMENTS_MAX}")
            if len(body) + sum(map(len, attachments)) > MESSAGE_BYTES_MAX:
                raise _malformed(frames, at, "attachments", f"with the body, more than {MESSAGE_BYTES_MAX} bytes")
    assert command is not None, "judged above"
    assert content_type is not None, "judged above"
    return Message(
        tuple(frames[:at]),
        command,
        content_type,
        request_id,
        service,
        traceparent,
        body,
        options,
        attachments,
    )


def serialize(message: Message) -> Frames:
    """The frames of a message, ready to be sent. Bounds are the caller's: `check` says whether a peer would take it."""
    frames: Frames = [
        *message.route,
        SIGNATURE,
        _COMMAND_FRAMES[message.command],
        _CONTENT_TYPE_FRAMES[message.content_type],
        message.request_id,
        message.service,
        message.traceparent,
        message.body,
    ]
    if message.options is not None:
        frames.append(write_options(message.options))
        if message.attachments:
            frames += message.attachments
    elif message.attachments:
        frames += (b"", *message.attachments)
    return frames


def check(message: Message) -> None:
    """Raises MalformedMessage for a message that a broker would refuse.

    Our peers call it before they send: a frame over the limit costs the connection, and nobody says why.
    """
    frames = serialize(message)
    _judge(frames, 0, len(message.route))
    if len(message.attachments) > ATTACHMENTS_MAX:
        raise MalformedMessage("attachments", f"{len(message.attachments)}, more than {ATTACHMENTS_MAX}")
    if message.size > MESSAGE_BYTES_MAX:
        raise MalformedMessage("attachments", f"with the body {message.size} bytes, more than {MESSAGE_BYTES_MAX}")


def _judge(frames: Frames, start: int, at: int) -> None:
    """Says in words what is wrong with the seven frames, if anything is."""
    addresses = frames[start:at]
    command, content_type, request_id, service, traceparent, body = frames[at + 1 : at + FRAMES_PLAIN]
    if len(addresses) > RETURN_ADDRESSES_MAX:
        raise _malformed(frames, at, "return addresses", f"{len(addresses)}, more than {RETURN_ADDRESSES_MAX}")
    if any(len(address) > ROUTE_FRAME_BYTES_MAX for address in addresses):
        raise _malformed(frames, at, "return addresses", f"one has more than {ROUTE_FRAME_BYTES_MAX} bytes")
    if command not in COMMANDS:
        raise _malformed(frames, at, "command", f"{_shown(command)} is none")
    if content_type not in CONTENT_TYPES:
        raise _malformed(frames, at, "content type", f"{_shown(content_type)} is none")
    if len(request_id) != REQUEST_ID_BYTES:
        raise _malformed(frames, at, "request id", f"{len(request_id)} bytes, not {REQUEST_ID_BYTES}")
    if len(service) > SERVICE_BYTES_MAX:
        raise _malformed(frames, at, "service", f"{len(service)} bytes, more than {SERVICE_BYTES_MAX}")
    if len(traceparent) > TRACEPARENT_BYTES_MAX:
        raise _malformed(frames, at, "traceparent", f"{len(traceparent)} bytes, more than {TRACEPARENT_BYTES_MAX}")
    if len(body) > MESSAGE_BYTES_MAX:
        raise _malformed(frames, at, "body", f"{len(body)} bytes, more than {MESSAGE_BYTES_MAX}")


def _malformed(frames: Frames, at: int, field: str, reason: str) -> MalformedMessage:
    """The error, with what its sender needs to be answered: only a REQUEST with a readable id can be."""
    request_id = frames[at + 3]
    answerable = COMMANDS.get(frames[at + 1]) is Command.REQUEST and len(request_id) == REQUEST_ID_BYTES
    content_type = CONTENT_TYPES.get(frames[at + 2], ContentType.EMPTY)
    return MalformedMessage(field, reason, _route(frames, at), request_id if answerable else None, content_type)


def _route(frames: Frames, at: int) -> Route:
    """What stands in front of the signature, if it can be put in front of an answer."""
    route = frames[:at]
    if len(route) > 1 + RETURN_ADDRESSES_MAX or any(len(frame) > ROUTE_FRAME_BYTES_MAX for frame in route):
        return tuple(route[:1])
    return tuple(route)


def _shown(header: Buffer) -> str:
    return bytes(header).hex() if len(header) <= 8 else f"a frame of {len(header)} bytes"
