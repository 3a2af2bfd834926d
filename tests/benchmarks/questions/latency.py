"""Latency of one request at a time, as percentiles: what a program that waits for its answer waits."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Case, Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Requests

NAME: Final = "latency"
SENTENCE: Final = "How long does one request take, if only one at a time is made?"

SIZES: Final = (100, 1_000_000)
PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
# Few large requests go into a second, and the last percentiles want many.
SECONDS_FACTOR: Final = 2
VARIANTS: Final = ("hootbus ipc async",)


def run(bench: Bench) -> Iterator[Result]:
    systems = [Requests(peer, bench.folder) for peer in bench.chosen(*VARIANTS)]
    with bench.running(NAME, systems) as up:
        for size in SIZES[:1] if bench.quick else SIZES:
            what = f"{NAME}: {size:,} B"
            bench.progress(what)
            measure = partial(_measure, size=size, seconds=bench.seconds * SECONDS_FACTOR)
            yield from alternate(NAME, up, bench.rounds, measure, partial(bench.failed, what))


def _measure(system: Requests, *, size: int, seconds: float) -> list[Sample]:
    taken = sorted(system.latencies(size, seconds))
    return [Sample(_case(size, share), "µs", "less", percentile(taken, share)) for share in PERCENTILES]


def _case(size: int, share: float) -> Case:
    return {"bytes": size, "percentile": f"p{share:g}"}


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that so many per cent of them do not exceed (nearest rank): one that was measured, no mean of two."""
    rank = -(-len(ordered) * share // 100)
    return ordered[max(0, int(rank) - 1)]
