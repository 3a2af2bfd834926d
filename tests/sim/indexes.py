"""The core's counts and indexes, computed anew from what they count."""

from bus_world.inspect import agree, check_gate, check_memories, within
from hootbus.bus.core import Core
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.state import Phase, Queue, Request, Returned, Service, Worker
from hootbus.frames.deadlines import Deadlines
from hootbus.frames.protocol import Flag
from sim.violation import Violation

# How late the tick may be that looks at who is silent.
LATE_S = 0.1
# What is kept for later and has become stale may be as much as what is not, and a little.
_SLACK = 70


def check_core(core: Core, now: float) -> None:
    """Raises AssertionError if any of them disagrees, or is over its bound."""
    requests, workers = core._requests, core._roster.workers
    open_requests = [request for client in requests._clients.values() for request in client.open.values()]
    parts = [part for request in open_requests for part in (request.parts or {}).values()]
    agree("open", requests.open_count, len(open_requests) + len(parts))
    held = 0
    queued = awaited = sum(part.phase is Phase.QUEUED for part in parts)
    agree("parts that wait", sum(len(worker.awaited) for worker in workers.values()), awaited)
    for request in open_requests:
        _check_open(request, requests, workers)
        queued += request.phase is Phase.QUEUED
        held += request.size if request.message is not None else 0
    agree("queued", requests.queued_count, queued)
    agree("held bytes", requests.held_bytes, held)
    agree("queues", sum(len(service.queue) for service in requests.services.values()), queued - awaited)
    check_deadlines("the core", requests._deadlines, len(open_requests))
    _check_roster(core._roster, now - core.limits.heartbeat_interval_s - LATE_S)
    for worker in workers.values():
        _check_worker(worker, requests)
    for name, service in requests.services.items():
        _check_service(name, service, workers)
    _check_orphans(requests)
    check_gate(core)
    check_memories(core)
    _check_bounds(core)
    if core._stopped:
        return
    wake_at = core.wake_at()
    first = min((request.deadline for request in open_requests), default=wake_at)
    if not now - 1.0 < wake_at <= first:
        raise Violation(f"the core wants to wake in {wake_at - now:.4f} s; the first deadline is in {first - now:.4f}")


def check_deadlines(whose: str, deadlines: Deadlines, live: int) -> None:  # type: ignore[type-arg]  # of any key
    """Raises AssertionError if what is to be due is not what is there, or keeps more than it may."""
    agree(f"deadlines of {whose}", len(deadlines), live)
    within(f"entries for deadlines of {whose}", deadlines.entries, 4 * live + 2 * _SLACK)


def _check_open(request: Request, requests: Requests, workers: dict[bytes, Worker]) -> None:
    service = request.service
    agree("clients", requests._clients.get(request.client.identity), request.client)
    agree("services", requests.services.get(service.name), service)
    if not requests._deadlines.holds(request, request.deadline):
        raise Violation(f"no deadline is kept for {request.request_id.hex()}")
    if request.parts is not None:
        _check_gather(request)
    elif request.phase is Phase.QUEUED:
        agree("the queue", service.queue.get(request.order), request)
        if request.message is None or request.worker is not None:
            raise Violation(f"{request.request_id.hex()} is queued without its message, or with a worker")
    else:
        agree("phases", request.phase, Phase.HANDED)
        worker = request.worker
        if worker is None or workers.get(worker.identity) is not worker:
            raise Violation(f"{request.request_id.hex()} is with a worker that is gone")
        agree("in flight", worker.in_flight.get(request.wire_id), request)
        agree("whether it is held", request.message is not None, request.idempotent)


def _check_roster(roster: Roster, looked: float) -> None:
    for identity, worker in roster.workers.items():
        agree("identities", worker.identity, identity)
        if looked - worker.seen_at > worker.lost_after_s and not worker.going:
            raise Violation(f"worker {worker.number} was silent for {looked - worker.seen_at:.1f} s, and is kept")
    going = [worker for worker in roster.workers.values() if worker.going]
    leaving = [worker for _, worker in roster._going if roster.workers.get(worker.identity) is worker]
    agree("who is going", {worker.number for worker in leaving}, {worker.number for worker in going})
    moments = [moment for moment, _ in roster._going]
    agree("the order of going", moments, sorted(moments))


def _check_gather(gather: Request) -> None:
    if not gather.parts or gather.message is None:
        raise Violation(f"{gather.request_id.hex()} is a gather without parts or message, and open")
    for number, part in gather.parts.items():
        worker = part.addressee
        assert worker is not None
        agree("whose part it is", worker.number, number)
        mine = worker.awaited.get(part.order) if part.phase is Phase.QUEUED else worker.in_flight.get(part.wire_id)
        agree("where a part is", mine, part)
    agree("a client's parts", gather.client.parts, sum(len(each.parts or ()) for each in gather.client.open.values()))


