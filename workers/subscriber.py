"""Subscribing to events: from the moment it is ready nothing is missed unnoticed."""

import asyncio
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from typing import Final, Self

import zmq

from hootbus.frames.address import BusAddress, resolve_address
from hootbus.frames.buffer import Frames
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import read_event
from hootbus.frames.message import Message, serialize
from hootbus.frames.options import NO_OPTIONS
from hootbus.frames.protocol import Command, ContentType
from hootbus.frames.sockets import dealer, event_socket
from hootbus.frames.wire import Wire
from hootbus.schemas import write_json
from hootbus.workers.connection import new_identity
from hootbus.workers.event import Event, events_of
from hootbus.workers.interrupts import INTERRUPT_LATE_S
from hootbus.workers.publisher import ECHO_PREFIX
from hootbus.workers.sequences import Gaps

# Events that libzmq keeps for a subscriber that is busy; more are lost, and counted by it.
_PIPE_MESSAGES: Final = 100_000
# Events that come while it is getting ready, kept for later; more are lost, and counted.
_EARLY_MAX: Final = 100_000
# The question is asked again soon, as it takes some milliseconds to connect, and then more seldom.
_ECHO_INTERVAL_S: Final = 0.002
_ECHO_INTERVAL_MAX_S: Final = 0.25
_PATIENCE_S: Final = 1.0
_MS_PER_S: Final = 1000
_SERVICE: Final = b"hoot.events/echo"
_LOG: Final = logging.getLogger("hootbus.subscriber")


