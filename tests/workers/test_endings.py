"""What cannot be sent, told or begun ends its own request; closing ends everything and holds up no loop."""

import asyncio
import concurrent.futures
import logging
import math
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.protocol import ContentType
from hootbus.workers import (
    AsyncClient,
    BadFrame,
    Client,
    DeadlineExceeded,
    HandlerFailed,
    HootError,
    Overloaded,
    Publisher,
    Request,
    Worker,
)
from hootbus.workers.calls import TIMEOUT_MAX_S, time_limit
from hootbus.workers.connection import Connection
from hootbus.workers.content import Content
from hootbus.workers.limits import Limits
from hootbus.workers.mailbox import Mailbox
from hootbus.workers.threads import Threads

PATIENCE_S = 10.0
# Its other method sets a signal handler that raises, with which the main thread never drives a client.
pytestmark = pytest.mark.timeout(60, method="thread")
# Its type id is wider than the options: that is found only when the frames are made.
UNSENDABLE = Content(ContentType.JSON, b"1", 2**64)


class Odd(HootError):
    """An error of a program's own, with a code of its own."""

    code = "odd"
    number = 1000


def offer() -> Worker:
    worker = Worker("ends", slots=1)

    @worker.method(inline=True)
    def echo(request: Request) -> Request:
        return request

    @worker.method
    def unsendable() -> Content:
        return UNSENDABLE

    @worker.method
    def unsendable_items() -> Iterator[object]:
        yield 0
        yield UNSENDABLE
        yield 2

    @worker.method
    async def unsendable_items_later() -> AsyncIterator[object]:
        yield UNSENDABLE
        await asyncio.sleep(PATIENCE_S)

    @worker.method
    def odd() -> None:
        raise Odd("strange", details={"a": [1]})  # type: ignore[arg-type]  # a program's mistake

    @worker.method
    def too_high() -> None:
        error = Odd("strange")
        error.number = 2**16
        raise error

    @worker.method
    def silent() -> None:
        raise Overloaded(None)  # type: ignore[arg-type]  # a program's mistake

    @worker.method
    def wordy() -> None:
        raise Overloaded("x" * 10_000_000)

    return worker


@pytest.fixture
def client(bus: EmbeddedBroker) -> Client:
    bus.worker(offer())
    return bus.client()


# What cannot be sent.


def test_a_request_that_cannot_be_sent_ends_and_those_behind_it_do_not(client: Client) -> None:
    futures = [client.submit("ends/echo", body) for body in (1, UNSENDABLE, 3)]
    assert isinstance(futures[1].exception(PATIENCE_S), BadFrame)
    assert "cannot be sent" in str(futures[1].exception())
    assert [futures[index].result(PATIENCE_S).json() for index in (0, 2)] == [1, 3]


def test_a_buffer_released_before_the_socket_has_it_ends_its_call(client: Client) -> None:
    async def main() -> None:
        async with AsyncClient(client._address.text) as bus:
            await bus.ping()
            view = memoryview(bytearray(b"view"))
            call = asyncio.create_task(bus.call("ends/echo", view))
            await asyncio.sleep(0)
            view.release()
            with pytest.raises(BadFrame, match="released"):
                await call
            assert (await bus.call("ends/echo", 1)).json() == 1

    asyncio.run(main())


def test_a_buffer_released_before_its_turn_comes_ends_its_call(client: Client) -> None:
    hold, held = threading.Event(), threading.Event()

    def keep_the_client_busy() -> None:
        held.set()
        assert hold.wait(PATIENCE_S)

    client._driver.post(keep_the_client_busy)
    assert held.wait(PATIENCE_S)
    view = memoryview(bytearray(b"view"))
    futures = [client.submit("ends/echo", 1), client.submit("ends/echo", view), client.submit("ends/echo", 3)]
    view.release()
    hold.set()
    assert isinstance(futures[1].exception(PATIENCE_S), BadFrame)
    assert [futures[index].result(PATIENCE_S).json() for index in (0, 2)] == [1, 3]


def test_a_reply_that_cannot_be_sent_is_a_handlers_error(client: Client) -> None:
    for _ in range(2):
        with pytest.raises(HandlerFailed, match="the reply cannot be sent"):
            client.call("ends/unsendable")
    assert client.call("ends/echo", 1).json() == 1


