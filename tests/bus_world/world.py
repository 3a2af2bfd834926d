"""A core with a clock and ids that count, and the messages of a few peers, for stories without a socket."""

from collections.abc import Iterable

from bus_world.indexes import check
from hootbus.bus import answers
from hootbus.bus.access import Access
from hootbus.bus.core import Core
from hootbus.bus.effects import Effect, Note, Send
from hootbus.bus.inputs import Drain, Input, Received, ServiceConnected, Ticked, Undeliverable
from hootbus.bus.limits import Limits
from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import HootError, WorkerLost
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import Method, Registration, write_registration

INSTANCE = b"broker-instance1"
START = 1000.0
READY_ID = b"r" * 16
OURS = Options(flags=Flag.WORKER)
RAW, JSON, CAPNPROTO, EMPTY = ContentType.RAW_BINARY, ContentType.JSON, ContentType.CAPNPROTO, ContentType.EMPTY
HOUR_MS = 3_600_000
# A little more than what the broker gives a worker between its end and being let go.
PARTING_S = 0.125


def rid(number: int) -> bytes:
    """A request id."""
    return number.to_bytes(16, "big")


A, B, C, D = rid(0xA), rid(0xB), rid(0xC), rid(0xD)


class World:
    """The core under test. Every step is followed by a check of all that must agree."""

    def __init__(
        self,
        limits: Limits | None = None,
        default_service: str = "",
        access: Access | None = None,
        judging: bool = True,
    ) -> None:
        self.now = START
        self.ids = 0
        self.core = Core(
            instance=INSTANCE,
            new_id=self._new_id,
            now=self.now,
            limits=limits,
            default_service=default_service,
            version="1.2.3",
            pid=77,
            access=access,
            judging=judging,
        )

    def _new_id(self) -> bytes:
        self.ids += 1
        return b"new id %09d" % self.ids

    def step(self, event: Input, after: float = 0.0) -> list[Effect]:
        """What follows from an input that comes `after` seconds; notes for the operator are left out."""
        return [effect for effect in self.noted(event, after) if not isinstance(effect, Note)]

    def noted(self, event: Input, after: float = 0.0) -> list[Effect]:
        """As `step`, with the notes."""
        self.now += after
        effects = self.core.handle(event, self.now)
        check(self.core)
        return effects

    def get(self, message: Message, after: float = 0.0) -> list[Effect]:
        """What follows from a message."""
        return self.step(Received(message), after)

    def hear(self, principal: bytes, message: Message, after: float = 0.0) -> list[Effect]:
        """What follows from a message of the peer with this key."""
        return self.step(Received(message, principal), after)

    def tick(self, after: float = 0.0) -> list[Effect]:
        """What follows from time alone, heartbeats left out."""
        return [effect for effect in self.step(Ticked(), after) if not _is_beat(effect)]

    def gone(self, message: Message) -> list[Effect]:
        """What follows when there was no such peer any more."""
        return self.step(Undeliverable(message, True))

    def full(self, message: Message) -> list[Effect]:
        """What follows when the peer's pipe took no more."""
        return self.step(Undeliverable(message, False))

    def join(
        self, identity: bytes, service: bytes = b"text", slots: int = 1, methods: Iterable[str] = ()
    ) -> list[Effect]:
        """A worker of ours registers; what follows beside its welcome."""
        effects = self.get(ready(identity, service, slots, methods=methods))
        assert effects[0] == welcome(identity), effects
        return effects[1:]

    def join_plain(self, identity: bytes, service: bytes = b"text") -> list[Effect]:
        """A worker registers that knows HOOT01 alone."""
        return self.get(Message((identity,), Command.READY, EMPTY, READY_ID, service))

    def dial(self, identity: bytes, service: str = "text", slots: int = 1) -> list[Effect]:
        """A service that the broker dialled is there."""
        return self.step(ServiceConnected(identity, service, slots))

    def leaves(self, identity: bytes) -> list[Effect]:
        """What follows from a worker's goodbye, in the moment that it is given for it."""
        return self.get(goodbye(identity)) + self.tick(after=PARTING_S)

    def dies(self, identity: bytes) -> list[Effect]:
        """What follows from a worker's death, of which its supervisor tells."""
        return self.get(obituary(identity)) + self.tick(after=PARTING_S)

    def drain(self) -> list[Effect]:
        """The operator asks the broker to end."""
        return self.step(Drain())

    def dropped(self) -> dict[str, int]:
        """What was counted as dropped, and how often."""
        return {reason: count for reason, count in self.core.tally.dropped.items() if count}

    def errors(self) -> dict[str, int]:
        """What was answered as an error, and how often."""
        return {code: count for code, count in self.core.tally.errors.items() if count}


def _is_beat(effect: Effect) -> bool:
    return isinstance(effect, Send) and effect.message.command is Command.HEARTBEAT


def sent(effects: list[Effect]) -> Message:
    """The message that is the only thing to be done."""
    (effect,) = effects
    assert isinstance(effect, Send), effect
    return effect.message


