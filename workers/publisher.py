"""Publishing events: nothing is lost between here and the broker, and what has to wait travels together."""

import asyncio
import logging
import math
import secrets
import select
import threading
import time
from functools import lru_cache
from typing import Final, Literal, Self

import zmq

from hootbus.frames.address import resolve_address
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadFrame, DeadlineExceeded, UnsupportedContentType
from hootbus.frames.event import TOPIC_BYTES_MAX, EventHeader, write_event_header
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.protocol import MESSAGE_BYTES_MAX, ContentType
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import SENT, Wire
from hootbus.workers.handshakes import Watch
from hootbus.workers.outgoing import encode, with_attachments
from hootbus.workers.sequences import TOPICS_MAX, Sequences
from hootbus.workers.session import Body
from hootbus.workers.waiting import Waiting, message

ECHO_PREFIX: Final = b"hoot.echo."

# Small, so that a publisher that is too fast soon meets the end of it: from there on its events are joined, which costs
# everyone less. Not smaller, as large bodies, which are not joined, would wait for each other.
_PIPE_MESSAGES: Final = 64
# How long a publisher waits for room before it asks again; it is told, mostly.
_ROOM_INTERVAL_S: Final = 0.001
# How often it is looked for a broker that is not there.
_BROKER_INTERVAL_S: Final = 0.05
_SUBSCRIBED_INTERVAL_NS: Final = 1_000_000
_LINGER_MS: Final = 2000
_MS_PER_S: Final = 1000
_LOG: Final = logging.getLogger("hootbus.publisher")
_SUBSCRIBED: Final = b"\x01"
_UNSUBSCRIBED: Final = b"\x00"


