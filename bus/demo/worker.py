"""The demo's worker: `hoot worker -n 2 hootbus.bus.demo.worker:worker`."""

import os
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from hootbus.bus.demo.hearing import Features, hear
from hootbus.frames.protocol import ContentType
from hootbus.schemas import Builder, standard, write_broadcast
from hootbus.workers import Publisher, Request, Worker

SERVICE: Final = "audio"
PROGRESS: Final = "demo.progress"
RESULTS: Final = "demo.results"

_AudioClip: Final = standard.demo.AudioClip
_AudioFeatures: Final = standard.demo.AudioFeatures

worker = Worker(SERVICE, name=f"demo-{os.getpid()}")


class ClipAsJson(msgspec.Struct, frozen=True, rename="camel"):
    """`AudioClip` as JSON says it."""

    title: str
    sample_rate: int
    samples: list[float]


class Bodies(msgspec.Struct, frozen=True):
    """How many Cap'n Proto bodies this process has read where they lay, and how many it had to copy first."""

    pid: int
    in_place: int
    copied: int


class _Events:
    """The publisher, there while the worker serves."""

    publisher: Publisher

    def tell(self, topic: str, arm: str, **fields: object) -> None:
        self.publisher.publish(topic, write_broadcast(arm, **fields))


_events: Final = _Events()


@worker.on_start
def begin() -> None:
    """Before READY."""
    # `hoot worker` has put the bus's address into the environment.
    _events.publisher = Publisher()


@worker.on_stop
def end() -> None:
    """Once no handler runs any more."""
    _events.publisher.close()


@worker.method
def analyse(request: Request) -> Builder | Features:
    """What is heard in a clip, in the form in which the clip came."""
    if request.content_type is ContentType.CAPNPROTO:
        clip = request.capnp(_AudioClip)
        # Not a copy: a view over the frame that the network wrote.
        samples: NDArray[Any] = request.array("samples", _AudioClip)
        features = _hear(str(clip.title), int(clip.sampleRate), samples)
        return _AudioFeatures.new_message(**msgspec.to_builtins(features))
    spelled = request.json(ClipAsJson)
    return _hear(spelled.title, spelled.sample_rate, np.array(spelled.samples, np.float32))


@worker.method
def peak(request: Request) -> dict[str, float]:
    """The largest magnitude in a clip; as little work as can be done with samples."""
    samples = request.array("samples", _AudioClip)
    return {"peak": float(np.max(np.abs(samples), initial=0.0))}


@worker.method
def bodies() -> Bodies:
    """What this process has counted."""
    stats = worker.stats()
    return Bodies(os.getpid(), stats.in_place, stats.copied)


def _hear(title: str, sample_rate: int, samples: NDArray[np.float32]) -> Features:
    def progress(done: float) -> None:
        _events.tell(PROGRESS, "progress", jobId=title, percent=100.0 * done, message=f"pid {os.getpid()}")

    features = hear(title, sample_rate, samples, progress)
    _events.tell(RESULTS, "log", level="info", message=summary(features), source=f"pid {os.getpid()}")
    return features


def summary(features: Features) -> str:
    """What was heard, in one line."""
    tempo = f"{features.tempo_bpm:.1f} BPM" if features.tempo_bpm else "no beat"
    return (
        f"{features.title}: {tempo}, peak {features.peak:.3f}, rms {features.rms:.3f}, "
        f"centroid {features.centroid_hz:.0f} Hz"
    )
