"""Which requests are open: by client, by deadline, and by the service they wait for, with what they hold.

A request comes in by `admit` and goes by `close`, and no other way; what lies between is told in `requests`, and how it
ends in `endings`.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hootbus.bus.effects import Effect
from hootbus.bus.limits import Limits
from hootbus.bus.outcomes import Outcomes
from hootbus.bus.quarantine import Quarantine
from hootbus.bus.state import Client, Phase, Request, Service
from hootbus.bus.tally import Tally
from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import HootError, Overloaded
from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_OVER: Final = Phase.OVER
# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_PARTIALS: Final[int] = Flag.PARTIALS.value
# What of these a stream has; a gather has both.
_STREAMED: Final[int] = _PARTIALS | Flag.GATHER.value


class Ledger:
    """The account of all requests without an outcome."""

    def __init__(self, limits: Limits, tally: Tally, new_id: Callable[[], bytes], effects: list[Effect]) -> None:
        self._limits = limits
        self._tally = tally
        self._new_id = new_id
        self._effects = effects
        self._clients: dict[bytes, Client] = {}
        self._deadlines: Deadlines[Request] = Deadlines()
        self._arrivals = 0
        self.outcomes = Outcomes(limits, tally)
        self.quarantine = Quarantine(limits, tally)
        self.services: dict[bytes, Service] = {}
        # Services with requests that wait and no worker, in the order in which they give up.
        self._orphans: OrderedDict[bytes, Service] = OrderedDict()
        self.open_count = 0
        self.queued_count = 0
        self.held_bytes = 0

    # What the core asks

    def find(self, identity: bytes, request_id: bytes) -> Request | None:
        """The request that this client has open under this id."""
        client = self._clients.get(identity)
        return client.open.get(request_id) if client is not None else None

    def of_client(self, identity: bytes) -> list[Request]:
        """The client's requests without an outcome."""
        client = self._clients.get(identity)
        return list(client.open.values()) if client is not None else []

    def service_of(self, message: Message) -> Service | None:
        """The service that a message's frame names, if there is one."""
        return self.services.get(message.service.partition(b"/")[0])

    @property
    def orphans(self) -> int:
        """Services that requests wait for and nobody offers."""
        return len(self._orphans)

    def all_open(self) -> list[Request]:
        """Every request without an outcome."""
        return [request for client in self._clients.values() for request in client.open.values()]

    def wake_at(self) -> float | None:
        """When `expire` next has something to do."""
        next_deadline = self._deadlines.next()
        times = [next_deadline] if next_deadline is not None else []
        if self._orphans:
            times.append(next(iter(self._orphans.values())).give_up_at)
        return min(times, default=None)

    # Room

    def no_room(self, message: Message, more: int) -> HootError | None:
        """The refusal if there may not be so many more requests of this message's client; it is counted."""
        client = self._clients.get(message.route[0])
        of_client = len(client.open) + client.parts if client is not None else 0
        if self.open_count + more > self._limits.requests:
            limit = "requests"
        elif of_client + more > self._limits.requests_per_client:
            limit = "requests_per_client"
        else:
            return None
        self._tally.reached[limit] += 1
        return Overloaded("too many requests without an outcome")

    def no_memory(self, size: int) -> HootError | None:
        """The refusal if no body of that size may be held any more; it is counted."""
        if self.held_bytes + size <= self._limits.held_bytes:
            return None
        self._tally.reached["held_bytes"] += 1
        return Overloaded("the broker holds as many bytes as it may")

    # In and out

    def admit(self, message: Message, service: Service, now: float) -> Request:
        """The record of a new request, which is neither handed out nor queued yet."""
        identity, request_id = message.route[0], message.request_id
        options = message.options
        flags = options.flags if options is not None else 0
        client = self._clients.get(identity)
        if client is None:
            client = self._clients[identity] = Client(identity)
        deadline_ms = options.deadline_ms if options is not None else 0
        timeout = deadline_ms / 1000 if deadline_ms else self._limits.request_timeout_s
        self._arrivals += 1
        request = Request(
            client,
            request_id,
            message.route,
            message.content_type,
            options is not None,
            flags,
            now + timeout,
            service,
            message.service,
            None,
            message.size,
            self._arrivals,
        )
        request.epoch = service.versions.epoch
        request.timed_here = not deadline_ms
        request.accepted_at = now
        if options is not None and flags & _STREAMED == _PARTIALS:
            request.credit = options.credit
        client.open[request_id] = request
        self.open_count += 1
        self._tally.requests += 1
        service.requests += 1
        self._deadlines.set(request, request.deadline)
        return request

    def close(self, request: Request) -> None:
        """It has its outcome: nothing more is remembered of it here."""
        assert request.phase is not _OVER, request
        request.phase = _OVER
        self._deadlines.discard(request, request.deadline)
        client = request.client
        del client.open[request.request_id]
        if not client.open:
            del self._clients[client.identity]
        self.open_count -= 1
        self._release(request)

    def hold(self, request: Request, message: Message) -> None:
        """Keeps its payload, for when it is handed out (again)."""
        request.message = message
        self.held_bytes += request.size

    def _release(self, request: Request) -> None:
        if request.message is not None:
            request.message = None
            self.held_bytes -= request.size

    # Services with nobody to serve

    def settle(self, service: Service, now: float) -> None:
        """After a service's workers or queue changed: forget it, or begin or end the wait for its next worker."""
        if service.workers:
            self._orphans.pop(service.name, None)
        elif not service.queue:
            self._orphans.pop(service.name, None)
            self.services.pop(service.name, None)
        elif service.name not in self._orphans:
            service.give_up_at = now + self._limits.linger_s
            self._orphans[service.name] = service
