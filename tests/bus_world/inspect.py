"""What stories ask of the core that it tells nobody else."""

from hootbus.bus.core import Core
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.state import Worker


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
