"""Publishing events: nothing is lost between here and the broker, and what has to wait travels together."""

import asyncio
import math
import secrets
import select
import threading
import time
from collections import deque
from typing import Final, Self

import msgspec
import zmq

from hootbus.frames.address import resolve_address
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadFrame, DeadlineExceeded, UnsupportedContentType
from hootbus.frames.event import JOINED, JOINED_MAX, TOPIC_BYTES_MAX, EventHeader, join, write_event_header
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import SENT, Wire
from hootbus.workers.outgoing import encode, with_attachments
from hootbus.workers.sequences import Sequences
from hootbus.workers.session import Body

ECHO_PREFIX: Final = b"hoot.echo."

# Small, so that a publisher that is too fast soon meets the end of it: from there on its events are joined.
_PIPE_MESSAGES: Final = 500
# What may wait behind a full socket. A publisher that has so much waiting waits itself.
_WAITING_EVENTS: Final = 4096
_WAITING_BYTES: Final = 4 * 1024 * 1024
# Events are joined up to this size: large ones gain nothing by it.
_JOINED_BYTES: Final = 64 * 1024
_FLUSH_INTERVAL_S: Final = 0.001
# How often it is looked for a broker that is not there.
_BROKER_INTERVAL_S: Final = 0.05
_SUBSCRIBED_INTERVAL_NS: Final = 1_000_000
_LINGER_MS: Final = 2000
_MS_PER_S: Final = 1000
_SUBSCRIBED: Final = b"\x01"
_UNSUBSCRIBED: Final = b"\x00"


class _Waiting(msgspec.Struct, frozen=True, gc=False):
    """An event that met a full socket."""

    topic: bytes
    header: EventHeader
    body: bytes


