"""The recorder: a subscriber that keeps events, and a worker that sends them to those who come late.

It is a process of its own, beside the broker: events go past the broker's Python, and what is kept of them must not
cost it anything. Both halves run on one loop, so that a replay sees the events as they came.
"""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import msgspec

from hootbus.bus.recording import Recording, RecordingLimits
from hootbus.frames.address import BusAddress
from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadBody, BadFrame, Denied
from hootbus.frames.event import TOPIC_BYTES_MAX, read_event
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.protocol import RECORDER, ContentType
from hootbus.frames.replay import write_replays
from hootbus.schemas import standard, write_struct
from hootbus.workers import Request, Worker
from hootbus.workers.publisher import ECHO_PREFIX
from hootbus.workers.sequences import Gaps
from hootbus.workers.subscription import Subscription

# Messages taken in before requests get their turn.
_BATCH: Final = 256
# Replays at once; others wait at the broker.
_SLOTS: Final = 8
_TOPICS_MAX: Final = 1_000


class Question(msgspec.Struct, frozen=True):
    """What `replay` takes: the beginnings of topics, all without any, and how many events of each, all with 0."""

    topics: tuple[str, ...] = ()
    count: int = 0


class Recorder:
    """Records the events whose topics begin with one of `topics`, all without any, and offers them.

    `worker` is what runs it: it begins to record before it is taken in, and ends with it.
    """

    def __init__(
        self, address: BusAddress, topics: tuple[str, ...] = (), *, limits: RecordingLimits, keys: Keys | None = None
    ) -> None:
        self._address = address
        self._keys = resolve_keys(keys)
        self._topics = topics
        self.recording: Final = Recording(limits)
        self._gaps = Gaps()
        self._lost = 0
        self._malformed = 0
        self._replays = 0
        self.worker: Final = Worker(RECORDER.decode(), address.text, slots=_SLOTS, keys=self._keys)
        self.worker.on_start(self._begin)
        self.worker.on_stop(self._end)
        self.worker.method(self.replay)
        self.worker.method(inline=True)(self.status)

    async def replay(self, request: Request) -> AsyncIterator[bytes]:
        """The events asked for, as bodies of `write_replays`: all that was published before the request came."""
        question = _question(request)
        await self._catch_up()
        self._replays += 1
        count = question.count or self.recording.limits.events_per_topic
        for body in write_replays(self.recording.replay(question.topics, count)):
            yield body

    def status(self, request: Request) -> object:
        """What is kept, and what was not."""
        recording = self.recording
        counts = {
            "topics": recording.topics,
            "events": recording.events,
            "bytes": recording.bytes,
            "recorded": recording.recorded,
            "lost": self._lost,
            "malformed": self._malformed,
            "replays": self._replays,
        }
        if request.content_type is not ContentType.CAPNPROTO:
            return counts | {"evicted": recording.evicted}
        evicted = [{"name": bound, "value": events} for bound, events in recording.evicted.items()]
        return write_struct(standard.recorder.RecorderStatus, **counts, evicted=evicted)

    async def _begin(self) -> None:
        self._ended = False
        self._subscription = Subscription(self._topics, self._address, self._keys)
        self._happened = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._subscription.descriptor, self._look)
        self._loop.add_reader(self._subscription.watch_descriptor, self._check)
        try:
            await self._catch_up()
        except BaseException:  # cancelled, mostly; cleaned up after and raised again
            self._end()
            raise

    def _end(self) -> None:
        self._ended = True
        self._loop.remove_reader(self._subscription.descriptor)
        self._loop.remove_reader(self._subscription.watch_descriptor)
        self._subscription.close()

    async def _catch_up(self) -> None:
        """Takes in all that the broker has forwarded so far: it may still be on its way to us."""
        async with self._catching_up:
            for pause in self._subscription.mark(self._take, None):
                self._happened.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._happened.wait()
        # What came behind the mark has had its only word.
        self._look()

    def _look(self) -> None:
        """Something has happened to the socket. While one waits for a mark, it is the one who reads."""
        if self._catching_up.locked():
            self._happened.set()
            return
        if self._ended:
            return
        for _ in range(_BATCH):
            frames = self._subscription.receive()
            if frames is None:
                return
            self._take(frames)
        # The descriptor tells of changes, not of what is left.
        self._loop.call_soon(self._look)

    def _check(self) -> None:
        """Something has happened to the connection, or may be tried again."""
        if self._ended:
            return
        with suppress(Denied):  # the log has it; an operator may give the right back
            self._subscription.check()
        if (pause_s := self._subscription.pause_s()) != math.inf:
            self._loop.call_later(pause_s, self._check)

    def _take(self, frames: Frames) -> None:
        try:
            topic, header, _ = read_event(frames)
            if topic.startswith(ECHO_PREFIX):
                return
            self.recording.add(frames)
        except BadFrame:
            self._malformed += 1
        else:
            self._lost += self._gaps.missed(header.publisher, topic, header.sequence, header.count, header.flags)


def _question(request: Request) -> Question:
    """What is asked, in JSON or Cap'n Proto; nothing asks for all. Raises BadBody."""
    if request.content_type is ContentType.CAPNPROTO:
        asked = request.capnp(standard.recorder.ReplayRequest)
        question = Question(tuple(map(str, asked.topics)), asked.count)
    elif request.content_type is ContentType.EMPTY:
        question = Question()
    else:
        try:
            question = msgspec.convert(request.json(), Question)
        except msgspec.ValidationError as error:
            raise BadBody(str(error)) from None
    if len(question.topics) > _TOPICS_MAX or any(len(topic.encode()) > TOPIC_BYTES_MAX for topic in question.topics):
        raise BadBody(f"topics: at most {_TOPICS_MAX}, each of at most {TOPIC_BYTES_MAX} bytes")
    if question.count < 0:
        raise BadBody(f"count: {question.count} is no number of events")
    return question
