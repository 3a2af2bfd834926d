"""A worker's life: attaching, draining, brokers that come late, stop or are replaced, and signals."""

import asyncio
import logging
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Client, DeadlineExceeded, Request, Worker, WorkerLost

PATIENCE_S = 10.0

PROGRAM = """
import sys, time
from hootbus.workers import Worker

worker = Worker("slow", sys.argv[1])

@worker.method
def nap(request):
    print("begun", flush=True)
    time.sleep(request.json())
    return "slept"

@worker.on_stop
def bye():
    print("stopped", flush=True)

worker.run(on_ready=lambda: print("ready", flush=True))
"""


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "it did not come true"
        time.sleep(0.005)


def echoing() -> Worker:
    worker = Worker("text")
    worker.method(inline=True, name="echo")(lambda request: request)
    return worker


def gated(begun: threading.Event, gate: threading.Event) -> Worker:
    """A worker whose one method waits for the gate."""
    worker = Worker("gated", slots=1)

    @worker.method
    def enter(request: Request) -> str:
        begun.set()
        assert gate.wait(PATIENCE_S)
        return "through"

    return worker


@pytest.fixture
def begun() -> threading.Event:
    return threading.Event()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end whatever happens, so that no handler stays behind it."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def address(tmp_path: Path) -> str:
    """An address at which there is no broker yet."""
    return f"ipc://{tmp_path}"


def test_what_it_runs_is_finished_before_it_leaves(
    bus: EmbeddedBroker, begun: threading.Event, gate: threading.Event
) -> None:
    worker = gated(begun, gate)
    client = bus.client()
    worker.start(bus.address)
    future = client.submit("gated")
    assert begun.wait(PATIENCE_S)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    until(lambda: _states(client) == ["draining"])
    gate.set()
    assert future.result(PATIENCE_S).json() == "through"
    stopping.join(PATIENCE_S)
    assert worker.stats().running == 0


def _states(client: Client) -> list[str]:
    """What the broker says of its workers."""
    return [worker["state"] for worker in client.call("hoot.broker/workers").json()["workers"]]


def test_a_drain_has_an_end(bus: EmbeddedBroker, begun: threading.Event) -> None:
    worker = Worker("stuck", drain_timeout=0.1)
    stopped = threading.Event()

    @worker.method
    def stick(request: Request) -> None:
        begun.set()
        if request.cancelled.wait(PATIENCE_S):
            stopped.set()

    with worker.running(bus.address):
        future = bus.client().submit("stuck")
        assert begun.wait(PATIENCE_S)
    assert stopped.is_set()
    with pytest.raises(WorkerLost):
        future.result(PATIENCE_S)


def test_hooks_run_around_it_and_may_be_async(bus: EmbeddedBroker) -> None:
    worker = echoing()
    told: list[str] = []

    @worker.on_start
    async def load() -> None:
        await asyncio.sleep(0)
        told.append("load")

    @worker.on_stop
    def free() -> None:
        told.append("free")

    @worker.on_stop
    async def free_first() -> None:
        told.append("free first")

    with worker.running(bus.address):
        assert told == ["load"]
    assert told == ["load", "free first", "free"]


def test_a_hook_that_fails_ends_the_worker(bus: EmbeddedBroker) -> None:
    worker = echoing()

    @worker.on_start
    def load() -> None:
        raise FileNotFoundError("model")

    with pytest.raises(FileNotFoundError, match="model"):
        worker.start(bus.address)


def test_a_worker_can_be_started_again(bus: EmbeddedBroker) -> None:
    worker = echoing()
    client = bus.client()
    for number in range(2):
        with worker.running(bus.address):
            assert client.call("text", number).json() == number
            assert worker.stats().requests == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_stop_when_nothing_runs_is_nothing(bus: EmbeddedBroker, times: int) -> None:
    worker = echoing()
    worker.stop()
    for number in range(2):
        worker.start(bus.address)
        assert bus.client().call("text/echo", number).json() == number
        for _ in range(times):
            worker.stop()


def test_a_stop_while_a_hook_fails_is_over_with_it(bus: EmbeddedBroker) -> None:
    worker = echoing()
    loading, fail = threading.Event(), threading.Event()

    @worker.on_start
    def load() -> None:
        loading.set()
        assert fail.wait(PATIENCE_S)
        if not there:
            raise FileNotFoundError("model")

    def start() -> None:
        with pytest.raises(FileNotFoundError):
            worker.start(bus.address)

    def stop() -> None:
        with pytest.raises(FileNotFoundError):
            worker.stop()

    there = False
    starting = threading.Thread(target=start)
    starting.start()
    assert loading.wait(PATIENCE_S)
    stopping = threading.Thread(target=stop)
    stopping.start()
    until(lambda: worker._stop_asked)
    fail.set()
    starting.join()
    stopping.join()
    there = True
    with worker.running(bus.address):
        assert bus.client().call("text/echo", 1).json() == 1


@pytest.mark.parametrize("slots", [0, -1, 2**32])
def test_slots_out_of_bounds_are_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        Worker("text", slots=slots)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e9])
def test_seconds_out_of_bounds_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="lost_after"):
        Worker("text", lost_after=seconds)
    if not seconds > 0:
        with pytest.raises(ValueError, match="drain timeout"):
            Worker("text", drain_timeout=seconds)


