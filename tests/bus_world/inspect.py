"""The one place where tests look inside the core: its indexes and counts, held against what they count."""

from hootbus.bus.core import Core
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.requests import Requests
from hootbus.bus.state import Phase, Request, Service, Worker


def check(core: Core) -> None:
    """Asserts everything that must hold between two inputs."""
    requests, workers = core._requests, core._roster.workers
    opened = requests.all_open()
    assert requests.open_count == len(opened)
    assert requests.queued_count == sum(len(service.queue) for service in requests.services.values())
    held = [request for request in opened if request.message is not None]
    assert requests.held_bytes == sum(request.size for request in held)
    for identity, client in requests._clients.items():
        assert client.identity == identity
        assert 0 < len(client.open) <= core.limits.requests_per_client
    for request in opened:
        _check_request(request, requests, workers)
    for identity, worker in workers.items():
        _check_worker(identity, worker, requests)
    for name, service in requests.services.items():
        _check_service(name, service, requests, workers)
    assert set(requests._orphans) <= requests.services.keys()
    assert requests.open_count <= core.limits.requests
    # Dialled services are as many as the operator named.
    dialled = sum(worker.dialled for worker in workers.values())
    assert len(requests.services) <= core.limits.services + dialled
    assert len(workers) <= core.limits.workers + dialled
    assert len(requests._quarantine) <= core.limits.quarantined


def _check_request(request: Request, requests: Requests, workers: dict[bytes, Worker]) -> None:
    assert request.client.open[request.request_id] is request
    assert requests.services[request.service.name] is request.service
    assert requests._deadlines.holds(request, request.deadline)
    if request.phase is Phase.QUEUED:
        assert request.service.queue.get(request.order) is request
        assert request.message is not None
        assert request.worker is None
    else:
        assert request.phase is Phase.HANDED
        assert request.worker is not None
        assert workers[request.worker.identity] is request.worker
        assert request.worker.in_flight[request.wire_id] is request
        assert (request.message is not None) == request.idempotent


def _check_worker(identity: bytes, worker: Worker, requests: Requests) -> None:
    assert worker.identity == identity
    assert worker.service.workers[identity] is worker
    assert requests.services[worker.service.name] is worker.service
    assert len(worker.in_flight) <= worker.slots
    assert worker.struck == sum(bool(request.strikes) for request in worker.in_flight.values()) <= 1
    assert worker.stalled or not worker.going
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
        assert not (service.queue.for_any and takes_more), "who is free has work"
        assert not (service.queue and takes_more and not worker.struck), "also what has been struck"
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
    }


def is_open(core: Core, identity: bytes, request_id: bytes) -> bool:
    """Whether this client has a request without an outcome under this id."""
    return core._requests.find(identity, request_id) is not None


def open_count(core: Core) -> int:
    """Requests without an outcome."""
    return core._requests.open_count


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
