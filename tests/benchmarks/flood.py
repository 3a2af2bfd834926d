"""How events are published flat out and counted: the same for all systems, over each one's own way to publish.

Every event carries the number of its run, its publisher, and its sequence. A publisher says how many it has published;
a subscriber counts what comes until it has had an end mark from each, and says from when to when. Marks may be lost as
anything else, so publishers are asked for them again until every subscriber has answered.
"""

import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from benchmarks.role import Line, Order

_HEAD: Final = struct.Struct("<IIQ")
# In place of a sequence: the publisher has published all.
_END: Final = 2**64 - 1

Facts = dict[str, int]


class OutOfOrder(Exception):
    """An event came twice, or after its successor: counts would mean nothing."""


class Count:
    """What one subscriber has had of one run."""

    def __init__(self, run: int, publishers: int) -> None:
        self._run = run
        self._open = set(range(publishers))
        self._last = [-1] * publishers
        self._received = 0
        self._first_ns = 0
        self._last_ns = 0

    def take(self, body: bytes | bytearray | memoryview) -> bool:
        """Counts an event; whether it was the last that is waited for."""
        run, publisher, sequence = _HEAD.unpack_from(body)
        if run != self._run:
            # Late marks of the run before.
            return False
        if sequence == _END:
            self._open.discard(publisher)
            return not self._open
        if sequence <= self._last[publisher]:
            raise OutOfOrder(f"{sequence} after {self._last[publisher]} of publisher {publisher}")
        self._last[publisher] = sequence
        self._last_ns = time.monotonic_ns()
        if not self._received:
            self._first_ns = self._last_ns
        self._received += 1
        return False

    @property
    def facts(self) -> Facts:
        """The clock is that of the machine: facts of several processes may be compared."""
        return {"received": self._received, "first_ns": self._first_ns, "last_ns": self._last_ns}


def serve_publisher(line: Line, publish: Callable[[bytes], object], flush: Callable[[], object]) -> None:
    """Publishes on order. `flush` returns when nothing waits in this process for an order that does not come."""
    line.ready()
    while True:
        sent = 0
        for body in _events(line.order()):
            publish(body)
            sent += 1
        flush()
        line.answer(sent=sent)


async def serve_async_publisher(
    line: Line, publish: Callable[[bytes], Awaitable[object]], flush: Callable[[], Awaitable[object]]
) -> None:
    """As `serve_publisher`, for asyncio."""
    line.ready()
    while True:
        sent = 0
        for body in _events(await line.aorder()):
            await publish(body)
            sent += 1
        await flush()
        line.answer(sent=sent)


def _events(order: Order) -> Iterator[bytes]:
    """The bodies that are ordered: an end mark, or as many events as are asked for until time is up."""
    run, publisher = order["run"], order["publisher"]
    if order["do"] == "mark":
        yield _HEAD.pack(run, publisher, _END)
        return
    rest = bytes(order["bytes"] - _HEAD.size)
    until = time.perf_counter() + order["seconds"]
    for sequence in range(order["most"]):
        if time.perf_counter() >= until:
            return
        yield _HEAD.pack(run, publisher, sequence) + rest


def serve_subscriber(line: Line, receive: Callable[[], bytes | memoryview]) -> None:
    """Counts on order. The subscription holds already: what comes between two orders waits in the library."""
    line.ready()
    while True:
        order = line.order()
        count = Count(order["run"], order["publishers"])
        line.answer(listening=True)
        while not count.take(receive()):
            pass
        line.answer(**count.facts)


class Ear:
    """The same for libraries that call back, from whichever thread: `hear` is what they call."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._count: Count | None = None

    def hear(self, body: bytes | memoryview) -> None:
        # Nobody counts between two orders: then only marks come, that were asked for once too often.
        if self._count is not None and self._count.take(body):
            facts, self._count = self._count.facts, None
            self._line.answer(**facts)

    def serve(self) -> None:
        self._line.ready()
        while True:
            self._listen(self._line.order())

    async def aserve(self) -> None:
        self._line.ready()
        while True:
            self._listen(await self._line.aorder())

    def _listen(self, order: Order) -> None:
        self._count = Count(order["run"], order["publishers"])
        self._line.answer(listening=True)
