"""Running handlers: each kind in its place, with exactly one result for the session, whatever the handler does."""

import logging
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec

from hootbus.frames.errors import Cancelled, HootError
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType
from hootbus.schemas import StructType
from hootbus.workers import trace as _trace
from hootbus.workers.handler import Handler, Kind, Methods
from hootbus.workers.limits import Limits
from hootbus.workers.mailbox import Mailbox
from hootbus.workers.outcome import Collected, Results, failure
from hootbus.workers.outgoing import answer, encode
from hootbus.workers.request import Request
from hootbus.workers.session import Body
from hootbus.workers.tasks import Tasks
from hootbus.workers.threads import Threads
from hootbus.workers.validation import DEFAULT, Validate, applies

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_INLINE: Final = Kind.INLINE
_JSON: Final = ContentType.JSON

_LOG: Final = logging.getLogger("hootbus.worker")


class Counts(msgspec.Struct):
    """What became of the requests of one worker."""

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    translated: int = 0


class Execution:
    """The handlers that run. Lives on the worker's loop; `finish` is called there once for each `start`.

    `reached` is where its limits are counted.
    """

    def __init__(
        self,
        methods: Methods,
        slots: int,
        results: Results,
        limits: Limits,
        reached: dict[str, int],
        mailbox: Mailbox,
        validate: Validate,
    ) -> None:
        self._methods = methods
        self._results = results
        self._limits = limits
        self._reached = reached
        self._mailbox = mailbox
        self._threads = Threads(slots, "hootbus-handler")
        self._validate = validate
        self._requests: dict[bytes, Request] = {}
        self._tasks = Tasks(results, self._finish)
        self.counts = Counts()

    def start(self, message: Message, now: float) -> None:
        """Begins the handler for a request."""
        self.counts.requests += 1
        handler = self._methods.find(message.service)
        if isinstance(handler, HootError):
            self._finish(message.request_id, handler)
            return
        request = request_of(message, handler.name, now, handler.takes, self._validate)
        if request.translated:
            self.counts.translated += 1
            _LOG.debug("%s takes Cap'n Proto: a JSON request is translated", handler.name)
        kind = handler.kind
        if kind is _INLINE:
            self._finish(message.request_id, _result(handler, request))
            return
        self._requests[message.request_id] = request
        if kind is Kind.THREAD:
            self._threads.run(partial(self._on_thread, handler, request))
        elif kind is Kind.GENERATOR:
            self._threads.run(partial(self._items_on_thread, handler, request, _ahead(message, self._limits)))
        else:
            self._tasks.start(handler, request)

    def abort(self, request_id: bytes) -> None:
        """Nobody waits for it any more: cancels the task, or tells the thread."""
        self.counts.cancelled += 1
        request = self._requests.get(request_id)
        if request is not None:
            request.abort()
        self._tasks.cancel(request_id)

    def close(self, timeout: float) -> Awaitable[None]:
        """Waits for tasks and threads that were told to stop, at most `timeout` seconds for all of them."""
        return self._tasks.close(self._threads, timeout)

    def _finish(self, request_id: bytes, result: Body | HootError) -> None:
        self._requests.pop(request_id, None)
        self.counts.errors += isinstance(result, HootError)
        self._results.finish(request_id, result)

    # On threads.

    def _on_thread(self, handler: Handler, request: Request) -> None:
        # One that was aborted while it waited for a thread need not begin.
        result = Cancelled("the handler was not begun") if request.aborted else _result(handler, request)
        self._mailbox.post(partial(self._finish, request.id, result))

    def _items_on_thread(self, handler: Handler, request: Request, ahead: int) -> None:
        sink: Collected | _Streamed = _Streamed(self, request, ahead) if request.streams else Collected(request)
        try:
            if request.traced:
                with request.trace():
                    result = _drive(handler, request, sink)
            else:
                result = _drive(handler, request, sink)
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the thread
            result = failure(error, handler, request)
        self._mailbox.post(partial(self._finish, request.id, result))

    def post_item(self, request_id: bytes, item: Body, ahead: int, more: Callable[[], None], waited: bool) -> None:
        """An item from a generator on a thread, that `waited`; `more` is called once it may be `ahead` of this one."""
        if not self._mailbox.post(partial(self._send_item, request_id, item, ahead, more, waited)):
            raise Cancelled("the worker has stopped")

    def _send_item(self, request_id: bytes, item: Body, ahead: int, more: Callable[[], None], waited: bool) -> None:
        self._reached["partials_ahead"] += waited
        self._results.partial(request_id, item)
        self._results.when_ready(request_id, ahead, more)


class _Streamed:
    """The items of a generator on a thread, sent as they come, only so far ahead of the socket and of their client."""

    def __init__(self, execution: Execution, request: Request, ahead: int) -> None:
        self._execution = execution
        self._request = request
        self._ahead = ahead
        # One for each item that may be given now.
        self._permits = threading.Semaphore(ahead)

    def put(self, item: object, handler: Handler) -> None:
        body = answer(item, handler.returns, as_json=self._request.translated)
        waits = not self._permits.acquire(blocking=False)
        if waits:
            self._permits.acquire()
        if self._request.aborted:
            raise Cancelled("the handler was stopped")
        self._execution.post_item(self._request.id, body, self._ahead, self._permits.release, waits)

    def body(self) -> Body:
        """The closing reply's: the items are all there is."""
        return encode(None)


def request_of(
    message: Message,
    method: str,
    received_at: float,
    schema: StructType | None = None,
    validate: Validate = DEFAULT,
) -> Request:
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
        _unchecked=applies(validate, options),
        translated=schema is not None and message.content_type is _JSON,
        traced=len(message.traceparent) > 0 or _trace.TRACER is not None,
    )


def _ahead(message: Message, limits: Limits) -> int:
    """How many items a generator on a thread may be ahead of the socket: no more than its client takes at first."""
    credit = message.options.credit if message.options is not None else 0
    return min(limits.partials_ahead, credit) if credit else limits.partials_ahead


def _result(handler: Handler, request: Request) -> Body | HootError:
    """Runs a plain function."""
    try:
        if request.traced:
            with request.trace():
                return answer(handler.call(request), handler.returns, as_json=request.translated)
        return answer(handler.call(request), handler.returns, as_json=request.translated)
    except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the worker
        return failure(error, handler, request)


def _drive(handler: Handler, request: Request, sink: Collected | _Streamed) -> Body | HootError:
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
