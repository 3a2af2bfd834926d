"""The blocking client: calls that drive it themselves, and what it does when several want something at once."""

import asyncio
import contextlib
import os
import random
import select
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for
from pathlib import Path

import pytest

from cli.shell import until
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Cancelled, Client, HootError, Reply, Request, Worker
from hootbus.workers.calls import Calls

PATIENCE_S = 10.0

# Its other method sets a signal handler that raises, with which the main thread never drives.
pytestmark = pytest.mark.timeout(60, method="thread")


class Gate:
    """Holds handlers until a test opens it, and tells that one has come."""

    def __init__(self) -> None:
        self.come = threading.Semaphore(0)
        self.given_up = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def handle(self, request: Request) -> str:
        self.come.release()
        while not self._open.wait(0.01):
            if request.cancelled.is_set():
                self.given_up.set()
                break
        return "passed"


def offer(gate: Gate) -> Worker:
    worker = Worker("calls", slots=8)

    @worker.method(inline=True)
    def echo(request: Request) -> Request:
        return request

    @worker.method
    def pass_gate(request: Request) -> str:
        return gate.handle(request)

    @worker.method
    def interrupt(request: Request) -> str:
        os.kill(os.getpid(), signal.SIGINT)
        return gate.handle(request)

    @worker.method
    def count(number: int) -> Iterator[int]:
        yield from range(number)

    return worker


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def client(bus: EmbeddedBroker, gate: Gate) -> Iterator[Client]:
    bus.worker(offer(gate))
    with Client(bus.address) as client:
        rest(client)
        yield client


def rest(client: Client) -> None:
    until(lambda: client._driver.resting, "the client rests")


