"""A broker's process as its tests see it: peers of plain sockets, and what the system says of the process."""

import os
import secrets
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import zmq

from conformance.notation import COMMANDS, CONTENT_TYPES, SIGNATURE
from conformance.play import ask_broker
from fuzz.messages import message
from hootbus.frames.address import parse_address

# Only a broker that fails makes a test wait for this long.
PATIENCE_MS: Final = 10_000
MEBIBYTE: Final = 1024 * 1024

_SERVE: Final = Path(__file__).parent / "serve.py"


class Served:
    """One broker. Sockets made here are closed at the end of the test that made them (`scene`)."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process = process
        self.bus = parse_address(address)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open = ExitStack()

    # Peers

    def peer(self, kind: int = zmq.DEALER, endpoint: str = "", **given: int | bytes) -> "zmq.Socket[bytes]":
        """A connected socket, of the requests' endpoint unless another is named."""
        made = self._open.enter_context(self.context.socket(kind))
        made.setsockopt(zmq.LINGER, 0)
        for name, value in given.items():
            made.setsockopt(getattr(zmq, name), value)
        made.connect(endpoint or self.bus.requests)
        return made

    def raw(self, endpoint: str = "") -> socket.socket:
        """A connected TCP socket on which nothing has been said."""
        host, port = (endpoint or self.bus.requests).removeprefix("tcp://").rsplit(":", 1)
        made = self._open.enter_context(socket.create_connection((host, int(port))))
        made.settimeout(PATIENCE_MS / 1000)
        return made

    def raw_peer(self, kind: str, endpoint: str = "") -> socket.socket:
        """A TCP socket that has shaken hands as ZMTP 3.0 does, and now is a ZeroMQ socket of this kind."""
        made = self.raw(endpoint)
        made.sendall(GREETING)
        receive_exactly(made, 64)
        said = b"\x05READY" + _property(b"Socket-Type", kind.encode()) + _property(b"Identity", b"")
        made.sendall(b"\x04" + bytes([len(said)]) + said)
        flags, size = receive_exactly(made, 2)
        assert flags == 4, "a short command"
        assert receive_exactly(made, size).startswith(b"\x05READY")
        return made

    @contextmanager
    def scene(self) -> Iterator[None]:
        """A test: whatever it has opened is closed behind it."""
        with ExitStack() as self._open:
            yield

    # What is asked of it

    def status(self) -> dict[str, Any]:
        """`hoot.broker/status`."""
        return ask_broker(self.context, self.bus.requests, b"hoot.broker/status")

    def dropped(self) -> dict[str, int]:
        """Messages that went no further, by reason."""
        dropped: dict[str, int] = self.status()["dropped"]
        return dropped

    def until(self, holds: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Asks for the status until this holds of it."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not holds(self.status()):
            assert time.monotonic() < end, what

    def serves_well(self) -> None:
        """Two clients and a worker, each of whom gets what is its own and nothing else."""
        service = b"well." + secrets.token_hex(6).encode()
        worker = self.peer()
        worker.send_multipart(message("READY", "EMPTY", bytes(16), service, b""))
        flush(worker)
        clients = [self.peer(), self.peer()]
        asked = [(secrets.token_bytes(16), secrets.token_bytes(40)) for _ in clients]
        for client, (identifier, body) in zip(clients, asked, strict=True):
            client.send_multipart(message("REQUEST", "RAW", identifier, service, body))
        for _ in clients:
            while (frames := receive(worker))[1] == COMMANDS["HEARTBEAT"]:
                pass
            worker.send_multipart(message("REPLY", "RAW", frames[3], service, frames[6][::-1]))
        for client, (identifier, body) in zip(clients, asked, strict=True):
            frames = receive(client)
            assert frames[:4] == [SIGNATURE, COMMANDS["REPLY"], CONTENT_TYPES["RAW"], identifier]
            assert frames[6] == body[::-1]
            fence(client)
        worker.send_multipart(message("DISCONNECT", "EMPTY", bytes(16), service, b""))
        assert flush(worker) == []

    # What the system says of it

    def resident_bytes(self) -> int:
        """Memory that it really has."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")

    @contextmanager
    def grows_at_most(self, bound: int) -> Iterator[None]:
        """Compares its memory before and after; the bound is generous, as it is against growth without one."""
        before = self.resident_bytes()
        yield
        grown = self.resident_bytes() - before
        assert grown < bound, f"grown by {grown} bytes"

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


_BEAT: Final = [COMMANDS["HEARTBEAT"], CONTENT_TYPES["EMPTY"], bytes(16)]
GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def receive(peer: "zmq.Socket[bytes]") -> list[bytes]:
    """The next message."""
    assert peer.poll(PATIENCE_MS), "nothing was received"
    return peer.recv_multipart()


def fence(peer: "zmq.Socket[bytes]") -> None:
    """Asks for an answer that must be the next thing to arrive: so nothing else did."""
    ask = message("HEARTBEAT", "EMPTY", secrets.token_bytes(16), b"", b"")
    peer.send_multipart(ask)
    frames = receive(peer)
    assert frames == ask, f"something was received: {frames}"


def flush(peer: "zmq.Socket[bytes]") -> list[list[bytes]]:
    """Waits until the broker has taken in all that the peer sent; what that received, but for the broker's beats."""
    identifier = secrets.token_bytes(16)
    peer.send_multipart(message("REQUEST", "JSON", identifier, b"nobody.at.all", b"{}"))
    answers: list[list[bytes]] = []
    while len(frames := receive(peer)) < 4 or frames[3] != identifier:
        if frames[1:4] != _BEAT:
            answers.append(frames)
    return answers


def receive_exactly(peer: socket.socket, size: int) -> bytes:
    """So many bytes from a TCP socket."""
    received = b""
    while len(received) < size:
        more = peer.recv(size - len(received))
        assert more, f"the connection ended after {received!r}"
        received += more
    return received


@contextmanager
def serving(*connect: str) -> Iterator[Served]:
    """A broker's process until the end of the block, which it must leave by itself and without a word of complaint."""
    command = [sys.executable, "-W", "error", str(_SERVE), "tcp://127.0.0.1:0", *connect]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        served = Served(process, address) if address else None
        try:
            if served is not None:
                yield served
                served.context.term()
            _, complaints = process.communicate(timeout=PATIENCE_MS / 1000)
            assert not complaints, complaints
            assert process.returncode == 0
        finally:
            if served is not None:
                served.context.destroy(linger=0)
            process.kill()
