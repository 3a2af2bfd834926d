"""The service `garden`: the transport of transport.py behind requests, and on time.

The shell around the core. It knows the clock and the bus, and has no rules of its own.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from hootbus.schemas import CapnpBody, standard, write_broadcast, write_struct
from hootbus.workers import BadBody, Publisher, Request, Worker
from timeline import Marker, Refused, Region
from transport import BeatReached, Event, StateChanged, Transport

NS_PER_S: Final = 1_000_000_000

garden = standard.garden
worker = Worker("garden")


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

    def position(self) -> CapnpBody:
        transport, now = self._transport, time.monotonic_ns()
        beats = transport.position(now)
        loop = transport.loop()
        return write_struct(
            garden.Position,
            state=getattr(garden.TransportState, transport.state.value),
            positionBeats=float(beats),
            tempoBpm=float(transport.tempo),
            timestamp={"nanos": wall_clock(now)},
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
        return "garden.transport", write_broadcast(
            "transportStateChanged",
            state=event.state.value,
            positionBeats=float(event.position),
            tempoBpm=float(event.tempo),
        )
    if isinstance(event, BeatReached):
        return "garden.beat", write_broadcast(
            "beatTick",
            timestamp={"nanos": wall_clock(event.moment)},
            beat=event.beat,
            positionBeats=float(event.beat),
            tempoBpm=float(event.tempo),
        )
    marker = event.marker
    return "garden.marker", write_broadcast(
        "markerReached",
        positionBeats=float(marker.position),
        markerType=marker.kind,
        metadata=marker.metadata,
    )


def region_fields(region: Region) -> dict[str, object]:
    return {
        "regionId": region.id,
        "position": float(region.start),
        "duration": float(region.length),
        "behaviorType": region.behavior,
        "contentId": region.content,
    }


def marker_fields(marker: Marker) -> dict[str, object]:
    return {
        "markerId": marker.id,
        "positionBeats": float(marker.position),
        "markerType": marker.kind,
        "metadata": marker.metadata,
    }


clock = Clock()


@worker.on_start
async def begin() -> None:
    clock.begin()


@worker.on_stop
async def end() -> None:
    await clock.end()


# Transport of garden.capnp.


@worker.method
async def status() -> CapnpBody:
    return clock.position()


@worker.method
async def play() -> CapnpBody:
    with clock.commanded() as (transport, now):
        transport.play(now)
    return clock.position()


@worker.method
async def pause() -> CapnpBody:
    with clock.commanded() as (transport, now):
        transport.pause(now)
    return clock.position()


@worker.method
async def stop() -> CapnpBody:
    with clock.commanded() as (transport, now):
        transport.stop(now)
    return clock.position()


@worker.method
async def seek(request: Request) -> CapnpBody:
    asked = request.capnp(garden.Seek)
    with clock.commanded() as (transport, now):
        transport.seek(now, asked.beat)
    return clock.position()


@worker.method(name="setTempo")
async def set_tempo(request: Request) -> CapnpBody:
    asked = request.capnp(garden.SetTempo)
    with clock.commanded() as (transport, now):
        transport.set_tempo(now, asked.bpm)
    return clock.position()


# Timeline of garden.capnp.


@worker.method(name="createRegion")
async def create_region(request: Request) -> CapnpBody:
    asked = request.capnp(garden.CreateRegion)
    with clock.commanded() as (transport, now):
        region = transport.timeline(now).create_region(
            asked.position, asked.duration, str(asked.behaviorType), str(asked.contentId)
        )
    return write_struct(garden.Region, **region_fields(region))


@worker.method(name="moveRegion")
async def move_region(request: Request) -> CapnpBody:
    asked = request.capnp(garden.MoveRegion)
    with clock.commanded() as (transport, now):
        region = transport.timeline(now).move_region(str(asked.regionId), asked.newPosition)
    return write_struct(garden.Region, **region_fields(region))


@worker.method(name="deleteRegion")
async def delete_region(request: Request) -> None:
    asked = request.capnp(garden.DeleteRegion)
    with clock.commanded() as (transport, now):
        transport.timeline(now).delete_region(str(asked.regionId))


@worker.method(name="getRegions")
async def get_regions(request: Request) -> CapnpBody:
    asked = request.capnp(garden.GetRegions)
    with clock.commanded() as (transport, now):
        found = transport.timeline(now).regions(asked.start, asked.end)
    return write_struct(garden.Regions, regions=list(map(region_fields, found)))


@worker.method(name="addMarker")
async def add_marker(request: Request) -> CapnpBody:
    asked = request.capnp(garden.TimelineAddMarker)
    with clock.commanded() as (transport, now):
        marker = transport.timeline(now).add_marker(asked.positionBeats, str(asked.markerType), str(asked.metadata))
    return write_struct(garden.Marker, **marker_fields(marker))


@worker.method(name="moveMarker")
async def move_marker(request: Request) -> CapnpBody:
    asked = request.capnp(garden.MoveMarker)
    with clock.commanded() as (transport, now):
        marker = transport.timeline(now).move_marker(str(asked.markerId), asked.newPositionBeats)
    return write_struct(garden.Marker, **marker_fields(marker))


@worker.method(name="deleteMarker")
async def delete_marker(request: Request) -> None:
    asked = request.capnp(garden.DeleteMarker)
    with clock.commanded() as (transport, now):
        transport.timeline(now).delete_marker(str(asked.markerId))


@worker.method(name="getMarkers")
async def get_markers(request: Request) -> CapnpBody:
    asked = request.capnp(garden.TimelineQuery)
    with clock.commanded() as (transport, now):
        found = transport.timeline(now).markers(asked.fromBeats, asked.toBeats)
    return write_struct(garden.Markers, markers=list(map(marker_fields, found)))


if __name__ == "__main__":
    worker.run()
