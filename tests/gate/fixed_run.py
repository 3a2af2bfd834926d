"""The work of a request and of an event without waiting: one thread, inproc sockets, the same instructions every time.

The real sessions, core and codecs, and the real Publisher and Subscriber; what is left out is asyncio and libzmq's
I/O threads, whose instructions depend on who comes when. `python -m gate.fixed_run MARKS` is what runs under callgrind;
MARKS is the library made of marks.c.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final
from unittest import mock

import zmq

from gate.traffic import BODY
from hootbus.bus.core import Core
from hootbus.bus.effects import Send as BrokerSend
from hootbus.bus.inputs import Received as BrokerReceived
from hootbus.frames.address import BusAddress
from hootbus.frames.message import parse, serialize
from hootbus.frames.protocol import ContentType
from hootbus.frames.sockets import dealer, event_socket, router
from hootbus.frames.wire import Wire
from hootbus.schemas import Registration, write_registration
from hootbus.workers import Publisher, Subscriber
from hootbus.workers.calls import new_call
from hootbus.workers.client_session import ClientSession
from hootbus.workers.session import Body, Connected, Effect, Outcome, Received, Send, Start
from hootbus.workers.worker_session import WorkerSession

ROUNDS: Final = 50
# Work of the interpreter alone, by which builds of it are compared.
CALIBRATION: Final = "calibration"
_WARM_UP: Final = 100
_NOW: Final = 1000.0
_ADDRESS: Final = BusAddress("inproc", "inproc://requests", "inproc://subscribe", "inproc://publish")
_TOPIC: Final = "gate.event"


class _Ids:
    """Ids in order."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> bytes:
        self._last += 1
        return self._last.to_bytes(16, "big")


class _Requests:
    """A core, a worker's session and a client's, each at the end of a socket."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._ids = _Ids()
        self._outcomes = 0
        self._now = _NOW
        self._core = Core(instance=bytes(16), new_id=self._ids, now=_NOW)
        self._broker = Wire(router(context))
        self._broker.socket.bind(_ADDRESS.requests)
        self._worker = WorkerSession(
            b"gate", slots=256, registration=_registration, new_id=self._ids, random=lambda: 0.5, now=_NOW
        )
        self._client = ClientSession(new_id=self._ids, random=lambda: 0.5, now=_NOW)
        self._worker_wire, self._client_wire = (Wire(dealer(context, name * 16)) for name in (b"w", b"c"))
        for wire in (self._worker_wire, self._client_wire):
            wire.socket.connect(_ADDRESS.requests)
        self._carry_out(self._worker_wire, self._worker.handle(Connected(), _NOW))
        self._carry_out(self._client_wire, self._client.handle(Connected(), _NOW))
        self._turn()

    def one(self) -> None:
        """One request and its reply."""
        before = self._outcomes
        self._now += 0.001
        call = new_call(self._ids(), "gate/echo", BODY, timeout=30.0)
        self._carry_out(self._client_wire, self._client.request(call, self._now))
        # To the worker and back.
        self._turn()
        self._turn()
        assert self._outcomes == before + 1, "the reply did not come"

    def _turn(self) -> None:
        """Each reads what it has got, the broker first."""
        while (frames := self._broker.receive()) is not None:
            for effect in self._core.handle(BrokerReceived(parse(frames, 1)), self._now):
                if type(effect) is BrokerSend:
                    self._broker.send(serialize(effect.message))
        for wire, session in ((self._worker_wire, self._worker), (self._client_wire, self._client)):
            while (frames := wire.receive()) is not None:
                self._carry_out(wire, session.handle(Received(parse(frames)), self._now))

    def _carry_out(self, wire: Wire, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                wire.send(serialize(effect.message))
            elif type(effect) is Start:
                reply = Body(ContentType.RAW_BINARY, effect.message.body)
                self._carry_out(wire, self._worker.finish(effect.message.request_id, reply, self._now))
            elif type(effect) is Outcome:
                self._outcomes += 1


class _Events:
    """A publisher and a subscriber on one socket's two ends: what the broker does with events is libzmq's."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        with ExitStack() as patches:
            for module in ("publisher", "subscription"):
                patches.enter_context(mock.patch(f"hootbus.workers.{module}.aligned_context", return_value=context))
            for module in ("publisher", "subscriber"):
                patches.enter_context(mock.patch(f"hootbus.workers.{module}.resolve_address", return_value=_ADDRESS))
            self._publisher, self._subscriber = Publisher(), Subscriber(_TOPIC)
        self._in = Wire(event_socket(context, zmq.SUB))
        self._in.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._in.socket.bind(_ADDRESS.publish)
        self._out = Wire(event_socket(context, zmq.XPUB))
        self._out.socket.bind(_ADDRESS.subscribe)
        assert self._out.socket.poll(1000), "the subscription did not come"
        self._publisher.ready(1.0)
        # It would ask the broker for an echo, whose place this is.
        self._subscriber._is_ready = True

    def one(self) -> None:
        """One event from one to the other."""
        self._publisher.publish(_TOPIC, BODY)
        frames = self._in.receive()
        assert frames is not None, "the event did not leave"
        self._out.receive()
        self._out.send(frames)
        self._subscriber.receive(1.0)


class _Plain:
    """What all Python programs do: calls, attributes, dicts, bytes, small objects."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[int, list[int]]] = {}

    def one(self) -> None:
        """A fixed amount of it."""
        for number in range(100):
            self._keep(number.to_bytes(16, "big"), number)
        for key in list(self._kept):
            self._let_go(key)

    def _keep(self, key: bytes, number: int) -> None:
        self._kept[key] = (number, [number, number + 1])

    def _let_go(self, key: bytes) -> None:
        number, rest = self._kept.pop(key)
        assert number in rest


def _registration(request_id: bytes) -> bytes:
    registration = Registration(worker_id=bytes(16), name="gate", slots=256, methods=(), extension_version=1)
    return write_registration(request_id, registration)


def _main(library: str) -> None:
    marks = ctypes.CDLL(library)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    work: dict[str, Callable[[], None]] = {
        CALIBRATION: _Plain().one,
        "request": _Requests(context).one,
        "event": _Events(context).one,
    }
    for name, one in work.items():
        for _ in range(_WARM_UP):
            one()
        marks.begin()
        for _ in range(ROUNDS):
            one()
        marks.end(name.encode())
    # Without the end of sockets and contexts, which is nothing to wait for under valgrind.
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1])
