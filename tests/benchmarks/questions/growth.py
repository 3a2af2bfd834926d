"""Whether a broker with a thousand services and workers is slower than one with a single one of each.

The machine's cores carry the thousand workers too, and libzmq and the kernel take more for a thousand connections than
for one, whoever uses them. So the CPU time of each process is told besides, and a control takes the broker's place: a
ROUTER that forwards and has no rules (`crowd.control`). What grows there as well is not the broker's doing.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from benchmarks.bench import Bench
from benchmarks.crowd.control import bare_router
from benchmarks.crowd.procfs import main_thread_seconds
from benchmarks.crowd.requests import requester
from benchmarks.crowd.workers import crowd
from benchmarks.peers import hootbus_
from benchmarks.peers.peer import Middle
from benchmarks.processes import Processes, cpu_seconds, ready
from benchmarks.results import Result
from benchmarks.rounds import Sample, alternate

NAME: Final = "growth"
SENTENCE: Final = "Do a thousand services with a worker each slow the broker down?"

SIZES: Final = (1, 10, 100, 1000)
QUICK: Final = (1, 1000)
BYTES: Final = 100
IN_FLIGHT: Final = 256
CONTROL: Final = "bare ROUTER"
CPU_UNITS: Final = (
    "broker's CPU µs/request",
    "broker's Python thread's CPU µs/request",
    "workers' CPU µs/request",
)
_CONTROL_NOTE: Final = "the control of growth: forwards on the same sockets as the broker, and knows no rules"
# Rounds are longer than other questions', as /proc counts CPU time in hundredths of a second.
_ROUNDS_LONG: Final = 2.5
_WARM_UP_S: Final = 0.2
_US_PER_S: Final = 1e6

StartMiddle = Callable[[Processes, Path], Middle]


class _Middle:
    """A broker, or what takes its place. Everything is started anew for each round, so no round pays for another."""

    def __init__(self, name: str, start: StartMiddle) -> None:
        self.name = name
        self.start = start

    def restart(self) -> None:
        """Nothing is kept."""


def run(bench: Bench) -> Iterator[Result]:
    bus, control = _Middle(hootbus_.IPC.system, hootbus_.IPC.start_middle), _Middle(CONTROL, _start_control)
    bench.notes[CONTROL] = _CONTROL_NOTE
    for services in QUICK if bench.quick else SIZES:
        what = f"{NAME}: {services:,} services with a worker each"
        bench.progress(what)
        measure = partial(_measure, services=services, seconds=bench.seconds * _ROUNDS_LONG, folder=bench.folder)
        # The ends of the scale are all that is asked of the control.
        middles = [bus, control] if services in QUICK else [bus]
        yield from alternate(NAME, middles, bench.rounds, measure, partial(bench.failed, what))


def _start_control(processes: Processes, folder: Path) -> Middle:
    address = f"ipc://{folder}"
    child = processes.start(bare_router, address=address)
    ready(child)
    return Middle(address, child)


def _measure(middle: _Middle, *, services: int, seconds: float, folder: Path) -> list[Sample]:
    with Processes(Path(mkdtemp(dir=folder, prefix="g"))) as processes:
        address, broker = middle.start(processes, processes.folder)
        assert broker is not None
        workers = processes.start(crowd, address=address, services=services)
        client = processes.start(requester, address=address, services=services)
        ready(workers, client)
        ask = partial(client.ask, do="ask", bytes=BYTES, in_flight=IN_FLIGHT)
        ask(seconds=_WARM_UP_S)

        def clocks() -> list[float]:
            return [cpu_seconds(broker.pid), main_thread_seconds(broker.pid), cpu_seconds(workers.pid)]

        before = clocks()
        load = ask(seconds=seconds)
        used = [now - then for now, then in zip(clocks(), before, strict=True)]
    case: dict[str, str | int] = {"services": services}
    return [
        Sample(case, "requests/s", "more", load["answered"] / load["seconds"]),
        *(
            Sample(case, name, "less", taken / load["answered"] * _US_PER_S)
            for name, taken in zip(CPU_UNITS, used, strict=True)
        ),
    ]
