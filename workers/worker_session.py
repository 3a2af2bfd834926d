"""A worker's state machine: requests come out to be run, results go in, messages to send come out.

It keeps the registration alive, its own slots, the deadlines of what runs, and the order of a streamed reply. Nothing
here knows a socket, a clock, a thread or a handler.
"""

from collections.abc import Callable
from typing import Final

from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import (
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    HandlerFailed,
    HootError,
    Overloaded,
    WorkerLost,
    error_from_wire,
)
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType, Flag
from hootbus.workers.failure import refusal_of
from hootbus.workers.flow import Outflow
from hootbus.workers.limits import Limits
from hootbus.workers.link import Link, LinkState
from hootbus.workers.replies import Running, answer, is_plain, reply
from hootbus.workers.session import (
    Abort,
    Barred,
    Body,
    Closed,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Malformed,
    Received,
    Refused,
    Resume,
    Send,
    Start,
    Ticked,
    Unsent,
    Waiting,
    no_drops,
)

_MS_PER_S: Final = 1000.0
# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_PARTIALS: Final[int] = Flag.PARTIALS.value
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_UP: Final = LinkState.UP
_REQUEST: Final = Command.REQUEST
_REPLY: Final = Command.REPLY
_WORKER_OPTIONS: Final = Options(flags=Flag.WORKER)


