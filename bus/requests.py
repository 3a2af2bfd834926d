"""The life of a request: accepted, queued, handed to a worker, answered exactly once.

Every path that ends a request goes through `close`, which is what makes its outcome the only one.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hootbus.bus import answers
from hootbus.bus.effects import Effect, Send
from hootbus.bus.gathers import Gathers
from hootbus.bus.limits import Limits
from hootbus.bus.outcomes import Outcomes
from hootbus.bus.quarantine import Quarantine
from hootbus.bus.state import Client, Isolated, Phase, Request, Service, Worker
from hootbus.bus.tally import Dropped, Tally, code_of
from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import (
    Cancelled,
    DeadlineExceeded,
    HootError,
    Overloaded,
    Quarantined,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options
from hootbus.frames.protocol import Command, Flag

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_QUEUED: Final = Phase.QUEUED
_HANDED: Final = Phase.HANDED
_OVER: Final = Phase.OVER
_REQUEST: Final = Command.REQUEST
_REPLY: Final = Command.REPLY
# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_WAIT: Final[int] = Flag.WAIT.value
_PARTIALS: Final[int] = Flag.PARTIALS.value
_PLAIN: Final[int] = Flag.PLAIN.value
# What of these a stream has; a gather has both.
_STREAMED: Final[int] = _PARTIALS | Flag.GATHER.value
# The flags a worker is shown: what the client said of its request, not what only peers say of themselves.
_PASSED_ON: Final[int] = _IDEMPOTENT | _ONE_WAY | _WAIT | _PARTIALS


class Requests:
    """All requests without an outcome, by client, by deadline, and by the service they wait for."""

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
        self.gathers = Gathers(self, limits, tally, effects)

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

    # From arrival to a worker

    def accept(self, message: Message, service: Service, now: float, isolated: Isolated | None = None) -> None:
        """Takes in a new request: to a worker at once, or into the queue, or refused.

        What is `isolated` and tried again comes as its retry, which is as dangerous as it has been.
        """
        limits = self._limits
        options = message.options
        size = message.size
        if (refusal := self.no_room(message, 1)) is not None:
            self.refuse(message, refusal)
            return
        worker = None if service.queue.for_any or isolated is not None else service.pick()
        if service.mixed and worker is not None:
            worker = service.exchange(worker, message.service, False)
        if worker is None and len(service.queue) >= limits.queue_messages:
            self._overload(message, "queue_messages", f"the queue of {service.name.decode()!r} is full")
            return
        if worker is None and service.queue_bytes + size > limits.queue_bytes:
            self._overload(message, "queue_bytes", f"the queue of {service.name.decode()!r} is full")
            return
        held = worker is None or (options is not None and options.flags & _IDEMPOTENT)
        if held and (full := self.no_memory(size)) is not None:
            if worker is not None:
                service.offer(worker)
            self.refuse(message, full)
            return
        request = self.admit(message, service, now)
        if held:
            self.hold(request, message)
        if worker is not None:
            self.hand(request, message, worker, now)
        elif isolated is not None:
            request.isolated, request.strikes = isolated, isolated.strikes
            isolated.retry = request
            # What it was written with may not be understood any more.
            request.epoch = -1
            self._put_back(request)
            self.dispatch(service, now)
        else:
            service.queue.append(request)
            self.queued_count += 1

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

    def merge(self, request: Request, message: Message) -> None:
        """The same request again while it is open: one reply, to where it was last sent from, if that wants one."""
        self._tally.merged += 1
        flags = message.options.flags if message.options is not None else 0
        request.flags = request.flags & ~_ONE_WAY | flags & _ONE_WAY
        request.route = message.route
        request.target = message.service
        request.extended = message.options is not None
        request.content_type = message.content_type

    def dispatch(self, service: Service, now: float) -> None:
        """Hands out what waits, as far as workers have free slots."""
        if service.awaited:
            self.gathers.give_all(service, now)
        while service.queue.waiting:
            worker = service.pick()
            if worker is None:
                return
            # The first free worker has a struck request only if all have.
            request = service.queue.pop(not worker.struck)
            if request is None:
                service.offer(worker)
                return
            message = request.message
            assert message is not None, "what is queued is held"
            if service.mixed and request.deadline > now:
                other = service.exchange(worker, message.service, request.strikes > 0)
                if other is None:
                    # Those who have the method are busy: it keeps its turn, and the others wait behind it.
                    service.queue.put_back(request)
                    return
                worker = other
            self.queued_count -= 1
            if request.deadline <= now:
                # The tick that would have said so is still to come.
                service.offer(worker)
                self.fail(request, self._too_late(request))
                continue
            if not request.idempotent:
                self._release(request)
            self.hand(request, message, worker, now)

    def hand(self, request: Request, payload: Message, worker: Worker, now: float) -> None:
        """Gives the request to a worker that has a free slot and was taken out of `free` for it."""
        service = request.service
        if payload.attachments and not worker.extended:
            service.offer(worker)
            self.fail(request, UnsupportedContentType("the worker takes no attachments"))
            return
        versions = service.versions
        if request.epoch != versions.epoch and request.gather is None:
            # Since it was accepted another version has come, which may not understand it.
            request.epoch = versions.epoch
            objection = versions.objection(payload.service, payload.options)
            if objection is not None:
                service.offer(worker)
                self.fail(request, objection)
                return
        wire_id = request.request_id
        if wire_id in worker.in_flight:
            # Another client's request has this id there, or an earlier one whose reply is still owed.
            wire_id = self._new_id()
        options = None
        if worker.extended:
            left_ms = max(1, int((request.deadline - now) * 1000))
            flags = request.flags & _PASSED_ON if request.extended else _PLAIN
            said = payload.options or NO_OPTIONS
            # With the fingerprint, as it may come back from there, and is looked at again then.
            options = Options(min(left_ms, U32_MAX), flags, 0, said.schema_id, 0, request.credit, said.fingerprint)
        service.waited.add(now - request.accepted_at)
        request.phase = _HANDED
        request.worker = worker
        request.wire_id = wire_id
        worker.in_flight[wire_id] = request
        if request.strikes:
            worker.struck += 1
        service.offer(worker)
        self._effects.append(
            Send(
                Message(
                    worker.route,
                    _REQUEST,
                    payload.content_type,
                    wire_id,
                    payload.service,
                    payload.traceparent,
                    payload.body,
                    options,
                    payload.attachments,
                )
            )
        )

    def take_back(self, worker: Worker, message: Message) -> None:
        """A request that could not be sent to its worker waits again; it was never carried out."""
        request = worker.in_flight.pop(message.request_id, None)
        if request is None:
            return
        if request.strikes:
            worker.struck -= 1
        if request.phase is _OVER:
            return
        if request.gather is not None:
            self.gathers.put_back(request, worker)
            return
        if request.message is None:
            self.hold(request, message)
        self._put_back(request)

    # What workers send

    def complete(self, worker: Worker, message: Message, now: float) -> None:
        """A worker's REPLY: frees its slot, and is its client's outcome if that has none yet."""
        request = worker.in_flight.pop(message.request_id, None)
        service = worker.service
        if request is None:
            self._tally.drop(Dropped.REPLY_UNASKED, service)
            return
        worker.done += 1
        if request.strikes:
            worker.struck -= 1
        service.offer(worker)
        if request.phase is _OVER:
            self._tally.drop(Dropped.REPLY_LATE, service)
        elif request.gather is not None:
            self.gathers.answered(request, message, now)
        else:
            self._deliver(request, message, now)
        if worker.awaited:
            self.gathers.give(worker, now)
        if service.queue.waiting:
            self.dispatch(service, now)

    def _deliver(self, request: Request, message: Message, now: float) -> None:
        options = message.options
        if not request.extended and message.attachments:
            self.fail(request, UnsupportedContentType("the reply has attachments, which this client cannot take"))
            return
        service = request.service
        service.replies += 1
        service.took.add(now - request.accepted_at)
        self._tally.replies += 1
        if options is not None and options.status:
            code = code_of(options.status)
            service.failed(code)
            self._tally.failed(code)
        elif request.isolated is not None:
            self.quarantine.remove(request.isolated)
        self.close(request)
        if request.one_way:
            self._tally.drop(Dropped.REPLY_ONE_WAY, request.service)
            return
        outcome = Message(
            request.route,
            _REPLY,
            message.content_type,
            request.request_id,
            message.service,
            message.traceparent,
            message.body,
            options if request.extended else None,
            message.attachments,
        )
        if request.flags & _IDEMPOTENT:
            self.outcomes.keep(request.target, outcome, now)
        self._effects.append(Send(outcome))

    def lost(self, worker: Worker, now: float, died: bool) -> None:
        """What a lost worker had: to another one where that is allowed, else its client is told.

        Only a death is a strike: who says goodbye was not killed by what it had.
        """
        again = []
        self.gathers.forsake(worker)
        for request in worker.in_flight.values():
            if request.phase is _OVER:
                continue
            if request.gather is not None:
                self.gathers.failed(request, _lost())
                continue
            request.strikes += died
            if request.isolated is not None:
                request.isolated.strikes = request.strikes
            if not request.idempotent:
                self.fail(request, _lost())
            elif died and request.strikes >= self._limits.strikes:
                if request.isolated is None:
                    self.quarantine.add(request, now)
                self.fail(request, Quarantined(f"{request.strikes} workers went down with this request"))
            else:
                again.append(request)
        worker.in_flight.clear()
        service = worker.service
        for request in again:
            self._tally.retried += 1
            request.tried = True
            self._put_back(request)
        self.dispatch(service, now)
        self.settle(service, now)

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

    # Ends that are not a reply

    def cancel(self, request: Request, now: float) -> None:
        """Its client no longer wants it."""
        self._end(request, Cancelled("cancelled by the client"), now)

    def expire(self, now: float) -> None:
        """Ends what has run out of time, and what waits in vain for a worker."""
        for request in self._deadlines.due(now):
            self._end(request, self._too_late(request), now)
        while self._orphans and next(iter(self._orphans.values())).give_up_at <= now:
            _, service = self._orphans.popitem(last=False)
            for request in list(service.queue.values()):
                if not request.flags & _WAIT:
                    self._tally.reached["linger_s"] += 1
                    self._end(request, self._nobody(request), now)

    def stop(self, request: Request, stopping: HootError, now: float) -> None:
        """Ends a request because the broker does. That nothing was done is only said where it is certain."""
        if request.phase is _HANDED and not request.idempotent:
            stopping = WorkerLost("the broker stopped while a worker had this; whether it carried it out is not known")
        self._end(request, stopping, now)

    def revoke(self, request: Request, denied: HootError, now: float) -> None:
        """Ends a request whose client has lost the right to it."""
        self._end(request, denied, now)

    def end_stream(self, request: Request, now: float) -> None:
        """A PARTIAL of it could not be delivered, so what follows would have a hole."""
        self._end(request, Overloaded("the client did not take the parts fast enough"), now)

    def _end(self, request: Request, error: HootError, now: float) -> None:
        """Answers the client; a worker that has the request is told, and still owes the reply that frees its slot."""
        if request.phase is _QUEUED:
            request.service.queue.discard(request)
            self.queued_count -= 1
            self.fail(request, error)
            self.settle(request.service, now)
            return
        if request.parts is not None:
            self.gathers.end(request, error)
            return
        self.fail(request, error)
        self.call_off(request, error)

    def call_off(self, request: Request, error: HootError) -> None:
        """The worker that has it is told that nobody waits any more."""
        worker = request.worker
        assert worker is not None, "what is handed has a worker"
        if worker.extended and not worker.going:
            self._effects.append(Send(answers.cancel(worker.route, request.wire_id, error)))

    @staticmethod
    def _nobody(request: Request) -> HootError:
        name = request.service.name.decode()
        if request.tried:
            return WorkerLost(f"the worker of {name!r} went away and no other came")
        return UnknownService(f"no worker offers {name!r} any more")

    def fail(self, request: Request, error: HootError) -> None:
        """The error becomes the request's outcome."""
        if request.gather is not None:
            self.gathers.failed(request, error)
            return
        self.close(request)
        request.service.failed(error.code)
        self._tally.errors[error.code] += 1
        if request.one_way:
            self._tally.drop(Dropped.ERROR_ONE_WAY, request.service)
            return
        self._effects.append(
            Send(
                answers.error_to(
                    request.route, request.request_id, request.content_type, request.extended, error, request.target
                )
            )
        )

    def refuse(self, message: Message, error: HootError) -> None:
        """The error is the outcome of a request that was not accepted."""
        self._tally.errors[error.code] += 1
        if message.options is not None and message.options.flags & _ONE_WAY:
            self._tally.drop(Dropped.ERROR_ONE_WAY, self.service_of(message))
            return
        self._effects.append(Send(answers.error_reply(message, error)))

    def answer(self, reply: Message, request: Message) -> None:
        """The broker's own reply to a request that it answers itself."""
        if request.options is not None and request.options.flags & _ONE_WAY:
            self._tally.drop(Dropped.REPLY_ONE_WAY)
            return
        self._effects.append(Send(reply))

    def refuse_malformed(self, error: MalformedMessage) -> None:
        """Whoever sent a REQUEST with a readable id is told; everything else is only counted."""
        self._tally.drop(Dropped.BAD_FRAME)
        self._tally.malformed[error.field] = self._tally.malformed.get(error.field, 0) + 1
        if error.request_id is not None and error.route:
            self._tally.errors[error.code] += 1
            self._effects.append(
                Send(answers.error_to(error.route, error.request_id, error.content_type, False, error))
            )

    # Bookkeeping

    def _put_back(self, request: Request) -> None:
        request.phase = _QUEUED
        request.worker = None
        request.service.queue.put_back(request)
        self.queued_count += 1

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

    def _overload(self, message: Message, limit: str, why: str) -> None:
        self._tally.reached[limit] += 1
        self.refuse(message, Overloaded(why))

    def _too_late(self, request: Request) -> HootError:
        self._tally.reached["request_timeout_s"] += request.timed_here
        return DeadlineExceeded("the time given is over")


def _lost() -> HootError:
    return WorkerLost("the worker went away; whether it carried this out is not known")
