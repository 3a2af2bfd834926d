"""A thousand idle clients in one process, each on a connection of its own that the broker has greeted.

They are sockets, not client libraries: what is measured is the broker's side.
"""

import socket
from collections.abc import Callable
from typing import Any, Final

import zmq

from benchmarks.role import Line
from hootbus.bus.guard import raise_descriptor_limit
from hootbus.frames import Command, ContentType, Message, Wire, aligned_context, dealer, parse_address, serialize
from hootbus.workers.connection import IdSource, new_identity

_PATIENCE_S: Final = 10
_SOCKETS_MAX: Final = 20_000
_READ_BYTES: Final = 65536

Connect = Callable[[], object]


def idle(line: Line, *, dialect: str, address: str) -> None:
    """Serves {"connections"}: opens so many more, and answers when the broker has answered on each."""
    raise_descriptor_limit()
    connect = DIALECTS[dialect](address)
    connections = []
    line.ready()
    while True:
        connections += [connect() for _ in range(line.order()["connections"])]
        line.answer(connections=len(connections))


def _hootbus(address: str) -> Connect:
    """A client's connection: the broker knows it by its identity, and has echoed its hello (docs/protocol.md, 6)."""
    context = _context()
    endpoint = parse_address(address).requests
    new_id = IdSource()

    def connect() -> Wire:
        wire = Wire(dealer(context, new_identity()))
        wire.socket.connect(endpoint)
        wire.send(serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, new_id())))
        if not wire.socket.poll(_PATIENCE_S * 1000):
            raise TimeoutError(f"no answer from {endpoint}")
        wire.receive()
        return wire

    return connect


def _plain_pyzmq(address: str) -> Connect:
    """That broker answers nobody but a client with a request, so the end of the handshake is what is waited for."""
    context = _context()

    def connect() -> object:
        dealer: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        monitor: zmq.Socket[bytes] = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        dealer.connect(f"{address}/requests")
        if not monitor.poll(_PATIENCE_S * 1000):
            raise TimeoutError(f"no handshake with {address}")
        dealer.disable_monitor()
        return dealer

    return connect


def _nats(address: str) -> Connect:
    """CONNECT, and a PING that is answered (docs.nats.io/reference/protocols/client)."""
    host, _, port = address.removeprefix("nats://").rpartition(":")

    def connect() -> socket.socket:
        connection = socket.create_connection((host, int(port)), _PATIENCE_S)
        return _spoken_to(connection, b"CONNECT {}\r\nPING\r\n", b"PONG\r\n")

    return connect


def _redis(address: str) -> Connect:
    """A PING that is answered (redis.io/docs/latest/develop/reference/protocol-spec)."""
    return lambda: _spoken_to(_redis_socket(address), b"PING\r\n", b"+PONG\r\n")


DIALECTS: Final[dict[str, Callable[[str], Connect]]] = {
    "hootbus": _hootbus,
    "plain pyzmq": _plain_pyzmq,
    "nats": _nats,
    "redis": _redis,
}


def push_to_redis(line: Line, *, address: str) -> None:
    """Serves {"requests", "bytes"}: puts so many into a list, as a client of a queue in Redis does."""
    connection = _redis_socket(address)
    line.ready()
    while True:
        order = line.order()
        body = bytes(order["bytes"])
        push = b"*3\r\n$5\r\nLPUSH\r\n$5\r\nqueue\r\n$%d\r\n%s\r\n" % (len(body), body)
        for _ in range(order["requests"]):
            _spoken_to(connection, push, b"\r\n")
        line.answer(sent=order["requests"])


def _redis_socket(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def _spoken_to(connection: socket.socket, says: bytes, until: bytes) -> socket.socket:
    """The connection, once it has been answered with what ends so."""
    connection.settimeout(_PATIENCE_S)
    connection.sendall(says)
    heard = b""
    while not heard.endswith(until):
        read = connection.recv(_READ_BYTES)
        if not read:
            raise ConnectionError(f"closed after {heard!r}")
        heard += read
    return connection


def _context() -> Any:  # noqa: ANN401  # pyzmq's contexts are generic in what their sockets return
    context = aligned_context()
    context.set(zmq.MAX_SOCKETS, _SOCKETS_MAX)
    return context
