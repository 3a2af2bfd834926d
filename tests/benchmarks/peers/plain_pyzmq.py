"""Broker, client and worker on plain pyzmq multipart calls: what one writes from the ZeroMQ guide, and nothing more.

A ROUTER broker, DEALER workers and a DEALER client, `recv_multipart` and `send_multipart` of the same seven frames as
hootbus, no checks and no timeouts; events through XSUB and XPUB joined by `zmq.proxy`. The guide's chapter on
request-reply ("ROUTER Broker and DEALER Workers", zguide.zeromq.org/docs/chapter3) and pyzmq's on multipart messages
know no faster way with one call per message.
"""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq

from benchmarks.flood import serve_publisher, serve_subscriber
from benchmarks.load import PROBE, check, serve_window
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes, ready
from benchmarks.role import Line
from benchmarks.work import burn

if TYPE_CHECKING:
    Socket = zmq.Socket[bytes]

_HEAD: Final = [b"HOOT01", b"\0\2", b"\0\2"]
_READY: Final = b"\0\1"
_REQUEST: Final = b"\0\2"
_REPLY: Final = b"\0\3"
_TOPIC: Final = b"bench"
# As the pipes of hootbus's subscriber: beyond them PUB drops, which shows as loss. The guide's default is 1000.
_EVENTS_IN_PIPE: Final = 100_000
_PROBE_MS: Final = 100
_PROBES_MAX: Final = 200


def broker(line: Line, *, address: str) -> None:
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(f"{address}/requests")
    workers: deque[bytes] = deque()
    clients: dict[bytes, bytes] = {}
    line.ready()
    while True:
        identity, *frames = router.recv_multipart()
        if frames[1] == _READY:
            workers.append(identity)
        elif frames[1] == _REQUEST:
            # What comes before a worker is there is lost: this broker is that plain.
            if workers:
                clients[frames[3]] = identity
                router.send_multipart([workers[0], *frames])
                workers.rotate()
        else:
            router.send_multipart([clients.pop(frames[3]), *frames])


def event_broker(line: Line, *, address: str) -> None:
    context = zmq.Context()
    inside = _event_socket(context, zmq.XSUB)
    outside = _event_socket(context, zmq.XPUB)
    inside.bind(f"{address}/publish")
    outside.bind(f"{address}/subscribe")
    line.ready()
    zmq.proxy(inside, outside)


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    dealer = zmq.Context().socket(zmq.DEALER)
    dealer.connect(f"{address}/requests")
    dealer.send_multipart([b"HOOT01", _READY, b"\0\0", bytes(16), service.encode(), b"", b""])
    line.ready()
    while True:
        frames = dealer.recv_multipart()
        if loops:
            burn(loops)
        frames[1] = _REPLY
        dealer.send_multipart(frames)


class _Client:
    def __init__(self, address: str, service: str) -> None:
        self._dealer = zmq.Context().socket(zmq.DEALER)
        self._dealer.connect(f"{address}/requests")
        self._service = service.encode()
        self._number = 0
        self._probe()

    def ask(self, body: bytes, count: int) -> None:
        for _ in range(count):
            self._number += 1
            self._dealer.send_multipart([*_HEAD, self._number.to_bytes(16, "big"), self._service, b"", body])

    def take(self, size: int) -> int:
        check(len(self._dealer.recv_multipart()[6]), size)
        return 1

    def _probe(self) -> None:
        for _ in range(_PROBES_MAX):
            self.ask(PROBE, 1)
            if self._dealer.poll(_PROBE_MS):
                break
        else:
            raise TimeoutError("no worker")
        # Answers to the probes before, if they were only late.
        while self._dealer.poll(_PROBE_MS):
            self._dealer.recv_multipart()


def client(line: Line, *, address: str, service: str) -> None:
    serve_window(line, _Client(address, service))


def publisher(line: Line, *, address: str) -> None:
    socket = _event_socket(zmq.Context(), zmq.PUB)
    # Waits for room instead of dropping here, as hootbus's publisher does (zmq_setsockopt, ZMQ_XPUB_NODROP).
    socket.setsockopt(zmq.XPUB_NODROP, 1)
    socket.connect(f"{address}/publish")
    serve_publisher(line, lambda body: socket.send_multipart([_TOPIC, body]), lambda: None)


def subscriber(line: Line, *, address: str) -> None:
    socket = _event_socket(zmq.Context(), zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, _TOPIC)
    socket.connect(f"{address}/subscribe")
    serve_subscriber(line, lambda: socket.recv_multipart()[1])


def _event_socket(context: "zmq.Context[Socket]", kind: int) -> "Socket":
    socket = context.socket(kind)
    socket.setsockopt(zmq.SNDHWM, _EVENTS_IN_PIPE)
    socket.setsockopt(zmq.RCVHWM, _EVENTS_IN_PIPE)
    return socket


def _start(processes: Processes, folder: Path) -> Middle:
    address = f"ipc://{folder}"
    child = processes.start(broker, address=address)
    events = processes.start(event_broker, address=address)
    ready(child, events)
    return Middle(address, child)


PLAIN_PYZMQ: Final = Peer(
    system="plain pyzmq",
    note="the same frames by hand: no checks, no timeouts, no outcome if a worker is lost",
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=client,
    publisher=publisher,
    subscriber=subscriber,
)
