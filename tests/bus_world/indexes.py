"""The core's counts and indexes, computed anew from what they count."""

from collections import Counter
from collections.abc import Iterable

from hootbus.bus.candidates import Proof
from hootbus.bus.comparisons import Comparison
from hootbus.bus.core import Core
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.queues import Queue, Returned
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.state import Client, Phase, Request, Service, Worker
from hootbus.frames.deadlines import Deadlines
from hootbus.frames.protocol import Flag

# What is kept for later and has become stale may be as much as what is not, and a little.
_SLACK = 70


def check(core: Core) -> None:
    """Raises AssertionError if anything disagrees that must agree between two inputs, or is over its bound."""
    requests, workers = core._requests, core._roster.workers
    open_requests = requests.all_open()
    parts = [part for request in open_requests for part in (request.parts or {}).values()]
    agree("open", requests.open_count, len(open_requests) + len(parts))
    held = 0
    queued = awaited = sum(part.phase is Phase.QUEUED for part in parts)
    agree("parts that wait", sum(len(worker.awaited) for worker in workers.values()), awaited)
    for identity, client in requests._clients.items():
        _check_client(identity, client)
    for request in open_requests:
        _check_open(request, requests, workers)
        queued += request.phase is Phase.QUEUED
        held += request.size if request.message is not None else 0
    agree("queued", requests.queued_count, queued)
    agree("held bytes", requests.held_bytes, held)
    agree("queues", sum(len(service.queue) for service in requests.services.values()), queued - awaited)
    check_deadlines("the core", requests._deadlines, len(open_requests))
    _check_going(core._roster)
    for identity, worker in workers.items():
        _check_worker(identity, worker, requests)
    for name, service in requests.services.items():
        _check_service(name, service, workers)
    _check_orphans(requests)
    _check_gate(core)
    _check_memories(core)
    _check_bounds(core)


def agree(what: str, account: object, counted: object) -> None:
    """Asserts that the core's account of something is what it is; says which is not."""
    if account != counted:
        raise AssertionError(f"the core's account of {what} says {account}, and it is {counted}")


def within(what: str, count: float, bound: float) -> None:
    """Asserts that there is no more of something than there may be."""
    if count > bound:
        raise AssertionError(f"{what}: {count}, and at most {bound} are allowed")


def check_deadlines(whose: str, deadlines: Deadlines, live: int) -> None:  # type: ignore[type-arg]  # of any key
    """Raises AssertionError if what is to be due is not what is there, or keeps more than it may."""
    agree(f"deadlines of {whose}", len(deadlines), live)
    within(f"entries for deadlines of {whose}", deadlines.entries, 4 * live + 2 * _SLACK)


def _check_client(identity: bytes, client: Client) -> None:
    agree("identities", client.identity, identity)
    agree("ids", [request.request_id for request in client.open.values()], [*client.open])
    agree("a client's parts", client.parts, sum(len(request.parts or ()) for request in client.open.values()))
    if not client.open:
        raise AssertionError("a client is kept that has no request open")


def _check_going(roster: Roster) -> None:
    going = [worker for worker in roster.workers.values() if worker.going]
    leaving = [worker for _, worker in roster._going if roster.workers.get(worker.identity) is worker]
    agree("who is going", {worker.number for worker in leaving}, {worker.number for worker in going})
    moments = [moment for moment, _ in roster._going]
    agree("the order of going", moments, sorted(moments))


def _check_open(request: Request, requests: Requests, workers: dict[bytes, Worker]) -> None:
    service = request.service
    agree("clients", requests._clients.get(request.client.identity), request.client)
    agree("services", requests.services.get(service.name), service)
    if not requests._deadlines.holds(request, request.deadline):
        raise AssertionError(f"no deadline is kept for {request.request_id.hex()}")
    if request.parts is not None:
        _check_gather(request)
    elif request.phase is Phase.QUEUED:
        agree("the queue", service.queue.get(request.order), request)
        if request.message is None or request.worker is not None:
            raise AssertionError(f"{request.request_id.hex()} is queued without its message, or with a worker")
    else:
        agree("phases", request.phase, Phase.HANDED)
        worker = request.worker
        if worker is None or workers.get(worker.identity) is not worker:
            raise AssertionError(f"{request.request_id.hex()} is with a worker that is gone")
        agree("in flight", worker.in_flight.get(request.wire_id), request)
        agree("whether it is held", request.message is not None, request.idempotent)


