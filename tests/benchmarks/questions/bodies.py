"""What a body costs in each encoding: built from numpy arrays, sent, and read into numpy arrays again.

It happens in one process, over two sockets without a broker: a broker does not look into a body, so its share is the
same for all of them, and `requests` measures it. Each step is timed alone, and then all of them in a row.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from benchmarks.bench import Bench
from benchmarks.messages import graph, reading, samples
from benchmarks.messages.crossing import Crossing
from benchmarks.messages.encoding import IN_PLACE, Encoding
from benchmarks.results import Result
from benchmarks.rounds import Sample, alternate
from hootbus.frames import Buffer
from hootbus.schemas import COPIES

NAME: Final = "bodies"
SENTENCE: Final = "What does it take to build a body, to send it, and to read it, in each encoding?"

GRAPH: Final = "graph"
TINY: Final = "4 fields"
MILLION: Final = "1 M float32"
BUILD: Final = "build"
SEND: Final = "send and receive"
READ_TWO: Final = "read two fields"
READ_ALL: Final = "read all"
ALL: Final = "all of it"
# The unit of copies, and what one copy of the million is.
COPIED: Final = "bytes copied"
MILLION_BYTES: Final = 4 * samples.COUNT

# A step takes microseconds, so it is repeated for this share of a round.
_SHARE: Final = 0.1
_BATCHES: Final = 5
# The clock does not tell less apart.
_CLOCK_S: Final = 1e-7
# What disturbs a call is nothing to one that takes so long.
_SLOW_S: Final = 0.2
_US_PER_S: Final = 1e6


class Subject(NamedTuple):
    """A value to send, and the ways to do it."""

    name: str
    value: Any
    encodings: tuple[Encoding[Any], ...]


def subjects() -> Iterator[Subject]:
    yield Subject(GRAPH, graph.example(), graph.ENCODINGS)
    yield Subject(TINY, reading.example(), reading.ENCODINGS)
    yield Subject(MILLION, samples.example(), samples.ENCODINGS)


def run(bench: Bench) -> Iterator[Result]:
    with Crossing(bench.folder) as crossing:
        for subject in subjects():
            what = f"{NAME}: {subject.name}"
            bench.progress(what)
            measure = partial(_measure, subject=subject, crossing=crossing, seconds=bench.seconds * _SHARE)
            yield from alternate(NAME, subject.encodings, bench.rounds, measure, partial(bench.failed, what))
            if subject.name == MILLION:
                yield from alternate(
                    NAME,
                    [encoding for encoding in subject.encodings if encoding.name == IN_PLACE],
                    bench.rounds,
                    partial(_count_copies, subject=subject, crossing=crossing),
                    partial(bench.failed, what),
                )


def _measure(encoding: Encoding[Any], *, subject: Subject, crossing: Crossing, seconds: float) -> Iterator[Sample]:
    body = encoding.build(subject.value)
    for step, call in _steps(encoding, subject.value, body, crossing).items():
        yield Sample(_case(subject, step), "µs", "less", seconds_each(call, seconds) * _US_PER_S)
    yield Sample(_case(subject, "body"), "bytes", "less", len(body))


def _case(subject: Subject, step: str) -> dict[str, str | int]:
    return {"message": subject.name, "step": step}


def _steps(encoding: Encoding[Any], value: object, body: Buffer, crossing: Crossing) -> dict[str, Callable[[], object]]:
    received = crossing.cross(body)
    build, cross, read_two, read_all = encoding.build, crossing.cross, encoding.read_two, encoding.read_all
    steps: dict[str, Callable[[], object]] = {BUILD: lambda: build(value), SEND: lambda: cross(body)}
    if read_two is not None:
        steps[READ_TWO] = lambda: read_two(received)
    return steps | {READ_ALL: lambda: read_all(received), ALL: lambda: read_all(cross(build(value)))}


def seconds_each(call: Callable[[], object], seconds: float) -> float:
    """The time of a call: the least of several batches that take so long together; one call's, if it is slow.

    The least, as what disturbs a call of microseconds only ever adds to it (docs.python.org, `timeit.repeat`). How far
    that varies from round to round is what the spread says.
    """
    once = _seconds_of(call, 1)
    if once >= _SLOW_S:
        return once
    # The first call may have been many times slower than those that follow.
    once = min(once, _seconds_of(call, 1))
    times = int(seconds / _BATCHES / max(once, _CLOCK_S))
    return min(_seconds_of(call, times) / times for _ in range(_BATCHES)) if times else once


def _seconds_of(call: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - began


def _count_copies(encoding: Encoding[Any], *, subject: Subject, crossing: Crossing) -> Iterator[Sample]:
    """How many bytes of the array are copied into a message, and out of a received one.

    Only for our own way: what pycapnp allocates is not seen by Python.
    """
    value = subject.value
    body = encoding.build(value)
    received = crossing.cross(body)
    for step, call in ((BUILD, lambda: encoding.build(value)), (READ_ALL, lambda: encoding.read_all(received))):
        yield Sample(_case(subject, step), COPIED, "less", copies(call, value.nbytes) * value.nbytes)


def copies(call: Callable[[], object], size: int) -> int:
    """How many blocks of this size the call allocates, at most, beside what was there: no copy is without its block."""
    badly_placed = COPIES.copied
    tracemalloc.start()
    try:
        result = call()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    del result
    return peak // size + COPIES.copied - badly_placed
