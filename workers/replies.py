"""What a worker owes for a request, and the messages it answers with."""

from typing import Final

from hootbus.frames.errors import HootError, UnsupportedContentType
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, Flag
from hootbus.workers.failure import STATUS_MAX, error_body
from hootbus.workers.flow import Outflow
from hootbus.workers.session import EMPTY_BODY, Body

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_REPLY: Final = Command.REPLY


class Running:
    """A request whose handler runs. `reason` is set once nobody waits for it; an `orphan` owes no reply any more."""

    deadline: float | None = None
    # Of a streamed reply.
    outflow: Outflow | None = None
    reason: HootError | None = None
    orphan: bool = False

    def __init__(self, message: Message) -> None:
        self.message = message

    @property
    def partials(self) -> int:
        """Items that were sent."""
        return self.outflow.sent if self.outflow is not None else 0


def reply(running: Running, result: Body | HootError) -> Message:
    """The closing REPLY. A one-way request's carries nothing: it only frees the slot."""
    request = running.message
    extended = request.options is not None
    if isinstance(result, Body) and result.attachments and not extended:
        result = UnsupportedContentType("the reply has attachments, which a plain HOOT01 client cannot take")
    status = 0
    if isinstance(result, HootError):
        status = result.number
        if not 0 < status <= STATUS_MAX:
            raise ValueError(f"{status} is no error's number")
        result = error_body(request, result)
    if request.options is not None and request.options.flags & _ONE_WAY:
        result = EMPTY_BODY
    options: Options | None = None
    if extended:
        said = status or result.schema_id or running.partials
        options = Options(0, 0, status, result.schema_id, running.partials) if said else NO_OPTIONS
    return answer(request, _REPLY, result, options)


def answer(request: Message, command: Command, body: Body, options: Options | None) -> Message:
    """What goes back to whoever sent the request."""
    return Message(
        request.route,
        command,
        body.content_type,
        request.request_id,
        request.service,
        request.traceparent,
        body.buffer,
        options,
        body.attachments,
    )


def is_plain(reply: Message) -> bool:
    """Whether nothing of a reply is a handler's, so that it was not the handler's fault if it could not be sent."""
    status = reply.options is None or reply.options.status
    return type(reply.body) is bytes and not reply.attachments and bool(status)
