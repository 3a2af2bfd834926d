"""The demo itself: a broker, two workers, a subscriber and a client, each thing done once for real and counted."""

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec
import numpy as np

from hootbus.bus.demo.wav import Clip
from hootbus.bus.lifeline import Lifeline
from hootbus.bus.processes import HootProcess
from hootbus.frames.address import parse_address
from hootbus.frames.keys import NO_KEYS
from hootbus.schemas import CapnpBody, read_broadcast, write_json, write_struct
from hootbus.workers import AsyncClient, Event, Subscriber
from hootbus.workers.standard.demo_bus import AsyncAudioClient
from hootbus.workers.standard.demo_capnp import AudioClip
from hootbus.workers.standard.demo_types import Audio, AudioFeatures

_WORKER: Final = "hootbus.bus.demo.worker:worker"
_WORKERS: Final = 2
# Small bodies of many sizes are where a frame would lie at an odd address, if one did.
_SLICES: Final = 400
_SLICE_STEP: Final = 37
_SLICE_MAX: Final = 4096
_PATIENCE_S: Final = 10.0
_POLL_S: Final = 0.1
_MS_PER_S: Final = 1000.0

T = TypeVar("T")


class DemoFailed(Exception):
    """Something did not do what it should; the text says what."""


class Screen(Protocol):
    """Where it is shown."""

    def say(self, text: str) -> None:
        """One line about what is done now."""

    def progress(self, title: str, percent: float, who: str) -> None:
        """An event: how far the work on a piece is."""

    def result(self, text: str, who: str) -> None:
        """An event: what was heard."""


class Piece(msgspec.Struct, frozen=True):
    """One clip and what the bus made of it."""

    title: str
    seconds: float
    samples: int
    capnp_bytes: int
    capnp_ms: float
    json_bytes: int
    json_ms: float
    features: AudioFeatures
    same_as_json: bool


class Slices(msgspec.Struct, frozen=True):
    """Many small requests at once."""

    requests: int
    seconds: float
    per_second: float
    correct: bool


class Seen(msgspec.Struct, frozen=True):
    """Events, as the subscriber counted them."""

    progress: int
    results: int
    lost: int


class Counted(msgspec.Struct, frozen=True):
    """Bodies of requests, as the worker processes counted them."""

    sent: int
    in_place: int
    copied: int
    workers: dict[str, int]


class Report(msgspec.Struct, frozen=True):
    """All of it: the document of `hoot demo --json`."""

    bus: str
    pieces: list[Piece]
    slices: Slices
    events: Seen
    bodies: Counted
    ok: bool