@pytest.mark.parametrize("method", ["unsendable_items", "unsendable_items_later"])
def test_an_item_that_cannot_be_sent_ends_its_stream(client: Client, method: str) -> None:
    with pytest.raises((HandlerFailed, Overloaded), match=r"cannot be sent|was lost"):
        list(client.stream(f"ends/{method}"))
    assert client.call("ends/echo", 1, timeout=PATIENCE_S).json() == 1


@pytest.mark.parametrize("schema_id", [-1, 2**64])
def test_a_schema_id_is_judged_where_it_is_given(client: Client, schema_id: int) -> None:
    with pytest.raises(ValueError, match="schema id"):
        client.submit("ends/echo", {}, schema_id=schema_id)
    with Publisher(client._address.text) as publisher, pytest.raises(ValueError, match="schema id"):
        publisher.publish("a", {}, schema_id=schema_id)


# What cannot be told.


@pytest.mark.parametrize(
    ("method", "kind", "code", "message", "details"),
    [
        ("odd", HootError, "odd", "strange", '{"a":[1]}'),
        ("too_high", HandlerFailed, "handler_error", "strange", ""),
        ("silent", Overloaded, "overloaded", "overloaded", ""),
        ("wordy", Overloaded, "overloaded", "x" * 1024, ""),
    ],
)
def test_an_error_of_a_programs_own_is_told_as_far_as_it_can_be(
    client: Client, method: str, kind: type[HootError], code: str, message: str, details: str
) -> None:
    error = client.submit(f"ends/{method}").exception(PATIENCE_S)
    assert type(error) is kind
    assert (error.code, error.message, error.details) == (code, message, details)
    assert client.call("ends/echo", 1).json() == 1


# What cannot be begun.


@pytest.mark.parametrize(
    ("given", "taken"), [(None, None), (math.inf, None), (0, 0.0), (5, 5.0), (True, 1.0), (1e300, TIMEOUT_MAX_S)]
)
def test_a_timeout_is_a_number_of_seconds(given: object, taken: float | None) -> None:
    assert time_limit(given) == taken


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -1.0])
def test_a_limit_is_a_finite_number(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"request_timeout_s is .*; a limit is a number from 0 on"):
        Limits(request_timeout_s=seconds)


def test_what_a_call_is_given_may_be_of_a_kindred_class(client: Client) -> None:
    """As other libraries have them: truth, whole numbers and texts that are not quite Python's own."""
    once: Any = np.True_
    schema: Any = np.uint64(7)
    nothing: Any = None
    reply = client.call("ends/echo", 1, idempotent=once, wait=1, schema_id=schema, traceparent=nothing)  # type: ignore[arg-type]  # that is the question
    assert reply.json() == 1


@pytest.mark.parametrize("timeout", [math.nan, -1, -math.inf, "5", b"5", [], 10**400, 1j])
def test_any_other_timeout_is_refused_where_it_is_given(client: Client, timeout: object) -> None:
    asks: list[Callable[..., object]] = [client.submit, client.send, client.call]
    for ask in asks:
        with pytest.raises((TypeError, ValueError), match="a timeout is a number of seconds"):
            ask("ends/echo", timeout=timeout)
    ping: Callable[..., float] = client.ping
    with pytest.raises((TypeError, ValueError), match="a timeout is a number of seconds"):
        ping(timeout=timeout)


