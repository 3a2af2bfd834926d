"""Streamed replies on their way: items to the client, its credit to the worker.

The broker holds back nothing itself. It remembers how far a stream's client has granted items, so that it can say so to
the next worker when the one that has the request is lost.
"""

from typing import Final

from hootbus.bus import answers
from hootbus.bus.effects import Effect, Send
from hootbus.bus.state import Phase, Request, Worker
from hootbus.bus.tally import Dropped, Tally
from hootbus.frames.message import Message
from hootbus.frames.options import U32_MAX
from hootbus.frames.protocol import Command, Flag

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_PARTIALS: Final[int] = Flag.PARTIALS.value
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_OVER: Final = Phase.OVER
_PARTIAL: Final = Command.PARTIAL


class Streams:
    """What is passed on of streams, both ways."""

    def __init__(self, tally: Tally, effects: list[Effect]) -> None:
        self._tally = tally
        self._effects = effects

    def pass_partial(self, worker: Worker, message: Message) -> None:
        """A worker's PARTIAL goes to a client that said it takes them."""
        request = worker.in_flight.get(message.request_id)
        if request is None or message.options is None:
            self._tally.drop(Dropped.PARTIAL_UNASKED, worker.service)
            return
        if request.phase is _OVER:
            self._tally.drop(Dropped.PARTIAL_LATE, worker.service)
            return
        if not (request.extended and request.flags & _PARTIALS) or request.one_way:
            self._tally.drop(Dropped.PARTIAL_UNASKED, worker.service)
            return
        self._tally.partials += 1
        request.service.partials += 1
        self._effects.append(
            Send(
                Message(
                    request.route,
                    _PARTIAL,
                    message.content_type,
                    request.request_id,
                    message.service,
                    message.traceparent,
                    message.body,
                    message.options,
                    message.attachments,
                )
            )
        )

    def grant(self, request: Request | None, message: Message) -> None:
        """A client's CREDIT goes to the worker that has the request, and is remembered for the next one."""
        options = message.options
        if request is None or options is None or not request.credit:
            self._tally.drop(Dropped.CREDIT_UNKNOWN, request.service if request is not None else None)
            return
        granted = min(options.sequence + options.credit, U32_MAX)
        if granted < request.credit:
            self._tally.drop(Dropped.CREDIT_LATE, request.service)
            return
        # Also if it says nothing new: a client repeats it where it may not have arrived.
        request.credit = granted
        worker = request.worker
        if worker is not None and worker.extended and not worker.going:
            credit = answers.credit(worker.route, request.wire_id, options.sequence, options.credit)
            self._effects.append(Send(credit))
