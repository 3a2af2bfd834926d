"""The client for asyncio programs."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from typing import Self

from hootbus.frames.address import resolve_address
from hootbus.frames.errors import HootError
from hootbus.frames.protocol import Flag
from hootbus.schemas import StructType
from hootbus.workers.calls import DEFAULT_TIMEOUT_S, Calls, flags_of, new_call, new_ping
from hootbus.workers.connection import IdSource
from hootbus.workers.content import Reply
from hootbus.workers.limits import Limits, none_reached
from hootbus.workers.service_schema import SCHEMA, ServiceSchema, schema_answer, schema_question
from hootbus.workers.session import Dropped, no_drops


class AsyncClient:
    """Sends requests to a bus from one asyncio loop; thousands may be in flight at once.

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. It connects on first
    use and waits for a broker that is not there yet. Errors are `hootbus.frames.errors`, raised where the outcome is
    awaited; a request of which nothing is heard ends with DeadlineExceeded after `timeout` seconds.
    """

    def __init__(self, address: str | None = None, *, limits: Limits | None = None) -> None:
        self._address = resolve_address(address)
        self._limits = limits or Limits()
        self._new_id = IdSource()
        self._calls: Calls | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def dropped(self) -> dict[str, int]:
        """Messages that came and were let go, by reason."""
        dropped = self._calls.session.dropped if self._calls is not None else no_drops()
        return {reason.value: dropped[reason] for reason in Dropped}

    @property
    def reached(self) -> dict[str, int]:
        """How often each of its limits held something back, by the limit's name."""
        return dict(self._calls.session.reached) if self._calls is not None else none_reached()

    async def call(
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
        """The reply to one request to `service` or `service/method`.

        `body`: None, a buffer, a Cap'n Proto message, or what JSON can say. `idempotent` allows it to be carried out
        more than once, so that it survives a lost worker or a replaced broker; `wait` has it wait for a worker of the
        service to come. `expects` is the struct that the reply is to be read as: workers that speak of it otherwise are
        found out before the request is handed to one. A task that is cancelled here cancels the request. Raises a
        HootError; SchemaMismatch, with the differences in words, if the service speaks types that cannot be read.
        """
        calls = self._open()
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
        future: asyncio.Future[Reply] = calls.loop.create_future()
        calls.start(call, future)
        try:
            return await future
        except asyncio.CancelledError:
            calls.cancel(call.request_id)
            raise

    async def send(
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
        calls = self._open()
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
        future: asyncio.Future[None] = calls.loop.create_future()
        calls.start(call, future)
        try:
            await future
        except asyncio.CancelledError:
            calls.cancel(call.request_id)
            raise

    async def stream(
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
    ) -> AsyncGenerator[Reply, None]:
        """The items of a generator's reply as they come; of any other handler, its one reply.

        `timeout` is for the whole stream. Leaving it early cancels the request, at once if it is closed
        (`contextlib.aclosing`). Raises a HootError; Overloaded if more than 256 items are unread.
        """
        calls = self._open()
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
        parts = _Parts()
        calls.start(call, parts, parts.put)
        try:
            while (item := await parts.get()) is not None:
                calls.took(call.request_id)
                yield item
        finally:
            if not parts.done():
                calls.cancel(call.request_id)

    async def schema(self, service: str, *, timeout: float | None = DEFAULT_TIMEOUT_S) -> ServiceSchema:
        """The types of a service, fetched from its workers: to speak with it without its `.capnp` files.

        Raises UnknownService if nobody offers it.
        """
        return schema_answer(await self.call(SCHEMA, schema_question(service), timeout=timeout, idempotent=True))

    async def ping(self, *, timeout: float | None = DEFAULT_TIMEOUT_S) -> float:
        """Seconds to the broker and back."""
        calls = self._open()
        future: asyncio.Future[Reply | None] = calls.loop.create_future()
        before = time.perf_counter()
        calls.start(new_ping(self._new_id(), timeout), future)
        await future
        return time.perf_counter() - before

    async def aclose(self) -> None:
        """Ends the client; what is still open ends with Cancelled. What was sent may take half a second to leave."""
        if self._closed:
            return
        self._closed = True
        if self._calls is not None:
            self._calls.close()
            # On a thread, as the loop has others to serve.
            await asyncio.to_thread(self._calls.end)

    def _open(self) -> Calls:
        if self._closed:
            raise RuntimeError("the client is closed")
        if self._calls is None:
            self._calls = Calls(self._address, self._limits, self._new_id)
        return self._calls


class _Parts:
    """The items of one streamed reply on their way to its reader. Bounded by the session."""

    def __init__(self) -> None:
        self._items: deque[Reply] = deque()
        self._error: HootError | None = None
        self._ended = False
        self._arrived = asyncio.Event()

    def done(self) -> bool:
        return self._ended

    def put(self, item: Reply) -> None:
        self._items.append(item)
        self._arrived.set()

    def set_result(self, closing: Reply | None, /) -> None:
        """The end. A closing reply with a body is from a handler that is no generator: it is the only item."""
        self._ended = True
        if closing is not None and closing.size + len(closing.attachments):
            self._items.append(closing)
        self._arrived.set()

    def set_exception(self, error: HootError, /) -> None:
        self._ended = True
        self._error = error
        self._arrived.set()

    async def get(self) -> Reply | None:
        """The next item, None at the end. Raises the stream's error once the items before it were read."""
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()
