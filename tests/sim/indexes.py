"""The core's counts and indexes, computed anew from what they count."""

from bus_world.inspect import check_gate
from hootbus.bus.core import Core
from hootbus.bus.requests import Requests
from hootbus.bus.state import Phase, Request, Worker
from hootbus.frames.protocol import Flag
from sim.violation import Violation


def check_core(core: Core, now: float) -> None:
    """Raises Violation if any of them disagrees, or is over its bound."""
    requests, workers = core._requests, core._roster.workers
    open_requests = [request for client in requests._clients.values() for request in client.open.values()]
    parts = [part for request in open_requests for part in (request.parts or {}).values()]
    _agree("open", requests.open_count, len(open_requests) + len(parts))
    held = 0
    queued = awaited = sum(part.phase is Phase.QUEUED for part in parts)
    _agree("parts that wait", sum(len(worker.awaited) for worker in workers.values()), awaited)
    for request in open_requests:
        _check_open(request, requests, workers)
        queued += request.phase is Phase.QUEUED
        held += request.size if request.message is not None else 0
    _agree("queued", requests.queued_count, queued)
    _agree("held bytes", requests.held_bytes, held)
    _agree("queues", sum(len(service.queue) for service in requests.services.values()), queued - awaited)
    for worker in workers.values():
        _check_worker(worker, requests)
    _check_services(requests, workers)
    check_gate(core)
    _check_bounds(core)
    if core._stopped:
        return
    wake_at = core.wake_at()
    first = min((request.deadline for request in open_requests), default=wake_at)
    if not now - 1.0 < wake_at <= first:
        raise Violation(f"the core wants to wake in {wake_at - now:.4f} s; the first deadline is in {first - now:.4f}")


def _agree(what: str, count: object, counted: object) -> None:
    if count != counted:
        raise Violation(f"the core's account of {what} says {count}, and it is {counted}")


def _check_open(request: Request, requests: Requests, workers: dict[bytes, Worker]) -> None:
    service = request.service
    _agree("clients", requests._clients.get(request.client.identity), request.client)
    _agree("services", requests.services.get(service.name), service)
    if not requests._deadlines.holds(request, request.deadline):
        raise Violation(f"no deadline is kept for {request.request_id.hex()}")
    if request.parts is not None:
        _check_gather(request)
    elif request.phase is Phase.QUEUED:
        _agree("the queue", service.queue.get(request.order), request)
        if request.message is None or request.worker is not None:
            raise Violation(f"{request.request_id.hex()} is queued without its message, or with a worker")
    else:
        _agree("phases", request.phase, Phase.HANDED)
        worker = request.worker
        if worker is None or workers.get(worker.identity) is not worker:
            raise Violation(f"{request.request_id.hex()} is with a worker that is gone")
        _agree("in flight", worker.in_flight.get(request.wire_id), request)
        _agree("whether it is held", request.message is not None, request.idempotent)


def _check_gather(gather: Request) -> None:
    if not gather.parts or gather.message is None:
        raise Violation(f"{gather.request_id.hex()} is a gather without parts or message, and open")
    for number, part in gather.parts.items():
        worker = part.addressee
        assert worker is not None
        _agree("whose part it is", worker.number, number)
        mine = worker.awaited.get(part.order) if part.phase is Phase.QUEUED else worker.in_flight.get(part.wire_id)
        _agree("where a part is", mine, part)
    _agree("a client's parts", gather.client.parts, sum(len(each.parts or ()) for each in gather.client.open.values()))


def _check_worker(worker: Worker, requests: Requests) -> None:
    _agree("workers", worker.service.workers.get(worker.identity), worker)
    _agree("services", requests.services.get(worker.service.name), worker.service)
    if len(worker.in_flight) > worker.slots:
        raise Violation(f"worker {worker.number} has {worker.slots} slots and {len(worker.in_flight)} requests")
    _agree("whom something waits for", worker.identity in worker.service.awaited, bool(worker.awaited))
    if worker.awaited and worker.takes_more:
        raise Violation(
            f"worker {worker.number} has a free slot, and {len(worker.awaited)} parts of gathers wait for it"
        )
    struck = sum(bool(request.strikes) for request in worker.in_flight.values())
    _agree("struck requests", worker.struck, struck)
    if struck > 1:
        raise Violation(f"worker {worker.number} has {struck} requests that have been through a death")
    for request in worker.in_flight.values():
        if request.phase is Phase.QUEUED or (request.phase is Phase.OVER and request.message is not None):
            raise Violation(f"a request in flight is {request.phase}, or holds its message in vain")


def _check_services(requests: Requests, workers: dict[bytes, Worker]) -> None:
    orphans = []
    for name, service in requests.services.items():
        waiting = list(service.queue.values())
        _agree("a queue", len(service.queue), len(waiting))
        _agree("what any worker may take", service.queue.for_any, sum(not request.strikes for request in waiting))
        _agree("queued bytes", service.queue_bytes, sum(request.size for request in service.queue.values()))
        free = {entry[2].identity: entry[0] for entry in service.free._entries if entry[2].ticket == entry[1]}
        should = {}
        for identity, worker in service.workers.items():
            _agree("workers", workers.get(identity), worker)
            load = len(worker.in_flight) / worker.slots
            if load < 1 and not worker.draining and not worker.stalled:
                should[identity] = load + worker.suspect + 2 * worker.struck
        if service.sole is None:
            _agree(f"free workers of {name!r}", free, should)
        else:
            _agree(f"the only worker of {name!r}", [service.sole], list(service.workers.values()))
            _agree(f"free workers of {name!r} beside the only one", free, {})
            free = should
        clean = [identity for identity in free if not service.workers[identity].struck]
        # Where only some have the method that is asked for, a free one may have to be left alone.
        if not service.mixed and ((service.queue.for_any and free) or (service.queue and clean)):
            raise Violation(f"{len(service.queue)} requests wait for {name!r} while a worker has a free slot")
        if not service.workers:
            if not service.queue:
                raise Violation(f"the service {name!r} has neither workers nor requests, and is kept")
            if name in requests._orphans:
                orphans.append(name)
            elif not all(request.flags & Flag.WAIT for request in service.queue.values()):
                raise Violation(f"requests wait for {name!r} without end, though they did not ask to")
    _agree("orphans", sorted(requests._orphans), sorted(orphans))
    moments = [service.give_up_at for service in requests._orphans.values()]
    _agree("the order of orphans", moments, sorted(moments))


def _check_bounds(core: Core) -> None:
    requests, limits = core._requests, core.limits
    # What comes back from a worker was let in before, and waits again even where nobody new might.
    back = 0
    for service in requests.services.values():
        fresh = [request.size for request in service.queue.values() if not request.wire_id]
        if len(fresh) > limits.queue_messages or sum(fresh) > limits.queue_bytes:
            raise Violation(f"{len(fresh)} requests of {sum(fresh)} bytes wait: over the bound")
        back += service.queue_bytes - sum(fresh)
    if requests.open_count > limits.requests or requests.held_bytes > limits.held_bytes + back:
        raise Violation(f"{requests.open_count} requests open, {requests.held_bytes} bytes held: over the bound")
    for client in requests._clients.values():
        if not 0 < len(client.open) <= limits.requests_per_client - client.parts:
            raise Violation(f"a client has {len(client.open)} requests open")
    if len(requests.quarantine) > limits.quarantined or requests.quarantine.bytes > limits.quarantined_bytes:
        raise Violation("too many quarantined requests are remembered")
    if len(requests.outcomes) > limits.outcomes or requests.outcomes.bytes > limits.outcome_bytes:
        raise Violation("too many outcomes are remembered")
