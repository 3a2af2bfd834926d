"""Throughput of requests, by how large they are and how many are in flight."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Requests

NAME: Final = "requests"
SENTENCE: Final = "How many requests a second, by their size and by how many are in flight?"

SIZES: Final = (32, 100, 1_000, 64_000, 1_000_000, 16_000_000)
IN_FLIGHT: Final = (1, 16, 256)
QUICK: Final = ((100, 1), (100, 256), (1_000_000, 1))
# The one that DESIGN's goals are about: more and longer rounds, and variants of the systems besides.
HEADLINE: Final = (100, 256)
HEADLINE_ROUNDS: Final = 5
HEADLINE_SECONDS_FACTOR: Final = 2.5
VARIANTS: Final = ("hootbus ipc uvloop", "nats uvloop", "redis batches")
# More at the same time would measure the machine's memory, several times over in every process.
BYTES_IN_FLIGHT_MAX: Final = 256_000_000


def run(bench: Bench) -> Iterator[Result]:
    systems = [Requests(peer, bench.folder) for peer in bench.chosen(*VARIANTS)]
    with bench.running(NAME, systems) as up:
        for size, in_flight in cases(bench.quick):
            what = f"{NAME}: {size:,} B, {in_flight} in flight"
            bench.progress(what)
            headline = (size, in_flight) == HEADLINE
            yield from alternate(
                NAME,
                [system for system in up if headline or system.name not in VARIANTS],
                max(bench.rounds, HEADLINE_ROUNDS) if headline and not bench.quick else bench.rounds,
                partial(
                    _measure,
                    size=size,
                    in_flight=in_flight,
                    seconds=bench.seconds * (HEADLINE_SECONDS_FACTOR if headline else 1),
                ),
                partial(bench.failed, what),
            )
    if not bench.quick:
        bench.skip("all", f"{NAME}: cases with more than {BYTES_IN_FLIGHT_MAX:,} bytes in flight are left out")


def cases(quick: bool) -> list[tuple[int, int]]:
    if quick:
        return list(QUICK)
    return [(size, number) for size in SIZES for number in IN_FLIGHT if size * number <= BYTES_IN_FLIGHT_MAX]


def _measure(system: Requests, *, size: int, in_flight: int, seconds: float) -> list[Sample]:
    load = system.load(size, in_flight, seconds)
    case = {"bytes": size, "in flight": in_flight}
    return [Sample(dict(case), "requests/s", "more", load.requests / load.seconds)]
