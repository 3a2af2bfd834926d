"""The bus's sockets, set up in one place, so that both ends agree on identities, liveness and limits.

Why each option is set is said beside it; the facts were measured with libzmq 4.3.5.
"""

import os
from enum import Enum
from socket import AF_UNIX, SO_SNDBUF, SOL_SOCKET
from socket import socket as Socket
from typing import Final

import zmq
from zmq.utils.monitor import recv_monitor_message

from hootbus.frames.protocol import MESSAGE_BYTES_MAX

# ZMTP heartbeats run in libzmq's own thread: a handler that holds the GIL for seconds stays alive, a stopped process
# is noticed within interval + timeout.
_HEARTBEAT_MS: Final = 500
_HEARTBEAT_TIMEOUT_MS: Final = 1300
# A connection that says nothing is dropped soon, as each holds a descriptor.
_HANDSHAKE_MS: Final = 5_000
_RECONNECT_MS: Final = 50
_RECONNECT_MAX_MS: Final = 2_000
# Connections that wait in the kernel to be taken.
BACKLOG: Final = 1024

# Messages a ROUTER keeps for a peer that does not read, and a peer for a broker that does not.
PIPE_MESSAGES: Final = 10_000


# What the kernel holds of a body on its way over ipc. By default it is a fifth of a megabyte, and both ends wake each
# other several times for each megabyte: a request with 1 MB and its reply take two thirds of the time with this
# (measured). The system may allow less (net.core.wmem_max).
_SEND_BUFFER_BYTES: Final = 512 * 1024
_OPENED: Final = int(zmq.EVENT_CONNECTED | zmq.EVENT_ACCEPTED)


class LinkChange(Enum):
    """What a monitored socket went through."""

    UP = "up"
    DOWN = "down"
    REFUSED = "refused"


def router(context: zmq.Context[zmq.Socket[bytes]], *, backlog: int = BACKLOG) -> zmq.Socket[bytes]:
    """The broker's socket for requests, not yet bound."""
    socket = context.socket(zmq.ROUTER)
    # Without MANDATORY a reply to a peer that is gone or full vanishes silently; send only with DONTWAIT.
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    # A peer keeps its identity over reconnects, so its new connection takes over from the old one.
    socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
    socket.setsockopt(zmq.SNDHWM, PIPE_MESSAGES)
    socket.setsockopt(zmq.BACKLOG, backlog)
    _common(socket)
    return socket


def dealer(
    context: zmq.Context[zmq.Socket[bytes]], identity: bytes = b"", *, drop_unsent: bool = False
) -> zmq.Socket[bytes]:
    """The socket of a worker, a client, or a broker's dial-out, not yet connected.

    `identity` is the ROUTING_ID under which a broker knows the peer (16 random bytes, the first one not 0). With
    `drop_unsent` nothing is queued while there is no connection, and what is when it breaks is lost, in both
    directions: libzmq ends the pipe with it (ZMQ_IMMEDIATE). A client must not have that, as it would lose the replies
    that a broker sends before it ends.
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
    return socket


def event_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    """A SUB, XSUB, PUB or XPUB socket."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.BACKLOG, BACKLOG)
    _common(socket)
    return socket


def _common(socket: zmq.Socket[bytes]) -> None:
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.IPV6, 1)
    # Without it a frame's announced size is allocated before a byte of it has come.
    socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)


class Monitor:
    """Tells when a socket's connections come up and go down. Close it before the socket.

    Each connection gets room for a large body on the way.
    """

    _CHANGES: Final[dict[int, LinkChange]] = {
        zmq.EVENT_HANDSHAKE_SUCCEEDED: LinkChange.UP,
        zmq.EVENT_DISCONNECTED: LinkChange.DOWN,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: LinkChange.REFUSED,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH: LinkChange.REFUSED,
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: LinkChange.REFUSED,
    }

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._watched = socket
        events = _OPENED
        for event in self._CHANGES:
            events |= event
        self.socket: zmq.Socket[bytes] = socket.get_monitor_socket(events)

    def read(self) -> list[LinkChange]:
        """What happened since the last call, in order. Never blocks."""
        changes: list[LinkChange] = []
        while True:
            try:
                message = recv_monitor_message(self.socket, zmq.DONTWAIT)
            except zmq.Again:
                return changes
            event = message["event"]
            if event & _OPENED:
                _widen(message["value"])
            if event in self._CHANGES:
                changes.append(self._CHANGES[event])

    def close(self) -> None:
        """Ends the watch."""
        self._watched.disable_monitor()
        self.socket.close(0)


def _widen(descriptor: int) -> None:
    """Gives an ipc connection its send buffer: libzmq sets ZMQ_SNDBUF on tcp alone, and tcp's grow by themselves."""
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        # The connection has ended meanwhile. Its number may also be another file's by now: no socket, or one of this
        # process that can do with some more room.
        return
    try:
        connection = Socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return
    with connection:
        if connection.family == AF_UNIX:
            connection.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER_BYTES)
