"""Conducts the clock of clock_worker.py through a piece.

An intro of two bars, a bar that loops until its marker was reached three times, then on to the ending, which is played
once more at twice the tempo. However it ends, the transport is stopped and what was put on the timeline is taken away.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from hootbus.workers import Client, DeadlineExceeded, HootError, Subscriber, UnknownService
from hootbus.workers.standard.broadcast_capnp import Broadcast
from hootbus.workers.standard.garden_bus import GardenClient
from hootbus.workers.standard.garden_capnp import Position
from transport import TEMPO_MAX, TEMPO_MIN

# The piece doubles its tempo.
BPM_MAX: Final = TEMPO_MAX / 2
S_PER_MINUTE: Final = 60
# The longest way to a marker: through the intro, and twice around the loop.
BEATS_TO_A_MARKER_MAX: Final = 20
# How much later than on time a marker may be heard.
PATIENCE_S: Final = 3.0
# When nothing was heard for so long the clock is asked whether it is still there.
QUIET_S: Final = 1.0
# By then the bus has said itself, in the log, that it waits for a broker and where.
BROKER_S: Final = 3.0
REPLY_S: Final = 5.0
INTERRUPTED: Final = 130


class Lost(Exception):
    """The transport does not come where the piece goes."""


class Conductor:
    """Plays the piece. What fails raises a HootError, or Lost."""

    def __init__(self, garden: GardenClient, markers: Subscriber, bpm: float) -> None:
        self._garden = garden
        self._markers = markers
        self._bpm = bpm

    def conduct(self) -> None:
        garden = self._garden
        moved("setTempo", garden.setTempo(bpm=self._bpm))
        # Whoever had it before may have left it anywhere, and a marker that lies behind is never reached.
        moved("seek", garden.seek(beat=0.0))
        with self._marker(10.0, "chorus"), self._marker(14.5, "ending"), self._stopped():
            with self._loop(8.0, 4.0):
                moved("play", garden.play())
                self._reached("chorus", times=3)
            self._reached("ending")
            moved("setTempo", garden.setTempo(bpm=2 * self._bpm))
            moved("seek", garden.seek(beat=13.0))
            self._reached("ending")

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        """Stops the transport at the end."""
        try:
            yield
        finally:
            moved("stop", self._garden.stop())

    @contextmanager
    def _marker(self, beat: float, kind: str) -> Iterator[None]:
        marker_id = self._garden.addMarker(positionBeats=beat, markerType=kind).markerId
        try:
            yield
        finally:
            self._garden.deleteMarker(markerId=marker_id)

    @contextmanager
    def _loop(self, start: float, length: float) -> Iterator[None]:
        region = self._garden.createRegion(position=start, duration=length, behaviorType="loop", contentId="chorus")
        try:
            yield
        finally:
            self._garden.deleteRegion(regionId=region.regionId)

    def _reached(self, kind: str, times: int = 1) -> None:
        """Waits until the marker was reached so often. Raises Lost if that takes longer than it can."""
        limit = BEATS_TO_A_MARKER_MAX * S_PER_MINUTE / self._bpm + PATIENCE_S
        until = time.monotonic() + limit
        while times:
            if time.monotonic() > until:
                raise Lost(
                    f"the marker {kind!r} was not reached within {limit:.0f} s; does somebody else conduct, too?"
                )
            try:
                event = self._markers.receive(timeout=QUIET_S)
            except TimeoutError:
                # At a slow tempo nothing is told for long; a clock that is gone is told from that by the error.
                self._garden.status()
                continue
            times -= event.capnp(Broadcast).markerReached.markerType == kind


def moved(command: str, position: Position) -> None:
    """Says where a command has put the transport."""
    print(f"{command}: beat {position.positionBeats:.3f} at {position.tempoBpm:g} bpm", flush=True)


def tempo(text: str) -> float:
    """For argparse. Raises ArgumentTypeError."""
    with suppress(ValueError):
        bpm = float(text)
        if TEMPO_MIN <= bpm <= BPM_MAX:
            return bpm
    raise argparse.ArgumentTypeError(f"{text!r} is no tempo from {TEMPO_MIN:g} to {BPM_MAX:g}")


def play(bpm: float) -> None:
    with Client() as bus:
        try:
            bus.ping(timeout=BROKER_S)
        except DeadlineExceeded as error:
            raise Lost(f"no broker within {BROKER_S:g} s; `hoot broker` starts one") from error
        with Subscriber("garden.marker") as markers:
            Conductor(GardenClient(bus, timeout=REPLY_S), markers, bpm).conduct()


def main() -> None:
    parser = argparse.ArgumentParser(description="Conducts the clock of clock_worker.py through a piece.")
    parser.add_argument(
        "bpm",
        nargs="?",
        metavar="BPM",
        type=tempo,
        default=120.0,
        help=f"beats per minute, {TEMPO_MIN:g} to {BPM_MAX:g}; without it %(default)g",
    )
    bpm = parser.parse_args().bpm
    try:
        play(bpm)
    except UnknownService as error:
        sys.exit(f"conduct.py: {error}; `python examples/garden/clock_worker.py` starts one")
    except (HootError, Lost) as error:
        sys.exit(f"conduct.py: {error}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