def _check_gather(gather: Request) -> None:
    if not gather.parts or gather.message is None:
        raise AssertionError(f"{gather.request_id.hex()} is a gather without parts or message, and open")
    for number, part in gather.parts.items():
        worker = part.addressee
        assert worker is not None
        agree("whose part it is", worker.number, number)
        mine = worker.awaited.get(part.order) if part.phase is Phase.QUEUED else worker.in_flight.get(part.wire_id)
        agree("where a part is", mine, part)


def _check_worker(identity: bytes, worker: Worker, requests: Requests) -> None:
    agree("identities", worker.identity, identity)
    agree("workers", worker.service.workers.get(worker.identity), worker)
    agree("services", requests.services.get(worker.service.name), worker.service)
    if len(worker.in_flight) > worker.slots:
        raise AssertionError(f"worker {worker.number} has {worker.slots} slots and {len(worker.in_flight)} requests")
    agree("whom something waits for", worker.identity in worker.service.awaited, bool(worker.awaited))
    if worker.awaited and worker.takes_more:
        raise AssertionError(
            f"worker {worker.number} has a free slot, and {len(worker.awaited)} parts of gathers wait for it"
        )
    struck = sum(bool(request.strikes) for request in worker.in_flight.values())
    agree("struck requests", worker.struck, struck)
    if struck > 1:
        raise AssertionError(f"worker {worker.number} has {struck} requests that have been through a death")
    if worker.going and not worker.stalled:
        raise AssertionError(f"worker {worker.number} is going ({worker.going}), and may get work")
    for request in worker.in_flight.values():
        if request.phase is Phase.QUEUED or (request.phase is Phase.OVER and request.message is not None):
            raise AssertionError(f"a request in flight is {request.phase}, or holds its message in vain")
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
    agree("whether it has one worker only", service.sole is not None, len(service.workers) == 1)
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
        raise AssertionError(f"{len(service.queue)} requests wait for {name!r} while a worker has a free slot")
    if not service.workers and not service.queue:
        raise AssertionError(f"the service {name!r} has neither workers nor requests, and is kept")


