"""The pulse of the bus's connections: those whose other end hangs, stopped or frozen, are found and ended.

libzmq could send heartbeats from the broker, too, but then whoever may connect could end the broker's process
(`frames.sockets`). So the kernel is asked what it knows of each connection. Over TCP that is when a byte came last:
peers that keep to the protocol have libzmq send a sign of life twice a second, whatever their handlers do. Over ipc it
is what the broker sent and the other end has not taken: libzmq takes it at once, and a worker is sent a heartbeat a
second.
"""

import math
import sys
from collections.abc import Callable, Mapping
from fcntl import ioctl
from socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, TCP_INFO
from socket import socket as Socket
from struct import Struct
from termios import TIOCOUTQ
from typing import Final

from hootbus.frames.message import Message
from hootbus.frames.sockets import Monitor
from hootbus.frames.wire import descriptor_of

# So often is each connection looked at, and so often while one owes something.
_LOOK_S: Final = 0.5
_LOOK_SOON_S: Final = 0.2
# Looks at which a connection owes no less than at the one before. One over which much is sent to somebody who reads it
# may always owe something, but by chance between a quarter of the kernel's buffer and all of it: 15 times no less is
# one chance in a thousand million.
_LOOKS: Final = 15
# Nothing is owed over TCP by who was heard in this time: twice what there is between two signs of life.
QUIET_MS: Final = 1000

_INT: Final = Struct("i")
# `tcpi_last_data_recv` of Linux's struct tcp_info, in milliseconds.
_LAST_RECEIVED_AT: Final = 52
_LAST_RECEIVED: Final = Struct("I")


class _Beat:
    """One connection: which of all that were, whose it is, what it owed at the last look, and at how many no less."""

    def __init__(self, number: int, identity: bytes) -> None:
        self.number = number
        self.identity = identity
        self.owed = 0
        self.looks = 0


class Pulse:
    """Decides which connections hang. What one owes is any number that falls when its other end does something.

    `connections` are, wherever they are asked for, those there are: by descriptor, which of all that were.
    """

    def __init__(self) -> None:
        # By descriptor; never more than there are connections, but for those that ended since the last look.
        self._beats: dict[int, _Beat] = {}
        self._descriptors: dict[bytes, int] = {}
        # When `look` has something to do.
        self.look_at = math.inf

    def __len__(self) -> int:
        """Connections that are watched."""
        return len(self._beats)

    def heard(self, identity: bytes, descriptor: int, connections: Mapping[int, int], now: float) -> int | None:
        """A peer that keeps to the protocol has spoken over this connection, which is watched from now on.

        Returns the descriptor of the peer's former connection if that is still there: nothing that comes over it is
        read any more, and libzmq would never close it once something had come.
        """
        number = connections.get(descriptor)
        if number is None:
            return None
        beat = self._beats.get(descriptor)
        if beat is not None and beat.number == number and beat.identity == identity:
            return None
        if beat is not None:
            self._forget(descriptor)
        former = self._descriptors.get(identity)
        if former is not None and connections.get(former) != self._forget(former):
            former = None
        self._beats[descriptor] = _Beat(number, identity)
        self._descriptors[identity] = descriptor
        self.look_at = min(self.look_at, now + _LOOK_S)
        return former

    def look(self, connections: Mapping[int, int], owes: Callable[[int], int], now: float) -> list[int]:
        """Of which connections the other end hangs; `owes` is asked of each that is watched."""
        hung = []
        some = False
        for descriptor, beat in list(self._beats.items()):
            if connections.get(descriptor) != beat.number:
                self._forget(descriptor)
                continue
            owed = owes(descriptor)
            beat.looks = beat.looks + 1 if 0 < beat.owed <= owed else 0
            beat.owed = owed
            some = some or owed > 0
            if beat.looks >= _LOOKS:
                self._forget(descriptor)
                hung.append(descriptor)
        self.look_at = now + (_LOOK_SOON_S if some else _LOOK_S) if self._beats else math.inf
        return hung

    def _forget(self, descriptor: int) -> int:
        beat = self._beats.pop(descriptor)
        del self._descriptors[beat.identity]
        return beat.number


class Physician:
    """The pulse's shell: asks the kernel, and ends the connections that hang.

    Elsewhere than on Linux it does nothing: what hangs there is found by its silence (`lost_after_s`), or never.
    """

    def __init__(self, monitor: Monitor, *, over_tcp: bool) -> None:
        self._monitor = monitor
        self._owes = silent_ms if over_tcp else unread_bytes
        self._pulse = Pulse()
        # An attribute, as it is asked several times for each request.
        self.look_at = math.inf
        self._works = sys.platform == "linux"

    def heard(self, message: Message, now: float) -> None:
        """Has the connection watched over which a HEARTBEAT or a READY came, if its sender keeps to our section 6."""
        if message.options is None or not self._works:
            return
        descriptor = descriptor_of(message.body)
        former = self._pulse.heard(message.route[0], descriptor, self._monitor.connections(), now)
        self.look_at = self._pulse.look_at
        if former is not None:
            self._monitor.cut((former,))

    def look(self, now: float) -> int:
        """How many connections were found to hang, and ended."""
        hung = self._pulse.look(self._monitor.connections(), self._owes, now)
        self.look_at = self._pulse.look_at
        return self._monitor.cut(hung) if hung else 0


def unread_bytes(descriptor: int) -> int:
    """What the other end of an ipc connection has not taken yet, as the kernel counts it."""
    try:
        return int(_INT.unpack(ioctl(descriptor, TIOCOUTQ, bytes(_INT.size)))[0])
    except OSError:  # it has just ended
        return 0


def silent_ms(descriptor: int) -> int:
    """By how much too long nothing has come over a TCP connection."""
    try:
        # The family is said, as it would be asked for else; IPv6 has the same.
        connection = Socket(AF_INET, SOCK_STREAM, fileno=descriptor)
    except OSError:  # it has just ended
        return 0
    try:
        told = connection.getsockopt(IPPROTO_TCP, TCP_INFO, _LAST_RECEIVED_AT + _LAST_RECEIVED.size)
        return max(0, int(_LAST_RECEIVED.unpack_from(told, _LAST_RECEIVED_AT)[0]) - QUIET_MS)
    except OSError:  # it is something else by now
        return 0
    finally:
        connection.detach()
