"""Broadcast events: from every publisher to every subscriber, inside libzmq and past Python.

A thread of the broker runs libzmq's own proxy; it ends when the context does.
"""

import threading
from typing import Final

import zmq

from hootbus.frames.address import BusAddress
from hootbus.frames.keys import Keys
from hootbus.frames.sockets import BACKLOG, PIPE_MESSAGES, Domain, event_socket

# The broker's own publishers and subscribers are in its process.
PUBLISH_INSIDE: Final = "inproc://hoot-publish"
SUBSCRIBE_INSIDE: Final = "inproc://hoot-subscribe"
# A topic's 255, and what libzmq says in a handshake besides: an identity, and who knows which properties.
_SUBSCRIPTION_BYTES_MAX: Final = 4096


class EventProxy:
    """The events half of a broker. `bind` first, then `start`; ends with the context's `term`."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], keys: Keys | None = None, *, backlog: int = BACKLOG
    ) -> None:
        # One way only: over XSUB and XPUB the proxy would hand whatever a subscriber sends, subscription or not, on
        # to every publisher (measured).
        self._from_publishers = event_socket(context, zmq.SUB, keys, Domain.PUBLISH)
        self._to_subscribers = event_socket(context, zmq.PUB, keys, Domain.SUBSCRIBE)
        self._to_subscribers.setsockopt(zmq.SNDHWM, PIPE_MESSAGES)
        # Nothing comes here but handshakes and subscriptions, of which libzmq keeps 46 bytes for each byte (measured).
        self._to_subscribers.setsockopt(zmq.MAXMSGSIZE, _SUBSCRIPTION_BYTES_MAX)
        for socket in (self._from_publishers, self._to_subscribers):
            socket.setsockopt(zmq.BACKLOG, backlog)
        self._thread = threading.Thread(target=self._run, name="hoot-events", daemon=True)

    def bind(self, address: BusAddress) -> None:
        """Takes the bus's two event endpoints. Raises ZMQError, and can be tried again with another address."""
        self._from_publishers.bind(address.publish)
        bound = last_endpoint(self._from_publishers)
        try:
            self._to_subscribers.bind(address.subscribe)
        except zmq.ZMQError:
            self._from_publishers.unbind(bound)
            raise

    @property
    def sockets(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """That of publishers and that of subscribers; its thread's from `start` on."""
        return self._from_publishers, self._to_subscribers

    def start(self) -> None:
        """Begins to forward."""
        self._from_publishers.bind(PUBLISH_INSIDE)
        self._to_subscribers.bind(SUBSCRIBE_INSIDE)
        # A publisher is ready when this subscription reaches it; what nobody wants is filtered on the way out.
        self._from_publishers.setsockopt(zmq.SUBSCRIBE, b"")
        self._thread.start()

    def close(self) -> None:
        """For a broker that never started to forward."""
        if not self._thread.is_alive():
            self._from_publishers.close(0)
            self._to_subscribers.close(0)

    def join(self) -> None:
        """Waits for the thread, once the context is being ended."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            zmq.proxy(self._from_publishers, self._to_subscribers)
        except zmq.ContextTerminated:
            pass
        finally:
            self._from_publishers.close(0)
            self._to_subscribers.close(0)


def last_endpoint(socket: zmq.Socket[bytes]) -> str:
    """What the socket has just been bound to, with names resolved: `unbind` knows it by no other."""
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()
