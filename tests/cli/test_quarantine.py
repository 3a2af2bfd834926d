"""`hoot quarantine`, against a bus in the test's own process whose workers die of what they are given."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zmq

from cli.shell import refused, run_here
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import parse_address
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import Command, ContentType
from hootbus.workers import Client, Quarantined, Request, Worker

_PATIENCE_S = 10.0


@contextmanager
def mortal(bus: str, service: bytes) -> Iterator[None]:
    """Plain workers, one after the other, each of which goes down with the first request that it gets."""
    address = parse_address(bus).requests
    context = zmq.Context()
    ready = Message((), Command.READY, ContentType.EMPTY, bytes(16), service)
    ended = threading.Event()

    def live_and_die() -> None:
        while not ended.is_set():
            with context.socket(zmq.DEALER) as socket:
                socket.linger = 0
                socket.connect(address)
                socket.send_multipart(serialize(ready))
                while not ended.is_set():
                    if socket.poll(50) and parse(socket.recv_multipart()).command is Command.REQUEST:
                        break

    thread = threading.Thread(target=live_and_die)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_PATIENCE_S)
        context.term()


def poison(bus: str, body: object) -> None:
    with mortal(bus, b"fragile"), Client(bus) as client, pytest.raises(Quarantined):
        client.call("fragile/lift", body, idempotent=True, wait=True, timeout=20)


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    """A broker that holds q1, of JSON, and q2, of bytes."""
    with EmbeddedBroker() as broker:
        poison(broker.address, {"cup": 1})
        poison(broker.address, bytes(100))
        yield broker.address


def test_what_is_in_quarantine_is_listed(bus: str) -> None:
    header, *rows = run_here("quarantine", "list", bus=bus).out.splitlines()
    assert header.split() == ["ID", "SERVICE", "BODY", "STRIKES", "AGE", "STATE"]
    assert [row.split()[:2] for row in rows] == [["q1", "fragile/lift"], ["q2", "fragile/lift"]]
    assert [each["strikes"] for each in run_here("quarantine", "list", "--json", bus=bus).json["requests"]] == [2, 2]


def test_one_is_shown_with_its_body_as_json_or_in_hexadecimal(bus: str) -> None:
    of_json = run_here("quarantine", "show", "q1", bus=bus).out
    assert "2 workers went down with it" in of_json
    assert json.loads(of_json[of_json.index("{") :]) == {"cup": 1}
    of_bytes = run_here("quarantine", "show", "q2", bus=bus).out
    assert "100 bytes of raw_binary" in of_bytes
    assert of_bytes.splitlines()[-1] == "00000000 " * 16 + "..."
    assert run_here("quarantine", "show", "q1", "--json", bus=bus).json["body"] == "eyJjdXAiOjF9"


def test_one_is_tried_again_dropped_and_gone(bus: str) -> None:
    poison(bus, {"cup": 2})
    worker = Worker("fragile", address=bus)

    @worker.method
    def lift(request: Request) -> dict[str, int]:
        found: dict[str, int] = request.json()
        return found

    worker.start()
    try:
        tried = run_here("quarantine", "retry", "q3", bus=bus)
        assert (tried.status, tried.json) == (0, {"cup": 2})
    finally:
        worker.stop()
    gone = run_here("quarantine", "retry", "q3", bus=bus)
    assert (gone.status, gone.err) == (1, "bad_body: no request 'q3' is in quarantine\n")


def test_what_is_dropped_is_counted(bus: str) -> None:
    poison(bus, {"cup": 3})
    poison(bus, {"cup": 4})
    names = [each["id"] for each in run_here("quarantine", "list", "--json", bus=bus).json["requests"]][-2:]
    assert run_here("quarantine", "drop", *names, bus=bus).out == "2 dropped\n"
    with EmbeddedBroker() as other:
        assert run_here("quarantine", "drop", "--all", "--json", bus=other.address).json == {"dropped": 0}
        assert run_here("quarantine", "list", bus=other.address).err == "nothing is in quarantine\n"


def test_what_is_to_be_dropped_must_be_said() -> None:
    assert "--all" in refused("quarantine", "drop")
    assert "--all" in refused("quarantine", "drop", "q1", "--all")
