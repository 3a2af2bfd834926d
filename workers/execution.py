"""Running handlers: each kind in its place, with exactly one result for the session, whatever the handler does."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import msgspec

from hootbus.frames.errors import Cancelled, HandlerFailed, HootError
from hootbus.frames.message import Message
from hootbus.frames.protocol import MESSAGE_BYTES_MAX, ContentType
from hootbus.schemas import BodyError, CapnpError, StructType, reason_of
from hootbus.workers.content import bad_body
from hootbus.workers.failure import tellable
from hootbus.workers.handler import Handler, Kind, Methods
from hootbus.workers.limits import Limits
from hootbus.workers.mailbox import Mailbox
from hootbus.workers.outgoing import encode
from hootbus.workers.request import Request
from hootbus.workers.session import Body
from hootbus.workers.threads import Threads

_LOG: Final = logging.getLogger("hootbus.worker")
# An error's text is for people; a handler may raise one with a whole file in it.
_TEXT_MAX: Final = 1000
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_INLINE: Final = Kind.INLINE


class Results(Protocol):
    """Where results go: the worker's session and connection."""

    def finish(self, request_id: bytes, result: Body | HootError) -> None: ...
    def partial(self, request_id: bytes, item: Body) -> None: ...
    def when_room(self, callback: Callable[[], None]) -> None: ...


class Counts(msgspec.Struct):
    """What became of the requests of one worker."""

    requests: int = 0
    errors: int = 0
    cancelled: int = 0


class Execution:
    """The handlers that run. Lives on the worker's loop; `finish` is called there once for each `start`."""

    def __init__(self, methods: Methods, slots: int, results: Results, limits: Limits, mailbox: Mailbox) -> None:
        self._methods = methods
        self._results = results
        self._limits = limits
        self._mailbox = mailbox
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(slots, "hootbus-handler")
        self._requests: dict[bytes, Request] = {}
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self.counts = Counts()

    def start(self, message: Message, now: float) -> None:
        """Begins the handler for a request."""
        self.counts.requests += 1
        handler = self._methods.find(message.service)
        if isinstance(handler, HootError):
            self._finish(message.request_id, handler)
            return
        request = request_of(message, handler.name, now, handler.takes)
        kind = handler.kind
        if kind is _INLINE:
            self._finish(message.request_id, _result(handler, request))
            return
        self._requests[message.request_id] = request
        if kind is Kind.THREAD:
            self._threads.run(partial(self._on_thread, handler, request))
        elif kind is Kind.GENERATOR:
            self._threads.run(partial(self._items_on_thread, handler, request))
        else:
            run = self._as_task if kind is Kind.TASK else self._items_as_task
            self._tasks[message.request_id] = self._loop.create_task(self._guarded(run, handler, request))

    def abort(self, request_id: bytes) -> None:
        """Nobody waits for it any more: cancels the task, or tells the thread."""
        self.counts.cancelled += 1
        request = self._requests.get(request_id)
        if request is not None:
            request.abort()
        task = self._tasks.get(request_id)
        if task is not None:
            task.cancel()

    async def close(self, timeout: float) -> None:
        """Waits for tasks and threads that were told to stop, at most `timeout` seconds for all of them."""
        until = self._loop.time() + timeout
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout)
        # Waited for on another thread, as what they still have to say comes over this loop.
        left = max(0.0, until - self._loop.time())
        if self._threads and not await asyncio.to_thread(self._threads.close, left):
            _LOG.warning("a handler did not stop within %.1f s and is left behind", timeout)

    def _finish(self, request_id: bytes, result: Body | HootError) -> None:
        self._requests.pop(request_id, None)
        self.counts.errors += isinstance(result, HootError)
        self._results.finish(request_id, result)

    # On threads.

    def _on_thread(self, handler: Handler, request: Request) -> None:
        # One that was aborted while it waited for a thread need not begin.
        result = Cancelled("the handler was not begun") if request.aborted else _result(handler, request)
        self._mailbox.post(partial(self._finish, request.id, result))

    def _items_on_thread(self, handler: Handler, request: Request) -> None:
        sink: _Collected | _Streamed = _Streamed(self, request, self._limits) if request.streams else _Collected()
        try:
            result = _drive(handler, request, sink)
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the thread
            result = failure(error, handler, request)
        self._mailbox.post(partial(self._finish, request.id, result))

    # As tasks.

    async def _guarded(
        self, run: Callable[[Handler, Request], Awaitable[Body]], handler: Handler, request: Request
    ) -> None:
        """Whatever happens to the task, its request is finished."""
        result: Body | HootError = Cancelled("the handler was cancelled")
        try:
            result = await run(handler, request)
        except asyncio.CancelledError:
            # By `abort`, or by itself; this task ends here either way.
            pass
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the loop
            result = failure(error, handler, request)
        finally:
            del self._tasks[request.id]
            self._finish(request.id, result)

    async def _as_task(self, handler: Handler, request: Request) -> Body:
        return encode(await handler.call(request), handler.returns)

    async def _items_as_task(self, handler: Handler, request: Request) -> Body:
        items = handler.call(request)
        collected = None if request.streams else _Collected()
        try:
            async for item in items:
                if collected is not None:
                    collected.put(item, handler)
                else:
                    self._results.partial(request.id, encode(item, handler.returns))
                    await self._room()
        finally:
            await items.aclose()
        return collected.body() if collected is not None else encode(None)

    async def _room(self) -> None:
        """Until the socket has taken what was sent; at once, mostly."""
        room = self._loop.create_future()
        self._results.when_room(lambda: None if room.done() else room.set_result(None))
        await room

    def post_item(self, request_id: bytes, item: Body, sent: Callable[[], None]) -> None:
        """An item from a generator on a thread; `sent` is called once the socket has it."""
        if not self._mailbox.post(partial(self._send_item, request_id, item, sent)):
            raise Cancelled("the worker has stopped")

    def _send_item(self, request_id: bytes, item: Body, sent: Callable[[], None]) -> None:
        self._results.partial(request_id, item)
        self._results.when_room(sent)