def _free(heap: LazyHeap[Worker]) -> dict[bytes, float]:
    within("entries for free workers", len(heap), heap._compact_at)
    live = {entry[2].identity: entry[0] for entry in heap._entries if entry[2].ticket == entry[1]}
    if any(heap._entries[(at - 1) // 2] > heap._entries[at] for at in range(1, len(heap._entries))):
        raise AssertionError("free workers are not in the order of a heap")
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
        raise AssertionError("one that was handed out once stands behind one that never was")


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
            raise AssertionError(f"requests wait for {name!r} without end, though they did not ask to")
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
        within("open requests of one client", len(client.open) + client.parts, limits.requests_per_client)
    # Dialled services are as many as the operator named.
    dialled = sum(worker.dialled for worker in workers.values())
    within("workers, with those at the gate", len(workers) + len(core._gate), limits.workers + dialled)
    within("services", len(requests.services), limits.services + dialled)
    for worker in workers.values():
        within("slots of one worker", worker.slots, limits.slots_per_worker)


def _check_gate(core: Core) -> None:
    """Asserts the same of who waits, what is to be judged, and what is spoken."""
    gate, workers, limits = core._gate, core._roster.workers, core.limits
    inquiries = [inquiry for found in gate._inquiries.values() for inquiry in found.values()]
    agree("services without an inquiry", [name for name, found in gate._inquiries.items() if not found], [])
    waiting = [candidate for inquiry in inquiries for candidate in inquiry.waiting.values()]
    agree("who waits at the gate", gate._candidates, {candidate.identity: candidate for candidate in waiting})
    agree("who waits at the gate and is in", gate._candidates.keys() & workers.keys(), set())
    within("workers at the gate", len(gate), limits.pending_workers)
    proofs = [inquiry.proof for inquiry in inquiries if inquiry.proof is not None]
    cases = [*gate._proofs, *([gate._on_trial] if gate._on_trial is not None else [])]
    agree("proofs that are never judged", [proof.service for proof in proofs if not _is_among(proof, cases)], [])
    agree(
        "proofs that nobody waits for",
        [proof.service for proof in gate._proofs if proof.inquiry.proof is not proof],
        [],
    )
    asked = {inquiry.first.asked_id: inquiry.first for inquiry in inquiries if inquiry.proof is None}
    agree("who is asked for a schema", {asked_id: each for asked_id, (_, each) in gate.asked.items()}, asked)
    moments = [until for until, _ in gate.asked.values()]
    agree("the order in which patience ends", moments, sorted(moments))
    compared = [*gate._questions]
    on_trial = gate._on_trial
    if isinstance(on_trial, Comparison) and on_trial in gate._comparisons:
        compared.append(on_trial)
    agree("comparisons", {*gate._comparisons}, {*compared})
    agree("how many comparisons there are", len(gate._comparisons), len(compared))
    within("comparisons", len(compared), limits.comparisons)
    of_clients = Counter(comparison.client for comparison in compared)
    within("comparisons of one client", max(of_clients.values(), default=0), limits.comparisons_per_client)
    agree("clients with comparisons", gate._comparisons._by_client.keys(), of_clients.keys())
    held = sum(len(comparison.claim.nodes) for comparison in compared)
    agree("bytes of comparisons", gate._comparisons.bytes, held)
    within("bytes of comparisons", held, limits.held_schema_bytes // 2)
    spoken = {id(worker.speaks): worker.speaks for worker in workers.values() if worker.speaks is not None}
    kept = [version for service in core._requests.services.values() for version in service.versions]
    agree("versions", {id(version) for version in kept}, spoken.keys())
    for version in kept:
        agree("who speaks a version", version.workers, sum(worker.speaks is version for worker in workers.values()))
    for service in core._requests.services.values():
        within("versions of one service", len(service.versions), limits.versions_per_service)
        for spoken_there in service.versions._spoken.values():
            within("compared versions of one method", len(spoken_there.compared), limits.compared_versions)
    nodes = [each.nodes for each in kept] + [proof.claim.nodes for proof in proofs]
    nodes += [comparison.claim.nodes for comparison in compared]
    agree("bytes of schemas", gate.held_bytes, sum(map(len, nodes)))
    within("bytes of schemas", gate.held_bytes, limits.held_schema_bytes)
    within("bytes of one schema", max(map(len, nodes), default=0), limits.schema_bytes)


def _is_among(proof: Proof, cases: Iterable[Proof | Comparison]) -> bool:
    return any(proof is case for case in cases)


def _check_memories(core: Core) -> None:
    """Asserts the same of outcomes and requests that are remembered when nobody has them open."""
    outcomes, quarantine, limits = core._requests.outcomes, core._requests.quarantine, core.limits
    within("outcomes that are remembered", len(outcomes), limits.outcomes)
    agree("bytes of outcomes", outcomes.bytes, sum(outcome.reply.size for outcome in outcomes._kept.values()))
    within("bytes of outcomes", outcomes.bytes, limits.outcome_bytes)
    isolated = quarantine.all()
    within("quarantined requests", len(isolated), limits.quarantined)
    agree("quarantined requests", quarantine._by_key, {each.key: each for each in isolated})
    agree("the names of quarantined requests", [quarantine.find(each.id) for each in isolated], isolated)
    held = sum(each.size for each in isolated if each.message is not None)
    agree("bytes of quarantined requests", quarantine.bytes, held)
    within("bytes of quarantined requests", held, limits.quarantined_bytes)
    within("clients that are told of the end", len(core._clients), limits.clients)
    identities = core._admission.identities
    within("identities with an owner", len(identities), limits.identities)
    usurped = sum(owner.usurped for owner in identities._owners.values())
    agree("identities in somebody else's hands", identities.usurped, usurped)
