"""How a client loads a system: the same loops and the same clock for all of them, over each one's own way to ask.

There are two ways. A `Window` sends requests and takes replies as they come, for libraries whose calls block. `Call` is
one request that is awaited, for those of asyncio; many tasks make it at the same time. Both run for a time and then
finish what they began: only whole calls are counted, and the clock stops with the last reply.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from benchmarks.role import Line

# What a client asks for before it says that it is ready, so that connections are made and the worker is known.
PROBE: Final = b"probe"
_NS_PER_US: Final = 1000
# Plenty for a percentile; a long run must not fill the memory.
_LATENCIES_MAX: Final = 1_000_000


class WrongReply(Exception):
    """The reply is not the echo that was asked for, so that the time it took means nothing."""


class Window(Protocol):
    """Requests and replies on a library whose calls block."""

    def ask(self, body: bytes, count: int) -> None:
        """Sends so many requests with this body."""

    def take(self, size: int) -> int:
        """Waits for replies, and says how many came; each is `size` bytes long, or it raises WrongReply."""


Call = Callable[[bytes], Awaitable[int]]
"""One request of asyncio: the size of its reply."""


def check(size: int, expected: int) -> None:
    if size != expected:
        raise WrongReply(f"a reply of {size} bytes to a request of {expected}")


def serve_window(line: Line, window: Window) -> None:
    """Carries out orders on a window. It must have had an answer to a probe."""
    line.ready()
    while True:
        order = line.order()
        body = b"x" * order["bytes"]
        if order["do"] == "load":
            line.answer(**_load_window(window, body, order["in_flight"], order["seconds"]))
        else:
            line.answer(us=_latencies_window(window, body, order["seconds"]))


async def serve_calls(line: Line, call: Call) -> None:
    """Carries out orders with calls of asyncio. There must have been an answer to a probe."""
    line.ready()
    while True:
        order = await line.aorder()
        body = b"x" * order["bytes"]
        if order["do"] == "load":
            line.answer(**await _load_calls(call, body, order["in_flight"], order["seconds"]))
        else:
            line.answer(us=await _latencies_calls(call, body, order["seconds"]))


def _load_window(window: Window, body: bytes, in_flight: int, seconds: float) -> dict[str, float]:
    size = len(body)
    clock = time.perf_counter
    began = clock()
    until = began + seconds
    window.ask(body, in_flight)
    open_requests, done = in_flight, 0
    while open_requests:
        came = window.take(size)
        done += came
        if clock() < until:
            window.ask(body, came)
        else:
            open_requests -= came
    return {"requests": done, "seconds": clock() - began}


async def _load_calls(call: Call, body: bytes, in_flight: int, seconds: float) -> dict[str, float]:
    size = len(body)
    clock = time.perf_counter
    done = 0

    async def caller() -> None:
        nonlocal done
        while True:
            check(await call(body), size)
            done += 1
            if clock() >= until:
                return

    began = clock()
    until = began + seconds
    async with asyncio.TaskGroup() as callers:
        for _ in range(in_flight):
            callers.create_task(caller())
    return {"requests": done, "seconds": clock() - began}


def _latencies_window(window: Window, body: bytes, seconds: float) -> list[float]:
    size = len(body)
    clock = time.perf_counter_ns
    until = clock() + int(seconds * 1e9)
    taken: list[float] = []
    while (before := clock()) < until and len(taken) < _LATENCIES_MAX:
        window.ask(body, 1)
        window.take(size)
        taken.append((clock() - before) / _NS_PER_US)
    return taken


async def _latencies_calls(call: Call, body: bytes, seconds: float) -> list[float]:
    size = len(body)
    clock = time.perf_counter_ns
    until = clock() + int(seconds * 1e9)
    taken: list[float] = []
    while (before := clock()) < until and len(taken) < _LATENCIES_MAX:
        check(await call(body), size)
        taken.append((clock() - before) / _NS_PER_US)
    return taken
