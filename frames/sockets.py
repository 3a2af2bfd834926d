"""The bus's sockets, set up in one place, so that both ends agree on identities, liveness and limits.

Why each option is set is said beside it; the facts were measured with libzmq 4.3.5.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum, StrEnum
from itertools import count
from socket import AF_UNIX, SHUT_RDWR, SO_SNDBUF, SOL_SOCKET
from socket import socket as Socket
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from hootbus.frames.keys import Keys
from hootbus.frames.protocol import MESSAGE_BYTES_MAX

# ZMTP heartbeats run in libzmq's own thread: a handler that holds the GIL for seconds stays alive, a stopped process
# is noticed within interval + timeout. On a machine with ten times more to do than it can a thread's turn may take more
# than a second (seen).
_HEARTBEAT_MS: Final = 500
_HEARTBEAT_TIMEOUT_MS: Final = 3_000
# A dead network is found by the kernel, too: for a peer that has nothing to say, and for one that is not acknowledged.
_KEEPALIVE_S: Final = 1
_KEEPALIVES: Final = 2
_UNACKNOWLEDGED_MS: Final = 3_000
# A connection that says nothing is dropped soon, as each holds a descriptor.
_HANDSHAKE_MS: Final = 5_000
_RECONNECT_MS: Final = 50
_RECONNECT_MAX_MS: Final = 2_000
# Connections that wait in the kernel to be taken.
BACKLOG: Final = 1024

# Messages a ROUTER keeps for a peer that does not read, and a peer for a broker that does not.
PIPE_MESSAGES: Final = 10_000
# What a peer may have sent that the broker did not come to read yet: more than the requests and items of streams that
# one of ours may have under way, as it must not stop to receive (`_beat`).
_UNREAD_MESSAGES: Final = 50_000


# What the kernel holds of a body on its way over ipc. By default it is a fifth of a megabyte, and both ends wake each
# other several times for each megabyte: a request with 1 MB and its reply take two thirds of the time with this
# (measured). The system may allow less (net.core.wmem_max).
_SEND_BUFFER_BYTES: Final = 512 * 1024
_NUMBERS: Final = count(1)
_OPENED: Final = int(zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED)


# What the other end must speak, too: with keys on one side only neither understands the other.
_MECHANISM_MISMATCH: Final = zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
_CRYPTOGRAPHIC: Final = zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC


class LinkChange(Enum):
    """What a monitored socket went through; all but the first two are handshakes that failed.

    Of REFUSED, DENIED and MISMATCHED a connecting socket's libzmq makes no second attempt (measured).
    """

    UP = "up"
    DOWN = "down"
    REFUSED = "refused"
    # The broker does not let this key in.
    DENIED = "denied"
    # One end has keys, the other has none.
    MISMATCHED = "mismatched"
    # Made for another broker's key; only the broker sees that.
    WRONG_KEY = "wrong_key"
    # The other end hung up, and did not say why.
    CUT = "cut"


class Domain(StrEnum):
    """What a socket of the broker is for, as its ZAP handler is told: each has a right of its own."""

    REQUESTS = "requests"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


def router(
    context: zmq.Context[zmq.Socket[bytes]], keys: Keys | None = None, *, backlog: int = BACKLOG
) -> zmq.Socket[bytes]:
    """The broker's socket for requests, not yet bound. With `keys` the context's ZAP handler is asked of each peer."""
    socket = context.socket(zmq.ROUTER)
    # Without MANDATORY a reply to a peer that is gone or full vanishes silently; send only with DONTWAIT.
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    # A peer keeps its identity over reconnects, so its new connection takes over from the old one.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    socket.setsockopt(zmq.SNDHWM, PIPE_MESSAGES)
    socket.setsockopt(zmq.BACKLOG, backlog)
    socket.setsockopt(zmq.RCVHWM, _UNREAD_MESSAGES)
    _common(socket)
    if keys is not None:
        _ask_for_keys(socket, keys, Domain.REQUESTS)
    return socket


def dealer(
    context: zmq.Context[zmq.Socket[bytes]],
    identity: bytes = b"",
    *,
    drop_unsent: bool = False,
    keys: Keys | None = None,
) -> zmq.Socket[bytes]:
    """The socket of a worker, a client, or a broker's dial-out, not yet connected.

    `identity` is the ROUTING_ID under which a broker knows the peer (16 random bytes, the first one not 0). With
    `drop_unsent` nothing is queued while there is no connection, and what is when it breaks is lost, in both
    directions: libzmq ends the pipe with it (ZMQ_IMMEDIATE). A client must not have that, as it would lose the replies
    that a broker sends before it ends. With `keys` it talks to the broker of that key and to no other.
    """
    socket = context.socket(zmq.DEALER)
    if identity:
        socket.setsockopt(zmq.ROUTING_ID, identity)
    if drop_unsent:
        socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.SNDHWM, PIPE_MESSAGES)
    # Replies are bounded by the session's requests in flight; taking them all in frees the broker's pipe at once.
    socket.setsockopt(zmq.RCVHWM, 0)
    _common(socket)
    _beat(socket)
    if keys is not None:
        _show_keys(socket, keys)
    return socket


def event_socket(
    context: zmq.Context[zmq.Socket[bytes]], kind: int, keys: Keys | None = None, serves: Domain | None = None
) -> zmq.Socket[bytes]:
    """A SUB, XSUB, PUB or XPUB socket: a peer's, or, if it `serves` one half of the events, the broker's."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    _common(socket)
    if keys is not None and serves is not None:
        _ask_for_keys(socket, keys, serves)
    elif keys is not None:
        _show_keys(socket, keys)
    return socket


