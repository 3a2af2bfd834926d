"""The client for asyncio programs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Self

from hootbus.frames.address import resolve_address
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag
from hootbus.schemas import StructType
from hootbus.workers.calls import DEFAULT_TIMEOUT_S, Calls, flags_of, new_call, new_ping, reply_of
from hootbus.workers.connection import IdSource
from hootbus.workers.content import Reply
from hootbus.workers.gathered import Gathered, as_gathered, gathered_of
from hootbus.workers.limits import Limits, none_reached
from hootbus.workers.parts import AsyncParts
from hootbus.workers.service_schema import SCHEMA, ServiceSchema, schema_answer, schema_question
from hootbus.workers.session import Call, Dropped, no_drops


class AsyncClient:
    """Sends requests to a bus from one asyncio loop; thousands may be in flight at once.

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. `keys` are for a
    bus that wants some; without them HOOT_KEY and HOOT_BROKER_KEY, if they are set. It connects on first
    use and waits for a broker that is not there yet. Errors are `hootbus.frames.errors`, raised where the outcome is
    awaited; a request of which nothing is heard ends with DeadlineExceeded after `timeout` seconds.
    """

    def __init__(self, address: str | None = None, *, limits: Limits | None = None, keys: Keys | None = None) -> None:
        self._address = resolve_address(address)
        self._keys = resolve_keys(keys)
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
        (`contextlib.aclosing`). A handler is at most `Limits.stream_window` items ahead of their reader, and waits
        then. Raises a HootError once the items before it were read.
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
        async with aclosing(self._items(calls, call, reply_of)) as items:
            async for item in items:
                yield item

    async def gather(
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
    ) -> AsyncGenerator[Gathered, None]:
        """The answers of all workers of a service to one request, as they come: one of each that is attached now.

        One that fails, or is lost, is an answer with an `error`. Raises a HootError if the whole fails: UnknownService
        without a worker, DeadlineExceeded when `timeout` seconds have not been enough for all. Leaving it early cancels
        what is not answered.
        """
        calls = self._open()
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
        async with aclosing(self._items(calls, call, gathered_of)) as answers:
            async for answer in answers:
                yield as_gathered(answer)

    async def _items(self, calls: Calls, call: Call, read: Callable[[Message], Reply]) -> AsyncGenerator[Reply, None]:
        parts = AsyncParts(read)
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
            self._calls = Calls(self._address, self._limits, self._new_id, keys=self._keys)
        return self._calls