def test_a_posted_callback_that_fails_strands_none_behind_it(loop_errors: list[str]) -> None:
    async def main() -> list[int]:
        mailbox, told = Mailbox(asyncio.get_running_loop()), list[int]()
        mailbox.post(lambda: told.append(1))
        mailbox.post(lambda: 1 // 0)
        mailbox.post(lambda: told.append(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return told

    assert asyncio.run(main()) == [1, 2]
    [said] = loop_errors
    assert "ZeroDivisionError" in said
    loop_errors.clear()


def test_sys_exit_in_a_futures_callback_ends_no_client(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    client._driver.post(lambda: gate.wait(PATIENCE_S))
    future = client.submit("ends/echo", 1)
    future.add_done_callback(lambda _: sys.exit(3))
    with caplog.at_level(logging.ERROR, "hootbus"):
        gate.set()
        assert client.call("ends/echo", 2, timeout=PATIENCE_S).json() == 2
    assert "callback failed" in caplog.text


# Cancelling and closing.


def test_a_cancelled_future_is_done_for_wait_and_as_completed(bus: EmbeddedBroker) -> None:
    client = bus.client()
    futures = [client.submit("nobody", wait=True) for _ in range(2)]
    waiting = threading.Timer(0.05, futures[0].cancel)
    waiting.start()
    done, _ = concurrent.futures.wait(futures, PATIENCE_S, concurrent.futures.FIRST_COMPLETED)
    assert done == {futures[0]}
    assert futures[1].cancel()
    assert futures[1].cancel(), "a second time is no mistake"
    assert set(concurrent.futures.as_completed(futures, PATIENCE_S)) == set(futures)
    waiting.join()


def test_after_close_every_client_says_the_same(bus: EmbeddedBroker) -> None:
    async def main(used: bool) -> None:
        client = AsyncClient(bus.address)
        if used:
            await client.ping()
        await client.aclose()
        await client.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.call("text")

    for used in (True, False):
        asyncio.run(main(used))
    client = Client(bus.address)
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.call("text")


def test_a_client_may_be_closed_by_a_futures_callback(bus: EmbeddedBroker) -> None:
    client = Client(bus.address)
    closed: list[object] = []

    def close(_: object) -> None:
        client.close()
        closed.append(threading.current_thread())

    other = client.submit("nobody", wait=True)
    client.submit("nobody", wait=True, timeout=0.05).add_done_callback(close)
    assert isinstance(other.exception(PATIENCE_S), HootError)
    client.close()
    assert closed == [client._thread]
    assert not client._thread.is_alive()


@pytest.mark.interpreted
def test_closing_waits_for_what_was_sent_but_not_on_the_loop(
    bus: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_on: list[threading.Thread] = []
    end = Connection.end

    def noted(self: Connection) -> None:
        ended_on.append(threading.current_thread())
        end(self)

    monkeypatch.setattr(Connection, "end", noted)

    async def main() -> None:
        async with AsyncClient(bus.address) as client:
            await client.ping()
        worker = offer()
        worker._address = bus.address
        ready = asyncio.Event()
        serving = asyncio.create_task(worker.serve(on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        worker.stop()
        await serving

    asyncio.run(main())
    assert len(ended_on) == 2
    assert threading.current_thread() not in ended_on


def test_threads_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    threads = Threads(3, "test")

    def wait() -> None:
        gate.wait(PATIENCE_S)

    for _ in range(3):
        threads.run(wait)
    now, waits = [100.0], list[float]()

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        assert timeout is not None
        waits.append(timeout)
        now[0] += timeout

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "join", join)
        patched.setattr("hootbus.workers.threads.time.monotonic", lambda: now[0])
        assert not threads.close(1.0)
    assert waits == [1.0, 0.0, 0.0]
    gate.set()


# Publishers without a broker.


def test_a_publisher_without_a_broker_looks_ever_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    async def main() -> None:
        async with Publisher(f"ipc://{tmp_path}") as publisher:
            with pytest.raises(DeadlineExceeded):
                await publisher.apublish("a", timeout=0.3)

    monkeypatch.setattr(asyncio, "sleep", noted)
    asyncio.run(main())
    assert pauses[:5] == [0.002, 0.004, 0.008, 0.016, 0.032]
    assert max(pauses) == 0.05


def test_a_publisher_that_waits_for_a_broker_lets_others_have_the_lock(tmp_path: Path) -> None:
    publisher = Publisher(f"ipc://{tmp_path}")
    waiting: list[bool] = []
    begun = threading.Event()
    poll = publisher._poll

    def noted(seconds: float) -> None:
        # Whoever waits holds the lock up to here, and has it again behind it.
        waiting.append(publisher._lock.locked())
        begun.set()
        poll(seconds)
        waiting.append(publisher._lock.locked())

    publisher._poll = noted  # type: ignore[method-assign]  # to be told of it

    def told_of_the_end(wait: Callable[..., None]) -> None:
        with pytest.raises(RuntimeError, match="the publisher is closed"):
            wait(timeout=PATIENCE_S)
        ended.append(wait)

    ended: list[object] = []
    waits: list[Callable[..., None]] = [partial(publisher.publish, "a"), publisher.ready]
    threads = [threading.Thread(target=told_of_the_end, args=(wait,)) for wait in waits]
    for thread in threads:
        thread.start()
    assert begun.wait(PATIENCE_S)
    # It is closed in the midst of that, which takes the lock.
    publisher.close()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(ended) == 2
    assert set(waiting) == {True}
