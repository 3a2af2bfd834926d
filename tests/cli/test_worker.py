"""`hoot worker`, alone and with `-n`: real processes, since only they can die."""

import os
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Started, is_alive, run, started, until
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Client, HootError

PROGRAM = """
    import os, time
    from hootbus.workers import Request, Worker

    worker = Worker("text")

    @worker.method
    def pid() -> int:
        return os.getpid()

    @worker.method
    def bus() -> str:
        return os.environ["HOOT_BUS"]

    @worker.method
    def die() -> None:
        os._exit(9)

    @worker.method
    def wait(request: Request) -> str:
        open(request.json()["started"], "w").close()
        while not os.path.exists(request.json()["release"]):
            time.sleep(0.01)
        return "done"

    @worker.method
    def hang() -> None:
        # Nothing in Python can interrupt this: the GIL is held.
        import ctypes
        ctypes.PyDLL(None).sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path


@pytest.fixture
def client(hoot_bus: EmbeddedBroker) -> Client:
    return hoot_bus.client()


def pids(process: Started, count: int) -> set[int]:
    return {process.line()["pid"] for _ in range(count)}


def attached(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call("hoot.broker/workers").json()["workers"]
    return found


def test_it_says_when_the_broker_has_taken_it_in(hoot_bus: EmbeddedBroker, client: Client, folder: Path) -> None:
    with started("worker", "program:worker", bus=hoot_bus.address, log=folder / "log", cwd=folder) as worker:
        assert worker.line() == {"ready": True, "service": "text", "bus": hoot_bus.address, "pid": worker.pid}
        assert client.call("text/pid").json() == worker.pid
        assert worker.end() == 0
    assert attached(client) == []


def test_the_program_finds_the_same_bus(hoot_bus: EmbeddedBroker, client: Client, folder: Path) -> None:
    arguments = ("worker", "--bus", hoot_bus.address, "program:worker")
    with started(*arguments, bus="ipc:///nowhere", log=folder / "log", cwd=folder) as worker:
        worker.line()
        assert client.call("text/bus").json() == hoot_bus.address
        assert worker.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_what_runs_is_finished_before_it_ends(
    hoot_bus: EmbeddedBroker, client: Client, folder: Path, processes: tuple[str, ...], number: signal.Signals
) -> None:
    arguments = ("worker", *processes, "program:worker")
    with started(*arguments, bus=hoot_bus.address, log=folder / "log", cwd=folder) as worker:
        pids(worker, 2 if processes else 1)
        paths = {"started": str(folder / "started"), "release": str(folder / "release")}
        future = client.submit("text/wait", paths)
        until((folder / "started").exists, "it runs")
        worker.process.send_signal(number)
        until(lambda: [found["state"] for found in attached(client)] == ["draining"], "it drains")
        (folder / "release").touch()
        assert future.result(30).json() == "done"
        assert worker.process.wait(30) == 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nosuch:worker", "No module named 'nosuch'"),
        ("program:nosuch", "has no 'nosuch'"),
        ("program:os", "is a module, not a hootbus.workers.Worker"),
        ("program", "is not MODULE:OBJECT"),
        ("broken:worker", "ZeroDivisionError"),
        ("wrong:worker", "SyntaxError"),
    ],
)
def test_what_is_no_worker_ends_it_with_the_reason(folder: Path, target: str, reason: str) -> None:
    (folder / "broken.py").write_text("x = 1\ny = 1 / 0\n")
    (folder / "wrong.py").write_text("def\n")
    ran = run("worker", target, bus=f"ipc://{folder}/b", cwd=folder)
    assert (ran.status, ran.out) == (1, "")
    assert reason in ran.err


def test_processes_that_cannot_begin_are_not_tried_again(folder: Path) -> None:
    ran = run("worker", "-n", "2", "nosuch:worker", bus=f"ipc://{folder}/b", cwd=folder)
    assert (ran.status, ran.out) == (1, "")
    assert "No module named 'nosuch'" in ran.err
    assert "again in" not in ran.err


def test_each_of_several_processes_serves(hoot_bus: EmbeddedBroker, client: Client, folder: Path) -> None:
    # As a variable, which the processes themselves must not see: they would supervise in turn.
    env = {"HOOT_WORKER_PROCESSES": "3"}
    with started("worker", "program:worker", bus=hoot_bus.address, env=env, log=folder / "log", cwd=folder) as worker:
        ready = pids(worker, 3)
        assert len(ready) == 3
        assert worker.pid not in ready
        assert {client.call("text/pid").json() for _ in range(9)} == ready
        assert worker.end() == 0
    assert not any(map(is_alive, ready))


@pytest.mark.parametrize("how", ["killed", "exit"])
def test_one_that_dies_is_started_again(hoot_bus: EmbeddedBroker, client: Client, folder: Path, how: str) -> None:
    with started("worker", "-n", "2", "program:worker", bus=hoot_bus.address, log=folder / "log", cwd=folder) as worker:
        before = pids(worker, 2)
        if how == "killed":
            os.kill(min(before), signal.SIGKILL)
            until(lambda: "was ended by SIGKILL" in worker.err, "the supervisor has noticed")
            until(lambda: min(before) not in {found["pid"] for found in attached(client)}, "the broker has, too")
        else:
            with pytest.raises(HootError, match="worker_lost"):
                client.call("text/die")
        (fresh,) = pids(worker, 1)
        assert fresh not in before
        until(lambda: len(attached(client)) == 2, "both are there")
        assert fresh in {found["pid"] for found in attached(client)}
        assert worker.end() == 0
        assert "again in" in worker.err


def test_no_process_outlives_its_supervisor(hoot_bus: EmbeddedBroker, client: Client, folder: Path) -> None:
    with started("worker", "-n", "2", "program:worker", bus=hoot_bus.address, log=folder / "log", cwd=folder) as worker:
        children = pids(worker, 2)
        client.submit("text/hang", timeout=30)
        until(lambda: any(found["inFlight"] for found in attached(client)), "one hangs in C")
        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
        until(lambda: not any(map(is_alive, children)), "both are gone")


def test_a_second_interrupt_kills_what_does_not_end(hoot_bus: EmbeddedBroker, client: Client, folder: Path) -> None:
    with started("worker", "-n", "2", "program:worker", bus=hoot_bus.address, log=folder / "log", cwd=folder) as worker:
        children = pids(worker, 2)
        client.submit("text/hang", timeout=30)
        until(lambda: any(found["inFlight"] for found in attached(client)), "one hangs in C")
        worker.process.send_signal(signal.SIGINT)
        until(lambda: sum(map(is_alive, children)) == 1, "the other has ended")
        assert worker.end(signal.SIGINT) == 0
        assert not any(map(is_alive, children))


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_it_waits_for_a_broker_and_says_so(folder: Path, processes: tuple[str, ...]) -> None:
    bus = f"ipc://{folder}/b" if len(str(folder)) < 80 else f"ipc:///tmp/hoot-test-{os.getpid()}"
    with started("worker", *processes, "program:worker", bus=bus, log=folder / "log", cwd=folder) as worker:
        until(lambda: "waiting for a broker" in worker.err, "it says that it waits")
        with EmbeddedBroker(bus):
            pids(worker, 2 if processes else 1)
            assert worker.end() == 0