class Publisher:
    """Publishes events to a bus; safe to share between threads.

    `address` is `tcp://HOST:PORT` or `ipc://DIRECTORY`; without it HOOT_BUS or the user's own bus. An event is on its
    way when `publish` returns. Without a broker it waits for one, as an event sent to nobody would be lost in silence;
    of one that does not let it in it raises Denied. `keys` are as for a `Client`.

    With `full="drop"` it never waits: an event for which there is no broker, or no room, is counted in `dropped`, and
    subscribers see it as missing. Until what waits has left then, all that is published is dropped.
    """

    def __init__(
        self, address: str | None = None, *, keys: Keys | None = None, full: Literal["block", "drop"] = "block"
    ) -> None:
        if full not in ("block", "drop"):
            raise ValueError(f"a publisher that is full can 'block' or 'drop', not {full!r}")
        self._address = resolve_address(address)
        keys = resolve_keys(keys)
        self._drops = full == "drop"
        self.dropped = 0
        # What was dropped and not yet left out of its topic's numbers: those that wait come before it.
        self._gaps: dict[bytes, int] = {}
        self._publisher = secrets.randbits(64)
        self._sequences = Sequences()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = Waiting()
        self._flusher: threading.Thread | None = None
        self._closed = False
        self._subscribed = False
        self._looked_ns = 0
        self._context = aligned_context()
        socket = event_socket(self._context, zmq.XPUB, keys)
        socket.setsockopt(zmq.SNDHWM, _PIPE_MESSAGES)
        # Full is told instead of dropped. The broker reads all it can, so it is full for moments only.
        socket.setsockopt(zmq.XPUB_NODROP, 1)
        self._socket = socket
        self._wire = Wire(socket)
        self._fd: int = socket.fileno()
        # Before the connection is begun, as its first event would be missed.
        self._watch = Watch(socket, self._address.publish, keys, _LOG, right="publish")
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
        `timeout` seconds, unless it drops; raises DeadlineExceeded then, BadFrame for a topic or body that cannot be
        sent.
        """
        with self._lock:
            # Most of what meets a full socket is like the event before it. The short way doubles what a publisher can
            # send then (measured: 0.45 instead of 1.1 µs of its CPU per event).
            if (last := self._waiting.last) is not None and last.follow(topic, body, schema_id):
                return
        name, encoded = _topic(topic), _event_body(body, schema_id)
        with self._lock:
            if self._try(topic, name, encoded) or self._drop(name):
                return
            until = None if timeout is None else time.monotonic() + timeout
            while not self._try(topic, name, encoded):
                self._wait(until, timeout)

    async def apublish(
        self, topic: str, body: object = None, *, schema_id: int = 0, timeout: float | None = 30.0
    ) -> None:
        """As `publish`, for asyncio programs: the loop goes on while it waits."""
        with self._lock:
            if (last := self._waiting.last) is not None and last.follow(topic, body, schema_id):
                return
        name, encoded = _topic(topic), _event_body(body, schema_id)
        until = None if timeout is None else time.monotonic() + timeout
        pause = _ROOM_INTERVAL_S
        while True:
            with self._lock:
                if self._try(topic, name, encoded) or self._drop(name):
                    return
                self._watch.check()
            left = math.inf if until is None else until - time.monotonic()
            if left <= 0:
                raise self._too_late(timeout)
            # Room comes soon, a broker at any time.
            pause = _ROOM_INTERVAL_S if self._subscribed else min(2 * pause, _BROKER_INTERVAL_S)
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
            self._waiting.asked(again=False)
            self._changed.notify_all()
        if self._flusher is not None:
            self._flusher.join()
        self._watch.close()
        self._wire.close(_LINGER_MS)
        self._context.term()

    async def aclose(self) -> None:
        """As `close`, on a thread, since it may wait."""
        await asyncio.to_thread(self.close)

    # With the lock held.

    def _try(self, name: str, topic: bytes, body: Body) -> bool:
        """Whether the event was sent, or put behind those that wait for room."""
        if self._closed:
            raise RuntimeError("the publisher is closed")
        waiting = self._waiting
        # Whoever publishes sends what waits too: the flusher alone would have to wait for the GIL each time.
        if waiting.is_due:
            self._send_waiting()
        now_ns = time.time_ns()
        if not self._is_subscribed(now_ns) or waiting.is_full:
            return False
        if self._gaps:
            if waiting.last is not None:
                return False
            self._leave_gaps()
        if waiting.last is not None or not self._send(topic, body, now_ns):
            waiting.add(name, topic, body, now_ns)
            self._wake_flusher()
        return True

    def _drop(self, topic: bytes) -> bool:
        """Lets an event go that has found no room, if that is what its publisher wants."""
        if not self._drops:
            return False
        self.dropped += 1
        if topic in self._gaps or len(self._gaps) < TOPICS_MAX:
            self._gaps[topic] = self._gaps.get(topic, 0) + 1
        # Nothing may follow what waits: it would have the number of what was dropped.
        self._waiting.asked(again=False)
        return True

    def _leave_gaps(self) -> None:
        for topic, count in self._gaps.items():
            self._sequences.skip(topic, count)
        self._gaps.clear()

    def _send(self, topic: bytes, body: Body, now_ns: int) -> bool:
        """Whether there was room for the event."""
        sequence, flags = self._sequences.next(topic)
        header = EventHeader(body.content_type, flags, 1, sequence, now_ns, self._publisher, body.schema_id)
        if self._wire.send([topic, write_event_header(header), body.buffer]) != SENT:
            return False
        self._sequences.sent(topic, sequence + 1)
        return True

    def _send_waiting(self) -> None:
        """Sends what waits, as far as there is room, and a broker: without one libzmq would drop it in silence."""
        waiting = self._waiting
        # This also shows libzmq what room there is: sending alone looks for that once in a millisecond or so.
        self._take_subscriptions()
        while self._subscribed and (run := waiting.first()) is not None:
            sequence, flags = self._sequences.next(run.topic)
            if self._wire.send(message(run, sequence, flags, self._publisher)) != SENT:
                break
            self._sequences.sent(run.topic, sequence + len(run.bodies))
            waiting.left()
        waiting.asked(again=self._subscribed and not self._closed and not self._gaps)

    def _is_subscribed(self, now_ns: int) -> bool:
        """Whether a broker has subscribed. It says so when it connects, and libzmq that it has gone."""
        # Asked once in a while; what is published in the moment in which a broker dies cannot be saved anyway.
        if not self._subscribed or now_ns - self._looked_ns > _SUBSCRIBED_INTERVAL_NS:
            self._looked_ns = now_ns
            self._take_subscriptions()
        return self._subscribed

    def _take_subscriptions(self) -> None:
        while (frames := self._wire.receive()) is not None:
            # The broker's own subscription is to everything; others that it passes on come and go.
            if frames[0] == _SUBSCRIBED:
                self._subscribed = True
            elif frames[0] == _UNSUBSCRIBED:
                self._subscribed = False

    def _wake_flusher(self) -> None:
        if self._flusher is None:
            # Only a publisher that was once too fast has this thread.
            self._flusher = threading.Thread(target=self._flush, name="hootbus-publisher", daemon=True)
            self._flusher.start()
        self._changed.notify_all()

    def _wait(self, until: float | None, timeout: float | None) -> None:
        """A moment for others, or DeadlineExceeded."""
        self._watch.check()
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise self._too_late(timeout)
        self._poll(self._interval() if left is None else min(left, self._interval()))
        if self._closed:
            raise RuntimeError("the publisher is closed")

    def _interval(self) -> float:
        """How long to wait at most before asking again: room comes soon, a broker at any time."""
        return _ROOM_INTERVAL_S if self._subscribed else _BROKER_INTERVAL_S

    def _poll(self, seconds: float) -> None:
        """Until something has happened to the socket, without the lock: others must not wait for that, a loop least."""
        # The descriptor, as the socket itself is for one thread at a time. All that it had to say was taken before.
        readable = select.poll()
        readable.register(self._fd, select.POLLIN)
        self._lock.release()
        try:
            readable.poll(max(1, int(seconds * _MS_PER_S)))
        finally:
            self._lock.acquire()

    def _too_late(self, timeout: float | None) -> DeadlineExceeded:
        if self._subscribed:
            return DeadlineExceeded(f"the broker at {self._address.text} took no more events for {timeout} s")
        return DeadlineExceeded(f"no broker at {self._address.text} within {timeout} s")

    # The flusher's thread.

    def _flush(self) -> None:
        """Sends what waits when nobody publishes any more. Ends with the publisher, once all is sent or time is up."""
        until: float | None = None
        with self._lock:
            while True:
                self._send_waiting()
                done = self._waiting.last is None
                if self._closed:
                    until = until or time.monotonic() + _LINGER_MS / _MS_PER_S
                    if done or time.monotonic() >= until:
                        return
                if done:
                    self._changed.wait()
                else:
                    self._poll(self._interval())


@lru_cache(1024)
def _topic(topic: str) -> bytes:
    name = topic.encode()
    if not name or len(name) > TOPIC_BYTES_MAX:
        raise BadFrame(f"a topic of {len(name)} bytes, not 1 to {TOPIC_BYTES_MAX}")
    if name.startswith(ECHO_PREFIX):
        raise BadFrame(f"topics that begin with {ECHO_PREFIX.decode()!r} are the broker's own")
    return name


def _event_body(body: object, schema_id: int) -> Body:
    # Half of the time of the long way, for the most common body.
    if type(body) is bytes and not schema_id and len(body) <= MESSAGE_BYTES_MAX:
        return Body(ContentType.RAW_BINARY, body)
    encoded = encode(body)
    if encoded.attachments:
        raise UnsupportedContentType("an event has no attachments")
    return with_attachments(encoded, (), schema_id) if schema_id else encoded
