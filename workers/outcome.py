"""What becomes of a handler: its items in one reply, or the error that its peer is told."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from hootbus.frames.errors import HandlerFailed, HootError
from hootbus.frames.protocol import MESSAGE_BYTES_MAX, ContentType
from hootbus.schemas import BodyError, reason_of
from hootbus.workers.content import bad_body
from hootbus.workers.failure import tellable
from hootbus.workers.handler import Handler
from hootbus.workers.outgoing import answer, encode
from hootbus.workers.request import Request
from hootbus.workers.session import Body

_LOG: Final = logging.getLogger("hootbus.worker")
# An error's text is for people; a handler may raise one with a whole file in it.
_TEXT_MAX: Final = 1000


class Results(Protocol):
    """Where results go: the worker's session and connection."""

    def finish(self, request_id: bytes, result: Body | HootError) -> None: ...
    def partial(self, request_id: bytes, item: Body) -> None: ...
    def when_ready(self, request_id: bytes, ahead: int, callback: Callable[[], None]) -> None: ...


class Collected:
    """The items of a generator for a client that takes one reply: one JSON list, bounded as any body is."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._items: list[bytes] = []
        self._size = 2

    def put(self, item: object, handler: Handler) -> None:
        # A dict is JSON as it stands, whatever the handler returns; to a translated request, as that type has it.
        body = answer(item, handler.returns, as_json=True) if self._request.translated else encode(item)
        if body.content_type not in (ContentType.JSON, ContentType.EMPTY) or body.attachments:
            raise TypeError(
                f"{handler.name} gives {body.content_type.name} items, which only a streaming client can take"
            )
        text = bytes(body.buffer) or b"null"
        self._items.append(text)
        self._size += len(text) + 1
        if self._size > MESSAGE_BYTES_MAX:
            raise ValueError(f"the items of {handler.name} exceed {MESSAGE_BYTES_MAX} bytes; stream them")

    def body(self) -> Body:
        return Body(ContentType.JSON, b"[" + b",".join(self._items) + b"]")


def failure(error: BaseException, handler: Handler, request: Request) -> HootError:
    """What the peer is told of an exception: its type and text, never a traceback, which goes into the log.

    `sys.exit` and KeyboardInterrupt out of a handler end the request like any other exception: a worker is stopped by
    its signals, not by what it was sent.
    """
    try:
        return _told(error, handler, request)
    except BaseException:  # noqa: BLE001  # an exception class of the handler's, whose attributes may do anything
        return HandlerFailed(type(error).__name__)


def _told(error: BaseException, handler: Handler, request: Request) -> HootError:
    if isinstance(error, HootError):
        return tellable(error)
    # A handler may read other bodies than the request's: what is wrong with those its peer cannot help.
    if isinstance(error, BodyError) and request.holds(error):
        return bad_body(error)
    with suppress(RecursionError):  # a handler's own exception may be what cannot be printed
        _LOG.error("%s failed", handler.name, exc_info=error, extra={"traceparent": request.traceparent})
    return HandlerFailed(_shown(error))


def _shown(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = reason_of(error)
    except Exception:  # noqa: BLE001  # an exception class of the handler's, whose __str__ may do anything
        text = ""
    return f"{name}: {text}"[:_TEXT_MAX] if text else name
