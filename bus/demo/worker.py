"""The demo's worker: `hoot worker -n 2 hootbus.bus.demo.worker:worker`."""

import os
from typing import Final

import numpy as np

from hootbus.bus.demo.hearing import hear
from hootbus.schemas import write_broadcast
from hootbus.workers import Publisher, Request
from hootbus.workers.standard.demo_bus import AudioWorker
from hootbus.workers.standard.demo_capnp import AudioClip
from hootbus.workers.standard.demo_types import Audio, AudioFeatures

PROGRESS: Final = "demo.progress"
RESULTS: Final = "demo.results"
_WHO: Final = f"pid {os.getpid()}"


class Listener(AudioWorker):
    """Hears what is in clips, and tells how far it is."""

    publisher: Publisher

    def begin(self) -> None:
        """Before READY."""
        # `hoot worker` has put the bus's address into the environment.
        self.publisher = Publisher()

    def end(self) -> None:
        """Once no handler runs any more."""
        self.publisher.close()

    # A clip that comes as JSON is one here as well: the library has made a message of it, and makes JSON of the answer.

    def analyse(self, body: AudioClip, request: Request) -> AudioFeatures:
        """What is heard in a clip."""

        def progress(done: float) -> None:
            self._tell(PROGRESS, "progress", jobId=body.title, percent=100.0 * done, message=_WHO)

        # Not a copy: a view over the frame that the network wrote.
        samples = np.asarray(body.samples)
        features = hear(body.title, body.sampleRate, samples, progress)
        self._tell(RESULTS, "log", level="info", message=summary(features), source=_WHO)
        return features

    def peak(self, body: AudioClip, request: Request) -> Audio.PeakResults:
        """The largest magnitude in a clip; as little work as can be done with samples."""
        return Audio.PeakResults(peak=float(np.max(np.abs(body.samples), initial=0.0)))

    def bodies(self, request: Request) -> Audio.BodiesResults:
        """What this process has counted."""
        stats = worker.stats()
        return Audio.BodiesResults(pid=os.getpid(), inPlace=stats.in_place, copied=stats.copied)

    def _tell(self, topic: str, arm: str, **fields: object) -> None:
        self.publisher.publish(topic, write_broadcast(arm, **fields))


_listener: Final = Listener()
worker = _listener.new_worker(name=f"demo-{os.getpid()}")
worker.on_start(_listener.begin)
worker.on_stop(_listener.end)


def summary(features: AudioFeatures) -> str:
    """What was heard, in one line."""
    tempo = f"{features.tempoBpm:.1f} BPM" if features.tempoBpm else "no beat"
    return (
        f"{features.title}: {tempo}, peak {features.peak:.3f}, rms {features.rms:.3f}, "
        f"centroid {features.centroidHz:.0f} Hz"
    )
