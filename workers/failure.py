"""Errors on the wire: how one is put into a reply's body, and how it is found in one."""

from typing import Final

from hootbus.frames.errors import MESSAGE_CHARS_MAX, BadFrame, HandlerFailed, HootError, error_from_wire
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType
from hootbus.schemas import BodyError, read_error, read_error_json, write_error, write_error_json, write_json
from hootbus.workers.session import Body

# A status is a u16 of the options, and 0 would read as success.
STATUS_MAX: Final = 2**16 - 1
CODE_CHARS_MAX: Final = 255
# Details are free text, but no body: a handler may put a whole file into them.
DETAILS_CHARS_MAX: Final = 64 * 1024


def error_body(request: Message, error: HootError) -> Body:
    """The body that tells a request's sender of the error: Cap'n Proto is answered in kind, all else with JSON."""
    if request.content_type is ContentType.CAPNPROTO:
        envelope = write_error(request.request_id, "", error.code, error.message, error.details)
        return Body(ContentType.CAPNPROTO, envelope)
    return Body(ContentType.JSON, write_error_json(error.code, error.message, error.details))


def tellable(error: HootError) -> HootError:
    """The error as the wire can say it: a number and a code that are such, and texts within bounds.

    A program's own subclass may have put anything there. What is no text is told as JSON, what is no status is the
    handler's failure.
    """
    message, details = _text(error.message, MESSAGE_CHARS_MAX), _text(error.details, DETAILS_CHARS_MAX)
    if type(error.number) is not int or not 0 < error.number <= STATUS_MAX or not _is_code(error.code):
        return HandlerFailed(message, details=details)
    if message is error.message and details is error.details:
        return error
    told = HootError(message, details=details)
    told.code, told.number = error.code, error.number
    return told


def unsendable(error: Exception) -> BadFrame:
    """The error for a request that is not a message: its caller's buffer was released or resized meanwhile."""
    return BadFrame(f"the request cannot be sent: {type(error).__name__}: {error}")


def error_of(message: Message) -> HootError | None:
    """The error that a REPLY or DISCONNECT carries, None if it carries none.

    Options say by their status whether there is one. A peer without options has to be read: its error is a JSON object
    whose only key is "error", or an `Envelope.error`.
    """
    options = message.options
    if options is None:
        return _told(message, 0)
    if options.status:
        return _told(message, options.status) or error_from_wire(number=options.status)
    return None


def refusal_of(message: Message) -> HootError | None:
    """The error in a DISCONNECT, None if it is a bare one."""
    return _told(message, message.options.status if message.options is not None else 0)


def _told(message: Message, number: int) -> HootError | None:
    """The error that the body tells of, under the number if it is known."""
    try:
        if message.content_type is ContentType.CAPNPROTO:
            told = read_error(message.body)
        elif message.content_type is ContentType.JSON:
            told = read_error_json(message.body)
        else:
            return None
    except BodyError:
        # A body that is no error's. With a status it is an error all the same, only without words.
        return None
    if told is None:
        return None
    return error_from_wire(number=number, code=told.code, message=told.message, details=told.details)


def _is_code(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= CODE_CHARS_MAX


def _text(value: object, chars_max: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        try:
            value = write_json(value).decode()
        except (TypeError, ValueError, RecursionError):
            value = str(value)
    return value if len(value) <= chars_max else value[:chars_max]
