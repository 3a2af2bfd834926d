"""The one place where tests look inside the core: its indexes and counts, held against what they count."""

from collections import Counter
from collections.abc import Iterable

from hootbus.bus.comparisons import Comparison
from hootbus.bus.core import Core
from hootbus.bus.gate import Proof
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.requests import Requests
from hootbus.bus.state import Phase, Request, Service, Worker


def check(core: Core) -> None:
    """Asserts everything that must hold between two inputs."""
    requests, workers = core._requests, core._roster.workers
    opened = requests.all_open()
    parts = [part for request in opened for part in (request.parts or {}).values()]
    assert requests.open_count == len(opened) + len(parts)
    awaited = [part for worker in workers.values() for part in worker.awaited.values()]
    queues = sum(len(service.queue) for service in requests.services.values())
    assert requests.queued_count == queues + len(awaited)
    assert {id(part) for part in awaited} == {id(part) for part in parts if part.phase is Phase.QUEUED}
    held = [request for request in opened if request.message is not None]
    assert requests.held_bytes == sum(request.size for request in held)
    for identity, client in requests._clients.items():
        assert client.identity == identity
        assert client.open
        assert client.parts == sum(len(request.parts or ()) for request in client.open.values())
        assert len(client.open) + client.parts <= core.limits.requests_per_client
    for request in opened:
        _check_request(request, requests, workers)
    for identity, worker in workers.items():
        _check_worker(identity, worker, requests)
    for name, service in requests.services.items():
        _check_service(name, service, requests, workers)
    assert set(requests._orphans) <= requests.services.keys()
    assert requests.open_count <= core.limits.requests
    # Dialled services are as many as the operator named.
    check_gate(core)
    dialled = sum(worker.dialled for worker in workers.values())
    assert len(requests.services) <= core.limits.services + dialled
    assert len(workers) <= core.limits.workers + dialled
    check_memories(core)


def agree(what: str, account: object, counted: object) -> None:
    """Asserts that the core's account of something is what it is; says which is not."""
    if account != counted:
        raise AssertionError(f"the core's account of {what} says {account}, and it is {counted}")


def within(what: str, count: float, bound: float) -> None:
    """Asserts that there is no more of something than there may be."""
    if count > bound:
        raise AssertionError(f"{what}: {count}, and at most {bound} are allowed")


def check_memories(core: Core) -> None:
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


def check_gate(core: Core) -> None:
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


def _check_request(request: Request, requests: Requests, workers: dict[bytes, Worker]) -> None:
    assert request.client.open[request.request_id] is request
    assert requests.services[request.service.name] is request.service
    assert requests._deadlines.holds(request, request.deadline)
    if request.parts is not None:
        _check_gather(request)
    elif request.phase is Phase.QUEUED:
        assert request.service.queue.get(request.order) is request
        assert request.message is not None
        assert request.worker is None
    else:
        assert request.phase is Phase.HANDED
        assert request.worker is not None
        assert workers[request.worker.identity] is request.worker
        assert request.worker.in_flight[request.wire_id] is request
        assert (request.message is not None) == request.idempotent


def _check_gather(gather: Request) -> None:
    assert gather.phase is Phase.HANDED
    assert gather.parts
    assert gather.message is not None
    for number, part in gather.parts.items():
        assert part.gather is gather
        assert part.addressee is not None
        assert part.addressee.number == number
        if part.phase is Phase.HANDED:
            assert part.worker is part.addressee
            assert part.addressee.in_flight[part.wire_id] is part
        else:
            assert part.addressee.awaited[part.order] is part


def _check_worker(identity: bytes, worker: Worker, requests: Requests) -> None:
    assert worker.identity == identity
    assert worker.service.workers[identity] is worker
    assert requests.services[worker.service.name] is worker.service
    assert len(worker.in_flight) <= worker.slots
    assert worker.struck == sum(bool(request.strikes) for request in worker.in_flight.values()) <= 1
    assert worker.stalled or not worker.going
    assert not (worker.awaited and worker.takes_more), "what is for it comes first"
    assert bool(worker.awaited) == (identity in worker.service.awaited)
    for request in worker.in_flight.values():
        assert request.phase is not Phase.QUEUED
        assert request.worker is worker
        assert request.phase is Phase.HANDED or request.message is None


def _check_service(name: bytes, service: Service, requests: Requests, workers: dict[bytes, Worker]) -> None:
    assert service.name == name
    assert service.workers or service.queue, "it is forgotten with its last worker and request"
    waiting = list(service.queue.values())
    assert (len(service.queue), service.queue.for_any) == (len(waiting), sum(not each.strikes for each in waiting))
    assert service.queue_bytes == sum(request.size for request in service.queue.values())
    for worker in service.workers.values():
        assert workers[worker.identity] is worker
        takes_more = len(worker.in_flight) < worker.slots and not worker.draining and not worker.stalled
        assert bool(worker.ticket) == (takes_more and service.sole is None)
        # Where only some have the method that is asked for, a free one may have to be left alone.
        takes_any = takes_more and not service.mixed
        assert not (service.queue.for_any and takes_any), "who is free has work"
        assert not (service.queue and takes_any and not worker.struck), "also what has been struck"
    assert (service.sole is not None) == (len(service.workers) == 1)
    assert service.sole is None or service.sole in service.workers.values()
    if service.workers:
        assert name not in requests._orphans


def kept(core: Core) -> dict[str, int]:
    """How many things are remembered, by kind: all 0 once nobody owes anything to anybody."""
    requests = core._requests
    return {
        "open": requests.open_count,
        "queued": requests.queued_count,
        "held bytes": requests.held_bytes,
        "clients": len(requests._clients),
        "services": len(requests.services),
        "orphans": len(requests._orphans),
        "workers": len(core._roster.workers),
        "pending": len(core._gate),
    }


def is_open(core: Core, identity: bytes, request_id: bytes) -> bool:
    """Whether this client has a request without an outcome under this id."""
    return core._requests.find(identity, request_id) is not None


def open_count(core: Core) -> int:
    """Requests without an outcome; a gather is one, however many parts it has."""
    return len(core._requests.all_open())


def held_bytes(core: Core) -> int:
    """Bytes of the bodies kept for queued and repeatable requests."""
    return core._requests.held_bytes


def queue_length(core: Core, service: bytes) -> int:
    """Requests that wait for a worker of the service."""
    found = core._requests.services.get(service)
    return len(found.queue) if found is not None else 0


def returned_orders(core: Core, service: bytes) -> int:
    """Entries kept for those of a service's queue that were handed out and came back."""
    return len(core._requests.services[service].queue._returned.orders)


def deadline_entries(core: Core) -> int:
    """Entries kept for deadlines, stale ones included."""
    return core._requests._deadlines.entries


def free_heap(core: Core, service: bytes) -> LazyHeap[Worker]:
    """The heap from which a service's next worker is taken."""
    return core._requests.services[service].free
