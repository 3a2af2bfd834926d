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

from hootbus.schemas import CapnpBody, StructReader, standard, write_struct
from hootbus.workers import Client, DeadlineExceeded, HootError, Reply, Subscriber, UnknownService
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

garden = standard.garden


class Lost(Exception):
    """The transport does not come where the piece goes."""


class Conductor:
    """Plays the piece on a bus. What fails raises a HootError, or Lost."""

    def __init__(self, bus: Client, markers: Subscriber, bpm: float) -> None:
        self._bus = bus
        self._markers = markers
        self._bpm = bpm

    def conduct(self) -> None:
        self._move("setTempo", write_struct(garden.SetTempo, bpm=self._bpm))
        # Whoever had it before may have left it anywhere, and a marker that lies behind is never reached.
        self._seek(0.0)
        with self._marker(10.0, "chorus"), self._marker(14.5, "ending"), self._stopped():
            with self._loop(8.0, 4.0):
                self._move("play")
                self._reached("chorus", times=3)
            self._reached("ending")
            self._move("setTempo", write_struct(garden.SetTempo, bpm=2 * self._bpm))
            self._seek(13.0)
            self._reached("ending")

    def _ask(self, method: str, body: CapnpBody | None = None) -> Reply:
        return self._bus.call(f"garden/{method}", body, timeout=REPLY_S)

    def _move(self, method: str, body: CapnpBody | None = None) -> None:
        """A command of the transport, and where that has put it."""
        position: StructReader = self._ask(method, body).capnp(garden.Position)
        print(f"{method}: beat {position.positionBeats:.3f} at {position.tempoBpm:g} bpm", flush=True)

    def _seek(self, beat: float) -> None:
        self._move("seek", write_struct(garden.Seek, beat=beat))

    @contextmanager
    def _stopped(self) -> Iterator[None]:
        """Stops the transport at the end."""
        try:
            yield
        finally:
            self._move("stop")

    @contextmanager
    def _marker(self, beat: float, kind: str) -> Iterator[None]:
        body = write_struct(garden.TimelineAddMarker, positionBeats=beat, markerType=kind)
        marker_id = self._ask("addMarker", body).capnp(garden.Marker).markerId
        try:
            yield
        finally:
            self._ask("deleteMarker", write_struct(garden.DeleteMarker, markerId=marker_id))

    @contextmanager
    def _loop(self, start: float, length: float) -> Iterator[None]:
        body = write_struct(
            garden.CreateRegion, position=start, duration=length, behaviorType="loop", contentId="chorus"
        )
        region_id = self._ask("createRegion", body).capnp(garden.Region).regionId
        try:
            yield
        finally:
            self._ask("deleteRegion", write_struct(garden.DeleteRegion, regionId=region_id))

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
                self._ask("status")
                continue
            times -= event.capnp(standard.broadcast.Broadcast).markerReached.markerType == kind


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
            Conductor(bus, markers, bpm).conduct()


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
