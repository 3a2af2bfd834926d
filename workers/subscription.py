"""The socket beneath a subscriber: what it subscribed to, and how it learns that this holds."""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Final

import zmq

from hootbus.frames.address import BusAddress
from hootbus.frames.buffer import Frames
from hootbus.frames.context import aligned_context
from hootbus.frames.keys import Keys
from hootbus.frames.message import Message, serialize
from hootbus.frames.options import NO_OPTIONS
from hootbus.frames.protocol import Command, ContentType
from hootbus.frames.sockets import dealer, event_socket
from hootbus.frames.wire import Wire
from hootbus.schemas import write_json
from hootbus.workers.connection import new_identity
from hootbus.workers.handshakes import Watch
from hootbus.workers.publisher import ECHO_PREFIX

# Events that libzmq keeps for a subscriber that is busy; more are lost, and counted by it.
_PIPE_MESSAGES: Final = 100_000
# The question is asked again soon, as it takes some milliseconds to connect, and then more seldom.
_ECHO_INTERVAL_S: Final = 0.002
_ECHO_INTERVAL_MAX_S: Final = 0.25
_PATIENCE_S: Final = 1.0
_MS_PER_S: Final = 1000
_SERVICE: Final = b"hoot.events/echo"
_LOG: Final = logging.getLogger("hootbus.subscriber")


class Subscription:
    """Receives messages whose topics begin with one of `topics`, all without any. For one thread at a time.

    Among all are the echoes that other subscribers have asked for (ECHO_PREFIX): nobody else's business.
    """

    def __init__(self, topics: Iterable[str], address: BusAddress, keys: Keys | None) -> None:
        self._address = address
        self._keys = keys
        self._context = aligned_context()
        self._socket = event_socket(self._context, zmq.SUB, keys)
        self._socket.setsockopt(zmq.RCVHWM, _PIPE_MESSAGES)
        for topic in tuple(topics) or ("",):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        self._wire = Wire(self._socket)
        # The next message that is there: the wire's own, as a call of ours would be a tenth of what an event costs.
        self.receive: Callable[[], Frames | None] = self._wire.receive
        # Before the connection is begun, as its first event would be missed.
        self._watch = Watch(self._socket, address.subscribe, keys, _LOG, right="subscribe")
        self._socket.connect(address.subscribe)

    @property
    def descriptor(self) -> int:
        """Readable when something has happened to the socket: a change, so look again before each wait."""
        return self._socket.fileno()

    @property
    def watch_descriptor(self) -> int:
        """Readable when something has happened to its connection: time for `check`."""
        return self._watch.fd

    def poll(self, seconds: float) -> None:
        """Waits until there is a message, at most so many seconds. Raises Denied, once for each attempt refused."""
        # Looked at when nothing comes: a look costs more than an event.
        if not self._socket.poll(milliseconds(min(seconds, self.pause_s()))):
            self.check()

    async def wait(self, seconds: float) -> None:
        """As `poll`, for asyncio programs."""
        if not await readable(self.descriptor, min(seconds, self.pause_s()), self.watch_descriptor):
            self.check()

    def check(self) -> None:
        """Sees to its connection. Raises Denied, once for each attempt that was refused."""
        self._watch.check()

    def pause_s(self) -> float:
        """How long until `check` has something to do that no descriptor tells of."""
        return self._watch.pause_s()

    def mark(self, take: Callable[[Frames], None], timeout: float | None) -> Generator[float, None, None]:
        """Hands over what comes, until it is all that was published so far; yields how long to wait for more.

        The broker is asked to publish to us until that arrives. What was subscribed before is in force by then, as a
        socket's subscriptions take effect in order, and what the broker forwarded before that has come. The question is
        repeated, as an echo published before the subscription has reached the broker is lost. Raises TimeoutError and
        Denied.
        """
        until = until_of(timeout)
        warn_at = time.monotonic() + _PATIENCE_S
        interval = _ECHO_INTERVAL_S
        echo = _Echo(self._context, self._address, self._keys)
        self._socket.setsockopt(zmq.SUBSCRIBE, echo.topic)
        try:
            while True:
                self.check()
                echo.ask()
                again_at = time.monotonic() + interval
                interval = min(2 * interval, _ECHO_INTERVAL_MAX_S)
                while (pause := again_at - time.monotonic()) > 0:
                    if self._take_until(echo.topic, take):
                        return
                    yield min(pause, left_of(until, timeout))
                if time.monotonic() >= warn_at:
                    warn_at = math.inf
                    _LOG.warning("waiting for a broker at %s", self._address.text)
        finally:
            echo.close()
            with suppress(zmq.ZMQError):  # closed meanwhile
                self._socket.setsockopt(zmq.UNSUBSCRIBE, echo.topic)

    def close(self) -> None:
        """Ends it. Once."""
        self._watch.close()
        self._wire.close(0)
        self._context.term()

    def _take_until(self, topic: bytes, take: Callable[[Frames], None]) -> bool:
        """Hands over what is there; whether a message of this topic was among it."""
        while (frames := self._wire.receive()) is not None:
            if frames[0] == topic:
                return True
            take(frames)
        return False


class _Echo:
    """One question to the broker: publish this topic of mine."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: BusAddress, keys: Keys | None) -> None:
        self.topic = ECHO_PREFIX + secrets.token_hex(16).encode()
        self._wire = Wire(dealer(context, new_identity(), keys=keys))
        self._wire.socket.connect(address.requests)

    def ask(self) -> None:
        """Asks, if there is a broker; and lets go of its answers, since the event is the answer."""
        while self._wire.receive() is not None:
            pass
        body = write_json({"topic": self.topic.decode()})
        # Refused while there is no connection, and asked again.
        self._wire.send(
            serialize(
                Message(
                    (),
                    Command.REQUEST,
                    ContentType.JSON,
                    secrets.token_bytes(16),
                    _SERVICE,
                    body=body,
                    options=NO_OPTIONS,
                )
            )
        )

    def close(self) -> None:
        self._wire.close(0)


async def readable(descriptor: int, seconds: float, other: int | None = None) -> bool:
    """Waits until a descriptor is readable, at most so many seconds; whether it was the first one."""
    loop = asyncio.get_running_loop()
    happened: asyncio.Future[bool] = loop.create_future()

    def wake(first: bool) -> None:
        if not happened.done():
            happened.set_result(first)

    loop.add_reader(descriptor, wake, True)
    if other is not None:
        loop.add_reader(other, wake, False)
    timer = loop.call_later(seconds, wake, False) if seconds != math.inf else None
    try:
        return await happened
    finally:
        loop.remove_reader(descriptor)
        if other is not None:
            loop.remove_reader(other)
        if timer is not None:
            timer.cancel()


def until_of(timeout: float | None) -> float:
    """When `timeout` seconds from now are over."""
    return math.inf if timeout is None else time.monotonic() + timeout


def left_of(until: float, timeout: float | None) -> float:
    """Seconds left. Raises TimeoutError if there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no event within {timeout} s")
    return left


def milliseconds(seconds: float) -> int:
    """As poll takes it, rounded up, so that a short wait is one; without an end it is -1."""
    return math.ceil(seconds * _MS_PER_S) if seconds != math.inf else -1
