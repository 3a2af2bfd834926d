"""A client's state machine: requests go in, messages to send and outcomes come out.

It decides what happens to a request when the connection breaks, the broker is replaced, time runs out or a stream has a
gap. Nothing here knows a socket, a clock or a thread: time, ids and chance are arguments.
"""

import math
from collections.abc import Callable
from enum import Enum
from typing import Final

from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import (
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    HootError,
    Overloaded,
    SchemaMismatch,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options
from hootbus.frames.protocol import COMPARE, UNKNOWN_VERSION, Command, ContentType, Flag
from hootbus.workers.failure import error_of, refusal_of, unsendable
from hootbus.workers.flow import Inflow
from hootbus.workers.limits import Limits, backoff
from hootbus.workers.link import Link, LinkState
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
    no_drops,
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
_RETRIED: Final = (Overloaded, BrokerStopping)
_MS_PER_S: Final = 1000.0


class Stage(Enum):
    """Where a request is: with us (HELD, PAUSED before another try, or COMPARED until schemas are), or SENT."""

    HELD = "held"
    SENT = "sent"
    PAUSED = "paused"
    COMPARED = "compared"


_HELD: Final = Stage.HELD
_SENT: Final = Stage.SENT
_PAUSED: Final = Stage.PAUSED
_COMPARED: Final = Stage.COMPARED
# Kept from one-way request to one-way request; programs speak few versions.
_UNDERSTOOD_MAX: Final = 4096


class Pending:
    """A request without an outcome. `deadline` is on the session's clock.

    A `patient` one was for a broker that is gone: it waits for its service to come to the new one.
    """

    stage: Stage = _HELD
    paused_until: float = 0.0
    retries: int = 0
    # Of what comes in items.
    inflow: Inflow | None = None
    patient: bool = False
    # The connection it was last sent over, by the greeting there.
    sent_over: bytes = b""
    comparisons: int = 0
    # Of the session's own question whether a version is understood: which one, and the requests that wait for that.
    version: tuple[bytes, int] | None = None

    def __init__(self, call: Call, size: int, deadline: float) -> None:
        self.call = call
        self.size = size
        self.deadline = deadline
        self.waiting: dict[bytes, Pending] = {}

    @property
    def idempotent(self) -> bool:
        """Whether it may be carried out twice. A ping may, and so may no stream that has begun to arrive."""
        may = self.call.flags & _IDEMPOTENT or self.call.command is Command.HEARTBEAT
        return bool(may) and not self.arrived

    @property
    def arrived(self) -> int:
        """How many items of a stream have come."""
        return self.inflow.arrived if self.inflow is not None else 0


class ClientSession:
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
        self._limits = limits or Limits()
        self._new_id = new_id
        self._random = random
        self._address = address
        self._link = Link(self._limits, new_id, random, now)
        self._pending: dict[bytes, Pending] = {}
        self._bytes = 0
        self._deadlines: Deadlines[bytes] = Deadlines()
        self._pauses: Deadlines[bytes] = Deadlines()
        # When streams are looked at whose last grant may have been lost.
        self._looks: Deadlines[bytes] = Deadlines()
        self._closed = False
        # Why no connection came about, if that is known.
        self._hindrance = ""
        # By target and fingerprint: what is being compared, and until when what this broker has found to be understood
        # is taken to be so.
        self._questions: dict[tuple[bytes, int], Pending] = {}
        self._understood: dict[tuple[bytes, int], float] = {}
        self.dropped = no_drops()
        self.reached: Final = self._link.reached
        self.retried = 0

    def __len__(self) -> int:
        """Requests without an outcome."""
        return len(self._pending) - len(self._questions)

    @property
    def pending_bytes(self) -> int:
        """Bytes of the bodies and attachments of the requests without an outcome."""
        return self._bytes

    @property
    def timer_entries(self) -> int:
        """Entries kept for deadlines and retries, stale ones included."""
        return self._deadlines.entries + self._pauses.entries + self._looks.entries

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
            pending.inflow = self._new_inflow(call)
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
        return self._grant(pending, pending.inflow, now)

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
            for moment in (self._deadlines.next(), self._pauses.next(), self._looks.next(), self._link.wake_at())
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
        for request_id in self._looks.due(now):
            effects += self._look(self._pending[request_id], now)
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
            return self._end(pending, self._gap_before(pending, message) or self._torn(pending, message) or message)
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
        if gap := self._gap_before(pending, message):
            return self._give_up(pending, gap)
        if sequence >= inflow.granted:
            self.reached["gather_answers" if pending.call.flags & _GATHER else "stream_window"] += 1
            return self._give_up(pending, Overloaded(f"item {sequence} of the stream is more than was granted"))
        inflow.arrived += 1
        return [Part(message.request_id, message)]

    # Flow control.

    def _new_inflow(self, call: Call) -> Inflow:
        if call.flags & _GATHER:
            return Inflow(self._limits.gather_answers, grants=False)
        return Inflow(self._limits.stream_window)

    def _grant(self, pending: Pending, inflow: Inflow, now: float) -> list[Effect]:
        """Tells the producer how far it may go, and looks later whether that may have been lost."""
        request_id = pending.call.request_id
        if inflow.look_at is None:
            self._looks.set(request_id, inflow.next_look(now, self._limits.credit_interval_s))
        if self._link.state is not _UP:
            return []
        options = Options(sequence=inflow.taken, credit=inflow.more)
        return [Send(Message((), Command.CREDIT, ContentType.EMPTY, request_id, options=options))]

    def _look(self, pending: Pending, now: float) -> list[Effect]:
        inflow = pending.inflow
        assert inflow is not None, "only streams are looked at"
        effects = self._grant(pending, inflow, now) if inflow.is_quiet() else []
        self._looks.set(pending.call.request_id, inflow.next_look(now, self._limits.credit_interval_s))
        return effects

    # The link.

    def _hello(self) -> Send:
        return Send(Message((), Command.HEARTBEAT, ContentType.EMPTY, self._link.greeting, options=NO_OPTIONS))

    def _linked(self, instance: bytes, now: float) -> list[Effect]:
        """The broker is there: what it may not have gets sent, what its predecessor had is lost or tried again."""
        linked = self._link.answered(instance)
        effects: list[Effect] = [linked]
        self._understood.clear()
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
                effects += self._grant(pending, pending.inflow, now)
        return effects

    # Requests.

    def _refusal(self, size: int) -> HootError | None:
        if self._closed:
            return Cancelled("the client is closed")
        if len(self._pending) >= self._limits.requests:
            self.reached["requests"] += 1
            return Overloaded(f"{len(self._pending)} requests of this client are in flight")
        if self._bytes + size > self._limits.request_bytes and self._pending:
            self.reached["request_bytes"] += 1
            return Overloaded(f"{self._bytes} bytes of this client's requests are in flight")
        return None

    def _send(self, pending: Pending, now: float) -> list[Effect]:
        call = pending.call
        if call.flags & _ONE_WAY and call.comparison is not None:
            understood_until = self._understood.get((call.service, call.fingerprint))
            if understood_until is None or understood_until <= now:
                # Nobody would tell that it was not understood.
                self.reached["understood_s"] += understood_until is not None
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
        call = pending.call
        if pending.comparisons >= self._limits.comparisons and error is not None:
            self.reached["comparisons"] += 1
            return self._end(pending, error)
        pending.comparisons += 1
        pending.stage = _COMPARED
        version = call.service, call.fingerprint
        question = self._questions.get(version)
        if question is not None:
            question.waiting[call.request_id] = pending
            return []
        assert call.comparison is not None, "who states a version can show it"
        timeout = self._limits.comparison_timeout_s
        asked = Call(
            request_id=self._new_id(),
            service=COMPARE,
            content_type=ContentType.CAPNPROTO,
            body=call.comparison(),
            flags=_IDEMPOTENT,
            timeout=timeout,
        )
        # Of no size: the bound on bytes is for what callers ask.
        question = Pending(asked, 0, now + timeout)
        question.version = version
        question.waiting[call.request_id] = pending
        self._questions[version] = self._pending[asked.request_id] = question
        self._deadlines.set(asked.request_id, question.deadline)
        return self._send(question, now)

    def _agreed(self, question: Pending, now: float) -> list[Effect]:
        """The broker says that they understand each other: what has waited for that is sent (again)."""
        assert question.version is not None
        if len(self._understood) >= _UNDERSTOOD_MAX:
            self._understood.clear()
        self._understood[question.version] = now + self._limits.understood_s
        effects = self._end(question, None)
        for pending in question.waiting.values():
            effects += self._send(pending, now)
        return effects

    def _gap_before(self, pending: Pending, message: Message) -> Overloaded | None:
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

    def _too_late(self, pending: Pending) -> HootError:
        if pending.version is not None:
            # Those that wait for it have deadlines of their own; nothing was done for them.
            self.reached["comparison_timeout_s"] += 1
            return Overloaded(f"the schemas were not compared within {self._limits.comparison_timeout_s} s")
        timeout = pending.call.timeout
        self.reached["request_timeout_s"] += timeout is None
        after = f"no reply within {self._limits.request_timeout_s if timeout is None else timeout} s"
        if pending.stage is _HELD:
            return DeadlineExceeded(f"{after}: {self._hindrance or f'there was no broker at {self._address}'}")
        return DeadlineExceeded(after)

    def _give_up(self, pending: Pending, error: HootError) -> list[Effect]:
        """Ends it at our end, and tells the broker if it may have it."""
        effects = self._end(pending, error)
        if pending.stage is _HELD or pending.stage is _COMPARED or pending.call.command is not _REQUEST:
            return effects
        cancel = Message((), Command.CANCEL, ContentType.EMPTY, pending.call.request_id, options=NO_OPTIONS)
        return [*effects, Send(cancel)] if self._link.state is _UP else effects

    def _end(self, pending: Pending, result: Message | HootError | None) -> list[Effect]:
        request_id = pending.call.request_id
        del self._pending[request_id]
        self._bytes -= pending.size
        self._deadlines.discard(request_id, pending.deadline)
        if pending.stage is _PAUSED:
            self._pauses.discard(request_id, pending.paused_until)
        elif pending.stage is _COMPARED:
            # What is asked and given up again and again would else pile up there until the answer comes.
            del self._questions[pending.call.service, pending.call.fingerprint].waiting[request_id]
        if pending.inflow is not None and pending.inflow.look_at is not None:
            self._looks.discard(request_id, pending.inflow.look_at)
        if pending.version is None:
            return [Outcome(request_id, result)]
        del self._questions[pending.version]
        effects: list[Effect] = []
        for waiting in pending.waiting.values():
            waiting.stage = _HELD
            if isinstance(result, HootError):
                effects += self._end(waiting, result)
        return effects

    def _drop(self, reason: Dropped) -> list[Effect]:
        self.dropped[reason] += 1
        return []


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
