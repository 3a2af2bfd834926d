"""An account of its own of what goes in and out of the broker, to hold the core against."""

from collections.abc import Callable
from typing import Final

import msgspec

from hootbus.bus.limits import Limits
from hootbus.frames.errors import HandlerFailed, HootError, Quarantined, WorkerLost
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.protocol import COMPARE, WORKER_SCHEMA, Command, ContentType, Flag
from hootbus.schemas import Registration
from hootbus.workers.failure import error_of
from sim.asks import EPSILON_S, NOBODYS, Ask, Asks
from sim.streams import Streamed
from sim.violation import Violation

# How late the broker's tick may be.
LATE_S: Final = 0.02
_JUDGED_S: Final = 60.0


class Owed(msgspec.Struct, eq=False):
    """A request that the broker has taken and not answered."""

    due: float
    options: bool
    one_way: bool
    idempotent: bool
    # If it takes PARTIALs.
    streamed: Streamed | None
    gather: bool
    # Not a request, but the question whether a version is understood.
    compares: bool = False
    hands: int = 0
    taken_back: int = 0
    # Of its sends: those that left, those whose worker said goodbye, and those whose worker may have had other reasons
    # to go than that it died.
    left: int = 0
    parted: int = 0
    excused: int = 0


class Ledger:
    """What one broker owes to whom, by the messages alone. `plain(identity)` says who sent no options."""

    def __init__(self, limits: Limits, asks: Asks, plain: Callable[[bytes], bool]) -> None:
        self._limits = limits
        self._asks = asks
        self._plain = plain
        self._owed: dict[tuple[bytes, bytes], Owed] = {}
        self._malformed: list[tuple[bytes, bytes]] = []
        self._quarantined: set[tuple[bytes, bytes]] = set()
        # What a worker has answered last, as its client was told, and when.
        self._told: dict[tuple[bytes, bytes], tuple[float, Message]] = {}
        # Of registered workers: the id of their READY, their slots, and what they owe replies for.
        self._ready: dict[bytes, bytes] = {}
        self._slots: dict[bytes, int] = {}
        # The service each of them is for, and the frames that it says it takes: none is all.
        self._offers: dict[bytes, tuple[bytes, frozenset[bytes]]] = {}
        # Who was told that it is in; until then it gets nothing but the question for its schema.
        self._welcome: set[bytes] = set()
        self._handed: dict[bytes, dict[bytes, Message]] = {}
        self._draining: set[bytes] = set()
        # Of workers whose connection is gone, whose own goodbye may still come.
        self._unreachable: dict[bytes, dict[bytes, Message]] = {}

    def received(self, message: Message, registration: Registration, now: float) -> None:
        """Before the core sees it."""
        identity = message.route[0]
        if message.command is Command.REQUEST:
            self._asked(message, now)
        elif message.command is Command.REPLY:
            self._handed.get(identity, {}).pop(message.request_id, None)
        elif message.command is Command.CREDIT:
            owed = self._owed.get((identity, message.request_id))
            if owed is not None and owed.streamed is not None:
                owed.streamed.granted(message)
        elif message.command is Command.READY and (
            message.options is None or self._ready.get(identity) != message.request_id
        ):
            self._begins(identity, message.request_id, registration.slots)
            frames = [message.service + b"/" + method.name.encode() for method in registration.methods]
            self._offers[identity] = message.service, frozenset(frames)
        elif message.command is Command.DISCONNECT and message.options and message.options.deadline_ms:
            self._draining.add(identity)
            for owed in self._owed_by(self._handed.get(identity, {})):
                owed.excused += 1
        elif message.command is Command.DISCONNECT and message.options and message.options.status:
            # Its own obituary, or that by who looked after it.
            self.gone(identity)
        elif message.command is Command.DISCONNECT:
            for owed in self._owed_by(self._handed.get(identity, {})):
                owed.parted += 1
                owed.excused += 1
            for owed in self._owed_by(self._unreachable.get(identity, {})):
                owed.excused += 1
            self.gone(identity)
            self._asks_no_more(identity)

    def _asks_no_more(self, identity: bytes) -> None:
        """A client is gone, which is told nothing of what it had compared."""
        for key in [key for key, owed in self._owed.items() if owed.compares and key[0] == identity]:
            del self._owed[key]

    def dialled(self, identity: bytes, slots: int) -> None:
        """The broker has connected to a service, and may say goodbye to an earlier connection of it first."""
        self._begins(identity, b"", slots)
        self._offers.pop(identity, None)

    def offers(self, identity: bytes, service: bytes) -> None:
        """What such a service offers: whatever it is asked."""
        if identity in self._ready:
            self._offers[identity] = service, frozenset()

    def gone(self, identity: bytes) -> None:
        """That connection is gone, or another worker has died."""
        if self._handed.get(identity):
            self._unreachable[identity] = self._handed[identity]
        self._forget(identity)

    def _begins(self, identity: bytes, ready_id: bytes, slots: int) -> None:
        # What is under way to it may still leave, to nobody who knows of it.
        for owed in self._owed_by(self._handed.get(identity, {}) | self._unreachable.pop(identity, {})):
            owed.left += owed.left < owed.hands - owed.taken_back
        self._draining.discard(identity)
        self._ready[identity] = ready_id
        self._welcome.discard(identity)
        self._slots[identity] = slots
        self._handed[identity] = {}

    def _owed_by(self, handed: dict[bytes, Message]) -> list[Owed]:
        asks = [self._asks.all[message.traceparent] for message in handed.values()]
        found = [self._owed.get((ask.identity, ask.request_id)) for ask in asks]
        return [owed for owed in found if owed is not None]

    def malformed(self, error: MalformedMessage) -> None:
        """Who sent a REQUEST that is none may be told so."""
        if error.request_id is not None:
            self._malformed.append((error.route[0], error.request_id))

    def _asked(self, message: Message, now: float) -> None:
        options = message.options
        key = message.route[0], message.request_id
        one_way = options is not None and bool(options.flags & Flag.ONE_WAY)
        timeout = options.deadline_ms / 1000 if options and options.deadline_ms else self._limits.request_timeout_s
        if message.service == COMPARE:
            # The judge takes his time, with one after the other; the client has a clock of its own.
            timeout = _JUDGED_S
        before = self._owed.get(key)
        if before is None or one_way:
            flags = options.flags if options is not None else 0
            streamed = Streamed(message) if flags & Flag.PARTIALS else None
            self._owed[key] = Owed(
                now + timeout,
                options is not None,
                one_way,
                bool(flags & Flag.IDEMPOTENT),
                streamed,
                bool(flags & Flag.GATHER),
                message.service == COMPARE,
            )

    def sent(self, message: Message, now: float) -> None:
        """What the core decided to send, when it did."""
        identity = message.route[0]
        if (message.options is not None or message.attachments) and self._plain(identity):
            raise Violation(f"our extension goes to a plain peer: {message}")
        match message.command:
            case Command.REPLY:
                self._replied(identity, message, now)
            case Command.PARTIAL:
                owed = self._owed.get((identity, message.request_id))
                if owed is None or owed.one_way or owed.streamed is None:
                    raise Violation(f"a PARTIAL for {identity[:4].hex()}, which asked for none: {message}")
                owed.streamed.part(message)
            case Command.REQUEST:
                self._hand(identity, message, now)
            case Command.CANCEL | Command.CREDIT:
                if message.request_id not in self._handed.get(identity, {}):
                    raise Violation(f"{message} is of a request that {identity[:4].hex()} does not have")
            case Command.DISCONNECT:
                # Its own goodbye may still come.
                self.gone(identity)
            case Command.HEARTBEAT:
                if message.request_id == self._ready.get(identity):
                    self._welcome.add(identity)
                if (message.content_type is ContentType.EMPTY) != (message.options is None):
                    raise Violation(f"a heartbeat that tells a plain peer an instance, or one of ours none: {message}")
            case _:
                raise Violation(f"the broker sends {message}")

    def _replied(self, identity: bytes, message: Message, now: float) -> None:
        key = identity, message.request_id
        if key in self._malformed and b"bad_frame" in bytes(message.body):
            self._malformed.remove(key)
            return
        owed = self._owed.get(key)
        if owed is None or owed.one_way:
            raise Violation(f"a REPLY for {identity[:4].hex()}, which is owed none: {message}")
        del self._owed[key]
        if owed.streamed is not None:
            owed.streamed.closed(message)
        error = error_of(message)
        self._judge_replay(key, owed, message, error, now)
        stopped = isinstance(error, WorkerLost) and "the broker stopped" in error.message
        if isinstance(error, WorkerLost) and not owed.left and not stopped:
            raise Violation(f"{self._asks.find(*key)} is lost with a worker, and never left for any")
        if isinstance(error, WorkerLost) and not stopped and (who := self._who_has(*key)):
            raise Violation(
                f"{self._asks.find(*key)} is lost with a worker, and {who.hex()[:8]}, which has it, is there"
            )
        if isinstance(error, Quarantined):
            deaths = owed.left - owed.parted
            if key not in self._quarantined and deaths < self._limits.strikes:
                raise Violation(f"{self._asks.find(*key)} is quarantined, and was at {deaths} deaths")
            self._quarantined.add(key)

    def _who_has(self, identity: bytes, request_id: bytes) -> bytes:
        """Who was handed this request and has neither answered nor given a reason to be let go."""
        ask = self._asks.find(identity, request_id)
        for who, handed in self._handed.items():
            if who not in self._draining and any(each.traceparent == (ask and ask.token) for each in handed.values()):
                return who
        return b""

    def _judge_replay(
        self, key: tuple[bytes, bytes], owed: Owed, message: Message, error: HootError | None, now: float
    ) -> None:
        """What the broker cannot have of its own for a request that no worker has had, it must have told before."""
        if error is not None and not isinstance(error, HandlerFailed):
            return
        if message.service.startswith(b"hoot.") or message.service in NOBODYS or owed.gather:
            # Its own words, as a gather's end is, which none of its workers may ever have had.
            return
        if owed.hands:
            self._told[key] = now, message
            return
        _, before = self._told.get(key, (0.0, None))
        if before is None or before.__replace__(route=message.route) != message:
            raise Violation(f"{self._asks.find(*key)} is replayed {message}, and was told {before}")
        if not owed.idempotent:
            raise Violation(f"{self._asks.find(*key)} is not idempotent, and its outcome is replayed")

    def _judge_repeat(self, ask: Ask, key: tuple[bytes, bytes], now: float) -> None:
        """What the broker still knows the outcome of need not be carried out again."""
        at, before = self._told.get(key, (0.0, None))
        if before is None or not ask.idempotent or ask.one_way or now >= at + self._limits.outcome_age_s:
            return
        # Where few are kept it may have been forgotten; streams and plain workers' replies never are.
        many = self._limits.outcomes > len(self._told) and self._limits.outcome_bytes > 1 << 16
        if many and before.options is not None and not before.options.sequence:
            raise Violation(f"{ask} was told its outcome, and is carried out again")

    def _hand(self, identity: bytes, message: Message, now: float) -> None:
        who = identity[:4].hex()
        if message.service == WORKER_SCHEMA:
            if identity in self._welcome or identity not in self._ready:
                raise Violation(f"{who}, which is in or is no worker, is asked for its schema")
            return
        if not self._plain(identity) and identity not in self._welcome:
            raise Violation(f"{who} gets work before it is in: {message}")
        handed = self._handed.get(identity)
        if handed is None:
            raise Violation(f"a REQUEST for {who}, which is no worker (any more): {message}")
        if message.request_id in handed:
            raise Violation(f"a second REQUEST under the same id for {who}: {message}")
        handed[message.request_id] = message
        self._asks.all[message.traceparent].handed_to.add(identity)
        if len(handed) > self._slots[identity]:
            raise Violation(f"{who} has {self._slots[identity]} slots and owes {len(handed)} replies")
        ask = self._asks.all[message.traceparent]
        key = ask.identity, ask.request_id
        owed = self._owed.get(key)
        if owed is None:
            raise Violation(f"{ask} is handed to {who} after its client was answered")
        if not owed.gather:
            self._check_method(identity, message)
        if now > owed.due:
            raise Violation(f"{ask} is handed to {who} {now - owed.due:.4f} s after its deadline")
        options = message.options
        if options is not None and not 0 < options.deadline_ms / 1000 <= owed.due - now + EPSILON_S:
            raise Violation(f"{ask} is handed with {options.deadline_ms} ms, and has {owed.due - now:.4f} s")
        # A broker that remembers few forgets others.
        if key in self._quarantined and self._limits.quarantined > 1:
            raise Violation(f"{ask} is quarantined, and handed to {who}")
        self._judge_repeat(ask, key, now)
        owed.hands += 1
        if owed.streamed is not None:
            owed.streamed.handed(identity, message)
        if owed.gather:
            return
        most = self._limits.strikes + owed.excused if ask.idempotent else 1
        if owed.hands - owed.taken_back > most:
            raise Violation(f"{ask} is handed out {owed.hands - owed.taken_back} times")

    def _check_method(self, identity: bytes, message: Message) -> None:
        service, frames = self._offers.get(identity, (b"", None))
        if not frames or message.service in frames:
            return
        for other, (name, theirs) in self._offers.items():
            is_in = (other in self._welcome or self._plain(other)) and other not in self._draining
            if is_in and name == service and (not theirs or message.service in theirs):
                who = identity[:4].hex()
                raise Violation(f"{message.service!r} is handed to {who}, which does not have it; another has")

    def left(self, message: Message) -> None:
        """The socket took it."""
        if message.command is Command.REQUEST and message.service != WORKER_SCHEMA:
            ask = self._asks.all[message.traceparent]
            owed = self._owed.get((ask.identity, ask.request_id))
            if owed is not None:
                owed.left += 1
                owed.excused += message.route[0] in self._draining

    def undelivered(self, message: Message, gone: bool) -> None:
        """The socket did not take it; said before the core hears of it."""
        identity = message.route[0]
        handed = self._handed.get(identity, {})
        if message.command is Command.REQUEST and message.service != WORKER_SCHEMA:
            if handed.get(message.request_id) is message:
                del handed[message.request_id]
            ask = self._asks.all[message.traceparent]
            owed = self._owed.get((ask.identity, ask.request_id))
            if owed is not None:
                owed.taken_back += 1
                if owed.streamed is not None:
                    owed.streamed.taken_back(identity)
        if gone:
            self._asks_no_more(identity)
        if gone and message.command in (Command.HEARTBEAT, Command.CANCEL, Command.CREDIT, Command.REQUEST):
            self.gone(identity)
        elif message.command is Command.HEARTBEAT and message.request_id == self._ready.get(identity):
            # It was not told that it is in, so it is not.
            for owed in self._owed_by(handed):
                owed.excused += 1
            self._forget(identity)

    def _forget(self, identity: bytes) -> None:
        self._ready.pop(identity, None)
        self._slots.pop(identity, None)
        self._offers.pop(identity, None)
        self._welcome.discard(identity)
        self._handed.pop(identity, None)

    def check(self, now: float) -> None:
        """No client is left without an answer for longer than it, or the broker, gave the request."""
        for (identity, request_id), owed in self._owed.items():
            if now > owed.due + LATE_S and not owed.one_way:
                ask = self._asks.find(identity, request_id)
                raise Violation(f"the broker is silent about {ask} for {now - owed.due:.3f} s")

    def check_ended(self) -> None:
        """A broker that has drained owes nothing."""
        for (identity, request_id), owed in self._owed.items():
            ask = self._asks.find(identity, request_id)
            # A session's own question is nobody's, and of a client that has gone it is dropped.
            if not owed.one_way and ask is not None:
                raise Violation(f"the broker ends and owes a reply for {ask}")
