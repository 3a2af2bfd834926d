"""Throughput by the kind of handler: what a thread or a task costs that an inline handler saves."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.results import Result
from benchmarks.rounds import Sample, alternate
from benchmarks.systems import Requests

NAME: Final = "handlers"
SENTENCE: Final = "How many requests a second does hootbus answer with a handler that is inline, `def`, or `async def`?"

BYTES: Final = 100
HANDLERS: Final = ("inline", "def", "async def")
IN_FLIGHT: Final = (1, 16, 256)


def run(bench: Bench) -> Iterator[Result]:
    # Other systems have no such choice to make.
    peers = [peer for peer in bench.chosen() if peer.system.startswith("hootbus")]
    with ExitStack() as stack:
        # All of one kind of handler are up at the same time as those of the next: rounds alternate between systems.
        by_handler = {
            handler: stack.enter_context(
                bench.running(NAME, [Requests(peer, bench.folder, handler=handler) for peer in peers])
            )
            for handler in HANDLERS
        }
        for in_flight in IN_FLIGHT[-1:] if bench.quick else IN_FLIGHT:
            for handler, up in by_handler.items():
                what = f"{NAME}: {handler}, {in_flight} in flight"
                bench.progress(what)
                measure = partial(_measure, handler=handler, in_flight=in_flight, seconds=bench.seconds)
                yield from alternate(NAME, up, bench.rounds, measure, partial(bench.failed, what))


def _measure(system: Requests, *, handler: str, in_flight: int, seconds: float) -> list[Sample]:
    load = system.load(BYTES, in_flight, seconds)
    return [Sample({"handler": handler, "in flight": in_flight}, "requests/s", "more", load.requests / load.seconds)]
