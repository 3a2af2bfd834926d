"""SIGKILL at the gate: of a worker whose schema is waited for, and of the judge. Nobody waits for the dead."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.shell import Started, is_alive, started, until
from hootbus.workers import Client

SCHEMA = "@0xa0000000000000f2; struct Clip @0xa000000000000001 { rate @0 :Int32; }"
WORKER = """
    from hootbus.schemas import load
    from hootbus.workers import Worker

    Clip = load("clip.capnp").Clip
    worker = Worker("audio")

    @worker.method
    def play(clip: Clip):
        return clip.rate
"""
# It states a type, and never shows it.
MUTE = """
    import sys, time
    import zmq
    from hootbus.frames import Command, ContentType, Flag, Message, Options, serialize
    from hootbus.frames.address import parse_address
    from hootbus.schemas import Method, Registration, write_registration

    method = Method(name="play", request_type=1, request_fingerprint=2)
    registration = Registration(worker_id=bytes(16), name="mute", methods=(method,), extension_version=1)
    socket = zmq.Context().socket(zmq.DEALER)
    socket.connect(parse_address(sys.argv[1]).requests)
    body = write_registration(b"r" * 16, registration)
    ready = Message((), Command.READY, ContentType.CAPNPROTO, b"r" * 16, b"audio", body=body, options=Options(flags=16))
    socket.send_multipart(serialize(ready))
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clip.capnp").write_text(SCHEMA)
    (tmp_path / "program.py").write_text(textwrap.dedent(WORKER))
    return tmp_path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Started]:
    """One in a process of its own."""
    with started("broker", bus=f"ipc://{tmp_path}/b", log=tmp_path / "broker.log") as running:
        yield running


def listed(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call("hoot.broker/workers").json()["workers"]
    return found


def wait_for(client: Client, states: list[str]) -> None:
    """Returns once the workers are in these states."""
    until(lambda: [worker["state"] for worker in listed(client)] == states, f"the workers are {states}")


def test_a_pending_worker_that_is_killed_is_forgotten_and_the_next_is_judged(broker: Started, folder: Path) -> None:
    address = broker.line()["bus"]
    with Client(address) as client:
        mute = subprocess.Popen([sys.executable, "-c", textwrap.dedent(MUTE), address])
        wait_for(client, ["pending"])
        mute.kill()
        mute.wait()
        wait_for(client, [])
        with started("worker", "program:worker", bus=address, cwd=folder, log=folder / "worker.log"):
            wait_for(client, ["ready"])


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the judge in /proc")
def test_a_judge_that_is_killed_is_replaced_and_ends_with_a_broker_that_is(broker: Started, folder: Path) -> None:
    serves = broker.line()
    address, pid = serves["bus"], serves["pid"]
    with Client(address) as client:
        for _ in range(2):
            with started("worker", "program:worker", bus=address, cwd=folder, log=folder / "worker.log"):
                wait_for(client, ["ready"])
            wait_for(client, [])
            (judge,) = children(pid)
            os.kill(judge, signal.SIGKILL)
        with started("worker", "program:worker", bus=address, cwd=folder, log=folder / "worker.log"):
            (judge,) = children(pid)
            broker.end(signal.SIGKILL)
            until(lambda: not is_alive(judge), "the judge has ended")