def connect_again(socket: zmq.Socket[bytes], endpoint: str) -> None:
    """A new attempt after a handshake of which libzmq makes none by itself."""
    with suppress(zmq.ZMQError):  # there is nothing left to disconnect, mostly
        socket.disconnect(endpoint)
    socket.connect(endpoint)


def _ask_for_keys(socket: zmq.Socket[bytes], keys: Keys, domain: Domain) -> None:
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    # Without a domain libzmq may let in whoever knows the broker's public key, and ask nobody.
    socket.setsockopt(zmq.ZAP_DOMAIN, domain.encode())


def _show_keys(socket: zmq.Socket[bytes], keys: Keys) -> None:
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.broker)


def _common(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, 1)
    # Without it a frame's announced size is allocated before a byte of it has come.
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _KEEPALIVE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, _KEEPALIVES)
    socket.setsockopt(zmq.TCP_MAXRT, _UNACKNOWLEDGED_MS)


def _beat(socket: zmq.Socket[bytes]) -> None:
    """It finds out that the other end is gone, or hangs; and the other end, should this one fall silent.

    Only for a socket that never stops to receive. One that does hears no answer, and libzmq ends the process: by
    `!_io_error` if a heartbeat is due when the connection has broken, by `_input_stopped` if the connection was made
    anew and its messages are read then (measured, with 4.3.5). So no socket for events has heartbeats: a subscriber
    that is slow stops to receive, and the broker does where a publisher fills its pipe. Nor has the broker's ROUTER: of
    the former connection of an identity it takes nothing in any more, so that whoever connects twice with one, sends,
    and hangs up would end the broker. What hangs there `bus.pulse` finds.
    """
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _HEARTBEAT_TIMEOUT_MS)


class Monitor:
    """Tells when a socket's connections come up and go down. Close it before the socket.

    Each connection gets room for a large body on the way, if it is to `widen`.
    """

    _CHANGES: Final[dict[int, LinkChange]] = {
        zmq.EVENT_HANDSHAKE_SUCCEEDED: LinkChange.UP,
        zmq.EVENT_DISCONNECTED: LinkChange.DOWN,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: LinkChange.REFUSED,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH: LinkChange.DENIED,
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: LinkChange.CUT,
    }
    _PROTOCOL: Final[dict[int, LinkChange]] = {
        _MECHANISM_MISMATCH: LinkChange.MISMATCHED,
        _CRYPTOGRAPHIC: LinkChange.WRONG_KEY,
    }

    def __init__(self, socket: zmq.Socket[bytes], *, widen: bool = True) -> None:
        self._watched = socket
        self._widens = widen
        events = _OPENED
        for event in self._CHANGES:
            events |= event
        endpoint = f"inproc://hoot-monitor-{next(_NUMBERS)}"
        socket.monitor(endpoint, events)
        self.socket: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        # libzmq's own thread waits for room here: a program that looks seldom must not hold up its connections.
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)
        # By descriptor, which of all connections it is: a number that is free is given to the next one.
        self._open: dict[int, int] = {}
        self._opened = count()
        self._changes: list[LinkChange] = []
        # Whether there is something to read that the socket shows no more, as others have looked meanwhile. An
        # attribute, as it is asked several times for each request.
        self.pending = False

    def read(self) -> list[LinkChange]:
        """What happened since the last call, in order. Never blocks."""
        self._take_in()
        changes, self._changes = self._changes, []
        self.pending = False
        return changes

    def connections(self) -> Mapping[int, int]:
        """Those that are open: by descriptor, which of all that were. A view, that changes with them."""
        self._take_in()
        return self._open

    def _take_in(self) -> None:
        changes = self._changes
        while True:
            try:
                message = recv_monitor_message(self.socket, zmq.DONTWAIT)
            except zmq.Again:
                self.pending = bool(changes)
                return
            event, value = int(message["event"]), int(message["value"])
            if event & _OPENED:
                self._open[value] = next(self._opened)
                if self._widens:
                    _widen(value)
            if event == zmq.EVENT_DISCONNECTED:
                self._open.pop(value, None)
            if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                changes.append(self._PROTOCOL.get(value, LinkChange.REFUSED))
            elif event in self._CHANGES:
                changes.append(self._CHANGES[event])

    def cut(self, descriptors: Iterable[int] | None = None) -> int:
        """Ends those of these connections that are open, or all; peers connect anew. How many there were.

        libzmq has no call for that: the kernel is asked, by the descriptor.
        """
        self._take_in()
        return sum(map(_cut, self._open if descriptors is None else self._open.keys() & descriptors))

    def close(self) -> None:
        """Ends the watch."""
        self._watched.disable_monitor()
        self.socket.close(0)


def _widen(descriptor: int) -> None:
    """Gives an ipc connection its send buffer: libzmq sets ZMQ_SNDBUF on tcp alone, and tcp's grow by themselves."""
    # One that has ended meanwhile may be another socket of this process by now, that can do with some more room.
    if (connection := _connection(descriptor)) is not None:
        with connection:
            if connection.family == AF_UNIX:
                connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER_BYTES)


def _cut(descriptor: int) -> bool:
    """Whether it was still a connection. If that is another one's by now, that peer connects anew, and no more."""
    if (connection := _connection(descriptor)) is None:
        return False
    with connection, suppress(OSError):
        connection.shutdown(SHUT_RDWR)
        return True
    return False


def _connection(descriptor: int) -> Socket | None:
    """The socket behind a descriptor of libzmq's, which stays libzmq's; None if there is none any more."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        return None
    try:
        return Socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return None
