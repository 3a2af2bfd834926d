"""What lies along the way of a transport: regions and markers. It knows positions, and nothing of time.

Positions are fractions of a beat, so that two of them are the same or are not, whatever has been computed with them.
"""

import math
from bisect import bisect_left, bisect_right, insort
from fractions import Fraction
from operator import attrgetter
from typing import Final

import msgspec

LOOP: Final = "loop"
REGION_BEATS_MIN: Final = 1 / 16
REGIONS_MAX: Final = 1000
MARKERS_MAX: Final = 1000
# Positions lie on a grid: a denominator cannot grow, and up to the maximum each of them is a float as well.
GRID: Final = 2**32
BEATS_MAX: Final = 2**20

_start = attrgetter("start")
_position = attrgetter("position")


class Refused(Exception):
    """What was asked for makes no sense, and has changed nothing. `field` is what was wrong with it."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` on, and up to `end` without it."""

    id: str
    start: Fraction
    length: Fraction
    behavior: str
    content: str

    @property
    def end(self) -> Fraction:
        return self.start + self.length


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    position: Fraction
    kind: str
    metadata: str


class Timeline:
    """Regions and markers, in the order of their positions. Whatever takes a position or an id raises Refused."""

    def __init__(self) -> None:
        self._regions: list[Region] = []
        self._markers: list[Marker] = []
        self._ids = 0

    def create_region(self, start: float, length: float, behavior: str, content: str) -> Region:
        where = beats("position", start)
        long = beats("duration", length, least=REGION_BEATS_MIN)
        if len(self._regions) >= REGIONS_MAX:
            raise Refused("position", f"there are {REGIONS_MAX} regions already")
        region = Region(id=self._new_id("region"), start=where, length=long, behavior=behavior, content=content)
        insort(self._regions, region, key=_start)
        return region

    def move_region(self, region_id: str, start: float) -> Region:
        where = beats("newPosition", start)
        region = msgspec.structs.replace(self._pop_region(region_id), start=where)
        insort(self._regions, region, key=_start)
        return region

    def delete_region(self, region_id: str) -> None:
        self._pop_region(region_id)

    def regions(self, start: float = 0.0, end: float = 0.0) -> list[Region]:
        """Those with some part from `start` to `end`; 0 is the timeline's end."""
        first, last = beats("start", start), beats("end", end) or math.inf
        return [region for region in self._regions if region.start < last and region.end > first]

    def regions_at(self, position: Fraction) -> list[Region]:
        return [region for region in self._regions if region.start <= position < region.end]

    def next_loop(self, position: Fraction) -> Region | None:
        """The looping region whose end comes next behind this position."""
        ahead = (region for region in self._regions if region.behavior == LOOP and region.end > position)
        # Of several with one end, the shortest.
        return min(ahead, key=lambda region: (region.end, region.length), default=None)

    def add_marker(self, position: float, kind: str, metadata: str) -> Marker:
        where = beats("positionBeats", position)
        if len(self._markers) >= MARKERS_MAX:
            raise Refused("positionBeats", f"there are {MARKERS_MAX} markers already")
        marker = Marker(id=self._new_id("marker"), position=where, kind=kind, metadata=metadata)
        insort(self._markers, marker, key=_position)
        return marker

    def move_marker(self, marker_id: str, position: float) -> Marker:
        where = beats("newPositionBeats", position)
        marker = msgspec.structs.replace(self._pop_marker(marker_id), position=where)
        insort(self._markers, marker, key=_position)
        return marker

    def delete_marker(self, marker_id: str) -> None:
        self._pop_marker(marker_id)

    def markers(self, first: float = 0.0, last: float = 0.0) -> list[Marker]:
        """Those from `first` to `last`, both included; 0 is the timeline's end."""
        low, high = beats("fromBeats", first), beats("toBeats", last) or math.inf
        return [marker for marker in self._markers if low <= marker.position <= high]

    def markers_at(self, position: Fraction) -> list[Marker]:
        first = bisect_left(self._markers, position, key=_position)
        return self._markers[first : bisect_right(self._markers, position, key=_position)]

    def next_marker(self, position: Fraction, *, here: bool) -> Marker | None:
        """The first one behind this position, or with `here` at it."""
        bisect = bisect_left if here else bisect_right
        index = bisect(self._markers, position, key=_position)
        return self._markers[index] if index < len(self._markers) else None

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}-{self._ids}"

    def _pop_region(self, region_id: str) -> Region:
        for index, region in enumerate(self._regions):
            if region.id == region_id:
                return self._regions.pop(index)
        raise Refused("regionId", f"there is no region {region_id!r}")

    def _pop_marker(self, marker_id: str) -> Marker:
        for index, marker in enumerate(self._markers):
            if marker.id == marker_id:
                return self._markers.pop(index)
        raise Refused("markerId", f"there is no marker {marker_id!r}")


def beats(field: str, value: float, *, least: float = 0.0) -> Fraction:
    """A position or length from outside. Raises Refused for what is not from `least` to BEATS_MAX."""
    # Of NaN both comparisons are false.
    if not least <= value <= BEATS_MAX:
        raise Refused(field, f"{value} beats, not {least:g} to {BEATS_MAX}")
    return on_grid(Fraction(value))


def on_grid(position: Fraction) -> Fraction:
    """The grid's last step up to this position."""
    return Fraction(math.floor(position * GRID), GRID)