class WorkerSession:
    """One worker, from its first connection to its end.

    `registration` gives the body of a READY with the request id it is told, `schema` the types of its methods as the
    broker asks for them. Everything returns the effects to carry out in order; `dropped` counts by reason what was let
    go, `reached` by its name how often a limit held something back.
    """

    def __init__(
        self,
        service: bytes,
        *,
        slots: int,
        registration: Callable[[bytes], bytes],
        schema: Callable[[], bytes] = bytes,
        new_id: Callable[[], bytes],
        random: Callable[[], float],
        now: float,
        limits: Limits | None = None,
        address: str = "the bus address",
    ) -> None:
        self._service = service
        self._slots = slots
        self._registration = registration
        self._schema = schema
        self._new_id = new_id
        self._limits = limits or Limits()
        self._address = address
        self._link = Link(self._limits, new_id, random, now)
        self._running: dict[bytes, Running] = {}
        self._deadlines: Deadlines[bytes] = Deadlines()
        self._heartbeat_at: float | None = None
        self._drain_id = b""
        self._drain_until: float | None = None
        self._drain_again_at: float | None = None
        self._closed = False
        self.dropped = no_drops()
        self.reached: Final = self._link.reached
        self.surplus = 0

    def __len__(self) -> int:
        """Handlers that run, also those for whose result nobody waits."""
        return len(self._running)

    @property
    def link(self) -> LinkState:
        """Whether the broker has taken this worker in."""
        return self._link.state

    @property
    def instance(self) -> bytes:
        """The broker's instance id, b"" while unknown."""
        return self._link.instance

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What follows from an event."""
        if self._closed:
            return []
        if type(event) is Received:
            return self._received(event.message, now)
        return _EVENTS[type(event)](self, event, now)

    def finish(self, request_id: bytes, result: Body | HootError, now: float) -> list[Effect]:
        """The handler has ended. Frees its slot; the reply says what became of it, or why nobody waited for it."""
        running = self._running.pop(request_id)
        if running.deadline is not None:
            self._deadlines.discard(request_id, running.deadline)
        if running.orphan or self._closed:
            return self._drop(Dropped.LATE_RESULT)
        if running.reason is not None:
            self.dropped[Dropped.LATE_RESULT] += not isinstance(result, HootError)
            result = running.reason
        try:
            return [Send(reply(running, result))]
        except Exception as error:  # noqa: BLE001  # an error of a program's own class; the slot must be freed all the same
            return [Send(reply(running, HandlerFailed(f"its outcome cannot be told: {type(error).__name__}")))]

    def partial(self, request_id: bytes, item: Body, now: float) -> list[Effect]:
        """The handler has one more item of a streamed reply."""
        running = self._running[request_id]
        if running.reason is not None:
            return self._drop(Dropped.LATE_RESULT)
        outflow = running.outflow
        assert outflow is not None, "only who takes items is sent any"
        options = Options(schema_id=item.schema_id, sequence=outflow.sent)
        outflow.sent += 1
        return [Send(answer(running.message, Command.PARTIAL, item, options))]

    def may_send(self, request_id: bytes, ahead: int) -> bool:
        """Whether the client takes `ahead` more items of the stream, or nobody waits for it, as its handler will find.

        If not, a Resume counts this question once it does, or an Abort comes instead.
        """
        running = self._running[request_id]
        return running.reason is not None or running.outflow is None or running.outflow.may_send(ahead)

    def drain(self, now: float, within: float) -> list[Effect]:
        """Stop: the broker is asked for nothing more, and what runs may take `within` seconds to end."""
        if self._closed or self._drain_until is not None:
            return []
        if self._link.state is not _UP:
            return self._close(Cancelled("the worker is stopping"))
        self._drain_id = self._new_id()
        self._drain_until = now + within
        return [self._ask_for_leave(now)]

    def stop(self, now: float) -> list[Effect]:
        """Stop at once: what runs is aborted, and the broker told."""
        if self._closed:
            return []
        leave: list[Effect] = [Send(self._disconnect(self._new_id(), 0))] if self._link.state is _UP else []
        return [*leave, *self._close(Cancelled("the worker is stopping"))]

    def wake_at(self) -> float | None:
        """When the next Ticked is due, None if only an event can change anything."""
        if self._closed:
            return None
        moments = [
            moment
            for moment in (
                self._deadlines.next(),
                self._link.wake_at(),
                self._heartbeat_at,
                self._drain_again_at,
                self._drain_until,
            )
            if moment is not None
        ]
        return min(moments, default=None)

    # Events.

    def _connected(self, event: Event, now: float) -> list[Effect]:
        effects = self._orphan_all("the connection was replaced")
        return [*effects, self._ready()] if self._link.connected(now) else effects

    def _disconnected(self, event: Event, now: float) -> list[Effect]:
        self._link.disconnected(now)
        self._heartbeat_at = None
        lost = self._orphan_all("broker lost")
        if self._drain_until is not None:
            # What was still to be finished has nobody to answer to.
            return [*lost, *self._close(WorkerLost("broker lost"))]
        return lost

    def _barred(self, event: Event, now: float) -> list[Effect]:
        assert isinstance(event, Barred)
        if not event.hopeless:
            return []
        return [Refused(event.error), *self._close(event.error)]

    def _ticked(self, event: Event, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for request_id in self._deadlines.due(now):
            self._running[request_id].deadline = None
            effects += self._abort(request_id, DeadlineExceeded("the time given for the request is over"))
        if self._link.greeting_due(now):
            effects.append(self._ready())
        if self._link.warning_due(now):
            effects.append(Waiting(f"no broker takes this worker at {self._address}"))
        if self._heartbeat_at is not None and now >= self._heartbeat_at:
            self._heartbeat_at = now + self._limits.heartbeat_interval_s
            effects.append(self._sign_of_life())
        return effects + self._drain_ticked(now)

    def _malformed(self, event: Event, now: float) -> list[Effect]:
        return self._drop(Dropped.BAD_FRAME)

    def _unsent(self, event: Event, now: float) -> list[Effect]:
        """Nobody is left to answer, and a READY or HEARTBEAT is repeated anyway; unless it is what cannot be sent."""
        assert isinstance(event, Unsent)
        message = event.message
        if event.error is None or self._closed:
            return self._drop(Dropped.LATE_RESULT)
        failed = HandlerFailed(f"the reply cannot be sent: {type(event.error).__name__}: {event.error}")
        if message.command is Command.PARTIAL:
            # The stream has a gap now. Its closing reply, if it is not on its way already, will say why.
            return self._abort(message.request_id, failed) if message.request_id in self._running else []
        if message.command is not _REPLY or is_plain(message):
            return self._drop(Dropped.LATE_RESULT)
        # The slot's at the broker, so that reply must go out; and the request's sender waits for it.
        return [Send(reply(Running(message), failed))]

    def _received(self, message: Message, now: float) -> list[Effect]:
        if message.command is _REQUEST:
            return self._request(message, now)
        handler = _COMMANDS.get(message.command)
        return self._drop(Dropped.UNEXPECTED) if handler is None else handler(self, message, now)

    # Messages.

    def _request(self, message: Message, now: float) -> list[Effect]:
        if message.service == WORKER_SCHEMA:
            # Of the broker's own, which may not have taken this worker in yet; it needs no slot.
            body = Body(ContentType.CAPNPROTO, self._schema())
            return [Send(answer(message, _REPLY, body, NO_OPTIONS))]
        if self._link.state is not _UP:
            # It was for an earlier registration, which the READY under way replaces: the broker counts it as lost.
            return self._drop(Dropped.UNREGISTERED_REQUEST)
        earlier = self._running.get(message.request_id)
        if earlier is not None and not earlier.orphan:
            return self._drop(Dropped.REPEATED_REQUEST)
        if earlier is not None or len(self._running) >= self._slots:
            self.surplus += 1
            return [Send(reply(Running(message), Overloaded(f"all {self._slots} slots of this worker are taken")))]
        running = Running(message)
        if message.options is not None and message.options.deadline_ms:
            running.deadline = now + message.options.deadline_ms / _MS_PER_S
            self._deadlines.set(message.request_id, running.deadline)
        options = message.options
        if options is not None and options.flags & _PARTIALS:
            # Of a one-way request nobody takes any items, so nobody will grant more.
            running.outflow = Outflow(0 if options.flags & _ONE_WAY else options.credit)
        self._running[message.request_id] = running
        return [Start(message)]

    def _cancel(self, message: Message, now: float) -> list[Effect]:
        running = self._running.get(message.request_id)
        if running is None or running.orphan:
            return self._drop(Dropped.UNKNOWN_CANCEL)
        status = message.options.status if message.options is not None else 0
        return self._abort(message.request_id, error_from_wire(number=status) if status else Cancelled("cancelled"))

    def _credit(self, message: Message, now: float) -> list[Effect]:
        running = self._running.get(message.request_id)
        options = message.options
        if running is None or running.reason is not None or running.outflow is None or options is None:
            return self._drop(Dropped.UNKNOWN_CREDIT)
        released = running.outflow.grant(options.sequence + options.credit)
        return [Resume(message.request_id, released)] if released else []

    def _heartbeat(self, message: Message, now: float) -> list[Effect]:
        instance = bytes(message.body)
        if self._link.state is LinkState.GREETING:
            if message.request_id != self._link.greeting:
                return []
            self._heartbeat_at = now + self._limits.heartbeat_interval_s
            return [self._link.answered(instance)]
        if self._link.state is _UP and instance and instance != self._link.instance:
            # Another broker, and the connection did not show it.
            return self._register_again(now, "the broker was replaced")
        return []

    def _disconnect_received(self, message: Message, now: float) -> list[Effect]:
        if self._drain_until is not None:
            return self._close(Cancelled("the worker is stopping"))
        error = refusal_of(message)
        if self._link.state is LinkState.GREETING:
            return self._refused(message, error, now)
        if self._link.state is not _UP:
            return self._drop(Dropped.UNEXPECTED)
        if error is None:
            return self._register_again(now, "the broker does not know this worker")
        return self._put_out(error, now)

    # The registration.

    def _ready(self) -> Send:
        body = self._registration(self._link.greeting)
        return Send(
            Message(
                (),
                Command.READY,
                ContentType.CAPNPROTO,
                self._link.greeting,
                self._service,
                body=body,
                options=_WORKER_OPTIONS,
            )
        )

    def _sign_of_life(self) -> Send:
        # Under the registration's own id, so that a late "I do not know you" to an earlier one is told apart.
        message = Message((), Command.HEARTBEAT, ContentType.EMPTY, self._link.greeting, options=_WORKER_OPTIONS)
        return Send(message)

    def _disconnect(self, request_id: bytes, deadline_ms: int) -> Message:
        options = Options(deadline_ms=deadline_ms, flags=Flag.WORKER)
        return Message((), Command.DISCONNECT, ContentType.EMPTY, request_id, self._service, options=options)

    def _refused(self, message: Message, error: HootError | None, now: float) -> list[Effect]:
        """The answer to a READY: not now, or never. Answers to an earlier READY say nothing about this one."""
        if error is None or message.request_id != self._link.greeting:
            return self._drop(Dropped.UNEXPECTED)
        if isinstance(error, Overloaded | BrokerStopping):
            self._link.refused(now)
            return []
        return [Refused(error), *self._close(error)]

    def _put_out(self, error: HootError, now: float) -> list[Effect]:
        """The broker ends the registration, and says why."""
        lost = self._orphan_all(error.message)
        self._heartbeat_at = None
        if isinstance(error, Overloaded | BrokerStopping):
            self._link.refused(now)
            return lost
        return [*lost, Refused(error), *self._close(error)]

    def _register_again(self, now: float, why: str) -> list[Effect]:
        self._heartbeat_at = None
        effects = self._orphan_all(why)
        return [*effects, self._ready()] if self._link.again(now) else effects

    # The end.

    def _ask_for_leave(self, now: float) -> Send:
        assert self._drain_until is not None
        self._drain_again_at = now + self._limits.greeting_interval_s
        left_ms = max(1, int(min((self._drain_until - now) * _MS_PER_S, U32_MAX)))
        return Send(self._disconnect(self._drain_id, left_ms))

    def _drain_ticked(self, now: float) -> list[Effect]:
        if self._drain_until is None or self._closed:
            return []
        if now >= self._drain_until:
            self.reached["drain_timeout_s"] += 1
            return self.stop(now)
        if self._drain_again_at is not None and now >= self._drain_again_at:
            return [self._ask_for_leave(now)]
        return []

    def _close(self, reason: HootError) -> list[Effect]:
        self._closed = True
        aborts: list[Effect] = []
        for request_id in list(self._running):
            aborts += self._abort(request_id, reason)
        self._deadlines.clear()
        return [*aborts, Closed()]

    # What runs.

    def _abort(self, request_id: bytes, reason: HootError) -> list[Effect]:
        running = self._running[request_id]
        if running.reason is not None:
            return []
        running.reason = reason
        return [Abort(request_id, reason)]

    def _orphan_all(self, why: str) -> list[Effect]:
        """Whoever asked is gone. The handlers keep their slots until they have ended."""
        effects: list[Effect] = []
        for request_id, running in self._running.items():
            effects += self._abort(request_id, WorkerLost(why))
            running.orphan = True
            running.deadline = None
        self._deadlines.clear()
        return effects

    def _drop(self, reason: Dropped) -> list[Effect]:
        self.dropped[reason] += 1
        return []


_EVENTS: Final[dict[type, Callable[[WorkerSession, Event, float], list[Effect]]]] = {
    Connected: WorkerSession._connected,
    Disconnected: WorkerSession._disconnected,
    Barred: WorkerSession._barred,
    Malformed: WorkerSession._malformed,
    Unsent: WorkerSession._unsent,
    Ticked: WorkerSession._ticked,
}
_COMMANDS: Final[dict[Command, Callable[[WorkerSession, Message, float], list[Effect]]]] = {
    Command.CANCEL: WorkerSession._cancel,
    Command.CREDIT: WorkerSession._credit,
    Command.HEARTBEAT: WorkerSession._heartbeat,
    Command.DISCONNECT: WorkerSession._disconnect_received,
}