def test_what_no_registration_can_say_is_told_at_the_start(bus: EmbeddedBroker) -> None:
    worker = Worker("text", name="x" * 300)
    worker.method(name="echo")(lambda request: request)
    with pytest.raises(ValueError, match="workerName: 300 bytes, at most 255"):
        worker.start(bus.address)
    worker = Worker("text")
    worker.method(name="x" * 300)(lambda request: request)
    with pytest.raises(ValueError, match="300 bytes, at most 255"):
        worker.start(bus.address)


def test_a_long_service_has_a_name_that_fits(bus: EmbeddedBroker) -> None:
    worker = Worker("x" * 255)
    worker.method(name="echo")(lambda request: request)
    bus.worker(worker)
    assert bus.client().call("x" * 255, 1).json() == 1


def test_a_drain_may_take_for_ever(bus: EmbeddedBroker) -> None:
    worker = Worker("text", drain_timeout=math.inf)
    worker.method(name="echo")(lambda request: request)
    with worker.running(bus.address):
        assert bus.client().call("text", 1).json() == 1


def test_a_worker_without_methods_or_begun_twice_is_a_mistake(bus: EmbeddedBroker) -> None:
    with pytest.raises(RuntimeError, match="no method"):
        Worker("text").start(bus.address)
    worker = echoing()
    with worker.running(bus.address), pytest.raises(RuntimeError, match="running already"):
        worker.start()


def test_it_serves_on_a_loop_of_its_owner(bus: EmbeddedBroker) -> None:
    async def main() -> object:
        worker = echoing()
        worker._address = bus.address
        ready = asyncio.Event()
        serving = asyncio.create_task(worker.serve(on_ready=ready.set))
        await asyncio.wait_for(ready.wait(), PATIENCE_S)
        async with bus.async_client() as client:
            reply = await client.call("text/echo", 1)
        worker.stop()
        await asyncio.wait_for(serving, PATIENCE_S)
        return reply.json()

    assert asyncio.run(main()) == 1


def test_stats_count_what_was_done(bus: EmbeddedBroker) -> None:
    worker = Worker("text")
    worker.method(name="echo")(lambda request: request)
    worker.method(name="fail")(lambda request: 1 / 0)
    with worker.running(bus.address):
        client = bus.client()
        client.call("text/echo")
        assert client.submit("text/fail").exception() is not None
        stats = worker.stats()
        assert (stats.requests, stats.errors, stats.cancelled, stats.surplus) == (2, 1, 0, 0)
        assert set(stats.dropped.values()) == {0}


def test_a_client_and_a_worker_wait_for_their_broker_and_say_so(address: str, caplog: pytest.LogCaptureFixture) -> None:
    worker = echoing()
    starting = threading.Thread(target=worker.start, args=(address,))
    with caplog.at_level(logging.WARNING, "hootbus"), Client(address) as client:
        starting.start()
        future = client.submit("text/echo", 1, wait=True)
        until(lambda: {record.name for record in caplog.records} == {"hootbus.client", "hootbus.worker"})
        with EmbeddedBroker(address):
            assert future.result(PATIENCE_S).json() == 1
            starting.join()
            worker.stop()
    waiting = [record for record in caplog.records if "waiting for a broker" in record.getMessage()]
    assert len(waiting) == 2, "each says it once"


def test_without_a_broker_a_call_ends_at_its_deadline(address: str) -> None:
    with Client(address) as client, pytest.raises(DeadlineExceeded, match="there was no broker"):
        client.call("text", timeout=0.1)


def test_a_worker_that_finds_no_broker_in_time_is_ended(address: str) -> None:
    worker = echoing()
    with pytest.raises(TimeoutError):
        worker.start(address, timeout=0.1)


def test_everybody_goes_on_with_the_next_broker(address: str) -> None:
    worker = echoing()
    with Client(address) as client:
        with EmbeddedBroker(address):
            worker.start(address)
            assert client.call("text/echo", 1).json() == 1
        with EmbeddedBroker(address):
            assert client.call("text/echo", 2, wait=True).json() == 2
            worker.stop()


@pytest.fixture
def program(bus: EmbeddedBroker, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A worker in a process of its own, attached."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    command = [sys.executable, str(path), bus.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(bus: EmbeddedBroker, program: "subprocess.Popen[str]", number: signal.Signals) -> None:
    future = bus.client().submit("slow", 0.2)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(number)
    assert future.result(PATIENCE_S).json() == "slept"
    out, err = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, out) == (0, "stopped\n")
    assert "Traceback" not in err


def test_a_second_interrupt_stops_now(bus: EmbeddedBroker, program: "subprocess.Popen[str]") -> None:
    future = bus.client().submit("slow", 60.0)
    assert program.stdout is not None
    assert program.stderr is not None
    assert program.stdout.readline() == "begun\n"
    program.send_signal(signal.SIGINT)
    assert "interrupt again" in program.stderr.readline()
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=PATIENCE_S)
    assert out == "stopped\n"
    assert isinstance(future.exception(PATIENCE_S), WorkerLost)


def test_a_killed_workers_request_has_an_outcome(bus: EmbeddedBroker, program: "subprocess.Popen[str]") -> None:
    future = bus.client().submit("slow", 60.0)
    assert program.stdout is not None
    assert program.stdout.readline() == "begun\n"
    program.kill()
    assert isinstance(future.exception(PATIENCE_S), WorkerLost)
