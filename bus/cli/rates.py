"""What happened on a bus between two looks at it: rates and latencies, computed from what the broker has counted."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

_MS_PER_S: Final = 1000.0


class Status(msgspec.Struct, frozen=True):
    """What is used of `hoot.broker/status`."""

    broker: str
    state: str
    uptimeSecs: int
    queued: int
    inFlight: int
    heldBytes: int
    errors: dict[str, int]
    dropped: dict[str, int]


class Service(msgspec.Struct, frozen=True):
    """What is used of one of `hoot.broker/services`."""

    name: str
    workers: int
    slots: int
    queued: int
    inFlight: int
    requests: int
    replies: int
    errors: int


class Worker(msgspec.Struct, frozen=True):
    """What is used of one of `hoot.broker/workers`."""

    id: str
    service: str
    name: str
    state: str
    pid: int
    slots: int
    inFlight: int
    done: int


class Histogram(msgspec.Struct, frozen=True):
    """How many took how long."""

    counts: tuple[int, ...] = ()


class ServiceLatencies(msgspec.Struct, frozen=True):
    """One of `hoot.broker/latencies`."""

    name: str
    waited: Histogram
    took: Histogram


class Latencies(msgspec.Struct, frozen=True):
    """`hoot.broker/latencies`."""

    bounds: tuple[float, ...] = ()
    services: tuple[ServiceLatencies, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """All of them at one moment, in seconds of any clock that only goes forward."""

    at: float
    status: Status
    services: tuple[Service, ...]
    workers: tuple[Worker, ...]
    latencies: Latencies


class Percentiles(msgspec.Struct, frozen=True):
    """Of what ended between the looks; None if nothing did."""

    p50_ms: float | None = None
    p95_ms: float | None = None


class ServiceRates(msgspec.Struct, frozen=True, kw_only=True):
    """One service. `waited` is until a worker got a request, `took` until its reply."""

    name: str
    workers: int
    slots: int
    in_flight: int
    queued: int
    requests_per_s: float
    replies_per_s: float
    errors_per_s: float
    waited: Percentiles
    took: Percentiles


class WorkerRates(msgspec.Struct, frozen=True, kw_only=True):
    """One worker."""

    id: str
    service: str
    name: str
    state: str
    pid: int
    slots: int
    in_flight: int
    done_per_s: float


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The bus between two looks; the busiest services and workers first.

    `errors` are the broker's own, by code, `dropped` are messages by reason: those of which there were any.
    """

    seconds: float
    state: str
    uptime_s: int
    in_flight: int
    queued: int
    held_bytes: int
    requests_per_s: float
    replies_per_s: float
    errors_per_s: float
    errors: dict[str, int]
    dropped: dict[str, int]
    services: tuple[ServiceRates, ...]
    workers: tuple[WorkerRates, ...]


def rates(before: Look, now: Look) -> Rates:
    """What happened from `before` to `now`. Another broker has counted from nothing, and so has what is new."""
    seconds = max(now.at - before.at, 1e-9)
    if before.status.broker != now.status.broker:
        nothing = msgspec.structs.replace(now.status, errors={}, dropped={})
        before = Look(before.at, nothing, (), (), Latencies())
    services = _services(before, now, seconds)
    return Rates(
        seconds=seconds,
        state=now.status.state,
        uptime_s=now.status.uptimeSecs,
        in_flight=now.status.inFlight,
        queued=now.status.queued,
        held_bytes=now.status.heldBytes,
        requests_per_s=sum(service.requests_per_s for service in services),
        replies_per_s=sum(service.replies_per_s for service in services),
        errors_per_s=sum(service.errors_per_s for service in services),
        errors=_more(before.status.errors, now.status.errors),
        dropped=_more(before.status.dropped, now.status.dropped),
        services=tuple(services),
        workers=tuple(_workers(before, now, seconds)),
    )


def percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The time that this share of them did not exceed, as Prometheus reads it from buckets: evenly spread in each.

    None of none; the last bound if it was longer than that.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    lower = 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and rank <= count:
            return lower + (bound - lower) * rank / count
        rank -= count
        lower = bound
    return lower


def _services(before: Look, now: Look, seconds: float) -> list[ServiceRates]:
    known = {service.name: service for service in before.services}
    earlier = {each.name: each for each in before.latencies.services}
    latencies = {each.name: each for each in now.latencies.services}
    nothing = ServiceLatencies("", Histogram(), Histogram())
    found = []
    for service in now.services:
        was = known.get(service.name)
        # One that was forgotten and came back has counted from nothing.
        anew = was is None or was.requests > service.requests
        base = (0, 0, 0) if was is None or anew else (was.requests, was.replies, was.errors)
        then, told = earlier.get(service.name, nothing), latencies.get(service.name, nothing)
        found.append(
            ServiceRates(
                name=service.name,
                workers=service.workers,
                slots=service.slots,
                in_flight=service.inFlight,
                queued=service.queued,
                requests_per_s=(service.requests - base[0]) / seconds,
                replies_per_s=(service.replies - base[1]) / seconds,
                errors_per_s=(service.errors - base[2]) / seconds,
                waited=_percentiles(now.latencies.bounds, then.waited, told.waited),
                took=_percentiles(now.latencies.bounds, then.took, told.took),
            )
        )
    return sorted(found, key=lambda service: (-service.requests_per_s, -service.queued, service.name))


def _workers(before: Look, now: Look, seconds: float) -> list[WorkerRates]:
    done = {worker.id: worker.done for worker in before.workers}
    found = [
        WorkerRates(
            id=worker.id,
            service=worker.service,
            name=worker.name,
            state=worker.state,
            pid=worker.pid,
            slots=worker.slots,
            in_flight=worker.inFlight,
            done_per_s=(worker.done - done.get(worker.id, 0)) / seconds,
        )
        for worker in now.workers
    ]
    return sorted(found, key=lambda worker: -worker.done_per_s)


def _percentiles(bounds: Sequence[float], then: Histogram, now: Histogram) -> Percentiles:
    if sum(then.counts) > sum(now.counts):
        then = Histogram()
    counts = [count - was for was, count in zip_longest(then.counts, now.counts, fillvalue=0)]
    p50, p95 = percentile(bounds, counts, 0.5), percentile(bounds, counts, 0.95)
    return Percentiles(None if p50 is None else p50 * _MS_PER_S, None if p95 is None else p95 * _MS_PER_S)


def _more(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    more = {name: count - before.get(name, 0) for name, count in now.items()}
    return {name: count for name, count in more.items() if count}
