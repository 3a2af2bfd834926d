"""The life of a request: accepted, queued, handed to a worker, and answered, given back or lost there.

How it ends is told in `endings`, what is kept of it meanwhile in `ledger`.
"""

from collections.abc import Callable
from typing import Final

from hootbus.bus.effects import Effect, Send
from hootbus.bus.endings import Endings
from hootbus.bus.gathers import Gathers
from hootbus.bus.limits import Limits
from hootbus.bus.state import Isolated, Phase, Request, Service, Worker
from hootbus.bus.tally import Dropped, Tally
from hootbus.frames.errors import Overloaded, Quarantined, UnsupportedContentType, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options
from hootbus.frames.protocol import Command, Flag

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_QUEUED: Final = Phase.QUEUED
_HANDED: Final = Phase.HANDED
_OVER: Final = Phase.OVER
_REQUEST: Final = Command.REQUEST
# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_PLAIN: Final[int] = Flag.PLAIN.value
# The flags a worker is shown: what the client said of its request, not what only peers say of themselves.
_PASSED_ON: Final[int] = _IDEMPOTENT | _ONE_WAY | Flag.WAIT.value | Flag.PARTIALS.value


class Requests(Endings):
    """All requests, on their way from clients to workers."""

    def __init__(self, limits: Limits, tally: Tally, new_id: Callable[[], bytes], effects: list[Effect]) -> None:
        super().__init__(limits, tally, new_id, effects)
        self.gathers = Gathers(self, limits, tally, effects)

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

    def merge(self, request: Request, message: Message) -> None:
        """The same request again while it is open: one reply, to where it was last sent from, if that wants one."""
        self._tally.merged += 1
        flags = message.options.flags if message.options is not None else 0
        request.flags = request.flags & ~_ONE_WAY | flags & _ONE_WAY
        request.route = message.route
        request.target = message.service
        request.extended = message.options is not None
        request.content_type = message.content_type

    def _overload(self, message: Message, limit: str, why: str) -> None:
        self._tally.reached[limit] += 1
        self.refuse(message, Overloaded(why))

    # From the queue to a worker

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
        else:
            request.said = payload.options
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

    # Back from a worker

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
            # The next worker, if it is one of ours, is chosen and told by what a plain one was not shown.
            self.hold(request, message if worker.extended else message.__replace__(options=request.said))
        self._put_back(request)

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

    def _put_back(self, request: Request) -> None:
        request.phase = _QUEUED
        request.worker = None
        request.service.queue.put_back(request)
        self.queued_count += 1


def _lost() -> WorkerLost:
    return WorkerLost("the worker went away; whether it carried this out is not known")
