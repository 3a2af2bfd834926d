"""What the broker answers of itself, and how that and the questions are written: in JSON and in Cap'n Proto."""

from typing import Any, Final, TypeVar

import msgspec

from hootbus.bus import answers
from hootbus.frames.errors import BadBody, UnsupportedContentType
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType
from hootbus.schemas import BodyError, read_capnp, read_json, standard, type_id, write_capnp, write_json

Q = TypeVar("Q", bound=msgspec.Struct)

_IDS: Final = frozenset({"requestType", "replyType", "requestFingerprint", "replyFingerprint"})
_COUNTS: Final = frozenset({"counters", "dropped", "errors", "failures", "reached"})


class StatusAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/status`.

    `errors` counts the broker's own outcomes by code and `failures` those of workers, `dropped` messages by reason,
    `reached` how often each limit held something back.
    """

    broker: str
    version: str
    state: str
    pid: int
    uptimeSecs: int
    services: int
    workers: int
    queued: int
    inFlight: int
    heldBytes: int
    counters: dict[str, int]
    errors: dict[str, int]
    dropped: dict[str, int]
    failures: dict[str, int]
    reached: dict[str, int]


class MethodAnswer(msgspec.Struct, frozen=True):
    """A method's types in one version: names, type ids and fingerprints, "" and 0 where nothing is said."""

    name: str
    isDefault: bool
    request: str
    reply: str
    requestType: int
    replyType: int
    requestFingerprint: int
    replyFingerprint: int


class VersionAnswer(msgspec.Struct, frozen=True):
    """A version of a service's types, and how many workers speak it."""

    workers: int
    methods: tuple[MethodAnswer, ...]


class ServiceAnswer(msgspec.Struct, frozen=True):
    """One of `hoot.broker/services`; counts since the service was first offered."""

    name: str
    workers: int
    slots: int
    free: int
    queued: int
    queuedBytes: int
    inFlight: int
    requests: int
    replies: int
    errors: int
    methods: tuple[str, ...]
    versions: tuple[VersionAnswer, ...]
    pending: int
    refused: int
    dropped: dict[str, int]
    unjudged: int


class ServicesAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/services`, by name; `dropped` are messages that belong to none."""

    services: tuple[ServiceAnswer, ...]
    dropped: dict[str, int]


class WorkerAnswer(msgspec.Struct, frozen=True):
    """One of `hoot.broker/workers`. `id` is the broker's own name for it: a routing id is nobody's business."""

    id: str
    service: str
    name: str
    hostname: str
    version: str
    state: str
    pid: int
    slots: int
    inFlight: int
    done: int
    silentMs: int
    connectedSecs: int
    extension: bool


class WorkersAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/workers`, longest attached first."""

    workers: tuple[WorkerAnswer, ...]


class HistogramAnswer(msgspec.Struct, frozen=True):
    """How many took how long. `counts` has one for each bound, and one for what took longer than all."""

    counts: tuple[int, ...]
    totalSecs: float


class ServiceLatenciesAnswer(msgspec.Struct, frozen=True):
    """One of `hoot.broker/latencies`: how long its requests waited for a worker, and took until their replies."""

    name: str
    waited: HistogramAnswer
    took: HistogramAnswer


class LatenciesAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/latencies`, by name; counts since the service was first offered, between bounds in seconds."""

    bounds: tuple[float, ...]
    services: tuple[ServiceLatenciesAnswer, ...]


class DrainAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/drain`: what the broker will still finish before it ends."""

    state: str
    inFlight: int
    queued: int


class EchoAnswer(msgspec.Struct, frozen=True):
    """`hoot.events/echo`, question and answer: the topic an empty event is published under."""

    topic: str


class SchemaQuestion(msgspec.Struct, frozen=True):
    """What `hoot.broker/schema` takes."""

    service: str


class VersionSchema(msgspec.Struct, frozen=True):
    """A version with its schema, a CodeGeneratorRequest; in JSON as base64. Empty if there is no room for it."""

    version: VersionAnswer
    nodes: bytes


class SchemaAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/schema`: the versions that a service's workers speak, that of most workers first."""

    versions: tuple[VersionSchema, ...]


class ComparedAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/compare`: they understand each other."""

    target: str


class QuarantinedAnswer(msgspec.Struct, frozen=True):
    """One of `hoot.quarantine/list`. `held` is False if there was no room for its body."""

    id: str
    service: str
    contentType: str
    bytes: int
    held: bool
    strikes: int
    ageSecs: int
    retrying: bool


class QuarantineAnswer(msgspec.Struct, frozen=True):
    """`hoot.quarantine/list`, the oldest first."""

    requests: tuple[QuarantinedAnswer, ...]


class QuarantineQuestion(msgspec.Struct, frozen=True):
    """What `hoot.quarantine/show`, `retry` and `drop` take; `all` is for the latter."""

    id: str = ""
    all: bool = False


class ShownAnswer(msgspec.Struct, frozen=True):
    """`hoot.quarantine/show`: the body, in JSON as base64, and how many attachments come with it.

    The body is empty where it is not held, or is too large to be shown.
    """

    request: QuarantinedAnswer
    body: bytes
    attachments: int


class DroppedAnswer(msgspec.Struct, frozen=True):
    """`hoot.quarantine/drop`: how many it was."""

    dropped: int


_SCHEMAS: Final[dict[type[msgspec.Struct], Any]] = {
    StatusAnswer: standard.broker.Status,
    ServicesAnswer: standard.broker.Services,
    WorkersAnswer: standard.broker.Workers,
    LatenciesAnswer: standard.broker.Latencies,
    DrainAnswer: standard.broker.Drain,
    EchoAnswer: standard.broker.EchoRequest,
    SchemaAnswer: standard.broker.ServiceSchema,
    ComparedAnswer: standard.broker.Compared,
    QuarantineAnswer: standard.broker.Quarantine,
    ShownAnswer: standard.broker.QuarantineShown,
    DroppedAnswer: standard.broker.QuarantineDropped,
}


# The others need not be searched for ids; the longest of them, with all latencies, would take three times as long.
_WITH_IDS: Final = (ServicesAnswer, SchemaAnswer)


def _with_ids_as_text(value: Any) -> Any:  # noqa: ANN401  # JSON, or a part of it
    """Ids and fingerprints as people and `hoot schema` write them: as numbers, readers of JSON would round them."""
    if isinstance(value, dict):
        return {
            name: f"{inner:#018x}" if name in _IDS and isinstance(inner, int) else _with_ids_as_text(inner)
            for name, inner in value.items()
        }
    return [_with_ids_as_text(inner) for inner in value] if isinstance(value, list | tuple) else value


def question(message: Message, kind: type[Q], schema: Any) -> Q:  # noqa: ANN401  # a struct of a loaded file
    """What a request to the broker itself says. Raises BadBody or UnsupportedContentType."""
    try:
        if message.content_type is ContentType.JSON:
            return read_json(message.body, kind)
        if message.content_type is ContentType.CAPNPROTO:
            asked = read_capnp(message.body, schema)
            return msgspec.convert({field: getattr(asked, field) for field in kind.__struct_fields__}, kind)
    except BodyError as error:
        raise BadBody(str(error)) from None
    raise UnsupportedContentType(f"{message.service.decode(errors='replace')} takes JSON or Cap'n Proto")


def reply(message: Message, answer: msgspec.Struct) -> Message:
    """The answer in the form of the question: Cap'n Proto for Cap'n Proto, JSON for all else."""
    if message.content_type is not ContentType.CAPNPROTO:
        told = _with_ids_as_text(msgspec.to_builtins(answer)) if isinstance(answer, _WITH_IDS) else answer
        return answers.reply(message, ContentType.JSON, write_json(told))
    schema = _SCHEMAS[type(answer)]
    body = write_capnp(schema.new_message(**_without_maps(msgspec.to_builtins(answer, builtin_types=(bytes,)))))
    return answers.reply(message, ContentType.CAPNPROTO, body, type_id(schema))


def _without_maps(value: Any) -> Any:  # noqa: ANN401  # an answer, or a part of it
    """Cap'n Proto has no maps: counts are lists of name and value."""
    if isinstance(value, dict):
        return {
            name: [{"name": each, "value": count} for each, count in inner.items()]
            if name in _COUNTS and isinstance(inner, dict)
            else _without_maps(inner)
            for name, inner in value.items()
        }
    return [_without_maps(inner) for inner in value] if isinstance(value, list | tuple) else value
