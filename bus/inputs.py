"""What can happen to the broker: the inputs of `Core.handle`."""

from typing import TypeAlias

import msgspec

from hootbus.bus.access import Access
from hootbus.bus.judgement import Verdict
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message


class Received(msgspec.Struct, frozen=True, gc=False):
    """A message came; its route begins with the sender's identity.

    `principal` is the sender's public key, as CURVE has proved it: b"" on a bus without keys, and of a dialled service.
    `connection` is the shell's number for that over which it came, -1 where nobody needs it.
    """

    message: Message
    principal: bytes = b""
    connection: int = -1


class Malformed(msgspec.Struct, frozen=True):
    """Frames came that are no message. `principal` and `connection` as for `Received`."""

    error: MalformedMessage
    principal: bytes = b""
    connection: int = -1


class Undeliverable(msgspec.Struct, frozen=True, gc=False):
    """A message that was to be sent was not: its peer is gone, or (`gone` False) its pipe is full."""

    message: Message
    gone: bool


class ConnectionLost(msgspec.Struct, frozen=True):
    """Some peer's connection ended; which one, a probe will show."""


class ServiceConnected(msgspec.Struct, frozen=True):
    """A service that the broker dialled is there. `identity` is the shell's name for that connection."""

    identity: bytes
    service: str
    slots: int


class ServiceDisconnected(msgspec.Struct, frozen=True):
    """A dialled service's connection ended."""

    identity: bytes


class Judged(msgspec.Struct, frozen=True):
    """The case that was to be judged has been."""

    verdict: Verdict


class ConnectionsHung(msgspec.Struct, frozen=True):
    """So many connections were ended, as their other ends neither took nor sent anything any more."""

    count: int


class DoorClosed(msgspec.Struct, frozen=True):
    """For want of descriptors nobody is let in for a while."""


class AccessChanged(msgspec.Struct, frozen=True):
    """Other rights hold from now on: the operator has let keys in, or taken rights away."""

    access: Access


class HandshakesRefused(msgspec.Struct, frozen=True):
    """So many connections did not come about: their keys are not let in, or do not match at all."""

    denied: int
    failed: int


class Drain(msgspec.Struct, frozen=True):
    """The operator asks the broker to finish what it has and stop."""


class Ticked(msgspec.Struct, frozen=True):
    """Time has passed."""


Input: TypeAlias = (
    Received
    | Malformed
    | Undeliverable
    | ConnectionLost
    | ServiceConnected
    | ServiceDisconnected
    | Judged
    | ConnectionsHung
    | DoorClosed
    | AccessChanged
    | HandshakesRefused
    | Drain
    | Ticked
)
