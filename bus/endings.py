"""How a request ends: with its worker's reply, or with an error, and then there is no other outcome.

Every path goes through `close`, which is what makes the outcome the only one.
"""

from typing import Final

from hootbus.bus import answers
from hootbus.bus.effects import Send
from hootbus.bus.gathers import Gathers
from hootbus.bus.ledger import Ledger
from hootbus.bus.state import Phase, Request
from hootbus.bus.tally import Dropped, code_of
from hootbus.frames.errors import (
    Cancelled,
    DeadlineExceeded,
    HootError,
    Overloaded,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, Flag

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_QUEUED: Final = Phase.QUEUED
_HANDED: Final = Phase.HANDED
_REPLY: Final = Command.REPLY
# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_WAIT: Final[int] = Flag.WAIT.value


class Endings(Ledger):
    """The account, and what its requests' clients and workers are told when it is over."""

    gathers: Gathers

    # With a reply

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

    # Because somebody or the time says so

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

    # With an error

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

    @staticmethod
    def _nobody(request: Request) -> HootError:
        name = request.service.name.decode()
        if request.tried:
            return WorkerLost(f"the worker of {name!r} went away and no other came")
        return UnknownService(f"no worker offers {name!r} any more")

    def _too_late(self, request: Request) -> HootError:
        self._tally.reached["request_timeout_s"] += request.timed_here
        return DeadlineExceeded("the time given is over")

    # Before it has begun

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
