"""The client for everybody else: blocking calls and futures, from any number of threads."""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from functools import partial
from typing import Self

from hootbus.frames.address import resolve_address
from hootbus.frames.errors import Cancelled, HootError
from hootbus.frames.protocol import Flag
from hootbus.workers.calls import DEFAULT_TIMEOUT_S, Calls, flags_of, new_call, time_limit
from hootbus.workers.connection import IdSource
from hootbus.workers.content import Reply
from hootbus.workers.limits import Limits
from hootbus.workers.mailbox import Mailbox
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

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. The connection
    lives on a thread of its own. A client made before a fork cannot be used after it: make it in the child. Errors and
    `timeout` as with `AsyncClient`.
    """

    def __init__(self, address: str | None = None, *, limits: Limits | None = None) -> None:
        self._address = resolve_address(address)
        self._limits = limits or Limits()
        self._new_id = IdSource()
        self._pid = os.getpid()
        self._closing = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._mailbox = Mailbox(self._loop)
        opened: Future[Calls] = Future()
        self._thread = threading.Thread(target=self._run, args=(opened,), name="hootbus-client", daemon=True)
        self._thread.start()
        try:
            self._calls = opened.result()
        except BaseException:
            # No socket, no context, or Ctrl-C: whatever it was, the thread must not stay.
            self._stop_thread()
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

    def call(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
        attachments: Iterable[object] = (),
        traceparent: str = "",
    ) -> Reply:
        """The reply to one request to `service` or `service/method`; see `AsyncClient.call`. Raises a HootError."""
        future = self.submit(
            target,
            body,
            timeout=timeout,
            idempotent=idempotent,
            wait=wait,
            schema_id=schema_id,
            attachments=attachments,
            traceparent=traceparent,
        )
        return self._wait(future)

    def submit(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
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
            attachments=attachments,
            traceparent=traceparent,
        )
        return self._start(call)

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
        self._wait(self._start(call))

    def stream(
        self,
        target: str,
        body: object = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
        schema_id: int = 0,
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
            attachments=attachments,
            traceparent=traceparent,
        )
        parts = _Parts()
        self._post(partial(self._calls.start, call, parts, parts.put), parts)
        try:
            while (item := parts.get()) is not None:
                self._mailbox.post(partial(self._calls.took, call.request_id))
                yield item
        finally:
            if not parts.done():
                self._mailbox.post(partial(self._calls.cancel, call.request_id))

    def ping(self, *, timeout: float | None = DEFAULT_TIMEOUT_S) -> float:
        """Seconds to the broker and back, this thread's way to the connection's included."""
        future: Future[Reply] = Future()
        before = time.perf_counter()
        self._post(partial(self._calls.ping, time_limit(timeout), future), future)
        self._wait(future)
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
            self._mailbox.post(self._calls.close)
            self._stop_thread()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _start(self, call: Call) -> ReplyFuture:
        future = ReplyFuture(partial(self._mailbox.post, partial(self._calls.cancel, call.request_id)))
        self._post(partial(self._calls.start, call, future), future)
        return future

    def _post(self, callback: Callable[[], None], waiter: "Future[Reply] | _Parts") -> None:
        if self._pid != os.getpid():
            raise RuntimeError("this client was made before a fork; make one in this process")
        if self._closed:
            raise RuntimeError("the client is closed")
        if not self._mailbox.post(callback):
            # It was closed meanwhile, and may have resolved the waiter itself.
            with suppress(InvalidStateError):
                waiter.set_exception(Cancelled("the client was closed"))

    def _wait(self, future: Future[Reply]) -> Reply:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a future's callback runs on the client's own thread and must not wait there")
        try:
            return future.result()
        finally:
            # For Ctrl-C while waiting; a future that is done stays as it is.
            future.cancel()

    def _run(self, opened: Future[Calls]) -> None:
        """The client's thread."""
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._open, opened)
        self._loop.run_forever()
        if opened.exception() is None:
            calls = opened.result()
            # Done already, unless `__init__` was interrupted.
            calls.close()
            calls.end()
        self._loop.close()
        self._mailbox.close()

    def _open(self, opened: Future[Calls]) -> None:
        try:
            opened.set_result(Calls(self._address, self._limits, self._new_id))
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the thread that waits in __init__
            opened.set_exception(error)

    def _stop_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


class _Parts:
    """The items of one streamed reply on their way to the thread that reads it. Bounded by the session."""

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[Reply | HootError | None] = queue.SimpleQueue()
        self._ended = False

    def done(self) -> bool:
        return self._ended

    def put(self, item: Reply) -> None:
        self._items.put(item)

    def set_result(self, closing: Reply | None, /) -> None:
        """The end. A closing reply with a body is from a handler that is no generator: it is the only item."""
        self._ended = True
        if closing is not None and closing.size + len(closing.attachments):
            self._items.put(closing)
        self._items.put(None)

    def set_exception(self, error: HootError, /) -> None:
        self._ended = True
        self._items.put(error)

    def get(self) -> Reply | None:
        """The next item, None at the end. Raises the stream's error once the items before it were read."""
        item = self._items.get()
        if isinstance(item, HootError):
            raise item
        return item