class Publisher:
    """Publishes events to a bus; safe to share between threads.

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. An event is on its
    way when `publish` returns. Without a broker it waits for one, as an event sent to nobody would be lost in silence.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = resolve_address(address)
        self._publisher = secrets.randbits(64)
        self._sequences = Sequences()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._flusher: threading.Thread | None = None
        self._closed = False
        self._subscribed = False
        self._looked_ns = 0
        self._context = aligned_context()
        socket = event_socket(self._context, zmq.XPUB)
        socket.setsockopt(zmq.SNDHWM, _PIPE_MESSAGES)
        # Full is told instead of dropped. The broker reads all it can, so it is full for moments only.
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket = socket
        self._wire = Wire(socket)
        self._fd: int = socket.fileno()
        socket.connect(self._address.publish)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def publish(self, topic: str, body: object = None, *, schema_id: int = 0, timeout: float | None = 30.0) -> None:
        """Publishes an event under a topic such as "jobs.done".

        `body`: None, a buffer, a Cap'n Proto message, or what JSON can say. Waits for a broker, and for room, at most
        `timeout` seconds; raises DeadlineExceeded then, BadFrame for a topic or body that cannot be sent.
        """
        name, encoded = _topic(topic), _event_body(body, schema_id)
        with self._lock:
            if self._try(name, encoded):
                return
            until = None if timeout is None else time.monotonic() + timeout
            while not self._try(name, encoded):
                self._wait(until, timeout)

    async def apublish(
        self, topic: str, body: object = None, *, schema_id: int = 0, timeout: float | None = 30.0
    ) -> None:
        """As `publish`, for asyncio programs: the loop goes on while it waits."""
        name, encoded = _topic(topic), _event_body(body, schema_id)
        until = None if timeout is None else time.monotonic() + timeout
        pause = _FLUSH_INTERVAL_S
        while True:
            with self._lock:
                if self._try(name, encoded):
                    return
            left = math.inf if until is None else until - time.monotonic()
            if left <= 0:
                raise self._too_late(timeout)
            # Room comes soon, a broker at any time.
            pause = _FLUSH_INTERVAL_S if self._subscribed else min(2 * pause, _BROKER_INTERVAL_S)
            await asyncio.sleep(min(pause, left))

    def ready(self, timeout: float | None = 30.0) -> None:
        """Waits until the broker takes events. `publish` does so by itself."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while not self._is_subscribed(time.time_ns()):
                self._wait(until, timeout)

    def close(self) -> None:
        """Ends the publisher. Events that are on their way may take up to two seconds to leave."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._flusher is not None:
            self._flusher.join()
        self._wire.close(_LINGER_MS)
        self._context.term()

    async def aclose(self) -> None:
        """As `close`, on a thread, since it may wait."""
        await asyncio.to_thread(self.close)

    # With the lock held.

    def _try(self, topic: bytes, body: Body) -> bool:
        """Whether the event was sent, or put behind those that wait for room."""
        if self._closed:
            raise RuntimeError("the publisher is closed")
        now_ns = time.time_ns()
        if not self._is_subscribed(now_ns):
            return False
        if self._waiting and (len(self._waiting) >= _WAITING_EVENTS or self._waiting_bytes >= _WAITING_BYTES):
            return False
        sequence, flags = self._sequences.next(topic)
        header = EventHeader(body.content_type, flags, 1, sequence, now_ns, self._publisher, body.schema_id)
        if self._waiting or self._wire.send([topic, write_event_header(header), body.buffer]) != SENT:
            # A program's own buffer is copied: it may release it once this returns, and the flusher would end with it.
            self._put_aside(_Waiting(topic, header, bytes(body.buffer)))
        return True

    def _is_subscribed(self, now_ns: int) -> bool:
        """Whether a broker has subscribed. It says so when it connects, and libzmq that it has gone."""
        # Asked once in a while; what is published in the moment in which a broker dies cannot be saved anyway.
        if not self._subscribed or now_ns - self._looked_ns > _SUBSCRIBED_INTERVAL_NS:
            self._looked_ns = now_ns
            while (frames := self._wire.receive()) is not None:
                # The broker's own subscription is to everything; others that it passes on come and go.
                if frames[0] == _SUBSCRIBED:
                    self._subscribed = True
                elif frames[0] == _UNSUBSCRIBED:
                    self._subscribed = False
        return self._subscribed

    def _put_aside(self, event: _Waiting) -> None:
        self._waiting.append(event)
        self._waiting_bytes += len(event.body)
        if self._flusher is None:
            # Only a publisher that was once too fast has this thread.
            self._flusher = threading.Thread(target=self._flush, name="hootbus-publisher", daemon=True)
            self._flusher.start()
        if len(self._waiting) == 1:
            # More of them are found when the flusher looks again; waking it for each would only slow it down.
            self._changed.notify_all()

    def _wait(self, until: float | None, timeout: float | None) -> None:
        """A moment for others, or DeadlineExceeded."""
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise self._too_late(timeout)
        if self._subscribed:
            self._changed.wait(_FLUSH_INTERVAL_S)
        else:
            slice_s = _BROKER_INTERVAL_S if left is None else min(left, _BROKER_INTERVAL_S)
            self._poll(max(1, int(slice_s * _MS_PER_S)))
        if self._closed:
            raise RuntimeError("the publisher is closed")

    def _poll(self, milliseconds: int) -> None:
        """Until something has happened to the socket, without the lock: others must not wait for that, a loop least."""
        # The descriptor, as the socket itself is for one thread at a time. All that it had to say was taken before.
        readable = select.poll()
        readable.register(self._fd, select.POLLIN)
        self._lock.release()
        try:
            readable.poll(milliseconds)
        finally:
            self._lock.acquire()

    def _too_late(self, timeout: float | None) -> DeadlineExceeded:
        if self._subscribed:
            return DeadlineExceeded(f"the broker at {self._address.text} took no more events for {timeout} s")
        return DeadlineExceeded(f"no broker at {self._address.text} within {timeout} s")

    # The flusher's thread.

    def _flush(self) -> None:
        """Sends what waits, as room comes. Ends with the publisher, once all is sent or time is up."""
        until: float | None = None
        with self._lock:
            while True:
                while self._waiting and self._send_joined():
                    pass
                if self._closed:
                    until = until or time.monotonic() + _LINGER_MS / _MS_PER_S
                    if not self._waiting or time.monotonic() >= until:
                        return
                self._changed.wait(_FLUSH_INTERVAL_S if self._waiting else None)

    def _send_joined(self) -> bool:
        """Sends the first of the waiting events with as many as can go with it; False if there is no room.

        Nor is there without a broker: libzmq would drop them in silence.
        """
        if not self._is_subscribed(time.time_ns()):
            return False
        run = self._first_run()
        first = run[0]
        if len(run) == 1:
            frames = [first.topic, write_event_header(first.header), first.body]
        else:
            header = msgspec.structs.replace(first.header, flags=first.header.flags | JOINED, count=len(run))
            frames = [first.topic, write_event_header(header), join([event.body for event in run])]
        if self._wire.send(frames) != SENT:
            return False
        for event in run:
            self._waiting.popleft()
            self._waiting_bytes -= len(event.body)
        self._changed.notify_all()
        return True

    def _first_run(self) -> list[_Waiting]:
        """The waiting events, from the first on, that have a topic, a content type and a schema in common."""
        run: list[_Waiting] = []
        size = 0
        for event in self._waiting:
            size += len(event.body)
            if run and not (
                event.topic == run[0].topic
                and event.header.content_type is run[0].header.content_type
                and event.header.schema_id == run[0].header.schema_id
                and event.header.sequence == run[0].header.sequence + len(run)
                and size <= _JOINED_BYTES
                and len(run) < JOINED_MAX
            ):
                break
            run.append(event)
        return run


def _topic(topic: str) -> bytes:
    name = topic.encode()
    if not name or len(name) > TOPIC_BYTES_MAX:
        raise BadFrame(f"a topic of {len(name)} bytes, not 1 to {TOPIC_BYTES_MAX}")
    if name.startswith(ECHO_PREFIX):
        raise BadFrame(f"topics that begin with {ECHO_PREFIX.decode()!r} are the broker's own")
    return name


def _event_body(body: object, schema_id: int) -> Body:
    encoded = encode(body)
    if encoded.attachments:
        raise UnsupportedContentType("an event has no attachments")
    return with_attachments(encoded, (), schema_id) if schema_id else encoded
