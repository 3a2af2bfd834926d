"""Subscribing to events: from the moment it is ready nothing is missed unnoticed."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import aclosing, contextmanager
from typing import Final, Self

from hootbus.frames.address import resolve_address
from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadFrame, DeadlineExceeded, UnknownService
from hootbus.frames.event import read_event
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.options import U32_MAX
from hootbus.frames.protocol import RECORDER
from hootbus.frames.replay import read_replay
from hootbus.workers.async_client import AsyncClient
from hootbus.workers.backlog import BUFFER_BYTES, BUFFER_EVENTS, POLICIES, Backlog, Policy
from hootbus.workers.client import Client
from hootbus.workers.content import Reply
from hootbus.workers.event import Event, events_of
from hootbus.workers.interrupts import INTERRUPT_LATE_S
from hootbus.workers.publisher import ECHO_PREFIX
from hootbus.workers.reader import Reader
from hootbus.workers.seam import Seam
from hootbus.workers.sequences import Gaps
from hootbus.workers.subscription import Subscription, left_of, until_of

# Events that come while it is getting ready, kept for later; more are lost, and counted.
_EARLY_MAX: Final = 100_000
_REPLAY: Final = f"{RECORDER.decode()}/replay"


class Subscriber:
    """Receives the events of a bus whose topics begin with one of `topics`; all events if none is given.

    `address` and `keys` as for `Publisher`. Use it with `for` or `async for`, or `receive`; `with` (or `async with`)
    returns when it is ready: what is published from then on is seen, or counted as lost. It waits for a broker that is
    not there yet, and goes on when one comes back; of one that does not let it in (any more) it raises Denied. For one
    thread, or one task, at a time.

    `replay` events of each topic that were published before come first, `latest` the last one of each: from the
    recorder (`hoot recorder`), without a gap or a double where they meet what is published now. Without a recorder
    getting ready raises UnknownService.

    By itself a subscriber that is busy leaves what comes in its socket, and loses the newest once 100 000 messages wait
    there. With a `policy` a thread reads meanwhile, and at most `buffer` events of together `buffer_bytes` wait:
    "drop_newest" and "drop_oldest" say what is let go then, "latest" that of each topic (or `key` of an event, which is
    called on that thread) only the last one waits.

    `lost` counts events that were published and did not arrive, `dropped` those that arrived and were let go by its
    policy, by reason, and `malformed` what came and was no event.
    """

    def __init__(
        self,
        *topics: str,
        address: str | None = None,
        keys: Keys | None = None,
        replay: int = 0,
        latest: bool = False,
        policy: Policy | None = None,
        key: Callable[[Event], Hashable] | None = None,
        buffer: int = BUFFER_EVENTS,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        _check(replay, policy, key, buffer, buffer_bytes)
        self._address = resolve_address(address)
        self._keys = resolve_keys(keys)
        self._topics = topics
        self._replay = max(replay, int(latest))
        self._gaps = Gaps()
        self._events: deque[Event] = deque()
        self._is_ready = False
        self._closed = False
        self.lost = 0
        self.malformed = 0
        # What comes until all is there that was asked for of what had been before.
        self._seam = Seam() if self._replay else None
        self._subscription = Subscription(topics, self._address, self._keys)
        self._backlog: Backlog | None = None
        self._reader: Reader | None = None
        if policy is not None:
            self._backlog = Backlog(policy, key, events_max=buffer, bytes_max=buffer_bytes)
            self._reader = Reader(self._subscription, self._backlog, self._events_of)

    def __enter__(self) -> Self:
        try:
            self.ready()
        except BaseException:  # not let in, no recorder, Ctrl-C: nobody else will close it; raised again
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        try:
            await self.aready()
        except BaseException:  # as above
            self.close()
            raise
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

    @property
    def dropped(self) -> dict[str, int]:
        """Events that its policy let go, by reason: "newest", "oldest", "replaced"; nothing without a policy."""
        return {} if self._backlog is None else {reason.value: n for reason, n in self._backlog.dropped.items()}

    def receive(self, timeout: float | None = None) -> Event:
        """The next event. Raises TimeoutError if there is none within `timeout` seconds; None waits for ever."""
        until = until_of(timeout)
        if not self._is_ready:
            self.ready(timeout)
        source = self._reader or self._subscription
        while (event := self._next()) is None:
            source.poll(min(left_of(until, timeout), INTERRUPT_LATE_S))
        return event

    async def areceive(self, timeout: float | None = None) -> Event:
        """As `receive`, for asyncio programs."""
        until = until_of(timeout)
        if not self._is_ready:
            await self.aready(timeout)
        source = self._reader or self._subscription
        while (event := self._next()) is None:
            await source.wait(left_of(until, timeout))
        return event

    def ready(self, timeout: float | None = None) -> None:
        """Waits until the broker is there and the subscription holds. Raises TimeoutError after `timeout` seconds.

        `with` and the first `receive` do so by themselves; after a broker has come back it may be asked again. The
        first time it also fetches what is to be replayed; raises a HootError if that fails.
        """
        until = until_of(timeout)
        with self._getting_ready():
            self._mark(timeout)
            if self._seam is not None:
                with Client(self._address.text, keys=self._keys) as client, self._asking(timeout):
                    for part in client.stream(_REPLAY, self._question(), timeout=_within(until, timeout)):
                        self._take_replayed(part)
                self._mark(_within(until, timeout))

    async def aready(self, timeout: float | None = None) -> None:
        """As `ready`, for asyncio programs."""
        until = until_of(timeout)
        with self._getting_ready():
            await self._amark(timeout)
            if self._seam is not None:
                async with AsyncClient(self._address.text, keys=self._keys) as client:
                    stream = client.stream(_REPLAY, self._question(), timeout=_within(until, timeout))
                    with self._asking(timeout):
                        async with aclosing(stream) as parts:
                            async for part in parts:
                                self._take_replayed(part)
                await self._amark(_within(until, timeout))

    def close(self) -> None:
        """Ends the subscription."""
        if not self._closed:
            self._closed = True
            if self._reader is not None:
                self._reader.close()
            self._subscription.close()

    def _next(self) -> Event | None:
        """The next event that is there."""
        if self._reader is not None:
            return self._reader.take()
        events = self._events
        while not events:
            frames = self._subscription.receive()
            if frames is None:
                return None
            events += self._events_of(frames)
        return events.popleft()

    def _events_of(self, frames: Frames) -> list[Event]:
        """The events of a message, with what is missing in front of them."""
        try:
            topic, header, body = read_event(frames)
            if topic.startswith(ECHO_PREFIX):
                return []
            name = topic.decode()
            missed = self._gaps.missed(header.publisher, topic, header.sequence, header.count, header.flags)
            self.lost += missed
            return events_of(name, header, body, missed)
        except (BadFrame, UnicodeDecodeError):
            self.malformed += 1
            return []

    # Getting ready.

    @contextmanager
    def _getting_ready(self) -> Iterator[None]:
        """The socket is ours meanwhile, not the reader's; what came is put together at the end."""
        if self._reader is not None:
            self._reader.stop()
        try:
            yield
            self._join_seam()
            self._is_ready = True
        finally:
            if self._reader is not None and self._is_ready and not self._closed:
                self._reader.start()

    def _mark(self, timeout: float | None) -> None:
        for pause in self._subscription.mark(self._early, timeout):
            self._subscription.poll(pause)

    async def _amark(self, timeout: float | None) -> None:
        for pause in self._subscription.mark(self._early, timeout):
            await self._subscription.wait(pause)

    def _early(self, frames: Frames) -> None:
        """Keeps a message that came while it is getting ready."""
        if self._seam is not None:
            self._seam.live(frames)
        elif self._reader is not None or len(self._events) < _EARLY_MAX:
            self._give(self._events_of(frames))
        else:
            self._let_go(frames)

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

    def _give(self, events: list[Event]) -> None:
        if self._reader is not None:
            self._reader.put(events)
        else:
            self._events += events

    # What was before.

    def _question(self) -> dict[str, object]:
        if self._seam is not None:
            # What an attempt before this one has brought is asked for again.
            self._seam.forget_replayed()
        return {"topics": list(self._topics), "count": self._replay}

    @contextmanager
    def _asking(self, timeout: float | None) -> Iterator[None]:
        """Has what goes wrong with a replay said in words that help."""
        try:
            yield
        except UnknownService:
            text = f"nobody on {self._address.text} keeps events to replay; start one with `hoot recorder`"
            raise UnknownService(text) from None
        except DeadlineExceeded:
            raise TimeoutError(f"no replay within {timeout} s") from None

    def _take_replayed(self, part: Reply) -> None:
        assert self._seam is not None
        for frames in read_replay(part.raw):
            try:
                self._seam.replayed(frames)
            except (BadFrame, UnicodeDecodeError):
                self.malformed += 1

    def _join_seam(self) -> None:
        """What was replayed, then what has come meanwhile; from here on there is no seam."""
        seam, self._seam = self._seam, None
        if seam is None:
            return
        for topic, flags, event in seam.before():
            event.missed = self._gaps.missed(event.publisher, topic, event.sequence, 1, flags)
            event.replayed = True
            self.lost += event.missed
            self._give([event])
        for frames in seam.after():
            self._give(self._events_of(frames))


def _within(until: float, timeout: float | None) -> float | None:
    """What is left of the timeout. Raises TimeoutError if that is nothing."""
    return None if timeout is None else left_of(until, timeout)


def _check(
    replay: int, policy: Policy | None, key: Callable[[Event], Hashable] | None, buffer: int, buffer_bytes: int
) -> None:
    if not 0 <= replay <= U32_MAX:
        raise ValueError(f"replay is a number of events from 0 to {U32_MAX}, not {replay}")
    if policy is not None and policy not in POLICIES:
        raise ValueError(f"{policy!r} is no policy; there are {', '.join(map(repr, POLICIES))}")
    if key is not None and policy != "latest":
        raise ValueError("a key goes with the policy 'latest'")
    if buffer < 1 or buffer_bytes < 1:
        raise ValueError(f"a buffer has room for at least one event, not {min(buffer, buffer_bytes)}")