class Noted:
    """Which threads begin requests, and which take in their outcomes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        start, resolve = Calls.start, Calls._resolve

        def noted_start(calls: Calls, *arguments: object, **options: object) -> None:
            self.begun.append(threading.current_thread().name)
            start(calls, *arguments, **options)  # type: ignore[arg-type]  # handed on

        def noted_resolve(calls: Calls, *arguments: object) -> None:
            self.ended.append(threading.current_thread().name)
            resolve(calls, *arguments)  # type: ignore[arg-type]  # handed on

        monkeypatch.setattr(Calls, "start", noted_start)
        monkeypatch.setattr(Calls, "_resolve", noted_resolve)


def on_a_thread(job: Callable[[], object], name: str) -> threading.Thread:
    thread = threading.Thread(target=job, name=name)
    thread.start()
    return thread


# Who drives.


@pytest.mark.interpreted
def test_a_lone_call_is_carried_out_in_its_own_thread(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted(monkeypatch)

    def ask() -> None:
        assert client.call("calls/echo", 1).json() == 1
        client.send("calls/echo", 2)
        assert client.ping() > 0
        with pytest.raises(HootError):
            client.call("nobody")

    ask()
    on_a_thread(ask, "another").join()
    assert noted.begun == noted.ended == ["MainThread"] * 4 + ["another"] * 4
    assert client._driver.resting


@pytest.mark.interpreted
def test_futures_and_streams_are_carried_out_on_the_clients_thread(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Noted(monkeypatch)
    assert client.submit("calls/echo", 1).result(PATIENCE_S).json() == 1
    rest(client)
    assert [item.json() for item in client.stream("calls/count", 3)] == [0, 1, 2]
    assert noted.begun == noted.ended == ["hootbus-client"] * 2


def test_a_future_gets_its_reply_while_another_thread_waits(client: Client, gate: Gate) -> None:
    replies: list[Reply] = []
    called_on: list[threading.Thread] = []
    waiting = on_a_thread(lambda: replies.append(client.call("calls/pass_gate")), "waiting")
    assert gate.come.acquire(timeout=PATIENCE_S)
    future = client.submit("calls/echo", 1)
    future.add_done_callback(lambda _: called_on.append(threading.current_thread()))
    assert future.result(PATIENCE_S).json() == 1
    assert client.call("calls/echo", 2).json() == 2
    until(lambda: called_on, "it was called back")
    assert waiting.is_alive()
    gate.open()
    waiting.join()
    assert replies[0].json() == "passed"
    assert set(called_on) <= {client._thread, threading.current_thread()}, "never the one that waits for another reply"


def test_a_pending_future_gets_its_reply_though_others_call(client: Client, gate: Gate) -> None:
    future = client.submit("calls/pass_gate")
    assert gate.come.acquire(timeout=PATIENCE_S)
    assert [client.call("calls/echo", number).json() for number in range(100)] == list(range(100))
    gate.open()
    assert future.result(PATIENCE_S).json() == "passed"
    rest(client)


def test_calls_of_many_threads_are_all_answered(client: Client) -> None:
    def ask(offset: int) -> None:
        asked = range(offset, offset + 500)
        answered.append([client.call("calls/echo", number).json() for number in asked] == list(asked))

    answered: list[bool] = []
    threads = [on_a_thread(lambda offset=offset: ask(1000 * offset), "asks") for offset in range(8)]  # type: ignore[misc]  # bound now
    for thread in threads:
        thread.join()
    assert answered == [True] * 8
    rest(client)


def test_a_call_within_a_running_loop_is_answered(client: Client) -> None:
    async def main() -> None:
        assert client.call("calls/echo", 1).json() == 1
        assert client.ping() > 0
        assert [item.json() for item in client.stream("calls/count", 3)] == [0, 1, 2]

    asyncio.run(main())


def test_any_mix_of_requests_from_threads_ends(client: Client) -> None:
    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(150):
            way = chance.randrange(7)
            if way < 3:
                assert client.call("calls/echo", number).json() == number
            elif way == 3:
                futures = [client.submit("calls/echo", number) for _ in range(chance.randrange(1, 20))]
                for future in chance.sample(futures, len(futures) // 2):
                    future.cancel()
                assert not wait_for(futures, PATIENCE_S).not_done
                for future in futures:
                    with contextlib.suppress(CancelledError):
                        assert future.result().json() == number
            elif way == 4:
                assert [item.json() for item in client.stream("calls/count", 5)] == list(range(5))
            elif way == 5:
                assert next(client.stream("calls/count", 5)).json() == 0
            else:
                client.send("calls/echo", number)
                assert client.ping() > 0
        ended.append(seed)

    ended: list[int] = []
    threads = [on_a_thread(lambda seed=seed: ask(seed), "asks") for seed in range(6)]  # type: ignore[misc]  # bound now
    for thread in threads:
        thread.join()
    assert sorted(ended) == list(range(6))
    rest(client)
    assert len(client._calls.session) == 0


# Ctrl-C.


@pytest.mark.parametrize("alone", [True, False])
def test_ctrl_c_ends_the_call_and_cancels_its_request(client: Client, gate: Gate, alone: bool) -> None:
    other = None if alone else client.submit("calls/pass_gate")
    with pytest.raises(KeyboardInterrupt):
        client.call("calls/interrupt")
    assert gate.given_up.wait(PATIENCE_S), "the handler was told"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert client.call("calls/echo", 1).json() == 1
    gate.open()
    if other is not None:
        assert other.result(PATIENCE_S).json() == "passed"
    rest(client)
    assert len(client._calls.session) == 0


def test_a_call_of_a_program_that_handles_signals_itself_is_answered(client: Client) -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: told.append(number))
    try:
        signal.raise_signal(signal.SIGINT)
        assert client.call("calls/echo", 1).json() == 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == [signal.SIGINT]


# At rest.


def test_a_broker_that_was_replaced_while_the_client_rested_answers_its_next_call(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}"
    with Client(address) as client:
        with EmbeddedBroker(address) as first:
            first.worker(offer(Gate()))
            assert client.call("calls/echo", 1).json() == 1
            rest(client)
        with EmbeddedBroker(address) as second:
            second.worker(offer(Gate()))
            # The client's socket has something to tell; nobody looks yet.
            select.select([client._calls._connection._monitor_fd], [], [], PATIENCE_S)
            assert client._driver.resting
            assert client.call("calls/echo", 2, wait=True).json() == 2


def test_a_broker_that_is_gone_is_waited_for_by_the_clients_thread(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}"
    with Client(address) as client:
        with EmbeddedBroker(address) as first:
            first.worker(offer(Gate()))
            assert client.call("calls/echo", 1).json() == 1
            rest(client)
        select.select([client._calls._connection._monitor_fd], [], [], PATIENCE_S)
        future = client.submit("calls/echo", 2, wait=True)
        with EmbeddedBroker(address) as second:
            second.worker(offer(Gate()))
            assert future.result(PATIENCE_S).json() == 2
            rest(client)


def test_closing_ends_a_call_that_drives(client: Client, gate: Gate) -> None:
    errors: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(Cancelled, match="closed") as raised:
            client.call("calls/pass_gate")
        errors.append(raised.value)

    asking = on_a_thread(ask, "asking")
    assert gate.come.acquire(timeout=PATIENCE_S)
    client.close()
    asking.join()
    assert len(errors) == 1
    assert gate.given_up.wait(PATIENCE_S), "the handler was told"


def test_closing_at_rest_ends_the_clients_thread(bus: EmbeddedBroker) -> None:
    client = Client(bus.address)
    rest(client)
    on_a_thread(client.close, "closing").join()
    assert not client._thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        client.call("text")
