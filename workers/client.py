"""The client for everybody else: blocking calls and futures, from any number of threads."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Self

from hootbus.frames.address import resolve_address
from hootbus.frames.errors import Cancelled, HootError
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag
from hootbus.schemas import StructType
from hootbus.workers.calls import DEFAULT_TIMEOUT_S, Calls, flags_of, new_call, new_ping, reply_of
from hootbus.workers.connection import IdSource
from hootbus.workers.content import Reply
from hootbus.workers.driver import Driver
from hootbus.workers.gathered import Gathered, as_gathered, gathered_of
from hootbus.workers.interrupts import INTERRUPT_LATE_S
from hootbus.workers.limits import Limits
from hootbus.workers.parts import BlockingParts
from hootbus.workers.service_schema import SCHEMA, ServiceSchema, schema_answer, schema_question
from hootbus.workers.session import Call, Dropped


class ReplyFuture(Future[Reply]):
    """The outcome of a request to come. Cancelling it cancels the request, all the way to its handler."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self._cancel = cancel

    def cancel(self) -> bool:
        """Gives the request up; False if it has its outcome already."""
        if not super().cancel():
            return False
        # Taken in one step: it is for the first of several threads, and may be done once only.
        cancel = self.__dict__.pop("_cancel", None)
        if cancel is not None:
            # For concurrent.futures.wait and as_completed, which hear of nothing else.
            self.set_running_or_notify_cancel()
            cancel()
        return True


