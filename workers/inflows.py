"""The streams among a client's requests: what their producers are granted, and whether what came is whole."""

from typing import Final

from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import HootError, Overloaded, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.workers.flow import Inflow
from hootbus.workers.limits import Limits
from hootbus.workers.link import Link, LinkState
from hootbus.workers.pending import Pending
from hootbus.workers.session import Call, Effect, Send

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_GATHER: Final[int] = Flag.GATHER.value
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_UP: Final = LinkState.UP


class Inflows:
    """Flow control of a client's streams over its `link`."""

    def __init__(self, limits: Limits, link: Link) -> None:
        self._limits = limits
        self._link = link
        # When streams are looked at whose last grant may have been lost.
        self.looks: Deadlines[bytes] = Deadlines()

    def new(self, call: Call) -> Inflow:
        """The account of one more."""
        if call.flags & _GATHER:
            return Inflow(self._limits.gather_answers, grants=False)
        return Inflow(self._limits.stream_window)

    def grant(self, pending: Pending, inflow: Inflow, now: float) -> list[Effect]:
        """Tells the producer how far it may go, and looks later whether that may have been lost."""
        request_id = pending.call.request_id
        if inflow.look_at is None:
            self.looks.set(request_id, inflow.next_look(now, self._limits.credit_interval_s))
        if self._link.state is not _UP:
            return []
        options = Options(sequence=inflow.taken, credit=inflow.more)
        return [Send(Message((), Command.CREDIT, ContentType.EMPTY, request_id, options=options))]

    def look(self, pending: Pending, now: float) -> list[Effect]:
        """Grants once more what may not have arrived."""
        inflow = pending.inflow
        assert inflow is not None, "only streams are looked at"
        effects = self.grant(pending, inflow, now) if inflow.is_quiet() else []
        self.looks.set(pending.call.request_id, inflow.next_look(now, self._limits.credit_interval_s))
        return effects

    def fault(self, pending: Pending, message: Message) -> HootError | None:
        """What is wrong with the stream that this REPLY closes."""
        return self.gap_before(pending, message) or self._torn(pending, message)

    @staticmethod
    def gap_before(pending: Pending, message: Message) -> Overloaded | None:
        """The error if an item of the stream is missing in front of this PARTIAL or closing REPLY."""
        if pending.inflow is None:
            return None
        sequence = message.options.sequence if message.options is not None else 0
        if sequence <= pending.inflow.arrived:
            return None
        return Overloaded(f"partial {pending.inflow.arrived} was lost")

    @staticmethod
    def _torn(pending: Pending, message: Message) -> WorkerLost | None:
        """The error if the closing REPLY ends another stream than the one that has begun to arrive."""
        sequence = message.options.sequence if message.options is not None else 0
        if pending.inflow is None or sequence >= pending.inflow.arrived:
            return None
        # The broker had another worker begin anew, and what that one gave is shorter.
        return WorkerLost(f"{pending.inflow.arrived} items came, and the worker that ended the stream gave {sequence}")
