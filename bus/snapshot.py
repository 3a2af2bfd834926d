"""What the metrics tell of the broker: taken on its loop, and nobody's but the reader's from then on.

How many services are told apart is bounded for the broker's whole life, as a collector keeps each name that it was
ever told: the first `metric_services` names are, all others are told together. What those had counted stays counted
when they are gone, as a counter never goes down.
"""

from typing import Final

import msgspec

from hootbus.bus.latencies import Latencies
from hootbus.bus.limits import Limits
from hootbus.bus.state import Service
from hootbus.bus.statements import StatusAnswer
from hootbus.bus.tally import Tally

# Of those that are told together: no service can be called so.
OTHERS: Final = "(others)"


class ServiceSnapshot(msgspec.Struct, kw_only=True):
    """One service, or several taken together."""

    name: str
    workers: int = 0
    slots: int = 0
    queued: int = 0
    queued_bytes: int = 0
    in_flight: int = 0
    requests: int = 0
    replies: int = 0
    partials: int = 0
    errors_by_code: dict[str, int] = msgspec.field(default_factory=dict)
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    waited: Latencies = msgspec.field(default_factory=Latencies)
    took: Latencies = msgspec.field(default_factory=Latencies)

    def add(self, service: Service) -> None:
        """This one, too."""
        for worker in service.workers.values():
            self.workers += 1
            self.slots += worker.slots
            self.in_flight += len(worker.in_flight)
        self.queued += len(service.queue)
        self.queued_bytes += service.queue_bytes
        self.count(service)

    def count(self, counted: "Service | ServiceSnapshot") -> None:
        """What was counted there, too."""
        self.requests += counted.requests
        self.replies += counted.replies
        self.partials += counted.partials
        for code, count in counted.errors_by_code.items():
            self.errors_by_code[code] = self.errors_by_code.get(code, 0) + count
        for reason, count in counted.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.waited.merge(counted.waited)
        self.took.merge(counted.took)


class Snapshot(msgspec.Struct, frozen=True):
    """The broker at one moment."""

    status: StatusAnswer
    services: tuple[ServiceSnapshot, ...]


class Census:
    """Which services are told apart, and what those that are not have counted so far."""

    def __init__(self, limits: Limits, tally: Tally, services: dict[bytes, Service]) -> None:
        self._most = limits.metric_services
        self._tally = tally
        self._services = services
        self._named: Final[set[bytes]] = set()
        # Those that are told together and were there when last looked; and the sum of those that have gone since.
        self._others: dict[bytes, Service] = {}
        self._gone = ServiceSnapshot(name=OTHERS)

    def take(self) -> tuple[ServiceSnapshot, ...]:
        """All services, those that are told together at the end."""
        for name, service in list(self._others.items()):
            if self._services.get(name) is not service:
                del self._others[name]
                # It went without a worker or a request left, so its counts are all there is.
                self._gone.count(service)
        told = []
        for name, service in self._services.items():
            if self._is_named(name):
                snapshot = ServiceSnapshot(name=name.decode())
                snapshot.add(service)
                told.append(snapshot)
            else:
                self._others[name] = service
        if self._others or self._gone.requests:
            together = ServiceSnapshot(name=OTHERS)
            together.count(self._gone)
            for service in self._others.values():
                together.add(service)
            told.append(together)
        return tuple(told)

    def _is_named(self, name: bytes) -> bool:
        if name in self._named:
            return True
        if len(self._named) < self._most:
            self._named.add(name)
            return True
        if name not in self._others:
            self._tally.reached["metric_services"] += 1
        return False
