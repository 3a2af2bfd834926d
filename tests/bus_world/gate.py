"""Workers that state types, and a judge who is told what to find: stories of the gate without a schema."""

from collections.abc import Iterable

from bus_world.world import CAPNPROTO, OURS, READY_ID, World
from hootbus.bus.effects import Effect, Judge, Send
from hootbus.bus.inputs import Judged
from hootbus.bus.judgement import Claim, Finding, Verdict
from hootbus.frames.errors import HootError
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType
from hootbus.schemas import Method, Registration, standard, write_registration, write_struct
from hootbus.schemas.fingerprint import method_fingerprint
from hootbus.workers.failure import error_of

# A type id, and its versions.
CLIP, REPORT, OTHER = 0xC11B, 0x4E60, 0x07E4
V1, V2, V3, R1, R2 = 0xF1, 0xF2, 0xF3, 0xE1, 0xE2
FINE = Verdict(Finding.FINE, names=(("Clip", "Report"),))


def typed(request: int = V1, reply: int = R1, name: str = "play", *, default: bool = True) -> Method:
    """A method with types, as a registration states it; 0 is no type."""
    return Method(
        name=name,
        is_default=default,
        request_type=CLIP if request else 0,
        reply_type=REPORT if reply else 0,
        request_fingerprint=request,
        reply_fingerprint=reply,
    )


def typed_ready(
    identity: bytes, methods: Iterable[Method] = (typed(),), *, service: bytes = b"text", ready_id: bytes = READY_ID
) -> Message:
    """A READY of a worker of ours that states types."""
    registration = Registration(
        worker_id=bytes(16), name=identity.decode(), methods=tuple(methods), extension_version=1
    )
    body = write_registration(ready_id, registration)
    return Message((identity,), Command.READY, CAPNPROTO, ready_id, service, body=body, options=OURS)


def asked(effects: list[Effect]) -> Message:
    """The request for its schema, the only thing that follows from a READY."""
    (effect,) = effects
    assert isinstance(effect, Send)
    assert (effect.message.command, effect.message.service) == (Command.REQUEST, WORKER_SCHEMA)
    return effect.message


def shown(question: Message, nodes: bytes = b"nodes", kind: ContentType = CAPNPROTO, status: int = 0) -> Message:
    """The worker's answer."""
    options = Options(status=status) if status else NO_OPTIONS
    return Message(question.route, Command.REPLY, kind, question.request_id, WORKER_SCHEMA, b"", nodes, options)


def to_judge(effects: list[Effect]) -> tuple[Claim, tuple[Claim, ...]]:
    """The case that is to be judged, the only thing that follows."""
    (effect,) = effects
    assert isinstance(effect, Judge)
    return effect.case.claim, effect.case.known


def attach(world: World, identity: bytes, *methods: Method, nodes: bytes = b"nodes") -> list[Effect]:
    """A worker of a new version comes, and is found to be fine: what follows from that."""
    methods = methods or (typed(),)
    to_judge(world.get(shown(asked(world.get(typed_ready(identity, methods))), nodes)))
    return world.step(Judged(Verdict(Finding.FINE, names=tuple(("Clip", "Report") for _ in methods))))


def calls(
    identity: bytes,
    request_id: bytes,
    fingerprint: int,
    schema_id: int = CLIP,
    service: bytes = b"text/play",
    flags: int = 0,
) -> Message:
    """A client's request that states what it speaks."""
    options = Options(flags=flags, schema_id=schema_id, fingerprint=fingerprint)
    return Message((identity,), Command.REQUEST, CAPNPROTO, request_id, service, b"", b"body", options)


def compares(
    identity: bytes,
    request_id: bytes,
    request: int = V2,
    reply: int = 0,
    nodes: bytes = b"mine",
    target: str = "text/play",
) -> Message:
    """A client's question whether it is understood."""
    body = write_struct(
        standard.broker.Comparison,
        target=target,
        requestType=CLIP if request else 0,
        replyType=REPORT if reply else 0,
        requestFingerprint=request,
        replyFingerprint=reply,
        nodes=nodes,
    ).buffer
    return Message(
        (identity,), Command.REQUEST, CAPNPROTO, request_id, b"hoot.broker/compare", body=body, options=NO_OPTIONS
    )


def both(request: int, reply: int) -> int:
    """How a client that says what it expects names its version."""
    return method_fingerprint(request, reply)


def verdict(finding: Finding, *words: str) -> Judged:
    """What the judge has found."""
    return Judged(Verdict(finding, words))


def status_of(message: Message) -> tuple[int, str]:
    """The number and the details of an error's answer."""
    error: HootError | None = error_of(message)
    assert error is not None
    return error.number, error.details
