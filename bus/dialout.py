"""Services that bind and wait: the broker dials them, and each is a worker to it.

Python services written for Hootenanny are like that. Such a peer sends no READY, so its connection coming up is its
registration, and going down its end.
"""

import re
import secrets
from typing import Final

import msgspec
import zmq

from hootbus.bus.inputs import Input, Malformed, Received, ServiceConnected, ServiceDisconnected
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import SERVICE_NAME
from hootbus.frames.sockets import LinkChange, Monitor, dealer
from hootbus.frames.wire import UNREACHABLE, Wire

_FORM: Final = re.compile(rf"(?P<name>{SERVICE_NAME})=(?P<endpoint>[^;\s]+)(;slots=(?P<slots>[1-9][0-9]{{0,4}}))?")
_BATCH: Final = 256
_IDENTITY_BYTES: Final = 16


class DialOut(msgspec.Struct, frozen=True):
    """`--connect NAME=ENDPOINT[;slots=N]`: a service to dial, and how many requests it takes at once."""

    service: str
    endpoint: str
    slots: int = 1


def parse_dial_out(text: str) -> DialOut:
    """The setting in `text`. Raises ValueError that says what one looks like."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not NAME=ENDPOINT[;slots=N], like text=tcp://127.0.0.1:7001;slots=2")
    if match["name"].startswith("hoot."):
        raise ValueError(f"{text!r}: services whose names begin with 'hoot.' are the broker's own")
    return DialOut(match["name"], match["endpoint"], int(match["slots"] or 1))


class Line:
    """One dialled connection. The core knows it under `identity`, which no connecting peer can guess.

    Any routing id can be claimed by a peer, also one that begins with a zero byte (measured), so this one is random.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], target: DialOut) -> None:
        self.identity = secrets.token_bytes(_IDENTITY_BYTES)
        self._target = target
        self._wire = Wire(dealer(context, drop_unsent=True))
        self._monitor = Monitor(self._wire.socket)
        self._up = False
        try:
            self._wire.socket.connect(target.endpoint)
        except zmq.ZMQError:
            # A socket left open would keep the context from ending.
            self.close()
            raise

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """What to poll."""
        return self._wire.socket, self._monitor.socket

    def read(self) -> list[Input]:
        """What happened on this connection, as inputs for the core. Never blocks."""
        inputs: list[Input] = []
        for change in self._monitor.read():
            if change is LinkChange.UP:
                self._up = True
                inputs.append(ServiceConnected(self.identity, self._target.service, self._target.slots))
            elif change is LinkChange.DOWN:
                self._up = False
                inputs.append(ServiceDisconnected(self.identity))
        for _ in range(_BATCH):
            frames = self._wire.receive()
            if frames is None:
                break
            try:
                inputs.append(Received(parse([self.identity, *frames], 1)))
            except MalformedMessage as error:
                inputs.append(Malformed(error))
        return inputs

    def send(self, message: Message) -> int:
        """As `Wire.send`, for a message whose route begins with this line's identity."""
        # A DEALER whose peer is gone still takes messages for a moment, and then calls itself full.
        return self._wire.send(serialize(message)[1:]) if self._up else UNREACHABLE

    def close(self) -> None:
        """Hangs up."""
        self._monitor.close()
        self._wire.close(0)
