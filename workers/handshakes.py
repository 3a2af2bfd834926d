"""What a peer makes of handshakes that fail: libzmq says nothing, and of most of them it makes no second attempt."""

import logging
import math
import time
from typing import Final

import msgspec
import zmq

from hootbus.frames.errors import Denied
from hootbus.frames.keys import Keys
from hootbus.frames.sockets import LinkChange, Monitor, connect_again

# Between attempts where libzmq makes none: an operator may have let the key in meanwhile.
RETRY_S: Final = 1.0
# One may be a broker that is just ending.
_CUT_MIN: Final = 2
# Of all others it is not certain what stands behind the address, and whether a broker is about to.
_HOPELESS: Final = (LinkChange.DENIED, LinkChange.MISMATCHED)


class Failure(msgspec.Struct, frozen=True, gc=False):
    """A handshake that failed: what it means, whether that is news, and whether waiting is in vain."""

    words: str
    fresh: bool
    hopeless: bool


class Handshakes:
    """Finds words for the failures of one connection, and tells each kind once until a handshake has succeeded.

    `right` is what an endpoint wants of a key beside that it is let in; that for requests wants nothing.
    """

    def __init__(self, keyed: bool, right: str = "") -> None:
        self._keyed = keyed
        self._right = right
        self._cut = 0
        self._told: set[LinkChange] = set()

    def succeeded(self) -> None:
        """The connection is up."""
        self._cut = 0
        self._told.clear()

    def failed(self, change: LinkChange) -> Failure | None:
        """What to make of it; None for what may be nothing."""
        self._cut += change is LinkChange.CUT
        if change is LinkChange.CUT and self._cut < _CUT_MIN:
            return None
        fresh = change not in self._told
        self._told.add(change)
        return Failure(self._words(change), fresh, change in _HOPELESS)

    def _words(self, change: LinkChange) -> str:
        if change is LinkChange.DENIED:
            lacking = f", or it lacks the right to {self._right}" if self._right else ""
            return f"the broker does not let this key in{lacking}"
        if change is LinkChange.MISMATCHED and self._keyed:
            return "the broker has no keys: leave out HOOT_KEY and HOOT_BROKER_KEY, or give it --key and --allow"
        if change is LinkChange.MISMATCHED:
            return "the broker wants keys: give --key and --broker-key, or set HOOT_KEY and HOOT_BROKER_KEY"
        if change is LinkChange.CUT and self._keyed:
            return "the broker hangs up during the handshake: HOOT_BROKER_KEY is not its public key, or it has no keys"
        return "the peer at the bus address does not complete the handshake: is it a broker, and does it want keys?"


class Watch:
    """An event socket's connection: tries again where libzmq does not, and tells who waits that it is in vain."""

    def __init__(
        self, socket: zmq.Socket[bytes], endpoint: str, keys: Keys | None, log: logging.Logger, *, right: str
    ) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._log = log
        self._handshakes = Handshakes(keys is not None, right)
        self._monitor = Monitor(socket, widen=False)
        self._again_at: float | None = None
        self._denied: Denied | None = None
        self.fd: int = self._monitor.socket.fileno()

    def check(self) -> None:
        """Takes note of what has happened. Raises Denied, once for each attempt that was refused."""
        for change in self._monitor.read():
            if change is LinkChange.UP:
                self._handshakes.succeeded()
                self._denied = None
            elif change is not LinkChange.DOWN:
                self._failed(change)
        if self._again_at is not None and time.monotonic() >= self._again_at:
            self._again_at = None
            connect_again(self._socket, self._endpoint)
        if self._denied is not None:
            denied, self._denied = self._denied, None
            raise denied

    def pause_s(self) -> float:
        """How long until there is something to do that no descriptor tells of."""
        return math.inf if self._again_at is None else max(0.0, self._again_at - time.monotonic())

    def close(self) -> None:
        """Before the socket."""
        self._monitor.close()

    def _failed(self, change: LinkChange) -> None:
        failure = self._handshakes.failed(change)
        if failure is not None and failure.fresh:
            self._log.warning("%s", failure.words)
        if failure is not None and failure.hopeless:
            self._denied = Denied(failure.words)
        if change is not LinkChange.CUT:
            self._again_at = time.monotonic() + RETRY_S
