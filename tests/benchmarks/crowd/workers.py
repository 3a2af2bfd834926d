"""A thousand workers in one process: a broker sees a thousand, and this machine pays as little for them as it can.

They speak the wire (docs/protocol.md) on sockets of their own, with no handlers, threads or loops behind them. A poll
of a thousand sockets would cost more than all that is measured, so libzmq's descriptors are watched with epoll: each
shows that something came, once, and is read until nothing is left.
"""

import select
import time
from typing import Final

import msgspec
import zmq

from benchmarks.role import Line
from hootbus.bus.guard import raise_descriptor_limit
from hootbus.frames import (
    NO_OPTIONS,
    Command,
    ContentType,
    Flag,
    Frames,
    Message,
    Options,
    Wire,
    aligned_context,
    dealer,
    parse_address,
    serialize,
    write_options,
)
from hootbus.schemas import Method, Registration, write_registration
from hootbus.workers.connection import IdSource, new_identity

# More than one client ever has in flight: no request waits for a slot, unless it is to.
SLOTS: Final = 1024
_EXTENSION: Final = 1
_BEAT_S: Final = 1.0
_COMMAND: Final = 1
_OPTIONS: Final = 7
_REQUEST: Final = Command.REQUEST.to_bytes(2, "big")
_REPLY: Final = Command.REPLY.to_bytes(2, "big")
_HEARTBEAT: Final = Command.HEARTBEAT.to_bytes(2, "big")
_NO_OPTIONS: Final = write_options(NO_OPTIONS)
_WORKER: Final = Options(flags=Flag.WORKER)


def service_name(number: int) -> str:
    return f"crowd-{number}"


def crowd(line: Line, *, address: str, services: int, holding: bool = False) -> None:
    """One worker for each of so many services, which answers with the body; a holding one keeps what it has got."""
    raise_descriptor_limit()
    workers = Crowd(address, services, slots=1 if holding else SLOTS, holding=holding)
    workers.serve(until_registered=True)
    line.ready()
    workers.serve()


class Member(msgspec.Struct):
    """One worker: its socket, and what it says every second, which is READY until that is answered."""

    wire: Wire
    ready: Frames
    heartbeat: Frames
    is_registered: bool = False


class Crowd:
    """All of them. It ends with its process."""

    def __init__(self, address: str, services: int, *, slots: int, holding: bool) -> None:
        context = aligned_context()
        context.set(zmq.MAX_SOCKETS, services + 1)
        self._holding = holding
        self._unregistered = services
        self._epoll = select.epoll()
        # By the descriptor that tells of it.
        self._members: dict[int, Member] = {}
        endpoint = parse_address(address).requests
        new_id = IdSource()
        for number in range(services):
            ready_id = new_id()
            wire = Wire(dealer(context, new_identity()))
            wire.socket.connect(endpoint)
            descriptor: int = wire.socket.fileno()
            self._epoll.register(descriptor, select.EPOLLIN)
            ready = _ready(ready_id, service_name(number), slots)
            self._members[descriptor] = Member(wire, ready, _heartbeat(ready_id))
        self._beat()

    def serve(self, *, until_registered: bool = False) -> None:
        while self._unregistered or not until_registered:
            for descriptor, _ in self._epoll.poll(max(0.0, self._beat_at - time.monotonic())):
                self._drain(self._members[descriptor])
            if time.monotonic() >= self._beat_at:
                self._beat()

    def _beat(self) -> None:
        self._beat_at = time.monotonic() + _BEAT_S
        for member in self._members.values():
            member.wire.send(member.heartbeat if member.is_registered else member.ready)
            # A send takes note of what has come, so the descriptor may not show it any more.
            self._drain(member)

    def _drain(self, member: Member) -> None:
        wire = member.wire
        while (frames := wire.receive()) is not None:
            command = frames[_COMMAND]
            if command == _REQUEST:
                if not self._holding:
                    wire.send([frames[0], _REPLY, *frames[2:_OPTIONS], _NO_OPTIONS])
            elif command == _HEARTBEAT:
                # The first thing that a worker hears is that it is registered.
                self._unregistered -= not member.is_registered
                member.is_registered = True
            else:
                # Refused, or not known any more, since a machine under load lost its connection for a moment: either
                # way this is no measurement.
                raise RuntimeError(f"the broker said {bytes(command).hex()} to a worker of the crowd")


def _ready(ready_id: bytes, service: str, slots: int) -> Frames:
    registration = Registration(
        worker_id=ready_id,
        name=service,
        slots=slots,
        methods=(Method(name="echo", is_default=True),),
        extension_version=_EXTENSION,
    )
    return serialize(
        Message(
            (),
            Command.READY,
            ContentType.CAPNPROTO,
            ready_id,
            service.encode(),
            body=write_registration(ready_id, registration),
            options=_WORKER,
        )
    )


def _heartbeat(ready_id: bytes) -> Frames:
    return serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, ready_id, options=_WORKER))