class Subscriber:
    """Receives the events of a bus whose topics begin with one of `topics`; all events if none is given.

    `address` as for `Publisher`. Use it with `for` or `async for`, or `receive`; `with` (or `async with`) returns when
    it is ready: what is published from then on is seen, or counted as lost. It waits for a broker that is not there
    yet, and goes on when one comes back. For one thread, or one task, at a time.

    `lost` counts events that were published and did not arrive, `malformed` what came and was no event.
    """

    def __init__(self, *topics: str, address: str | None = None) -> None:
        self._address = resolve_address(address)
        self._gaps = Gaps()
        self._events: deque[Event] = deque()
        self._is_ready = False
        self._closed = False
        self.lost = 0
        self.malformed = 0
        self._context = aligned_context()
        self._socket = event_socket(self._context, zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, _PIPE_MESSAGES)
        for topic in topics or ("",):
            self._socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        self._wire = Wire(self._socket)
        self._socket.connect(self._address.subscribe)

    def __enter__(self) -> Self:
        self.ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self.aready()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if self._closed:
            raise StopIteration
        # What came joined is given out without any ado.
        return self._events.popleft() if self._events else self.receive()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._closed:
            raise StopAsyncIteration
        return self._events.popleft() if self._events else await self.areceive()

    def receive(self, timeout: float | None = None) -> Event:
        """The next event. Raises TimeoutError if there is none within `timeout` seconds; None waits for ever."""
        until = _until(timeout)
        if not self._is_ready:
            self.ready(timeout)
        while (event := self._next()) is None:
            self._socket.poll(_milliseconds(min(_left(until, timeout), INTERRUPT_LATE_S)))
        return event

    async def areceive(self, timeout: float | None = None) -> Event:
        """As `receive`, for asyncio programs."""
        until = _until(timeout)
        if not self._is_ready:
            await self.aready(timeout)
        while (event := self._next()) is None:
            await self._readable(_left(until, timeout))
        return event

    def ready(self, timeout: float | None = None) -> None:
        """Waits until the broker is there and the subscription holds. Raises TimeoutError after `timeout` seconds.

        `with` and the first `receive` do so by themselves; after a broker has come back it may be asked again.
        """
        for pause in self._getting_ready(timeout):
            self._socket.poll(_milliseconds(pause))

    async def aready(self, timeout: float | None = None) -> None:
        """As `ready`, for asyncio programs."""
        for pause in self._getting_ready(timeout):
            await self._readable(pause)

    def close(self) -> None:
        """Ends the subscription."""
        if not self._closed:
            self._closed = True
            self._wire.close(0)
            self._context.term()

    def _next(self) -> Event | None:
        """The next event that is there."""
        events = self._events
        while not events:
            frames = self._wire.receive()
            if frames is None:
                return None
            self._take(frames)
        return events.popleft()

    def _take(self, frames: Frames) -> None:
        """Puts the events of a message behind those that are there."""
        try:
            topic, header, body = read_event(frames)
            if topic.startswith(ECHO_PREFIX):
                return
            name = topic.decode()
            missed = self._gaps.missed(header.publisher, topic, header.sequence, header.count, header.flags)
            self.lost += missed
            self._events += events_of(name, header, body, missed)
        except (BadFrame, UnicodeDecodeError):
            self.malformed += 1

    def _getting_ready(self, timeout: float | None) -> Generator[float, None, None]:
        """Asks the broker to publish to us until that arrives; yields how long to wait for the socket to be readable.

        What was subscribed before is in force by then, as a socket's subscriptions take effect in order. The question
        is repeated, as an echo published before the subscription has reached the broker is lost.
        """
        until = _until(timeout)
        warn_at = time.monotonic() + _PATIENCE_S
        interval = _ECHO_INTERVAL_S
        echo = _Echo(self._context, self._address)
        self._socket.setsockopt(zmq.SUBSCRIBE, echo.topic)
        try:
            while True:
                echo.ask()
                again_at = time.monotonic() + interval
                interval = min(2 * interval, _ECHO_INTERVAL_MAX_S)
                while (pause := again_at - time.monotonic()) > 0:
                    if self._take_until(echo.topic):
                        self._is_ready = True
                        return
                    yield min(pause, _left(until, timeout))
                if time.monotonic() >= warn_at:
                    warn_at = math.inf
                    _LOG.warning("waiting for a broker at %s", self._address.text)
        finally:
            echo.close()
            with suppress(zmq.ZMQError):  # closed meanwhile
                self._socket.setsockopt(zmq.UNSUBSCRIBE, echo.topic)

    def _take_until(self, topic: bytes) -> bool:
        """Takes in what is there; whether an event of this topic was among it."""
        while (frames := self._wire.receive()) is not None:
            if frames[0] == topic:
                return True
            if len(self._events) < _EARLY_MAX:
                self._take(frames)
            else:
                self._let_go(frames)
        return False

    def _let_go(self, frames: Frames) -> None:
        """Counts the events of a message as lost, once: they are no gap in front of the next ones too."""
        try:
            topic, header, _ = read_event(frames)
        except BadFrame:
            self.malformed += 1
            return
        if not topic.startswith(ECHO_PREFIX):
            missed = self._gaps.missed(header.publisher, topic, header.sequence, header.count, header.flags)
            self.lost += missed + header.count

    async def _readable(self, pause: float) -> None:
        """Waits until something has happened to the socket, at most so many seconds."""
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        descriptor = self._socket.fileno()
        loop.add_reader(descriptor, lambda: None if readable.done() else readable.set_result(None))
        timer = None
        if pause != math.inf:
            timer = loop.call_later(pause, lambda: None if readable.done() else readable.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(descriptor)
            if timer is not None:
                timer.cancel()


class _Echo:
    """One question to the broker: publish this topic of mine."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", address: BusAddress) -> None:
        self.topic = ECHO_PREFIX + secrets.token_hex(16).encode()
        self._wire = Wire(dealer(context, new_identity()))
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


def _until(timeout: float | None) -> float:
    return math.inf if timeout is None else time.monotonic() + timeout


def _left(until: float, timeout: float | None) -> float:
    """Seconds left. Raises TimeoutError if there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"no event within {timeout} s")
    return left


def _milliseconds(seconds: float) -> int:
    """As libzmq's poll takes it, rounded up, so that a short wait is one."""
    return math.ceil(seconds * _MS_PER_S)