class _Streamed:
    """The items of a generator on a thread, sent as they come, only so far ahead of the socket."""

    def __init__(self, execution: Execution, request: Request, limits: Limits) -> None:
        self._execution = execution
        self._request = request
        self._ahead = threading.Semaphore(limits.partials_ahead)

    def put(self, item: object, handler: Handler) -> None:
        body = encode(item, handler.returns)
        self._ahead.acquire()
        self._execution.post_item(self._request.id, body, self._ahead.release)

    def body(self) -> Body:
        """The closing reply's: the items are all there is."""
        return encode(None)


class _Collected:
    """The items of a generator for a client that takes one reply: one JSON list, bounded as any body is."""

    def __init__(self) -> None:
        self._items: list[bytes] = []
        self._size = 2

    def put(self, item: object, handler: Handler) -> None:
        body = encode(item)
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


def request_of(message: Message, method: str, received_at: float, schema: StructType | None = None) -> Request:
    """What the handler of a REQUEST is given; `schema` is what its annotation says of the body."""
    options = message.options
    schema_id = options.schema_id if options is not None else 0
    return Request(
        message.content_type,
        message.body,
        schema_id,
        message.attachments,
        schema,
        method=method,
        _message=message,
        _received_at=received_at,
    )


def _result(handler: Handler, request: Request) -> Body | HootError:
    """Runs a plain function."""
    try:
        return encode(handler.call(request), handler.returns)
    except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the worker
        return failure(error, handler, request)


def _drive(handler: Handler, request: Request, sink: _Collected | _Streamed) -> Body | HootError:
    """Runs a generator to its end, or until nobody waits for its items."""
    items = handler.call(request)
    try:
        for item in items:
            if request.aborted:
                return Cancelled("the handler was stopped")
            sink.put(item, handler)
    finally:
        items.close()
    return sink.body()


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
    if isinstance(error, BodyError):
        return bad_body(error)
    # Raised by a malformed field that was read, but by a reply that was built wrongly as well: the body knows.
    if isinstance(error, CapnpError | UnicodeDecodeError) and (fault := request.fault()) is not None:
        return fault
    with suppress(RecursionError):  # a handler's own exception may be what cannot be printed
        _LOG.error("%s failed", handler.name, exc_info=error)
    return HandlerFailed(_shown(error))


def _shown(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = reason_of(error)
    except Exception:  # noqa: BLE001  # an exception class of the handler's, whose __str__ may do anything
        text = ""
    return f"{name}: {text}"[:_TEXT_MAX] if text else name