def _check_worker(worker: Worker, requests: Requests) -> None:
    agree("workers", worker.service.workers.get(worker.identity), worker)
    agree("services", requests.services.get(worker.service.name), worker.service)
    if len(worker.in_flight) > worker.slots:
        raise Violation(f"worker {worker.number} has {worker.slots} slots and {len(worker.in_flight)} requests")
    agree("whom something waits for", worker.identity in worker.service.awaited, bool(worker.awaited))
    if worker.awaited and worker.takes_more:
        raise Violation(
            f"worker {worker.number} has a free slot, and {len(worker.awaited)} parts of gathers wait for it"
        )
    struck = sum(bool(request.strikes) for request in worker.in_flight.values())
    agree("struck requests", worker.struck, struck)
    if struck > 1:
        raise Violation(f"worker {worker.number} has {struck} requests that have been through a death")
    if worker.going and not worker.stalled:
        raise Violation(f"worker {worker.number} is going ({worker.going}), and may get work")
    for request in worker.in_flight.values():
        if request.phase is Phase.QUEUED or (request.phase is Phase.OVER and request.message is not None):
            raise Violation(f"a request in flight is {request.phase}, or holds its message in vain")
        agree("whose request it is", request.worker, worker)


def _check_service(name: bytes, service: Service, workers: dict[bytes, Worker]) -> None:
    agree("names", service.name, name)
    _check_queue(service.queue)
    alike: dict[frozenset[bytes], int] = {}
    should = {}
    for identity, worker in service.workers.items():
        agree("workers", workers.get(identity), worker)
        alike[worker.frames] = alike.get(worker.frames, 0) + 1
        load = len(worker.in_flight) / worker.slots
        if load < 1 and not worker.draining and not worker.stalled:
            should[identity] = load + worker.suspect + 2 * worker.struck
    agree("workers that have the same methods", service._alike, alike)
    agree("whether methods differ", service.mixed, len(alike) > 1)
    free = _free(service.free)
    if service.sole is None:
        agree(f"free workers of {name!r}", free, should)
    else:
        agree(f"the only worker of {name!r}", [service.sole], list(service.workers.values()))
        agree(f"free workers of {name!r} beside the only one", free, {})
        free = should
    clean = [identity for identity in free if not service.workers[identity].struck]
    # Where only some have the method that is asked for, a free one may have to be left alone.
    if not service.mixed and ((service.queue.for_any and free) or (service.queue and clean)):
        raise Violation(f"{len(service.queue)} requests wait for {name!r} while a worker has a free slot")
    if not service.workers and not service.queue:
        raise Violation(f"the service {name!r} has neither workers nor requests, and is kept")


def _free(heap: LazyHeap[Worker]) -> dict[bytes, float]:
    within("entries for free workers", len(heap), heap._compact_at)
    live = {entry[2].identity: entry[0] for entry in heap._entries if entry[2].ticket == entry[1]}
    if any(heap._entries[(at - 1) // 2] > heap._entries[at] for at in range(1, len(heap._entries))):
        raise Violation("free workers are not in the order of a heap")
    return live


def _check_queue(queue: Queue) -> None:
    waiting = list(queue.values())
    agree("a queue", len(queue), len(waiting))
    agree("what any worker may take", queue.for_any, sum(not request.strikes for request in waiting))
    agree("queued bytes", queue.bytes, sum(request.size for request in waiting))
    for returned, struck in ((queue._returned, False), (queue._struck, True)):
        _check_returned(returned)
        agree(
            "which are struck",
            [bool(each.strikes) for each in returned.waiting.values()].count(struck),
            len(returned.waiting),
        )
    agree("the order of arrival", list(queue._arrived), sorted(queue._arrived))
    if queue._arrived and queue._returned.waiting and max(queue._returned.waiting) > min(queue._arrived):
        raise Violation("one that was handed out once stands behind one that never was")


def _check_returned(returned: Returned) -> None:
    agree("what came back", returned.waiting.keys() - set(returned.orders), set())
    agree("stale entries of what came back", bool(returned.orders), bool(returned.waiting))


def _check_orphans(requests: Requests) -> None:
    orphans = []
    for name, service in requests.services.items():
        if service.workers:
            continue
        if name in requests._orphans:
            orphans.append(name)
        elif not all(request.flags & Flag.WAIT for request in service.queue.values()):
            raise Violation(f"requests wait for {name!r} without end, though they did not ask to")
    agree("orphans", sorted(requests._orphans), sorted(orphans))
    moments = [service.give_up_at for service in requests._orphans.values()]
    agree("the order of orphans", moments, sorted(moments))


def _check_bounds(core: Core) -> None:
    requests, limits, workers = core._requests, core.limits, core._roster.workers
    # What comes back from a worker was let in before, and waits again even where nobody new might.
    back = 0
    for service in requests.services.values():
        fresh = [request.size for request in service.queue.values() if not request.wire_id]
        within("requests that wait", len(fresh), limits.queue_messages)
        within("bytes that wait", sum(fresh), limits.queue_bytes)
        back += service.queue_bytes - sum(fresh)
    within("open requests", requests.open_count, limits.requests)
    within("held bytes", requests.held_bytes, limits.held_bytes + back)
    for client in requests._clients.values():
        if not client.open:
            raise Violation("a client is kept that has no request open")
        within("open requests of one client", len(client.open) + client.parts, limits.requests_per_client)
    # Dialled services are as many as the operator named.
    dialled = sum(worker.dialled for worker in workers.values())
    within("workers, with those at the gate", len(workers) + len(core._gate), limits.workers + dialled)
    within("services", len(requests.services), limits.services + dialled)
    for worker in workers.values():
        within("slots of one worker", worker.slots, limits.slots_per_worker)
