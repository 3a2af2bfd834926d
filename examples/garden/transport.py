"""A transport's core: commands and a time go in, events come out. It has no clock and no socket.

Time is whole nanoseconds on whatever clock its owner has, and positions are fractions of a beat: both are exact. Every
moment is computed from the origin, where the last command has put the transport, and never from the event before it. So
nothing drifts, and nothing is told twice or left out for rounding's sake.
"""

import math
from enum import Enum
from fractions import Fraction
from typing import Final, TypeAlias

import msgspec

from timeline import Marker, Refused, Region, Timeline, beats, on_grid

TEMPO_MIN: Final = 1.0
TEMPO_MAX: Final = 6000.0
NS_PER_MINUTE: Final = 60_000_000_000
# One that was held up for longer goes on from where it was: nobody wants the beats of an hour at once.
HELD_UP_NS_MAX: Final = 5_000_000_000


class State(Enum):
    STOPPED = "stopped"
    PLAYING = "playing"
    PAUSED = "paused"


class StateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Something other than time has moved the transport: a command, or the end of a loop."""

    moment: int
    state: State
    position: Fraction
    tempo: Fraction


class BeatReached(msgspec.Struct, frozen=True, kw_only=True):
    moment: int
    beat: int
    tempo: Fraction


class MarkerReached(msgspec.Struct, frozen=True, kw_only=True):
    moment: int
    marker: Marker


Event: TypeAlias = StateChanged | BeatReached | MarkerReached


class Transport:
    """Plays along a timeline.

    `now` is nanoseconds, and never goes back. After each command, and when `next_moment` has come, `due` gives what has
    happened.
    """

    def __init__(self, tempo: float = 120.0) -> None:
        self.state = State.STOPPED
        self.tempo = _tempo(tempo)
        self._timeline = Timeline()
        # At the moment `_origin` it was at `_origin_beat`. A loop that goes back lowers the latter by its length, as if
        # it had begun so much earlier; going on from the loop's end would need parts of nanoseconds.
        self._origin = 0
        self._origin_beat = Fraction(0)
        # What lies before `_reached` was told, and what lies there only if `_told`.
        self._reached = Fraction(0)
        self._told = False
        self._events: list[Event] = []

    def play(self, now: int) -> None:
        """From where it is."""
        self._put(now, self.position(now), State.PLAYING)

    def pause(self, now: int) -> None:
        """Halts where it is."""
        self._put(now, self.position(now), State.PAUSED)

    def stop(self, now: int) -> None:
        """Halts, and goes back to the start."""
        self._advance(now)
        self._jump(Fraction(0))
        self._put(now, Fraction(0), State.STOPPED)

    def seek(self, now: int, beat: float) -> None:
        """Goes to this position; what lies there is told when it plays. Raises Refused."""
        position = beats("beat", beat)
        self._advance(now)
        self._jump(position)
        self._put(now, position, self.state)

    def set_tempo(self, now: int, bpm: float) -> None:
        """Another tempo from now on; the position stays. Raises Refused."""
        tempo = _tempo(bpm)
        position = self.position(now)
        self.tempo = tempo
        self._put(now, position, self.state)

    def position(self, now: int) -> Fraction:
        """Where it is, in beats."""
        self._advance(now)
        return self._position_at(now)

    def timeline(self, now: int) -> Timeline:
        """What lies along the way, to be changed as it stands now: what is put behind the transport waits."""
        self._advance(now)
        return self._timeline

    def loop(self) -> Region | None:
        """The region from whose end it will go back, as things stand."""
        return self._timeline.next_loop(self._reached)

    def due(self, now: int) -> list[Event]:
        """What has happened and was not given out yet, in order."""
        self._advance(now)
        events, self._events = self._events, []
        return events

    def next_moment(self) -> int | None:
        """When something will be due, as things stand. None: never."""
        if self._events:
            return self._events[0].moment
        return self._moment_of(self._next_stop()) if self.state is State.PLAYING else None

    def _position_at(self, now: int) -> Fraction:
        if self.state is not State.PLAYING:
            return self._origin_beat
        return self._origin_beat + (now - self._origin) * self.tempo / NS_PER_MINUTE

    def _moment_of(self, position: Fraction) -> int:
        """The first nanosecond at which it will have reached this position, if nothing comes in between."""
        return self._origin + math.ceil((position - self._origin_beat) * NS_PER_MINUTE / self.tempo)

    def _advance(self, now: int) -> None:
        """Notes what happens up to `now`, `now` included."""
        if self.state is not State.PLAYING:
            return
        late = now - self._moment_of(self._next_stop())
        if late > HELD_UP_NS_MAX:
            self._origin += late
        while (moment := self._moment_of(stop := self._next_stop())) <= now:
            self._reach(stop, moment)
        self._reached, self._told = self._position_at(now), True

    def _next_stop(self) -> Fraction:
        """The next position at which something happens."""
        beat = math.floor(self._reached) + 1 if self._told else math.ceil(self._reached)
        marker = self._timeline.next_marker(self._reached, here=not self._told)
        loop = self.loop()
        stops = [Fraction(beat)]
        if marker is not None:
            stops.append(marker.position)
        if loop is not None:
            stops.append(loop.end)
        return min(stops)

    def _reach(self, stop: Fraction, moment: int) -> None:
        loop = self.loop()
        if loop is not None and loop.end == stop:
            # The end is no part of a region: its start is reached in place of it.
            self._origin_beat -= loop.length
            self._jump(loop.start)
            self._tell_state(moment, loop.start)
            return
        if stop.denominator == 1:
            self._events.append(BeatReached(moment=moment, beat=int(stop), tempo=self.tempo))
        self._events += [MarkerReached(moment=moment, marker=marker) for marker in self._timeline.markers_at(stop)]
        self._reached, self._told = stop, True

    def _jump(self, position: Fraction) -> None:
        self._reached, self._told = position, False

    def _put(self, now: int, position: Fraction, state: State) -> None:
        """A new origin, told to all."""
        self._origin = now
        self._origin_beat = on_grid(position)
        self.state = state
        self._tell_state(now, self._origin_beat)

    def _tell_state(self, moment: int, position: Fraction) -> None:
        self._events.append(StateChanged(moment=moment, state=self.state, position=position, tempo=self.tempo))


def _tempo(bpm: float) -> Fraction:
    # Of NaN both comparisons are false.
    if not TEMPO_MIN <= bpm <= TEMPO_MAX:
        raise Refused("bpm", f"{bpm}, not {TEMPO_MIN:g} to {TEMPO_MAX:g}")
    return Fraction(bpm)
