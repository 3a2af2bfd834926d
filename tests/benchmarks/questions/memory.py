"""What a broker keeps in memory for a connection and for a message that waits, and whether it keeps what is done with.

It is the growth of the broker's process (its resident memory), which is what one pays; a first few connections or
requests, for which an allocator fetches its pages, come before it and do not count. Each cell has a broker of its own.
Only brokers that keep requests themselves are asked about them: NATS and zenoh pass them on or drop them.
"""

import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from benchmarks.bench import Bench
from benchmarks.crowd.connections import DIALECTS, idle, push_to_redis
from benchmarks.crowd.procfs import descriptors
from benchmarks.crowd.requests import requester
from benchmarks.crowd.workers import crowd
from benchmarks.peers.peer import Peer
from benchmarks.processes import Processes, ProcessFailed, ready, rss_bytes
from benchmarks.results import REFERENCE, Result
from benchmarks.rounds import Sample, alternate
from hootbus.bus.guard import raise_descriptor_limit
from hootbus.workers import Client, HootError

NAME: Final = "memory"
SENTENCE: Final = "How much memory does the broker take for a connection, and for requests that wait or are done?"

DONE: Final = "a million requests done"
CONNECTIONS: Final = 1000
WAITING: Final = 9_000
BYTES: Final = 100
IN_FLIGHT: Final = 256
# What is there before anything is counted.
_FIRST_CONNECTIONS: Final = 50
_FIRST_WAITING: Final = 500
# As many seconds of requests as before and while it is looked whether they leave anything behind.
_ROUNDS_LONG: Final = 8
# Memory hardly varies: more rounds would say the same, slowly.
_ROUNDS_MAX: Final = 2
_DESCRIPTORS_BESIDES: Final = 100
_SETTLED_S: Final = 0.2
_SETTLED_BYTES: Final = 64 * 1024
_PATIENCE_S: Final = 10.0
_POLL_S: Final = 0.02
_KIB: Final = 1024
_MILLION: Final = 1e6

Measure = Callable[["_Broker", Processes], Iterator[Sample]]


