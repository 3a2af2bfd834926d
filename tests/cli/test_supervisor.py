"""The supervisor's own decisions, and what it tells the broker."""

import errno
import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import zmq

from cli.shell import started, until
from hootbus.bus import supervisor
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.member import Member
from hootbus.bus.obituary import ending, tell_gone
from hootbus.bus.supervisor import Backoff, Supervisor
from hootbus.frames import (
    Command,
    ContentType,
    Message,
    Options,
    Wire,
    aligned_context,
    dealer,
    parse,
    parse_address,
    router,
    serialize,
)
from hootbus.frames.protocol import Flag
from hootbus.schemas import Registration, read_registration, write_registration


def test_the_wait_doubles_up_to_its_bound() -> None:
    backoff = Backoff(first_s=1.0, most_s=5.0, settled_after_s=10.0)
    assert [backoff.after(lived_s=0.5) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_one_that_lived_a_while_begins_anew() -> None:
    backoff = Backoff(first_s=1.0, most_s=5.0, settled_after_s=10.0)
    assert [backoff.after(lived_s) for lived_s in (0.5, 0.5, 10.0, 0.5)] == [1.0, 2.0, 1.0, 2.0]


def test_a_crash_loop_of_years_overflows_nothing() -> None:
    assert Backoff(failures=10**9).after(lived_s=0.0) == Backoff().most_s


def test_an_end_in_words() -> None:
    assert ending(3) == "ended with status 3"
    assert ending(-signal.SIGKILL) == "was ended by SIGKILL"
    assert ending(-63) == "was ended by signal 63"


def test_the_broker_forgets_a_worker_whose_death_it_is_told(hoot_bus: EmbeddedBroker) -> None:
    """The worker here is alive and connected: only the supervisor's word can end it."""
    bus, identity = parse_address(hoot_bus.address), b"\x01" + secrets.token_bytes(15)
    client = hoot_bus.client()
    context = aligned_context()
    wire = Wire(dealer(context, identity))
    try:
        wire.socket.connect(bus.requests)
        assert wire.socket.poll(5000, 2)
        ready_id = secrets.token_bytes(16)
        registration = Registration(
            worker_id=identity, name="w", hostname="h", version="0", pid=1, slots=1, extension_version=1
        )
        body = write_registration(ready_id, registration)
        options = Options(flags=Flag.WORKER)
        ready = Message((), Command.READY, ContentType.CAPNPROTO, ready_id, b"text", body=body, options=options)
        wire.send(serialize(ready))
        until(lambda: client.call("hoot.broker/status").json()["workers"] == 1, "it is taken in")
        assert tell_gone(bus, identity)
        until(lambda: client.call("hoot.broker/status").json()["workers"] == 0, "it is gone")
    finally:
        wire.close(0)
        context.term()


def test_a_supervisor_says_goodbye_for_a_worker_that_was_killed(tmp_path: Path) -> None:
    """The broker here is a bare socket, which finds out about nothing by itself."""
    (tmp_path / "program.py").write_text(
        "from hootbus.workers import Worker\nworker = Worker('text')\nworker.method(lambda: 1, name='one')\n"
    )
    context = aligned_context()
    wire = Wire(router(context))
    try:
        port = wire.socket.bind_to_random_port("tcp://127.0.0.1")
        bus = f"tcp://127.0.0.1:{port}"
        with started("worker", "-n", "1", "program:worker", bus=bus, log=tmp_path / "log", cwd=tmp_path) as worker:
            ready = next_of(wire, Command.READY)
            os.kill(read_registration(ready.body).pid, signal.SIGKILL)
            goodbye = next_of(wire, Command.DISCONNECT)
            assert goodbye.route == ready.route
            assert goodbye.options == Options(flags=Flag.WORKER, status=9)
            again = next_of(wire, Command.READY)
            assert again.route != ready.route
            assert worker.end() == 0
    finally:
        wire.close(0)
        context.term()


def test_what_is_told_to_stop_while_it_starts_a_process_stops_that_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def stopped_meanwhile(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401  # its own
        children.append(start(command, **options))
        os.kill(os.getpid(), signal.SIGTERM)
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", stopped_meanwhile)
    bus = parse_address("ipc:///nowhere/at/all")
    assert Supervisor(["sleep", "1000"], 2, bus, drain_timeout_s=0.0).run() == 0
    # Were it not asked, it would be killed when its time is over.
    assert [child.returncode for child in children] == [-signal.SIGTERM, -signal.SIGTERM]


def test_what_finds_no_room_for_a_process_goes_on_with_the_others_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two one dies, and the system is at its limit of processes for a moment."""
    children: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen
    refused = [BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))]

    def crowded(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401  # its own
        if len(children) == 2 and refused:
            raise refused.pop()
        children.append(start(command, **options))
        if len(children) == 3:
            assert children[0].poll() is None
            os.kill(os.getpid(), signal.SIGTERM)
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", crowded)
    # The second one dies at once, and its successor does not.
    seconds = iter(["1000", "0", "1000", "1000"])
    monkeypatch.setattr(supervisor, "Member", lambda at, command, *rest: Member(at, [*command, next(seconds)], *rest))
    bus = parse_address("ipc:///nowhere/at/all")
    assert Supervisor(["sleep"], 2, bus, drain_timeout_s=0.0).run() == 0
    assert not refused
    assert len(children) == 3
    assert "worker 2 cannot be started (Resource temporarily unavailable); again in" in caplog.text


def next_of(wire: Wire, command: Command) -> Message:
    """The next message with this command."""
    while wire.socket.poll(30_000, zmq.POLLIN):
        frames = wire.receive()
        if frames is not None and (message := parse(frames)).command is command:
            return message
    raise AssertionError(f"no {command.name} came")


def test_without_a_broker_nobody_is_told() -> None:
    assert not tell_gone(parse_address("ipc:///nowhere/at/all"), b"\x01" * 16)
