"""Many clients in one process, each on a connection of its own: they connect, ask, and go."""

from typing import Final

import zmq

from benchmarks.role import Line
from hootbus.bus.guard import raise_descriptor_limit
from hootbus.frames import (
    NO_OPTIONS,
    SENT,
    Command,
    ContentType,
    Message,
    Wire,
    aligned_context,
    dealer,
    parse_address,
    serialize,
)
from hootbus.workers.connection import IdSource, new_identity

_PATIENCE_MS: Final = 10_000
_SOCKETS_MAX: Final = 20_000
_UNREAD_BYTES: Final = 1000
_REQUEST_ID: Final = 3
_BODY: Final = 6


def visit(line: Line, *, address: str) -> None:
    """Serves {"clients", "requests", "service"}: so many clients come together, ask that often each, and leave.

    They take their leave, or are gone without a word if {"rudely"}. Answers how many replies were right.
    """
    raise_descriptor_limit()
    context = aligned_context()
    context.set(zmq.MAX_SOCKETS, _SOCKETS_MAX)
    endpoint = parse_address(address).requests
    new_id = IdSource()
    line.ready()
    while True:
        order = line.order()
        wires = []
        for _ in range(order["clients"]):
            wire = Wire(dealer(context, new_identity()))
            wire.socket.connect(endpoint)
            wires.append(wire)
        right = 0
        for number in range(order["requests"]):
            body = b"%d" % number
            asked = []
            for wire in wires:
                request_id = new_id()
                asked.append(request_id)
                wire.send(_request(order["service"], request_id, body))
            right += sum(_is_answered(wire, id_, body) for wire, id_ in zip(wires, asked, strict=True))
        for wire in wires:
            if not order.get("rudely"):
                wire.send(serialize(Message((), Command.DISCONNECT, ContentType.EMPTY, new_id())))
            wire.close(0 if order.get("rudely") else _PATIENCE_MS)
        line.answer(right=right)


def never_read(line: Line, *, address: str) -> None:
    """Serves {"requests", "service"}: sends so many and takes in nothing of what comes, for as long as it lives."""
    socket = dealer(aligned_context(), new_identity())
    # Of ours a client takes in all that comes, so that the broker is rid of it; not so this one.
    socket.setsockopt(zmq.RCVHWM, 1)
    wire = Wire(socket)
    wire.socket.connect(parse_address(address).requests)
    new_id = IdSource()
    wire.send(serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, new_id())))
    wire.socket.poll(_PATIENCE_MS)
    line.ready()
    while True:
        order = line.order()
        for _ in range(order["requests"]):
            while wire.send(_request(order["service"], new_id(), bytes(_UNREAD_BYTES))) != SENT:
                wire.socket.poll(_PATIENCE_MS, zmq.POLLOUT)
        line.answer()


def stay(line: Line, *, address: str) -> None:
    """Serves {"clients"}: opens so many connections, and answers how many of all were greeted until then; 0 ends them.

    A broker that lets nobody in greets nobody.
    """
    raise_descriptor_limit()
    context = aligned_context()
    context.set(zmq.MAX_SOCKETS, _SOCKETS_MAX)
    endpoint = parse_address(address).requests
    new_id = IdSource()
    line.ready()
    wires: list[Wire] = []
    while True:
        order = line.order()
        for _ in range(order.get("clients", 0)):
            wire = Wire(dealer(context, new_identity()))
            wire.socket.connect(endpoint)
            wire.send(serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, new_id())))
            wires.append(wire)
        if order.get("go"):
            for wire in wires:
                wire.close(0)
            wires = []
        line.answer(greeted=sum(bool(wire.socket.poll(0)) for wire in wires))


def _request(service: str, request_id: bytes, body: bytes) -> list[bytes | memoryview]:
    message = Message(
        (), Command.REQUEST, ContentType.RAW_BINARY, request_id, service.encode(), body=body, options=NO_OPTIONS
    )
    return list(serialize(message))


def _is_answered(wire: Wire, request_id: bytes, body: bytes) -> bool:
    """Whether the next message is the reply, and says what was asked."""
    frames = wire.receive()
    while frames is None:
        if not wire.socket.poll(_PATIENCE_MS):
            return False
        frames = wire.receive()
    # An error has another body.
    return bytes(frames[_REQUEST_ID]) == request_id and bytes(frames[_BODY]) == body
