"""Events that are published flat out: how many arrive a second, and how many do not."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Case, Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Events

NAME: Final = "events"
SENTENCE: Final = "How many events a second arrive, from and at how many processes, and how many are lost?"

SIZES: Final = (100, 1_000, 64_000)
SHAPES: Final = ((1, 1), (1, 8), (8, 1))
# What all subscribers receive in a round at most: what was published and has not arrived is in memory somewhere.
BYTES_MAX: Final = 400_000_000


# A burst goes on for longer at those who receive it.
SECONDS_FACTOR: Final = 0.75


def run(bench: Bench) -> Iterator[Result]:
    peers = [peer for peer in bench.chosen() if peer.publisher is not None]
    for peer in bench.chosen():
        if peer not in peers:
            bench.skip(peer.system, f"{NAME}: it has nothing that anyone may publish to and subscribe to")
    for publishers, subscribers in SHAPES[:1] if bench.quick else SHAPES:
        shape = f"{publishers} → {subscribers}"
        systems = [Events(peer, bench.folder, publishers=publishers, subscribers=subscribers) for peer in peers]
        with bench.running(NAME, systems) as up:
            for size in SIZES[:1] if bench.quick else SIZES:
                what = f"{NAME}: {shape}, {size:,} B"
                bench.progress(what)
                case: Case = {"publishers → subscribers": shape, "bytes": size}
                most = BYTES_MAX // (size * publishers * subscribers)
                measure = partial(_measure, case=case, size=size, seconds=bench.seconds * SECONDS_FACTOR, most=most)
                yield from alternate(NAME, up, bench.rounds, measure, partial(bench.failed, what))


def _measure(system: Events, *, case: Case, size: int, seconds: float, most: int) -> list[Sample]:
    flood = system.flood(size, seconds, most)
    return [
        Sample(dict(case), "events/s", "more", flood.received / flood.seconds),
        Sample(dict(case), "lost %", "less", 100 * (1 - flood.received / flood.sent)),
    ]
