"""CPU seconds of each process per million requests: what is left for others, which throughput does not show."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.crowd.procfs import main_thread_seconds
from benchmarks.processes import cpu_seconds
from benchmarks.results import Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Requests

NAME: Final = "cpu"
SENTENCE: Final = "How many CPU seconds does each process need for a million requests of 100 B, with 256 in flight?"

BYTES: Final = 100
IN_FLIGHT: Final = 256
# CPU time comes in ticks of 10 ms: a second or so makes them one per cent.
SECONDS_FACTOR: Final = 2.5
MILLION: Final = 1_000_000


def run(bench: Bench) -> Iterator[Result]:
    systems = [Requests(peer, bench.folder) for peer in bench.chosen()]
    with bench.running(NAME, systems) as up:
        bench.progress(NAME)
        measure = partial(_measure, seconds=bench.seconds * SECONDS_FACTOR)
        yield from alternate(NAME, up, bench.rounds, measure, partial(bench.failed, NAME))


def _measure(system: Requests, *, seconds: float) -> list[Sample]:
    pids = system.processes()
    before, first_before = _used(pids), _used(pids, main_thread_seconds)
    load = system.load(BYTES, IN_FLIGHT, seconds)
    after, first_after = _used(pids), _used(pids, main_thread_seconds)
    used = {name: (after[name] - before[name]) * MILLION / load.requests for name in pids}
    used["all"] = sum(used.values())
    # In Python with ZeroMQ it is the one that runs Python; the rest is libzmq's.
    used |= {
        f"{name}, first thread": (first_after[name] - first_before[name]) * MILLION / load.requests for name in pids
    }
    return [Sample({"process": name}, "s/million", "less", seconds) for name, seconds in used.items()]


def _used(pids: dict[str, list[int]], seconds: Callable[[int], float] = cpu_seconds) -> dict[str, float]:
    return {name: sum(map(seconds, of)) for name, of in pids.items()}
