"""The service `garden`: the transport of transport.py behind requests, and on time.

The shell around the core. It knows the clock and the bus, and has no rules of its own.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from hootbus.schemas import CapnpBody, write_struct
from hootbus.workers import BadBody, Publisher, Request
from hootbus.workers.standard import garden_capnp
from hootbus.workers.standard.broadcast_capnp import Broadcast
from hootbus.workers.standard.common_types import Timestamp
from hootbus.workers.standard.garden_bus import GardenWorker
from hootbus.workers.standard.garden_capnp import TransportState
from hootbus.workers.standard.garden_types import Marker, Markers, Position, Region, Regions
from timeline import Marker as Cue
from timeline import Refused
from timeline import Region as Stretch
from transport import BeatReached, Event, StateChanged, Transport

NS_PER_S: Final = 1_000_000_000


class Clock:
    """Has the transport run by this machine's clock. All of it is on the worker's loop, so nothing needs a lock."""

    def __init__(self) -> None:
        self._transport = Transport()
        self._commanded = asyncio.Event()
        self._publisher: Publisher | None = None
        self._telling: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._publisher = Publisher()
        self._telling = asyncio.create_task(self._tell(self._publisher))
        # A clock that cannot tell any more is none: the worker ends, with the error that `end` meets.
        self._telling.add_done_callback(lambda _: worker.stop())

    async def end(self) -> None:
        assert self._telling is not None
        assert self._publisher is not None
        self._telling.cancel()
        with suppress(asyncio.CancelledError):
            await self._telling
        await self._publisher.aclose()

    @contextmanager
    def commanded(self) -> Iterator[tuple[Transport, int]]:
        """The transport and the time, for a command. What it refuses is answered `bad_body`."""
        try:
            yield self._transport, time.monotonic_ns()
        except Refused as error:
            raise BadBody(str(error)) from error
        # What comes next may come sooner now, or never.
        self._commanded.set()

    def position(self) -> Position:
        transport, now = self._transport, time.monotonic_ns()
        beats = transport.position(now)
        loop = transport.loop()
        return Position(
            state=TransportState(transport.state.value).raw,
            positionBeats=float(beats),
            tempoBpm=float(transport.tempo),
            timestamp=Timestamp(nanos=wall_clock(now)),
            regionIds=[region.id for region in transport.timeline(now).regions_at(beats)],
            loopRegionId=loop.id if loop is not None else "",
        )

    async def _tell(self, publisher: Publisher) -> None:
        while True:
            for event in self._transport.due(time.monotonic_ns()):
                topic, body = broadcast(event)
                await publisher.apublish(topic, body, timeout=None)
            await self._next(self._transport.next_moment())

    async def _next(self, moment: int | None) -> None:
        """Until then, or until a command. How long that is comes from the clock each time, so no delay adds up."""
        self._commanded.clear()
        left = None if moment is None else (moment - time.monotonic_ns()) / NS_PER_S
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._commanded.wait()


def wall_clock(moment: int) -> int:
    """Nanoseconds since 1970 at this moment, as the clocks stand now."""
    return time.time_ns() + moment - time.monotonic_ns()


def broadcast(event: Event) -> tuple[str, CapnpBody]:
    """The topic and the body under which an event is told."""
    if isinstance(event, StateChanged):
        changed = {
            "state": event.state.value,
            "positionBeats": float(event.position),
            "tempoBpm": float(event.tempo),
        }
        return "garden.transport", write_struct(Broadcast, transportStateChanged=changed)
    if isinstance(event, BeatReached):
        tick = {
            "timestamp": Timestamp(nanos=wall_clock(event.moment)),
            "beat": event.beat,
            "positionBeats": float(event.beat),
            "tempoBpm": float(event.tempo),
        }
        return "garden.beat", write_struct(Broadcast, beatTick=tick)
    cue = event.marker
    reached = {"positionBeats": float(cue.position), "markerType": cue.kind, "metadata": cue.metadata}
    return "garden.marker", write_struct(Broadcast, markerReached=reached)


def region_of(stretch: Stretch) -> Region:
    return Region(
        regionId=stretch.id,
        position=float(stretch.start),
        duration=float(stretch.length),
        behaviorType=stretch.behavior,
        contentId=stretch.content,
    )


def marker_of(cue: Cue) -> Marker:
    return Marker(markerId=cue.id, positionBeats=float(cue.position), markerType=cue.kind, metadata=cue.metadata)


class Garden(GardenWorker):
    """`Transport` and `Timeline` of garden.capnp, on the clock. Its methods are asynchronous, to be on the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    # Transport.

    async def status(self, request: Request) -> Position:
        return self._clock.position()

    async def play(self, request: Request) -> Position:
        with self._clock.commanded() as (transport, now):
            transport.play(now)
        return self._clock.position()

    async def pause(self, request: Request) -> Position:
        with self._clock.commanded() as (transport, now):
            transport.pause(now)
        return self._clock.position()

    async def stop(self, request: Request) -> Position:
        with self._clock.commanded() as (transport, now):
            transport.stop(now)
        return self._clock.position()

    async def seek(self, body: garden_capnp.Seek, request: Request) -> Position:
        with self._clock.commanded() as (transport, now):
            transport.seek(now, body.beat)
        return self._clock.position()

    async def setTempo(self, body: garden_capnp.SetTempo, request: Request) -> Position:
        with self._clock.commanded() as (transport, now):
            transport.set_tempo(now, body.bpm)
        return self._clock.position()

    # Timeline.

    async def createRegion(self, body: garden_capnp.CreateRegion, request: Request) -> Region:
        with self._clock.commanded() as (transport, now):
            return region_of(
                transport.timeline(now).create_region(body.position, body.duration, body.behaviorType, body.contentId)
            )

    async def moveRegion(self, body: garden_capnp.MoveRegion, request: Request) -> Region:
        with self._clock.commanded() as (transport, now):
            return region_of(transport.timeline(now).move_region(body.regionId, body.newPosition))

    async def deleteRegion(self, body: garden_capnp.DeleteRegion, request: Request) -> None:
        with self._clock.commanded() as (transport, now):
            transport.timeline(now).delete_region(body.regionId)

    async def getRegions(self, body: garden_capnp.GetRegions, request: Request) -> Regions:
        with self._clock.commanded() as (transport, now):
            found = transport.timeline(now).regions(body.start, body.end)
        return Regions(regions=list(map(region_of, found)))

    async def addMarker(self, body: garden_capnp.TimelineAddMarker, request: Request) -> Marker:
        with self._clock.commanded() as (transport, now):
            return marker_of(transport.timeline(now).add_marker(body.positionBeats, body.markerType, body.metadata))

    async def moveMarker(self, body: garden_capnp.MoveMarker, request: Request) -> Marker:
        with self._clock.commanded() as (transport, now):
            return marker_of(transport.timeline(now).move_marker(body.markerId, body.newPositionBeats))

    async def deleteMarker(self, body: garden_capnp.DeleteMarker, request: Request) -> None:
        with self._clock.commanded() as (transport, now):
            transport.timeline(now).delete_marker(body.markerId)

    async def getMarkers(self, body: garden_capnp.TimelineQuery, request: Request) -> Markers:
        with self._clock.commanded() as (transport, now):
            found = transport.timeline(now).markers(body.fromBeats, body.toBeats)
        return Markers(markers=list(map(marker_of, found)))


clock = Clock()
worker = Garden(clock).new_worker()


@worker.on_start
async def begin() -> None:
    clock.begin()


@worker.on_stop
async def end() -> None:
    await clock.end()


if __name__ == "__main__":
    worker.run()
