"""What goes into a session and what comes out of it: the events, the effects and the values both ends share.

`ClientSession` and `WorkerSession` decide; a shell (`connection`, or the simulator) tells them what happened and
carries out what they answer, in order.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import HootError
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType


class Connected(msgspec.Struct, frozen=True, gc=False):
    """The socket's connection to the broker's address is up."""


class Disconnected(msgspec.Struct, frozen=True, gc=False):
    """The connection is down; libzmq tries again on its own."""


class Barred(msgspec.Struct, frozen=True, gc=False):
    """The broker does not let this peer in; unless it is `hopeless`, it may be no broker that hangs up."""

    error: HootError
    hopeless: bool = True


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message came from the broker."""

    message: Message


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """Frames came that are no message."""


class Unsent(msgspec.Struct, frozen=True, gc=False):
    """A message of an earlier `Send` was certainly not sent: it was still waiting when the connection went.

    `error` says what is wrong with the message itself, if that was the reason: it can never be sent.
    """

    message: Message
    error: Exception | None = None


class Ticked(msgspec.Struct, frozen=True, gc=False):
    """Time has passed; due when `wake_at()` says so, harmless at any other time."""


Event: TypeAlias = Connected | Disconnected | Barred | Received | Malformed | Unsent | Ticked


class Send(msgspec.Struct, frozen=True, gc=False):
    """Hand the message to the socket."""

    message: Message


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """How a request ended: its reply, an error, or None for a one-way request that was handed to the socket.

    There is exactly one for each request, and nothing about that request comes after it.
    """

    request_id: bytes
    result: Message | HootError | None


class Part(msgspec.Struct, frozen=True, gc=False):
    """The next item of a streamed reply, or the next answer to a gather."""

    request_id: bytes
    message: Message


class Start(msgspec.Struct, frozen=True, gc=False):
    """Run the handler for this request, and call `finish` once, whatever becomes of it."""

    message: Message


class Abort(msgspec.Struct, frozen=True, gc=False):
    """Nobody waits for the request any more: stop its handler. `finish` is still to be called."""

    request_id: bytes
    reason: HootError


class Resume(msgspec.Struct, frozen=True, gc=False):
    """The request's client takes more items: the first `count` of those that wait for that may go on."""

    request_id: bytes
    count: int


class Linked(msgspec.Struct, frozen=True, gc=False):
    """The broker has answered; `replaced` if it is another instance than before, `late` if its absence was noted."""

    instance: bytes
    replaced: bool
    late: bool


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """There is no broker so far, or any more. Once per outage; the session keeps trying."""

    reason: str


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The broker will not have this worker; trying again would not help."""

    error: HootError


class Closed(msgspec.Struct, frozen=True, gc=False):
    """Nothing is left to do: the socket may be closed."""


Effect: TypeAlias = Send | Outcome | Part | Start | Abort | Resume | Linked | Waiting | Refused | Closed


class Call(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A request as its caller gives it to a client's session.

    `timeout` is in seconds, None for as long as the session's limits allow. A HEARTBEAT as `command` is a ping.
    `comparison` gives the body with which the broker is asked whether the version of the types that `fingerprint` tells
    is understood.
    """

    request_id: bytes
    service: bytes = b""
    content_type: ContentType = ContentType.EMPTY
    body: Buffer = b""
    schema_id: int = 0
    attachments: tuple[Buffer, ...] = ()
    traceparent: bytes = b""
    flags: int = 0
    timeout: float | None = None
    command: Command = Command.REQUEST
    fingerprint: int = 0
    comparison: Callable[[], bytes] | None = None
    # Who is told of the outcome besides: None, or the error. Not the session's business.
    ended: Callable[[HootError | None], None] | None = None


class Body(msgspec.Struct, frozen=True, gc=False):
    """What a message carries: a body, what it is, and the frames that go with it."""

    content_type: ContentType
    buffer: Buffer = b""
    schema_id: int = 0
    attachments: tuple[Buffer, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the body and the attachments."""
        return len(self.buffer) + sum(map(len, self.attachments))


EMPTY_BODY = Body(ContentType.EMPTY)


class Dropped(StrEnum):
    """Why a peer let go of a message, or sent none. Fixed names: nothing the other end sends can add one."""

    BAD_FRAME = "bad_frame"
    UNEXPECTED = "unexpected"
    LATE_REPLY = "late_reply"
    LATE_PARTIAL = "late_partial"
    REPEATED_PARTIAL = "repeated_partial"
    REPEATED_REQUEST = "repeated_request"
    UNREGISTERED_REQUEST = "unregistered_request"
    LATE_RESULT = "late_result"
    UNKNOWN_CANCEL = "unknown_cancel"
    UNKNOWN_CREDIT = "unknown_credit"


def no_drops() -> dict[Dropped, int]:
    """A count of 0 for every reason."""
    return dict.fromkeys(Dropped, 0)
