"""A client's state machine: requests go in, messages to send and outcomes come out.

It decides what happens to a request when the connection breaks, the broker is replaced, time runs out or a stream has a
gap. Nothing here knows a socket, a clock or a thread: time, ids and chance are arguments.
"""

import math
from collections.abc import Callable
from typing import Final

from hootbus.frames.errors import (
    BrokerStopping,
    Cancelled,
    HootError,
    Overloaded,
    SchemaMismatch,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options
from hootbus.frames.protocol import UNKNOWN_VERSION, Command, ContentType, Flag
from hootbus.workers.account import Account
from hootbus.workers.failure import error_of, refusal_of, unsendable
from hootbus.workers.limits import Limits, backoff
from hootbus.workers.link import Link, LinkState
from hootbus.workers.pending import Pending, Stage
from hootbus.workers.session import (
    Barred,
    Call,
    Closed,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Malformed,
    Outcome,
    Part,
    Received,
    Send,
    Ticked,
    Unsent,
    Waiting,
)

# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_PARTIALS: Final[int] = Flag.PARTIALS.value
_WAIT: Final[int] = Flag.WAIT.value
_GATHER: Final[int] = Flag.GATHER.value
# What of these a stream has; a gather has both.
_STREAMED: Final[int] = _PARTIALS | _GATHER
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_UP: Final = LinkState.UP
_REQUEST: Final = Command.REQUEST
_REPLY: Final = Command.REPLY
_MS_PER_S: Final = 1000.0
_RETRIED: Final = (Overloaded, BrokerStopping)
_HELD: Final = Stage.HELD
_SENT: Final = Stage.SENT
_PAUSED: Final = Stage.PAUSED
_COMPARED: Final = Stage.COMPARED


class ClientSession(Account):
    """One client, from its first connection to its end.

    Everything returns the effects to carry out in order. `dropped` counts by reason what came and was let go, `reached`
    by its name how often a limit held something back.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[], bytes],
        random: Callable[[], float],
        now: float,
        limits: Limits | None = None,
        address: str = "the bus address",
    ) -> None:
        limits = limits or Limits()
        super().__init__(limits, Link(limits, new_id, random, now), new_id, address)
        self._random = random
        self.retried = 0

    @property
    def link(self) -> LinkState:
        """Whether the broker is there."""
        return self._link.state

    @property
    def instance(self) -> bytes:
        """The broker's instance id, b"" while unknown."""
        return self._link.instance

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What follows from an event."""
        if type(event) is Received:
            return self._received(event.message, now)
        return _EVENTS[type(event)](self, event, now)

    def request(self, call: Call, now: float) -> list[Effect]:
        """A new request. Its id must not be in flight."""
        assert call.request_id not in self._pending, "a request id is used once at a time"
        size = len(call.body) + sum(map(len, call.attachments)) if call.attachments else len(call.body)
        if refusal := self._refusal(size):
            return [Outcome(call.request_id, refusal)]
        deadline = now + (self._limits.request_timeout_s if call.timeout is None else call.timeout)
        self._deadlines.set(call.request_id, deadline)
        pending = Pending(call, size, deadline)
        if call.flags & _PARTIALS:
            pending.inflow = self._inflows.new(call)
        self._pending[call.request_id] = pending
        self._bytes += size
        return self._send(pending, now) if self._link.state is _UP else []

    def cancel(self, request_id: bytes, now: float) -> list[Effect]:
        """The caller does not want it any more. Nothing, if it has its outcome already."""
        pending = self._pending.get(request_id)
        return [] if pending is None else self._give_up(pending, Cancelled("the caller gave the request up"))

    def took(self, request_id: bytes, now: float) -> list[Effect]:
        """The caller has read one item of a streamed reply."""
        pending = self._pending.get(request_id)
        if pending is None or pending.inflow is None or not pending.inflow.take():
            return []
        return self._inflows.grant(pending, pending.inflow, now)

    def close(self, now: float) -> list[Effect]:
        """Ends the client: every request still open is cancelled."""
        self._closed = True
        effects: list[Effect] = []
        for request_id in list(self._pending):
            pending = self._pending.get(request_id)
            # What waits for a comparison ends with it.
            if pending is not None:
                effects += self._give_up(pending, Cancelled("the client was closed"))
        return [*effects, Closed()]

    def wake_at(self) -> float | None:
        """When the next Ticked is due, None if only an event can change anything."""
        moments = [
            moment
            for moment in (
                self._deadlines.next(),
                self._pauses.next(),
                self._inflows.looks.next(),
                self._link.wake_at(),
            )
            if moment is not None
        ]
        return min(moments, default=None)

    # Events.

    def _connected(self, event: Event, now: float) -> list[Effect]:
        self._hindrance = ""
        return [self._hello()] if self._link.connected(now) else []

    def _disconnected(self, event: Event, now: float) -> list[Effect]:
        self._link.disconnected(now)
        return []

    def _barred(self, event: Event, now: float) -> list[Effect]:
        """To wait for a broker that does not let us in is in vain, and what an earlier connection has sent is lost."""
        assert isinstance(event, Barred)
        self._hindrance = event.error.message
        if not event.hopeless:
            return []
        self._link.disconnected(now)
        lost = WorkerLost(f"{event.error.message}; whether the request was carried out is not known")
        effects: list[Effect] = []
        for pending in list(self._pending.values()):
            # What waits for a comparison may have ended with it.
            if pending.call.request_id in self._pending:
                sent = pending.stage is _SENT and not pending.idempotent
                effects += self._end(pending, lost if sent else event.error)
        return effects

    def _ticked(self, event: Event, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for request_id in self._deadlines.due(now):
            late = self._pending.get(request_id)
            # What waits for a comparison may have ended with it.
            if late is not None:
                effects += self._give_up(late, self._too_late(late))
        for request_id in self._pauses.due(now):
            pending = self._pending[request_id]
            pending.stage = _HELD
            if self._link.state is _UP:
                effects += self._send(pending, now)
        for request_id in self._inflows.looks.due(now):
            effects += self._inflows.look(self._pending[request_id], now)
        if self._link.greeting_due(now):
            effects.append(self._hello())
        if self._link.warning_due(now):
            effects.append(Waiting(f"no broker at {self._address}"))
        return effects

    def _malformed(self, event: Event, now: float) -> list[Effect]:
        return self._drop(Dropped.BAD_FRAME)

    def _unsent(self, event: Event, now: float) -> list[Effect]:
        """Certainly not carried out, so it may go out again whatever it is, unless it is what cannot be sent."""
        assert isinstance(event, Unsent)
        pending = self._pending.get(event.message.request_id)
        if pending is None or pending.stage is not _SENT or event.message.command is not pending.call.command:
            return []
        if event.error is not None:
            return self._end(pending, unsendable(event.error))
        if self._link.state is _UP:
            return self._end(pending, Overloaded("the socket does not take the request"))
        pending.stage = _HELD
        return []

    def _received(self, message: Message, now: float) -> list[Effect]:
        if message.command is _REPLY:
            return self._reply(message, now)
        handler = _COMMANDS.get(message.command)
        return self._drop(Dropped.UNEXPECTED) if handler is None else handler(self, message, now)

    # Messages.

    def _heartbeat(self, message: Message, now: float) -> list[Effect]:
        if self._link.state is LinkState.GREETING and message.request_id == self._link.greeting:
            return self._linked(bytes(message.body), now)
        pending = self._pending.get(message.request_id)
        if pending is not None and pending.call.command is Command.HEARTBEAT:
            return self._end(pending, message)
        # A repeated answer to a hello, or one that came too late: it says nothing new.
        return []

    def _reply(self, message: Message, now: float) -> list[Effect]:
        pending = self._pending.get(message.request_id)
        if pending is None:
            return self._drop(Dropped.LATE_REPLY)
        if pending.call.command is not _REQUEST:
            return self._drop(Dropped.UNEXPECTED)
        if pending.stage is _COMPARED:
            # The refusal that is being seen to, a second time.
            return self._drop(Dropped.LATE_REPLY)
        error = error_of(message)
        if error is None:
            if pending.version is not None:
                return self._agreed(pending, now)
            fault = self._inflows.fault(pending, message) if pending.inflow is not None else None
            return self._end(pending, fault or message)
        if (
            isinstance(error, SchemaMismatch)
            and error.details == UNKNOWN_VERSION
            and pending.call.comparison is not None
        ):
            return self._compare(pending, error, now)
        if isinstance(error, _RETRIED) and self._pause(pending, now):
            pending.patient = pending.patient or isinstance(error, BrokerStopping)
            return []
        return self._end(pending, error)

    def _disconnect(self, message: Message, now: float) -> list[Effect]:
        """The broker ends, having answered all that it had accepted: what is still open never was.

        So it is held for the next broker, whatever it is. Not so what was sent over an earlier connection, with which a
        reply may have gone, and a stream that has begun: its end got lost.
        """
        if self._link.state is not _UP or not isinstance(refusal_of(message), BrokerStopping):
            return self._drop(Dropped.UNEXPECTED)
        over = self._link.greeting
        self._link.refused(now)
        for pending in self._pending.values():
            if pending.stage is _SENT and pending.sent_over == over and not pending.arrived:
                pending.stage = _HELD
                pending.patient = True
        return []

    def _partial(self, message: Message, now: float) -> list[Effect]:
        pending = self._pending.get(message.request_id)
        inflow = pending.inflow if pending is not None else None
        if pending is None or inflow is None:
            return self._drop(Dropped.LATE_PARTIAL)
        sequence = message.options.sequence if message.options is not None else 0
        if sequence < inflow.arrived:
            return self._drop(Dropped.REPEATED_PARTIAL)
        if gap := self._inflows.gap_before(pending, message):
            return self._give_up(pending, gap)
        if sequence >= inflow.granted:
            self.reached["gather_answers" if pending.call.flags & _GATHER else "stream_window"] += 1
            return self._give_up(pending, Overloaded(f"item {sequence} of the stream is more than was granted"))
        inflow.arrived += 1
        return [Part(message.request_id, message)]

    # The link.

    def _hello(self) -> Send:
        return Send(Message((), Command.HEARTBEAT, ContentType.EMPTY, self._link.greeting, options=NO_OPTIONS))

    def _linked(self, instance: bytes, now: float) -> list[Effect]:
        """The broker is there: what it may not have gets sent, what its predecessor had is lost or tried again."""
        linked = self._link.answered(instance)
        effects: list[Effect] = [linked]
        self._understanding.forget()
        for pending in list(self._pending.values()):
            if pending.stage is _HELD:
                effects += self._send(pending, now)
            elif pending.stage is _SENT and pending.idempotent:
                # The broker's successor may know this client before it knows the workers.
                pending.patient = pending.patient or linked.replaced
                effects += self._send(pending, now)
            elif pending.stage is _SENT and linked.replaced:
                lost = WorkerLost("the broker was replaced; whether the request was carried out is not known")
                effects += self._end(pending, lost)
            elif pending.stage is _SENT and pending.inflow is not None and pending.inflow.probe():
                effects += self._inflows.grant(pending, pending.inflow, now)
        return effects

    # Requests.

    def _send(self, pending: Pending, now: float) -> list[Effect]:
        call = pending.call
        if call.flags & _ONE_WAY and call.comparison is not None and not self._understanding.covers(call, now):
            # Nobody would tell that it was not understood.
            return self._compare(pending, None, now)
        pending.stage = _SENT
        pending.sent_over = self._link.greeting
        flags = call.flags | _WAIT if pending.patient else call.flags
        # Without a timeout of the caller's the broker's own holds; ours is for when the broker's word gets lost.
        left = 0 if call.timeout is None else _milliseconds(pending.deadline - now)
        window = self._limits.stream_window if flags & _STREAMED == _PARTIALS else 0
        message = Message(
            (),
            call.command,
            call.content_type,
            call.request_id,
            call.service,
            call.traceparent,
            call.body,
            Options(left, flags, 0, call.schema_id, 0, window, call.fingerprint),
            call.attachments,
        )
        if call.flags & _ONE_WAY:
            return [Send(message), *self._end(pending, None)]
        return [Send(message)]

    def _pause(self, pending: Pending, now: float) -> bool:
        """Whether the request is tried again after a while, under the same id."""
        if not pending.idempotent:
            return False
        if pending.retries >= self._limits.retries:
            self.reached["retries"] += 1
            return False
        again_at = now + backoff(pending.retries, self._random(), self._limits)
        if again_at >= pending.deadline:
            return False
        if pending.stage is _PAUSED:
            # Refused twice, as its reply came twice.
            self._pauses.discard(pending.call.request_id, pending.paused_until)
        pending.retries += 1
        pending.stage = _PAUSED
        self.retried += 1
        pending.paused_until = again_at
        self._pauses.set(pending.call.request_id, again_at)
        return True

    # Versions.

    def _compare(self, pending: Pending, error: HootError | None, now: float) -> list[Effect]:
        """The request waits until the broker has compared the schemas; they may have changed since it last did."""
        if pending.comparisons >= self._limits.comparisons and error is not None:
            self.reached["comparisons"] += 1
            return self._end(pending, error)
        pending.comparisons += 1
        pending.stage = _COMPARED
        question = self._understanding.ask(pending, now)
        if question is None:
            return []
        self._pending[question.call.request_id] = question
        self._deadlines.set(question.call.request_id, question.deadline)
        return self._send(question, now)

    def _agreed(self, question: Pending, now: float) -> list[Effect]:
        """The broker says that they understand each other: what has waited for that is sent (again)."""
        assert question.version is not None
        self._understanding.agreed(question.version, now)
        effects = self._end(question, None)
        for pending in question.waiting.values():
            effects += self._send(pending, now)
        return effects


def _milliseconds(seconds: float) -> int:
    """Time left as the options say it: whole milliseconds, rounded up, as 0 would mean none."""
    left = math.ceil(seconds * _MS_PER_S)
    return left if 0 < left <= U32_MAX else 1 if left <= 0 else U32_MAX


_EVENTS: Final[dict[type, Callable[[ClientSession, Event, float], list[Effect]]]] = {
    Connected: ClientSession._connected,
    Disconnected: ClientSession._disconnected,
    Barred: ClientSession._barred,
    Malformed: ClientSession._malformed,
    Unsent: ClientSession._unsent,
    Ticked: ClientSession._ticked,
}
_COMMANDS: Final[dict[Command, Callable[[ClientSession, Message, float], list[Effect]]]] = {
    Command.HEARTBEAT: ClientSession._heartbeat,
    Command.DISCONNECT: ClientSession._disconnect,
    Command.PARTIAL: ClientSession._partial,
}