class _Broker:
    """A peer of which only the broker is used: a new one for each cell, as memory that was once taken stays."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.name = peer.system
        self.family = next((name for name in DIALECTS if self.name.startswith(name)), "")

    def restart(self) -> None:
        """Nothing is kept."""


def run(bench: Bench) -> Iterator[Result]:
    if not Path("/proc/self/statm").exists():
        bench.skip("all", f"{NAME}: there is no /proc to ask")
        return
    # For those that do not do so themselves: what we start inherits it.
    raise_descriptor_limit()
    brokers = [_Broker(peer) for peer in bench.chosen()]
    known = [broker for broker in brokers if broker.family]
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if room < CONNECTIONS + _FIRST_CONNECTIONS + _DESCRIPTORS_BESIDES:
        bench.skip("all", f"{NAME}: a process may open {room} files here, too few for {CONNECTIONS} connections")
    else:
        yield from _ask(bench, "a connection", known, _connections)
    # What a broker keeps does not depend on how it was brought: one transport is enough.
    local = [broker for broker in known if broker.name in (REFERENCE, broker.family)]
    yield from _ask(bench, "a waiting request", [broker for broker in local if broker.family in _WAITING_IN], _waiting)
    done = partial(_done, seconds=bench.seconds * _ROUNDS_LONG)
    yield from _ask(bench, "a million requests", [broker for broker in local if broker.name == REFERENCE], done)


def _ask(bench: Bench, what: str, brokers: list[_Broker], measure: Measure) -> Iterator[Result]:
    bench.progress(f"{NAME}: {what}")

    def fresh(broker: _Broker) -> list[Sample]:
        with Processes(Path(mkdtemp(dir=bench.folder, prefix="m"))) as processes:
            try:
                return list(measure(broker, processes))
            except (HootError, FileNotFoundError) as error:
                # It answers no more, or /proc does not know it any more.
                raise ProcessFailed(f"{broker.name}: {error}") from error

    yield from alternate(NAME, brokers, min(bench.rounds, _ROUNDS_MAX), fresh, partial(bench.failed, f"{NAME}: {what}"))


def _connections(broker: _Broker, processes: Processes) -> Iterator[Sample]:
    address, pid = _start(broker, processes)
    clients = processes.start(idle, dialect=broker.family, address=address)
    ready(clients)
    clients.ask(connections=_FIRST_CONNECTIONS)
    before, open_before = _settled(pid), descriptors(pid)
    clients.ask(connections=CONNECTIONS)
    # Each client has been answered, so this only says whether the broker's connections are what we think they are.
    if descriptors(pid) < open_before + CONNECTIONS:
        raise ProcessFailed(f"{broker.name} has {descriptors(pid) - open_before} connections more, not {CONNECTIONS}")
    yield _sample("one idle connection", "KiB", (_settled(pid) - before) / _KIB / CONNECTIONS)


def _waiting(broker: _Broker, processes: Processes) -> Iterator[Sample]:
    address, pid = _start(broker, processes)
    pile = _WAITING_IN[broker.family](address, processes)
    pile(_FIRST_WAITING)
    before = _settled(pid)
    pile(WAITING)
    yield _sample(f"one waiting request of {BYTES} bytes", "KiB", (_settled(pid) - before) / _KIB / WAITING)


def _pile_for_a_worker_that_holds(address: str, processes: Processes) -> Callable[[int], object]:
    """Requests for a worker with one slot, which keeps the first one for ever."""
    worker = processes.start(crowd, address=address, services=1, holding=True)
    client = processes.start(requester, address=address, services=1)
    ready(worker, client)
    queued = 0

    def pile(requests: int) -> None:
        nonlocal queued
        client.ask(do="pile", bytes=BYTES, requests=requests)
        queued += requests
        until = time.monotonic() + _PATIENCE_S
        with Client(address) as bus:
            # One of them is not queued but held.
            while (found := bus.call("hoot.broker/status").json()["queued"]) < queued - 1:
                if time.monotonic() > until:
                    raise ProcessFailed(f"{found} of {queued} requests wait at the broker")
                time.sleep(_POLL_S)

    return pile


def _pile_in_a_list(address: str, processes: Processes) -> Callable[[int], object]:
    """Redis keeps requests in a list, from which workers take them."""
    client = processes.start(push_to_redis, address=address)
    ready(client)
    return lambda requests: client.ask(bytes=BYTES, requests=requests)


_WAITING_IN: Final[dict[str, Callable[[str, Processes], Callable[[int], object]]]] = {
    "hootbus": _pile_for_a_worker_that_holds,
    "redis": _pile_in_a_list,
}


def _done(broker: _Broker, processes: Processes, *, seconds: float) -> Iterator[Sample]:
    address, pid = _start(broker, processes)
    worker = processes.start(crowd, address=address, services=1)
    client = processes.start(requester, address=address, services=1)
    ready(worker, client)
    ask = partial(client.ask, do="ask", bytes=BYTES, in_flight=IN_FLIGHT)
    ask(seconds=seconds / 2)
    before = _settled(pid)
    answered = ask(seconds=seconds / 2)["answered"]
    yield _sample(DONE, "MiB", (_settled(pid) - before) / _KIB**2 / answered * _MILLION)


def _start(broker: _Broker, processes: Processes) -> tuple[str, int]:
    address, child = broker.peer.start_middle(processes, processes.folder)
    assert child is not None, f"{broker.name} has no broker"
    return address, child.pid


def _settled(pid: int) -> int:
    """Its memory, once that does not change any more; what it has just been sent may still be on its way in."""
    until = time.monotonic() + _PATIENCE_S
    before, now = 0, rss_bytes(pid)
    while abs(now - before) > _SETTLED_BYTES:
        if time.monotonic() > until:
            raise ProcessFailed(f"the memory of process {pid} does not settle")
        time.sleep(_SETTLED_S)
        before, now = now, rss_bytes(pid)
    return now


def _sample(what: str, unit: str, value: float) -> Sample:
    return Sample({"for": what}, unit, "less", value)
