"""Requests to every worker of a service: one of its client's, which has a part for each worker.

A part is handed out and owed a reply for like any request, but only its own worker may have it: it waits there for a
slot, before the service's queue, and is never tried elsewhere. Its outcome is a PARTIAL; the last one brings the
gather's REPLY. Every path that ends a part goes through `_settle`.
"""

from typing import TYPE_CHECKING, Final

from hootbus.bus import answers
from hootbus.bus.effects import Effect, Send
from hootbus.bus.limits import Limits
from hootbus.bus.state import Phase, Request, Service, Worker
from hootbus.bus.tally import Tally, code_of
from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import BadFrame, DeadlineExceeded, HootError, Overloaded, UnknownService, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType, Flag

if TYPE_CHECKING:
    from hootbus.bus.requests import Requests

# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_PARTIALS: Final[int] = Flag.PARTIALS.value
_PLAIN: Final[int] = Flag.PLAIN.value
_GATHER: Final[int] = Flag.GATHER.value


def is_gather(message: Message) -> bool:
    """Whether a REQUEST is for every worker of its service."""
    return message.options is not None and bool(message.options.flags & _GATHER)


class Gathers:
    """What becomes of gathers and of their parts. `requests` has them among all others."""

    def __init__(self, requests: "Requests", limits: Limits, tally: Tally, effects: list[Effect]) -> None:
        self._requests = requests
        self._limits = limits
        self._tally = tally
        self._effects = effects

    def accept(self, message: Message, service: Service, now: float) -> None:
        """Takes in a gather: each worker that is there and stays gets its part as soon as it has a slot."""
        requests = self._requests
        workers = service.offering(message.service)
        refusal = self._refusal(message, service, workers)
        if refusal is not None:
            requests.refuse(message, refusal)
            return
        gather = requests.admit(message, service, now)
        requests.hold(gather, message)
        gather.phase = Phase.HANDED
        gather.parts = {}
        self._tally.gathers += 1
        requests.open_count += len(workers)
        gather.client.parts += len(workers)
        for worker in workers:
            gather.parts[worker.number] = part = _part(gather, worker)
            self._wait(part, worker)
        for worker in workers:
            self.give(worker, now)

    def _refusal(self, message: Message, service: Service, workers: list[Worker]) -> HootError | None:
        flags = message.options.flags if message.options is not None else 0
        if not flags & _PARTIALS or flags & _ONE_WAY:
            return BadFrame("options: a gather takes partial replies and is not one-way")
        if not workers:
            return UnknownService(f"no worker of {service.name.decode()!r} takes requests any more")
        if len(workers) > self._limits.gather_workers:
            self._tally.reached["gather_workers"] += 1
            return Overloaded(f"{service.name.decode()!r} has more workers than a gather may be for")
        return self._requests.no_room(message, 1 + len(workers)) or self._requests.no_memory(message.size)

    # From the worker's place in line to the worker

    def give(self, worker: Worker, now: float) -> None:
        """Hands the worker what waits for it, as far as it has slots."""
        while worker.awaited and worker.takes_more:
            part = next(iter(worker.awaited.values()))
            gather = part.gather
            assert gather is not None, "it is a part"
            assert gather.message is not None, "it is held until it is over"
            if part.deadline <= now:
                # The tick that would have said so is still to come.
                self.end(gather, DeadlineExceeded("the time given is over"))
                continue
            self._unwait(part, worker)
            self._requests.hand(part, gather.message, worker, now)

    def give_all(self, service: Service, now: float) -> None:
        """As `give`, for each worker of the service for which something waits."""
        for worker in list(service.awaited.values()):
            self.give(worker, now)

    def put_back(self, part: Request, worker: Worker) -> None:
        """A part that could not be sent to its worker waits again."""
        part.phase = Phase.QUEUED
        part.worker = None
        self._wait(part, worker)

    def forsake(self, worker: Worker) -> None:
        """The worker takes nothing more: what waits for it has failed."""
        for part in list(worker.awaited.values()):
            self._unwait(part, worker)
            self.failed(part, WorkerLost("the worker went away before it had this"))

    # Outcomes of parts

    def answered(self, part: Request, message: Message, now: float) -> None:
        """The worker's REPLY becomes the part's PARTIAL."""
        said = message.options
        flags = _PLAIN if said is None else 0
        status, schema_id = (said.status, said.schema_id) if said is not None else (0, 0)
        part.service.took.add(now - part.accepted_at)
        if status:
            code = code_of(status)
            part.service.failed(code)
            self._tally.failed(code)
        self._settle(
            part,
            flags,
            status,
            schema_id,
            message.content_type,
            message.service,
            message.traceparent,
            message.body,
            message.attachments,
        )

    def failed(self, part: Request, error: HootError) -> None:
        """The error becomes the part's PARTIAL."""
        part.service.failed(error.code)
        self._tally.errors[error.code] += 1
        kind, body = answers.error_body(part.request_id, part.content_type, error)
        self._settle(part, 0, error.number, 0, kind, part.target, b"", body, ())

    def _settle(
        self,
        part: Request,
        flags: int,
        status: int,
        schema_id: int,
        content_type: ContentType,
        service: bytes,
        traceparent: bytes,
        body: Buffer,
        attachments: tuple[Buffer, ...],
    ) -> None:
        gather, worker = part.gather, part.addressee
        assert gather is not None, "it is a part"
        assert worker is not None, "it is a part"
        options = Options(0, flags, status, schema_id, gather.answered, worker.number)
        gather.answered += 1
        self._tally.partials += 1
        part.service.partials += 1
        self._forget(part, gather)
        self._effects.append(
            Send(
                Message(
                    # As it was last asked for, which may have been after the part was made.
                    gather.route,
                    Command.PARTIAL,
                    content_type,
                    gather.request_id,
                    service,
                    traceparent,
                    body,
                    options,
                    attachments,
                )
            )
        )
        if not gather.parts:
            self._close(gather)

    def _close(self, gather: Request) -> None:
        """All have answered."""
        gather.service.replies += 1
        self._tally.replies += 1
        self._requests.close(gather)
        options = Options(sequence=gather.answered)
        closing = Message(
            gather.route, Command.REPLY, ContentType.EMPTY, gather.request_id, gather.target, options=options
        )
        self._effects.append(Send(closing))

    def end(self, gather: Request, error: HootError) -> None:
        """The error is the whole gather's outcome: nobody waits for those that have not answered."""
        assert gather.parts is not None, "it is a gather"
        parts = list(gather.parts.values())
        for part in parts:
            if part.phase is Phase.QUEUED:
                assert part.addressee is not None, "it is a part"
                self._unwait(part, part.addressee)
            self._forget(part, gather)
        self._requests.fail(gather, error)
        for part in parts:
            if part.worker is not None:
                self._requests.call_off(part, error)

    # Bookkeeping

    def _wait(self, part: Request, worker: Worker) -> None:
        worker.awaited[part.order] = part
        worker.service.awaited[worker.identity] = worker
        self._requests.queued_count += 1

    def _unwait(self, part: Request, worker: Worker) -> None:
        del worker.awaited[part.order]
        if not worker.awaited:
            del worker.service.awaited[worker.identity]
        self._requests.queued_count -= 1

    def _forget(self, part: Request, gather: Request) -> None:
        """It has its outcome, or needs none; its worker may still owe a reply for it."""
        assert gather.parts is not None, "it is a gather"
        assert part.addressee is not None, "it is a part"
        part.phase = Phase.OVER
        del gather.parts[part.addressee.number]
        gather.client.parts -= 1
        self._requests.open_count -= 1


def _part(gather: Request, worker: Worker) -> Request:
    """One worker's part of a gather. Its worker is not told that it is one: it is asked for one reply."""
    flags = gather.flags & ~(_PARTIALS | _GATHER)
    part = Request(
        gather.client,
        gather.request_id,
        gather.route,
        gather.content_type,
        True,
        flags,
        gather.deadline,
        gather.service,
        gather.target,
        None,
        0,
        gather.order,
    )
    part.accepted_at = gather.accepted_at
    part.gather = gather
    part.addressee = worker
    return part
