"""What clients asked, and what became of it: the judge of everything a caller sees."""

import math

import msgspec

from hootbus.frames.errors import (
    BadBody,
    BadFrame,
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    HandlerFailed,
    HootError,
    Overloaded,
    Quarantined,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.workers.gathered import gathered_of
from sim.violation import Violation

# Rounding to whole milliseconds, on either side.
EPSILON_S = 0.0025
# Services that nobody offers.
NOBODYS = (b"nobody", b"nowhere")
# What rogues say; their identities follow.
FORGED = b"forged by "
_EXPECTED = (
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    HandlerFailed,
    Overloaded,
    Quarantined,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
# From one worker, or instead of its answer.
_ANSWERED = (UnknownMethod, HandlerFailed, Overloaded, UnsupportedContentType, WorkerLost, Cancelled, DeadlineExceeded)
# Errors that say that nothing was done.
_UNTOUCHED = (BrokerStopping, Overloaded, SchemaMismatch, UnknownService)


class Ask(msgspec.Struct, eq=False, kw_only=True):
    """One request of one client, from the outside. `token` travels as the traceparent, so that it can be told apart."""

    token: bytes
    client: str
    identity: bytes
    request_id: bytes
    service: bytes
    flags: int
    timeout: float | None
    asked_at: float
    plain: bool = False
    # Not a request, but a HEARTBEAT to be given back; or a question to the broker itself.
    ping: bool = False
    house: bool = False
    attachments: int = 0
    # Items of its streamed reply.
    length: int = 0
    # Kills every worker that starts it.
    poison: bool = False
    # Of the types it was written with, 0 for none.
    version: int = 0
    # Of a plain client: the addresses in front, to come back unchanged.
    addresses: tuple[bytes, ...] = ()
    starts: int = 0
    # The workers that it was handed to; each of them may answer it, with whatever it likes.
    handed_to: set[bytes] = msgspec.field(default_factory=set)
    # Of a gather: by whom, and who has answered.
    starters: set[str] = msgspec.field(default_factory=set)
    answered: set[int] = msgspec.field(default_factory=set)
    # Copies that the network made of its REQUEST, towards the broker or a worker.
    copies: int = 0
    # And of its REPLY, towards its client.
    echoes: int = 0
    parts: int = 0
    outcomes: int = 0
    result: Message | HootError | None = None
    cancelled: bool = False
    # The network made rubbish of a message of it.
    garbled: bool = False
    # The caller has gone.
    forgotten: bool = False
    # A REQUEST or REPLY of it was lost where nobody could know, so that only a deadline can end it.
    silent: bool = False

    @property
    def idempotent(self) -> bool:
        """Whether it may be carried out twice."""
        return self.ping or bool(self.flags & Flag.IDEMPOTENT)

    @property
    def one_way(self) -> bool:
        """Whether it has no reply."""
        return bool(self.flags & Flag.ONE_WAY)

    @property
    def stream(self) -> bool:
        """Whether it takes partial replies."""
        return bool(self.flags & Flag.PARTIALS)

    @property
    def settled(self) -> bool:
        """Whether nobody waits for it."""
        return self.forgotten or self.outcomes > 0

    @property
    def gather(self) -> bool:
        """Whether it is for every worker of its service."""
        return bool(self.flags & Flag.GATHER)

    def started(self, who: str) -> None:
        """A handler of that worker begins with it."""
        self.starts += 1
        again = who in self.starters if self.gather else self.starts > 1
        self.starters.add(who)
        if again and not self.idempotent and self.starts > len(self.starters) * self.gather + self.copies + 1:
            raise Violation(f"{self} is not idempotent and was started {self.starts} times")

    def lost(self, message: Message, noticed: bool) -> None:
        """The network lost one of its messages; `noticed` if a broken connection tells the client of it."""
        if message.command in (Command.REQUEST, Command.REPLY, Command.HEARTBEAT) and not (
            noticed and self.idempotent and not self.stream
        ):
            self.silent = True

    def part(self, message: Message) -> None:
        """The caller gets an item of a stream."""
        if self.settled:
            raise Violation(f"{self}: a part after its outcome")
        if self.gather:
            self._judge_answer(message)
        elif not self._is_forged(message) and bytes(message.body) != b"%b part %d" % (self.token, self.parts):
            raise Violation(f"{self}: part {self.parts} is {bytes(message.body)!r}")
        self.parts += 1

    def _judge_answer(self, message: Message) -> None:
        """One worker's answer to a gather."""
        answer = gathered_of(message)
        number = int(answer.worker[1:])
        if number in self.answered and not self.copies:
            raise Violation(f"{self}: {answer.worker} answers twice")
        self.answered.add(number)
        if answer.error is None and not self._is_forged(message) and bytes(answer.raw) != b"%b done" % self.token:
            raise Violation(f"{self}: somebody else's answer, {bytes(answer.raw)!r}")
        if answer.error is not None and not isinstance(answer.error, _ANSWERED):
            raise Violation(f"{self}: an answer nobody should see, {answer.error}")

    def ended(self, result: Message | HootError | None, now: float) -> None:
        """The caller gets its outcome."""
        self.outcomes += 1
        self.result = result
        if self.outcomes > 1:
            raise Violation(f"{self}: outcome number {self.outcomes}, {result!r}")
        if isinstance(result, Message):
            self._judge_reply(result)
        elif isinstance(result, HootError):
            self._judge_error(result, now)
        elif not self.one_way:
            raise Violation(f"{self}: an outcome without a result")

    def _judge_reply(self, message: Message) -> None:
        if self.ping or self.house:
            if message.command is not (Command.HEARTBEAT if self.ping else Command.REPLY):
                raise Violation(f"{self}: answered with {message}")
            return
        if self._is_forged(message) or (self.service in NOBODYS and self._is_pong(message)):
            return
        if self.gather:
            if message.content_type is not ContentType.EMPTY or not self.parts:
                raise Violation(f"{self}: a gather of {self.parts} answers ends with {message}")
        elif bytes(message.body) != b"%b done" % self.token or message.traceparent != self.token:
            raise Violation(f"{self}: somebody else's reply, {bytes(message.body)!r}")
        if self.stream and message.options is not None and message.options.sequence != self.parts:
            raise Violation(f"{self}: {self.parts} parts of {message.options.sequence}")

    def _is_pong(self, message: Message) -> bool:
        """Whether the broker says that it is there, in place of a service that is not."""
        return message.content_type is ContentType.CAPNPROTO and self.request_id in bytes(message.body)

    def _is_forged(self, message: Message) -> bool:
        """Whether a rogue says this, that was handed the request: then it may say what it likes."""
        body = bytes(message.body)
        return body.startswith(FORGED) and body.removeprefix(FORGED) in self.handed_to

    def _judge_error(self, error: HootError, now: float) -> None:
        unjudged = self.version and isinstance(error, BadBody) and "cannot be judged" in error.message
        # The question whether its version is understood may have been garbled in its place.
        garbled = (self.garbled or self.version) and isinstance(error, BadFrame)
        if not isinstance(error, _EXPECTED) and not garbled and not unjudged:
            raise Violation(f"{self}: an error nobody should see, {error}")
        if isinstance(error, Overloaded) and "granted" in error.message:
            raise Violation(f"{self}: its producer does not keep to what was granted: {error}")
        if isinstance(error, Cancelled) and not self.cancelled:
            raise Violation(f"{self}: cancelled, though nobody did: {error}")
        if isinstance(error, UnsupportedContentType) and not self.attachments and not self.plain:
            raise Violation(f"{self}: {error}")
        if isinstance(error, UnknownService) and self.flags & Flag.WAIT and not (self.garbled or self.house):
            raise Violation(f"{self}: it asked to wait, and got {error}")
        if isinstance(error, SchemaMismatch) and not self.version:
            raise Violation(f"{self}: it states no types, and got {error}")
        due = self.asked_at + (self.timeout if self.timeout is not None else 0.0)
        if isinstance(error, DeadlineExceeded) and now < due - EPSILON_S:
            raise Violation(f"{self}: too early by {due - now:.4f} s: {error}")
        # What a standing connection lost, as no real one does, a client takes for never sent when the broker ends.
        once = not (self.idempotent or self.stream or self.copies or self.silent)
        if isinstance(error, _UNTOUCHED) and self.starts and once:
            raise Violation(f"{self}: started, and yet {error}")

    def overdue(self, now: float) -> bool:
        """Whether its client's deadline has passed without an outcome."""
        due = self.asked_at + (self.timeout if self.timeout is not None else math.inf)
        return not self.settled and now > due + EPSILON_S

    def __str__(self) -> str:
        flags = ",".join(flag.name.lower() for flag in Flag if self.flags & flag and flag.name) or "-"
        return (
            f"{self.token.decode()} of {self.client} to {self.service.decode() or '(nobody)'} [{flags}] "
            f"timeout={self.timeout} asked at {self.asked_at - 1000:.4f}"
        )


class Asks:
    """All of them, by token, and by client identity and request id as they are on the wire."""

    def __init__(self) -> None:
        self.all: dict[bytes, Ask] = {}
        self._by_key: dict[tuple[bytes, bytes], Ask] = {}
        self._open: dict[bytes, Ask] = {}

    def add(self, ask: Ask) -> None:
        """A new one."""
        self.all[ask.token] = ask
        self._by_key[ask.identity, ask.request_id] = ask
        self._open[ask.token] = ask

    def find(self, identity: bytes, request_id: bytes) -> Ask | None:
        """The latest request of that peer under that id."""
        return self._by_key.get((identity, request_id))

    def open(self) -> list[Ask]:
        """Those that somebody waits for."""
        self._open = {token: ask for token, ask in self._open.items() if not ask.settled}
        return list(self._open.values())