# What peers send


def request(
    identity: bytes,
    request_id: bytes = A,
    service: bytes = b"text",
    body: Buffer = b"body",
    *,
    flags: int = 0,
    deadline_ms: int = 0,
    kind: ContentType = RAW,
    plain: bool = False,
    route: Route = (),
    attachments: tuple[Buffer, ...] = (),
    schema_id: int = 0,
) -> Message:
    """A REQUEST of a client of ours, or of a plain one."""
    options = None if plain else Options(deadline_ms, flags, 0, schema_id)
    return Message((identity, *route), Command.REQUEST, kind, request_id, service, b"", body, options, attachments)


def reply(identity: bytes, request_id: bytes = A, body: Buffer = b"done", *, plain: bool = False) -> Message:
    """A worker's REPLY."""
    return Message((identity,), Command.REPLY, RAW, request_id, b"text", b"", body, None if plain else NO_OPTIONS)


def partial(identity: bytes, request_id: bytes = A, sequence: int = 0) -> Message:
    """A worker's PARTIAL."""
    options = Options(sequence=sequence)
    return Message((identity,), Command.PARTIAL, RAW, request_id, b"text", b"", b"part", options)


def heartbeat(identity: bytes, options: Options | None = OURS, request_id: bytes = READY_ID) -> Message:
    """A HEARTBEAT, by default of a worker of ours."""
    return Message((identity,), Command.HEARTBEAT, EMPTY, request_id, options=options)


def cancel(identity: bytes, request_id: bytes = A) -> Message:
    """A client's CANCEL."""
    return Message((identity,), Command.CANCEL, EMPTY, request_id, options=NO_OPTIONS)


def goodbye(identity: bytes, deadline_ms: int = 0, request_id: bytes = D) -> Message:
    """A DISCONNECT."""
    return Message((identity,), Command.DISCONNECT, EMPTY, request_id, options=Options(deadline_ms=deadline_ms))


def obituary(identity: bytes) -> Message:
    """A supervisor's DISCONNECT in the name of a worker that has died."""
    options = Options(flags=Flag.WORKER, status=WorkerLost.number)
    return Message((identity,), Command.DISCONNECT, EMPTY, D, options=options)


def ready(
    identity: bytes,
    service: bytes = b"text",
    slots: int = 1,
    *,
    ready_id: bytes = READY_ID,
    lost_after_ms: int = 0,
    methods: Iterable[str] = (),
) -> Message:
    """A READY of a worker of ours."""
    registration = Registration(
        worker_id=bytes(16),
        name="name of " + identity.decode(),
        hostname="host",
        version="0.1",
        pid=5,
        slots=slots,
        methods=tuple(Method(name=name) for name in methods),
        extension_version=1,
        lost_after_ms=lost_after_ms,
    )
    body = write_registration(ready_id, registration)
    return Message((identity,), Command.READY, CAPNPROTO, ready_id, service, body=body, options=OURS)


# What the broker sends


def welcome(identity: bytes, ready_id: bytes = READY_ID) -> Send:
    """You are in."""
    return Send(answers.heartbeat((identity,), True, INSTANCE, ready_id))


def beat(identity: bytes, plain: bool = False) -> Send:
    """The broker's own HEARTBEAT."""
    return Send(answers.heartbeat((identity,), not plain, INSTANCE))


def handed(
    identity: bytes,
    message: Message,
    wire_id: bytes = b"",
    *,
    deadline_ms: int = HOUR_MS,
    plain: bool = False,
) -> Send:
    """The REQUEST as the worker gets it."""
    sent = message.options or NO_OPTIONS
    flags = sent.flags if message.options is not None else Flag.PLAIN
    options = None if plain else Options(deadline_ms, flags, 0, sent.schema_id, fingerprint=sent.fingerprint)
    return Send(message.__replace__(route=(identity,), request_id=wire_id or message.request_id, options=options))


def delivered(message: Message, answer: Message) -> Send:
    """A worker's REPLY or PARTIAL as the client gets it."""
    options = answer.options if message.options is not None else None
    return Send(answer.__replace__(route=message.route, request_id=message.request_id, options=options))


def failed(message: Message, error: HootError) -> Send:
    """The error as the client gets it, once its request was accepted."""
    extended = message.options is not None
    service = message.service
    return Send(answers.error_to(message.route, message.request_id, message.content_type, extended, error, service))


def refused(message: Message, error: HootError) -> Send:
    """The error as the client gets it, when its request was not accepted."""
    return Send(answers.error_reply(message, error))


def cancelled(identity: bytes, error: HootError, request_id: bytes = A) -> Send:
    """The CANCEL as the worker gets it."""
    return Send(answers.cancel((identity,), request_id, error))


def dismissed(
    identity: bytes, request_id: bytes = bytes(16), error: HootError | None = None, plain: bool = False
) -> Send:
    """The DISCONNECT as a worker gets it."""
    return Send(answers.disconnect((identity,), not plain, request_id, error))
