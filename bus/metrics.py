"""A snapshot of the broker as Prometheus has it. The names are promised (docs/stability.md).

Labels are bounded: services by the limit `metric_services`, all others by what there is in the code. Totals stand
beside the counts by service, as these begin anew when a service comes back that had gone.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from hootbus.bus.latencies import BOUNDS_S, Latencies
from hootbus.bus.snapshot import ServiceSnapshot, Snapshot

PREFIX: Final = "hoot_"
# Of messages dropped as `bad_frame` the status says, under such a name, which frame was wrong.
_BAD_FRAME: Final = "bad_frame."
_LE: Final = (*map(str, BOUNDS_S), "+Inf")

_TOTALS: Final = {
    "requests": "Requests accepted, those to the broker itself included.",
    "replies": "Replies to them.",
    "partials": "Partial replies passed on.",
    "gathers": "Requests that went to every worker of their service.",
    "merged": "Requests that came again while they were open.",
    "retried": "Requests given to another worker after theirs was lost.",
    "replayed": "Requests that came again after their reply, and got that once more.",
    "quarantined": "Requests that were quarantined.",
    "workers_attached": "Workers that were taken in.",
    "workers_lost": "Workers that went with requests in flight.",
    "disconnects": "Connections that ended.",
    "connections_hung": "Connections that were ended, as their other ends hung.",
    "doors_closed": "How often nobody was let in for want of descriptors.",
    "judged": "Schemas judged.",
    "schemas_incompatible": "Schemas that do not go with those that are spoken.",
    "schemas_unsound": "Schemas that are none, or not what was announced.",
    "schemas_unjudged": "Schemas that could not be judged.",
    "schemas_unanswered": "Workers that did not send their schema.",
}
_GAUGES: Final[dict[str, tuple[str, Callable[[ServiceSnapshot], int]]]] = {
    "workers": ("Workers attached.", lambda service: service.workers),
    "slots": ("Requests that its workers take at once.", lambda service: service.slots),
    "in_flight": ("Requests that its workers have.", lambda service: service.in_flight),
    "queued": ("Requests that wait for a worker.", lambda service: service.queued),
    "queued_bytes": ("Bodies and attachments of what waits.", lambda service: service.queued_bytes),
}
_COUNTERS: Final[dict[str, tuple[str, Callable[[ServiceSnapshot], int]]]] = {
    "requests": ("Requests accepted.", lambda service: service.requests),
    "replies": ("Replies of its workers that were outcomes.", lambda service: service.replies),
    "partials": ("Partial replies passed on.", lambda service: service.partials),
}
_COUNTERS_BY: Final[dict[str, tuple[str, str, Callable[[ServiceSnapshot], dict[str, int]]]]] = {
    "errors": (
        "Accepted requests that ended in an error, by code.",
        "code",
        lambda service: service.errors_by_code,
    ),
    "dropped": ("Its messages that were dropped, by reason.", "reason", lambda service: service.dropped),
}
_HISTOGRAMS: Final[dict[str, tuple[str, Callable[[ServiceSnapshot], Latencies]]]] = {
    "wait_seconds": (
        "From a request's acceptance until a worker gets it, each time one does.",
        lambda service: service.waited,
    ),
    "reply_seconds": ("From a request's acceptance until its worker's reply.", lambda service: service.took),
}


class Families(Collector):
    """The metrics of one snapshot, and how many who asked for some were turned away."""

    def __init__(self, snapshot: Snapshot, turned_away: int = 0) -> None:
        self._snapshot = snapshot
        self._turned_away = turned_away

    def collect(self) -> Iterator[Metric]:
        """What `prometheus_client.generate_latest` writes down."""
        yield from _of_broker(self._snapshot)
        yield from _of_services(self._snapshot.services)
        text = "Connections turned away, as too many asked for metrics at once."
        yield CounterMetricFamily(f"{PREFIX}metrics_turned_away", text, self._turned_away)


def _of_broker(snapshot: Snapshot) -> Iterator[Metric]:
    status = snapshot.status
    yield InfoMetricFamily(f"{PREFIX}build", "The version of hootbus.", {"version": status.version})
    for name, text, value in (
        ("serving", "1 while new requests are taken, 0 while draining.", int(status.state == "serving")),
        ("uptime_seconds", "Since the broker began.", status.uptimeSecs),
        ("services", "Services that are offered or waited for.", status.services),
        ("workers", "Workers attached.", status.workers),
        ("in_flight", "Requests that workers have.", status.inFlight),
        ("queued", "Requests that wait for a worker.", status.queued),
        ("held_bytes", "Bodies held, for queues and for second tries.", status.heldBytes),
    ):
        yield GaugeMetricFamily(PREFIX + name, text, value)
    for name, count in status.counters.items():
        yield CounterMetricFamily(PREFIX + name, _TOTALS.get(name, f"As `{name}` in hoot status."), count)
    malformed = {name: count for name, count in status.dropped.items() if name.startswith(_BAD_FRAME)}
    yield _by("errors", "The broker's own errors, by code.", "code", status.errors.items())
    yield _by("failures", "Errors that workers answered with, by code.", "code", status.failures.items())
    dropped = ((name, count) for name, count in status.dropped.items() if name not in malformed)
    yield _by("dropped", "Messages neither delivered nor answered, by reason.", "reason", dropped)
    frames = ((name.removeprefix(_BAD_FRAME), count) for name, count in malformed.items())
    yield _by("bad_frames", "Messages dropped as bad_frame, by the frame that was wrong.", "frame", frames)
    yield _by("limit_reached", "How often a limit held something back.", "limit", status.reached.items())


def _by(name: str, text: str, label: str, counts: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for value, count in counts:
        family.add_metric([value], count)
    return family


def _of_services(services: tuple[ServiceSnapshot, ...]) -> Iterator[Metric]:
    for name, (text, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"{PREFIX}service_{name}", text, labels=["service"])
        for service in services:
            gauge.add_metric([service.name], value(service))
        yield gauge
    for name, (text, value) in _COUNTERS.items():
        counter = CounterMetricFamily(f"{PREFIX}service_{name}", text, labels=["service"])
        for service in services:
            counter.add_metric([service.name], value(service))
        yield counter
    for name, (text, label, counts) in _COUNTERS_BY.items():
        counter = CounterMetricFamily(f"{PREFIX}service_{name}", text, labels=["service", label])
        for service in services:
            for value_of_label, count in counts(service).items():
                counter.add_metric([service.name, value_of_label], count)
        yield counter
    for name, (text, latencies) in _HISTOGRAMS.items():
        histogram = HistogramMetricFamily(f"{PREFIX}service_{name}", text, labels=["service"])
        for service in services:
            found = latencies(service)
            buckets = list(zip(_LE, accumulate(found.counts), strict=True))
            histogram.add_metric([service.name], buckets, found.total_s)
        yield histogram
