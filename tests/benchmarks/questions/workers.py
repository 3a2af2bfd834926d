"""Throughput with one worker and with four, that do nothing or compute: what a second process is good for."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Case, Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Requests
from benchmarks.work import loops_for

NAME: Final = "workers"
SENTENCE: Final = "How many requests a second do one and four workers answer, if they do nothing or compute for 100 µs?"

BYTES: Final = 100
IN_FLIGHT: Final = 256
WORKERS: Final = (1, 4)
COMPUTING_S: Final = 100e-6


def run(bench: Bench) -> Iterator[Result]:
    # As many loops for everyone, instead of as much time: a system that keeps the cores busy must not get less to do.
    computing = loops_for(COMPUTING_S)
    peers = [peer for peer in bench.chosen() if not peer.one_worker]
    for peer in bench.chosen():
        if peer.one_worker:
            bench.skip(peer.system, f"{NAME}: {peer.one_worker}")
    handlers = {"100 µs": computing} if bench.quick else {"nothing": 0, "100 µs": computing}
    for handler, loops in handlers.items():
        for workers in WORKERS:
            what = f"{NAME}: {workers}, {handler}"
            case: Case = {"handler": handler, "workers": workers}
            systems = [Requests(peer, bench.folder, workers=workers, loops=loops) for peer in peers]
            with bench.running(NAME, systems) as up:
                bench.progress(what)
                measure = partial(_measure, case=case, seconds=bench.seconds)
                yield from alternate(NAME, up, bench.rounds, measure, partial(bench.failed, what))


def _measure(system: Requests, *, case: Case, seconds: float) -> list[Sample]:
    load = system.load(BYTES, IN_FLIGHT, seconds)
    return [Sample(dict(case), "requests/s", "more", load.requests / load.seconds)]