class Client:
    """Sends requests to a bus; safe to share between threads, and each may have thousands in flight.

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. `keys` are for a
    bus that wants some; without them HOOT_KEY and HOOT_BROKER_KEY, if they are set. A client made before
    a fork cannot be used after it: make it in the child. Errors and `timeout` as with `AsyncClient`.

    A call that is alone does all the work in its own thread. When several want something at once, for futures and for
    streams, a thread of the client's own does it; futures' callbacks run there always. While nothing is wanted nobody
    looks: that the broker went or was replaced is noticed, and logged, with the next request.
    """

    def __init__(self, address: str | None = None, *, limits: Limits | None = None, keys: Keys | None = None) -> None:
        self._address = resolve_address(address)
        self._keys = resolve_keys(keys)
        self._limits = limits or Limits()
        self._new_id = IdSource()
        self._pid = os.getpid()
        self._closing = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._driver = Driver(self._loop)
        opened: Future[Calls] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="hootbus-client", daemon=True)
        self._thread.start()
        try:
            self._calls = opened.result()
        except BaseException:  # cleaned up after and raised again
            # No socket, no context, or Ctrl-C: whatever it was, the thread must not stay.
            self._driver.end()
            self._thread.join()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that came and were let go, by reason."""
        dropped = self._calls.session.dropped
        return {reason.value: dropped[reason] for reason in Dropped}

    @property
    def reached(self) -> dict[str, int]:
        """How often each of its limits held something back, by the limit's name."""
        return dict(self._calls.session.reached)

    def call(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
        expects: StructType | None = None,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> Reply:
        """The reply to one request to `service` or `service/method`; see `AsyncClient.call`. Raises a HootError."""
        call = new_call(
            self._new_id(),
            target,
            body,
            timeout=timeout,
            flags=flags_of(idempotent=idempotent, wait=wait),
            schema_id=schema_id,
            expects=expects,
            attachments=attachments,
            traceparent=traceparent,
        )
        reply = self._ask(call)
        assert reply is not None, "only a one-way request has none"
        return reply

    def submit(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
        expects: StructType | None = None,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> Future[Reply]:
        """As `call`, without waiting: a future of the reply. Its `cancel()` cancels the request."""
        call = new_call(
            self._new_id(),
            target,
            body,
            timeout=timeout,
            flags=flags_of(idempotent=idempotent, wait=wait),
            schema_id=schema_id,
            expects=expects,
            attachments=attachments,
            traceparent=traceparent,
        )
        future = ReplyFuture(partial(self._driver.post, partial(self._calls.cancel, call.request_id)))
        self._post(partial(self._calls.start, call, future), future)
        return future

    def send(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        wait: bool = False,
        schema_id: int = 0,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> None:
        """Sends a one-way request: returns when it was handed to the connection, once there is a broker.

        Nobody will tell what became of it.
        """
        call = new_call(
            self._new_id(),
            target,
            body,
            timeout=timeout,
            flags=flags_of(idempotent=False, wait=wait) | Flag.ONE_WAY.value,
            schema_id=schema_id,
            attachments=attachments,
            traceparent=traceparent,
        )
        self._ask(call)

    def stream(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
        expects: StructType | None = None,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> Iterator[Reply]:
        """The items of a generator's reply as they come; see `AsyncClient.stream`. Leaving it early cancels it."""
        call = new_call(
            self._new_id(),
            target,
            body,
            timeout=timeout,
            flags=flags_of(idempotent=idempotent, wait=wait) | Flag.PARTIALS.value,
            schema_id=schema_id,
            expects=expects,
            attachments=attachments,
            traceparent=traceparent,
        )
        yield from self._items(call, reply_of)

    def gather(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        schema_id: int = 0,
        expects: StructType | None = None,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> Iterator[Gathered]:
        """The answers of all workers of a service to one request, as they come; see `AsyncClient.gather`."""
        call = new_call(
            self._new_id(),
            target,
            body,
            timeout=timeout,
            flags=flags_of(idempotent=idempotent, wait=False) | Flag.PARTIALS.value | Flag.GATHER.value,
            schema_id=schema_id,
            expects=expects,
            attachments=attachments,
            traceparent=traceparent,
        )
        for answer in self._items(call, gathered_of):
            yield as_gathered(answer)

    def schema(self, service: str, *, timeout: float | None = DEFAULT_TIMEOUT_S) -> ServiceSchema:
        """The types of a service, fetched from its workers; see `AsyncClient.schema`."""
        return schema_answer(self.call(SCHEMA, schema_question(service), timeout=timeout, idempotent=True))

    def ping(self, *, timeout: float | None = DEFAULT_TIMEOUT_S) -> float:
        """Seconds to the broker and back."""
        call = new_ping(self._new_id(), timeout)
        before = time.perf_counter()
        self._ask(call)
        return time.perf_counter() - before

    def close(self) -> None:
        """Ends the client; what is still open ends with Cancelled.

        Returns when its thread has ended; at once if it is called on that thread, from a future's callback.
        """
        if self._pid != os.getpid():
            return
        with self._closing:
            closed_before, self._closed = self._closed, True
        if not closed_before:
            self._driver.post(self._calls.close)
            self._driver.end()
        if not self._driver.here():
            self._thread.join()

    def _items(self, call: Call, read: Callable[[Message], Reply]) -> Iterator[Reply]:
        parts = BlockingParts(read)
        self._post(partial(self._calls.start, call, parts, parts.put), parts)
        try:
            while (item := parts.get()) is not None:
                self._driver.post(partial(self._calls.took, call.request_id))
                yield item
        finally:
            if not parts.done():
                self._driver.post(partial(self._calls.cancel, call.request_id))

    def _ask(self, call: Call) -> Reply | None:
        """Waits for the request's outcome, and drives the client meanwhile if nobody else does."""
        self._check()
        if self._driver.here():
            raise RuntimeError("a future's callback runs on the client's own thread and must not wait there")
        answer = _Answer()
        begin = partial(self._calls.start, call, answer)
        try:
            if not self._driver.lead(begin, answer.done):
                self._post(begin, answer)
            answer.wait()
        finally:
            # For Ctrl-C while waiting.
            if not answer.done():
                self._driver.post(partial(self._calls.cancel, call.request_id))
        return answer.take()

    def _check(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError("this client was made before a fork; make one in this process")
        if self._closed:
            raise RuntimeError("the client is closed")

    def _post(self, callback: Callable[[], None], waiter: "Future[Reply] | _Answer | BlockingParts") -> None:
        self._check()
        if not self._driver.post(callback):
            # It was closed meanwhile, and may have resolved the waiter itself.
            with suppress(InvalidStateError):
                waiter.set_exception(Cancelled("the client was closed"))

    def _run(self, opened: Future[Calls]) -> None:
        """The client's own thread."""
        try:
            calls = self._loop.run_until_complete(self._open())
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the thread that waits in __init__
            opened.set_exception(error)
        else:
            opened.set_result(calls)
            self._driver.run(calls.idle)
            # Done already, unless `__init__` was interrupted.
            calls.close()
            calls.end()
        self._loop.close()
        self._driver.close()

    async def _open(self) -> Calls:
        return Calls(self._address, self._limits, self._new_id, self._driver.rest, self._keys)


class _Answer:
    """The outcome of one request on its way to the thread that waits for it."""

    __slots__ = ("_done", "_error", "_gate", "_reply")

    def __init__(self) -> None:
        # Cheaper than an Event or a Future, which are for more than one who waits.
        self._gate = threading.Lock()
        self._gate.acquire()
        self._done = False
        self._reply: Reply | None = None
        self._error: HootError | None = None

    def done(self) -> bool:
        return self._done

    def set_result(self, reply: Reply | None, /) -> None:
        self._reply = reply
        self._end()

    def set_exception(self, error: HootError, /) -> None:
        self._error = error
        self._end()

    def wait(self) -> None:
        while not self._gate.acquire(timeout=INTERRUPT_LATE_S):
            pass

    def take(self) -> Reply | None:
        """The reply, None for a request without one; raises the error. Once only."""
        if self._error is None:
            return self._reply
        # Not kept, as its traceback leads to this frame and back.
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error

    def _end(self) -> None:
        if not self._done:
            self._done = True
            self._gate.release()
