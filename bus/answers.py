"""What the broker says of its own accord: messages to clients and workers that no peer has written."""

from typing import Final

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import HootError
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType
from hootbus.schemas import write_error, write_error_json

_NOBODY: Final = bytes(16)


def error_reply(request: Message, error: HootError) -> Message:
    """The REPLY that tells a request's sender what went wrong, in the form its own message had."""
    return error_to(
        request.route, request.request_id, request.content_type, request.options is not None, error, request.service
    )


def error_to(
    route: Route, request_id: bytes, content_type: ContentType, extended: bool, error: HootError, service: bytes = b""
) -> Message:
    """As `error_reply`, from what is remembered of the request: Cap'n Proto is answered so, all else with JSON."""
    kind, body = error_body(request_id, content_type, error)
    options = Options(status=error.number) if extended else None
    return Message(route, Command.REPLY, kind, request_id, service, b"", body, options)


def error_body(request_id: bytes, content_type: ContentType, error: HootError) -> tuple[ContentType, bytes]:
    """An error's body with its content type, towards a peer that sent `content_type`."""
    if content_type is ContentType.CAPNPROTO:
        return ContentType.CAPNPROTO, write_error(request_id, "", error.code, error.message, error.details)
    return ContentType.JSON, write_error_json(error.code, error.message, error.details)


def reply(request: Message, content_type: ContentType, body: Buffer, schema_id: int = 0) -> Message:
    """A REPLY of the broker's own services."""
    options = Options(schema_id=schema_id) if request.options is not None else None
    return Message(request.route, Command.REPLY, content_type, request.request_id, request.service, b"", body, options)


def heartbeat(route: Route, extended: bool, instance: bytes, request_id: bytes = _NOBODY) -> Message:
    """A HEARTBEAT; a peer of ours learns from its body which broker it talks to, a plain one gets it bare."""
    if not extended:
        return Message(route, Command.HEARTBEAT, ContentType.EMPTY, request_id)
    return Message(route, Command.HEARTBEAT, ContentType.RAW_BINARY, request_id, b"", b"", instance, NO_OPTIONS)


def disconnect(route: Route, extended: bool, request_id: bytes = _NOBODY, error: HootError | None = None) -> Message:
    """A DISCONNECT: "you are not, or no longer, registered here", and why if there is a reason."""
    options = NO_OPTIONS if extended else None
    if error is None:
        return Message(route, Command.DISCONNECT, ContentType.EMPTY, request_id, options=options)
    body = write_error(request_id, "", error.code, error.message, error.details)
    return Message(route, Command.DISCONNECT, ContentType.CAPNPROTO, request_id, body=body, options=options)


def credit(route: Route, request_id: bytes, taken: int, more: int) -> Message:
    """A CREDIT to a worker of ours: of that stream so many items were taken, and so many more are welcome."""
    options = Options(sequence=taken, credit=more)
    return Message(route, Command.CREDIT, ContentType.EMPTY, request_id, options=options)


def cancel(route: Route, request_id: bytes, error: HootError) -> Message:
    """A CANCEL to a worker of ours; its status says whether it is for a client's wish or a deadline."""
    return Message(route, Command.CANCEL, ContentType.EMPTY, request_id, options=Options(status=error.number))
