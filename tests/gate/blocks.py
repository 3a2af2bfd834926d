"""Memory blocks of Python that a request leaves behind, and that one holds while it waits or runs, by module."""

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from gate.counts import Counts, Measured, rounded
from gate.quiet import quiet
from gate.traffic import BODY, EVENTS, REQUESTS, Traffic
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Client, Reply, Request, Worker

# Structures that grow lazily and are cleared now and then have done both several times by then.
_WARM_UP: Final = 60
_STEPS: Final = 120
_FEW: Final = 100
_MANY: Final = 400
_OWN: Final = Path(__file__).parent
# In one process nobody can tell whose a block of `hootbus.frames` is.
_ROLE: Final = "all roles"


def _places() -> Counter[str]:
    """The live blocks by the file that has made them, those of this gate left out."""
    quiet()
    gc.collect()
    snapshot = tracemalloc.take_snapshot()
    return Counter(
        {
            _module(statistic.traceback[0].filename): statistic.count
            for statistic in snapshot.statistics("filename")
            if Path(statistic.traceback[0].filename).parent != _OWN
        }
    )


def _module(filename: str) -> str:
    """`bus/core.py`, `asyncio/events.py`, `threading.py`: the last two parts tell, or one in the standard library."""
    folder, name = filename.rsplit("/", 2)[-2:] if filename.count("/") > 1 else ("", filename)
    return name if folder.startswith("python") else f"{folder}/{name}"


def _growth(before: Counter[str], after: Counter[str], requests: int) -> Counts:
    return {_ROLE: rounded({place: (after[place] - before[place]) / requests for place in before | after})}


def _left_behind(traffic: Traffic) -> Counts:
    steps = 0
    snapshots: list[Counter[str]] = []

    def between() -> None:
        nonlocal steps
        steps += 1
        if steps in (_WARM_UP, _WARM_UP + _STEPS):
            snapshots.append(_places())

    with EmbeddedBroker() as bus:
        traffic.run(bus, _WARM_UP + _STEPS, between)
    before, after = snapshots
    return _growth(before, after, _STEPS * traffic.per_step)


def _held(slots: int) -> Counts:
    """By a request that is not answered yet. Of many less of few, so that what is there once does not count."""
    worker, release = _patient_worker(slots)
    with EmbeddedBroker() as bus:
        bus.worker(worker)
        client = bus.client()
        futures = _submit(client, _FEW)
        few = _places()
        futures += _submit(client, _MANY - _FEW)
        many = _places()
        release()
        for future in futures:
            future.result()
    return _growth(few, many, _MANY - _FEW)


def _submit(client: Client, count: int) -> list[Future[Reply]]:
    return [client.submit("gate/hold", BODY) for _ in range(count)]


def _patient_worker(slots: int) -> tuple[Worker, Callable[[], None]]:
    """A worker whose handler does not return before it is released."""
    worker = Worker("gate", slots=slots)
    released = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    @worker.on_start
    async def remember() -> None:
        loops.append(asyncio.get_running_loop())

    @worker.method
    async def hold(request: Request) -> None:
        await released.wait()

    def release() -> None:
        loops[0].call_soon_threadsafe(released.set)

    return worker, release


def measure() -> Measured:
    """What stays is measured with many at a time, so that a burst's structures are used too."""
    tracemalloc.start()
    bursts = (REQUESTS[-1], EVENTS[-1])
    left = {f"blocks left behind {traffic.name}": _left_behind(traffic) for traffic in bursts}
    return left | {
        "blocks held per request that waits for a worker": _held(slots=1),
        "blocks held per request that runs": _held(slots=_MANY),
    }
