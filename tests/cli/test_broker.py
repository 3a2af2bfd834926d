"""`hoot broker` as a process: the ready line, the end, who may serve where."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from cli.shell import refused, run, run_here, started, until
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Client, Request, Worker


@pytest.fixture
def address(tmp_path: Path) -> str:
    # Not under tmp_path itself, which may be too long for a socket.
    return f"ipc://{tmp_path}/b" if len(str(tmp_path)) < 80 else f"ipc:///tmp/hoot-test-{os.getpid()}"


def test_the_ready_line_says_where_and_who(address: str, tmp_path: Path) -> None:
    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        assert broker.line() == {"ready": True, "bus": address, "pid": broker.pid}
        assert run("ping", bus=address).status == 0
        assert broker.end() == 0


def test_a_free_port_is_picked_and_told(tmp_path: Path) -> None:
    with started("broker", "--bus", "tcp://127.0.0.1:0", log=tmp_path / "log") as broker:
        bus = broker.line()["bus"]
        assert bus.startswith("tcp://127.0.0.1:")
        assert run("status", "--json", bus=bus).json["pid"] == broker.pid
        assert broker.end() == 0


@pytest.mark.parametrize("where", ["ipc", "tcp"])
def test_a_second_broker_says_whose_pid_serves(where: str, address: str, tmp_path: Path) -> None:
    given = address if where == "ipc" else "tcp://127.0.0.1:0"
    with started("broker", "--bus", given, log=tmp_path / "log") as broker:
        bus = broker.line()["bus"]
        second = run("broker", "--bus", bus)
        assert (second.status, second.out) == (1, "")
        assert f"already serves {bus} (pid {broker.pid})" in second.err
        assert broker.end() == 0


def test_a_port_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ran = run("broker", "--bus", f"tcp://127.0.0.1:{other.getsockname()[1]}")
    assert ran.status == 1
    assert ran.err.startswith("cannot_serve: ")


def test_the_sockets_of_a_killed_broker_are_taken_over(address: str, tmp_path: Path) -> None:
    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        broker.line()
        assert broker.end(signal.SIGKILL) == -signal.SIGKILL
    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        assert broker.line()["ready"]
        assert broker.end() == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_it_finishes_what_it_has_before_it_ends(first: signal.Signals, address: str, tmp_path: Path) -> None:
    worker = Worker("text")

    @worker.method
    def wait(request: Request) -> str:
        until(release.exists, "released")
        return "done"

    release = tmp_path / "release"
    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        broker.line()
        with worker.running(address), Client(address) as client:
            future = client.submit("text/wait", timeout=10)
            until(lambda: worker.stats().running, "the request runs")
            broker.process.send_signal(first)
            until(lambda: client.call("hoot.broker/status").json()["state"] == "draining", "it drains")
            assert broker.process.poll() is None
            release.touch()
            assert future.result().json() == "done"
            assert broker.process.wait(30) == 0


def test_a_second_interrupt_stops_it_at_once(address: str, tmp_path: Path) -> None:
    worker = Worker("text")

    @worker.method
    def wait(request: Request) -> None:
        request.cancelled.wait(30)

    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        broker.line()
        with worker.running(address), Client(address) as client:
            client.submit("text/wait", timeout=60)
            until(lambda: worker.stats().running, "the request runs")
            broker.process.send_signal(signal.SIGINT)
            until(lambda: client.call("hoot.broker/status").json()["state"] == "draining", "it drains")
            assert broker.end(signal.SIGINT) == 0


def test_a_limit_is_set_by_name(address: str, tmp_path: Path) -> None:
    with started("broker", "--bus", address, "--limit", "workers=1", log=tmp_path / "log") as broker:
        broker.line()
        one = worker_of("one")
        with one.running(address):
            answer = run_here("workers", "--json", bus=address).json
            assert [worker["service"] for worker in answer["workers"]] == ["one"]
            other = worker_of("other")
            with pytest.raises(TimeoutError), other.running(address, timeout=0.3):
                pass
        assert broker.end() == 0


@pytest.mark.parametrize(
    "limit", ["workers", "workers=", "workers=x", "workers=0", "workers=-1", "walkers=1", "linger_s=inf"]
)
def test_a_limit_that_is_none_is_wrong_usage(limit: str) -> None:
    assert refused("broker", "--limit", limit)


def test_the_limits_are_listed_on_request() -> None:
    ran = run_here("broker", "--limit", "help")
    assert ran.status == 0
    assert "queue_messages" in ran.out


def test_an_address_that_others_reach_must_be_wanted() -> None:
    ran = run("broker", "--bus", "tcp://0.0.0.0:0")
    assert ran.status == 1
    assert "--insecure" in ran.err


@pytest.mark.parametrize("connect", ["text", "text=", "TEXT=tcp://127.0.0.1:1", "text=tcp://127.0.0.1:1;slots=0"])
def test_a_service_to_dial_must_be_described(connect: str) -> None:
    assert refused("broker", "--connect", connect)


def test_the_log_says_who_comes_and_goes(address: str, tmp_path: Path) -> None:
    with started("broker", "--bus", address, log=tmp_path / "log") as broker:
        broker.line()
        with worker_of("text").running(address):
            pass
        until(lambda: "worker_gone" in broker.err, "the log says so")
        assert "worker_attached worker=1 service=text" in broker.err
        assert broker.end() == 0


def test_status_services_workers_and_ping_print_for_people_and_programs(hoot_bus: EmbeddedBroker) -> None:
    assert "no services" in run_here("services", bus=hoot_bus.address).err
    hoot_bus.worker(worker_of("text"))
    bus = hoot_bus.address
    assert "state      serving" in run_here("status", bus=bus).out
    assert run_here("status", "--json", bus=bus).json["workers"] == 1
    header, row = run_here("services", bus=bus).out.splitlines()
    assert header.split()[:2] == ["SERVICE", "WORKERS"]
    assert row.split()[:2] == ["text", "1"]
    assert run_here("services", "--json", bus=bus).json["services"][0]["methods"] == ["nothing"]
    assert "text" in run_here("workers", bus=bus).out
    assert run_here("workers", "--json", bus=bus).json["workers"][0]["pid"] == os.getpid()
    assert len(run_here("ping", "--count", "3", "--json", bus=bus).lines) == 3


@pytest.mark.parametrize("command", ["status", "services", "workers", "ping"])
def test_without_a_broker_they_say_so(command: str, address: str) -> None:
    ran = run_here(command, "--timeout", "0.2", "--json", bus=address)
    assert (ran.status, ran.out) == (1, "")
    assert json.loads(ran.err)["error"]["code"] == "deadline_exceeded"


def worker_of(service: str) -> Worker:
    worker = Worker(service)

    @worker.method
    def nothing() -> None:
        return None

    return worker
