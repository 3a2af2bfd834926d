"""A worker's process that died: the broker is told in its name, and people in words."""

import secrets
import signal
from typing import Final

import zmq

from hootbus.frames.address import BusAddress
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import WorkerLost
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.message import Message, serialize
from hootbus.frames.options import Options
from hootbus.frames.protocol import REQUEST_ID_BYTES, Command, ContentType, Flag
from hootbus.frames.sockets import dealer
from hootbus.frames.wire import Wire

# How long a broker may take to be told of a death, and the message to leave.
_TELL_MS: Final = 1000
_LINGER_MS: Final = 500


def tell_gone(bus: BusAddress, identity: bytes, keys: Keys | None = None) -> bool:
    """Tells the broker that the worker with this identity is dead, in its name. False if there is no broker to tell."""
    context = aligned_context()
    # With the worker's own keys, as its identity is theirs.
    wire = Wire(dealer(context, identity, drop_unsent=True, keys=resolve_keys(keys)))
    try:
        wire.socket.connect(bus.requests)
        if not wire.socket.poll(_TELL_MS, zmq.POLLOUT):
            return False
        goodbye = Message(
            (),
            Command.DISCONNECT,
            ContentType.EMPTY,
            secrets.token_bytes(REQUEST_ID_BYTES),
            options=Options(flags=Flag.WORKER, status=WorkerLost.number),
        )
        wire.send(serialize(goodbye))
        return True
    finally:
        wire.close(_LINGER_MS)
        context.term()


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