def run(clips: list[Clip], screen: Screen) -> Report:
    """Runs the demo on these clips. Raises DemoFailed, ProcessFailed or a HootError; no process is left either way."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hoot", dir=_short_folder())))
        log = stack.enter_context(open(folder / "log", "wb"))
        bus = f"ipc://{folder / 'bus'}"
        lifeline = stack.enter_context(Lifeline())
        broker = stack.enter_context(HootProcess("broker", "--bus", bus, lifeline=lifeline, log=log))
        screen.say(f"broker   pid {broker.ready()['pid']}, {bus}")
        # Before anybody publishes, so that nothing is missed.
        audience = stack.enter_context(_Audience(bus, screen))
        workers = stack.enter_context(
            HootProcess("worker", "-n", str(_WORKERS), "--bus", bus, _WORKER, lifeline=lifeline, log=log)
        )
        pids = [workers.ready()["pid"] for _ in range(_WORKERS)]
        screen.say(f"workers  pids {', '.join(map(str, pids))}, service audio")
        return asyncio.run(_asked(clips, len(pids), screen, audience, bus))


async def _asked(clips: list[Clip], workers: int, screen: Screen, audience: "_Audience", address: str) -> Report:
    async with AsyncClient(address, keys=NO_KEYS) as bus:
        return await _Client(bus, screen, audience, address).run(clips, workers)


class _Client:
    """What the client asks, in order."""

    def __init__(self, bus: AsyncClient, screen: Screen, audience: "_Audience", address: str) -> None:
        self._bus = bus
        self._audio = AsyncAudioClient(bus)
        self._screen = screen
        self._audience = audience
        self._address = address

    async def run(self, clips: list[Clip], workers: int) -> Report:
        pieces = await self._pieces(clips)
        slices = await self._slices(clips[0])
        seen = self._audience.wait_for(results=2 * len(clips))
        counted = await self._count(len(clips) + slices.requests, workers)
        ok = (
            all(piece.same_as_json for piece in pieces)
            and slices.correct
            and seen.lost == 0
            and counted.in_place == counted.sent
            and counted.copied == 0
        )
        return Report(bus=self._address, pieces=pieces, slices=slices, events=seen, bodies=counted, ok=ok)

    async def _pieces(self, clips: list[Clip]) -> list[Piece]:
        """Every clip as Cap'n Proto, all at once; then as JSON."""
        self._screen.say("the clips as Cap'n Proto, their samples as List(Float32)")
        bodies = [_as_capnp(clip) for clip in clips]
        answers = await _timed(self._audio.analyse(body) for body in bodies)
        self._screen.say("the same clips as JSON")
        spelled = [_as_json(clip) for clip in clips]
        spelled_answers = await _timed(self._bus.call("audio/analyse", body) for body in spelled)
        pieces = []
        for clip, body, text, (answer, took_s), (reply, json_took_s) in zip(
            clips, bodies, spelled, answers, spelled_answers, strict=True
        ):
            features = AudioFeatures.from_capnp(answer)
            pieces.append(
                Piece(
                    title=clip.title,
                    seconds=round(clip.seconds, 3),
                    samples=len(clip.samples),
                    capnp_bytes=len(body.buffer),
                    capnp_ms=round(took_s * _MS_PER_S, 2),
                    json_bytes=len(write_json(text)),
                    json_ms=round(json_took_s * _MS_PER_S, 2),
                    features=features,
                    same_as_json=reply.json(AudioFeatures) == features,
                )
            )
        return pieces

    async def _slices(self, clip: Clip) -> Slices:
        """Pieces of a clip, of many lengths, all in flight at once; every answer is checked."""
        lengths = [1 + number * _SLICE_STEP % _SLICE_MAX for number in range(_SLICES)]
        parts = [clip.samples[: min(length, len(clip.samples))] for length in lengths]
        self._screen.say(f"{len(parts)} slices of {min(lengths)} to {max(lengths)} samples, all in flight at once")
        bodies = [_as_capnp(Clip("slice", clip.sample_rate, part)) for part in parts]
        started = time.perf_counter()
        answers = await asyncio.gather(*(self._audio.peak(body) for body in bodies))
        took_s = time.perf_counter() - started
        expected = [float(np.max(np.abs(part))) for part in parts]
        return Slices(
            requests=len(parts),
            seconds=round(took_s, 4),
            per_second=round(len(parts) / took_s, 1),
            correct=[answer.peak for answer in answers] == expected,
        )

    async def _count(self, sent: int, workers: int) -> Counted:
        """Asks every worker process what it has counted. The longest idle is asked next, so each has its turn."""
        found: dict[int, Audio.BodiesResults] = {}
        until = time.monotonic() + _PATIENCE_S
        while len(found) < workers:
            if time.monotonic() > until:
                raise DemoFailed(f"{len(found)} of {workers} workers said what they counted")
            counts = Audio.BodiesResults.from_capnp(await self._audio.bodies())
            found[counts.pid] = counts
        return Counted(
            sent=sent,
            in_place=sum(counts.inPlace for counts in found.values()),
            copied=sum(counts.copied for counts in found.values()),
            workers={f"pid {pid}": counts.inPlace for pid, counts in sorted(found.items())},
        )


class _Audience:
    """The subscriber, on a thread of its own: shows what it hears, and counts."""

    def __init__(self, bus: str, screen: Screen) -> None:
        self._screen = screen
        self._subscriber = Subscriber("demo.", address=bus, keys=NO_KEYS)
        self._changed = threading.Condition()
        self._progress = 0
        self._results = 0
        self._ended = False
        self._thread = threading.Thread(target=self._listen, name="hoot-demo-audience", daemon=True)

    def __enter__(self) -> "_Audience":
        self._subscriber.ready(_PATIENCE_S)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        if self._thread.is_alive():
            self._thread.join()
        self._subscriber.close()

    def wait_for(self, *, results: int) -> Seen:
        """What was seen, once so many results were."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._results >= results, _PATIENCE_S):
                raise DemoFailed(f"{self._results} of {results} results were heard of")
            return Seen(self._progress, self._results, self._subscriber.lost)

    def _listen(self) -> None:
        while not self._ended:
            try:
                event = self._subscriber.receive(_POLL_S)
            except TimeoutError:
                continue
            self._take(event)

    def _take(self, event: Event) -> None:
        found = read_broadcast(event.raw)
        assert found is not None, "our own workers speak our own version"
        arm, said = found
        with self._changed:
            if arm == "progress":
                self._progress += 1
                self._screen.progress(str(said.jobId), float(said.percent), str(said.message))
            else:
                self._results += 1
                self._screen.result(str(said.message), str(said.source))
            self._changed.notify_all()


async def _timed(calls: Iterable[Awaitable[T]]) -> list[tuple[T, float]]:
    """The answers to calls that are made all at once, and the seconds that each took."""
    started = time.perf_counter()

    async def answered(call: Awaitable[T]) -> tuple[T, float]:
        answer = await call
        return answer, time.perf_counter() - started

    return await asyncio.gather(*map(answered, calls))


def _as_capnp(clip: Clip) -> CapnpBody:
    return write_struct(AudioClip, title=clip.title, sampleRate=clip.sample_rate, samples=clip.samples)


def _as_json(clip: Clip) -> dict[str, object]:
    return {"title": clip.title, "sampleRate": clip.sample_rate, "samples": clip.samples.tolist()}


def _short_folder() -> str:
    """Where a socket's path is short enough: the usual temporary folder, mostly."""
    usual = tempfile.gettempdir()
    try:
        parse_address(f"ipc://{os.path.join(usual, 'hoot' + 8 * 'x', 'bus')}")
    except ValueError:
        return "/tmp"
    return usual
