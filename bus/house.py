"""The broker's own services, `hoot.broker` and `hoot.events`: what they answer, in JSON and in Cap'n Proto."""

from typing import Any, Final

import msgspec

from hootbus.bus import answers
from hootbus.bus.effects import Effect, Publish
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.tally import Tally
from hootbus.frames.errors import BadBody, HootError, UnknownMethod, UnknownService, UnsupportedContentType
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType
from hootbus.schemas import BodyError, read_capnp, read_json, standard, type_id, write_capnp, write_json

BROKER: Final = b"hoot.broker"
EVENTS: Final = b"hoot.events"
# Only under this prefix does the broker publish for a peer, so that nobody can speak in another's name.
ECHO_PREFIX: Final = "hoot.echo."
_ECHO_CHARS_MAX: Final = 64


class StatusAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/status`. `errors` counts outcomes by code, `dropped` messages by reason."""

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


class ServicesAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/services`, by name."""

    services: tuple[ServiceAnswer, ...]


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


class DrainAnswer(msgspec.Struct, frozen=True):
    """`hoot.broker/drain`: what the broker will still finish before it ends."""

    state: str
    inFlight: int
    queued: int


class EchoAnswer(msgspec.Struct, frozen=True):
    """`hoot.events/echo`, question and answer: the topic an empty event is published under."""

    topic: str


_SCHEMAS: Final[dict[type[msgspec.Struct], Any]] = {
    StatusAnswer: standard.broker.Status,
    ServicesAnswer: standard.broker.Services,
    WorkersAnswer: standard.broker.Workers,
    DrainAnswer: standard.broker.Drain,
    EchoAnswer: standard.broker.EchoRequest,
}


class House:
    """Answers for the broker itself. `drain` is asked of whoever made it, as it is the whole broker's business."""

    def __init__(
        self,
        requests: Requests,
        roster: Roster,
        tally: Tally,
        *,
        instance: bytes,
        version: str,
        pid: int,
        effects: list[Effect],
        now: float,
    ) -> None:
        self._requests = requests
        self._roster = roster
        self._tally = tally
        self._instance = instance
        self._version = version
        self._pid = pid
        self._effects = effects
        self._started_at = now

    def uptime_s(self, now: float) -> int:
        """Whole seconds since the broker began."""
        return int(now - self._started_at)

    def ask(self, message: Message, state: str, now: float) -> bool:
        """Answers a request to `hoot.*`; True if the broker was asked to drain."""
        service, _, method = message.service.partition(b"/")
        try:
            answer = self._answer(service, method.decode(errors="replace"), message, state, now)
        except HootError as error:
            self._requests.refuse(message, error)
            return False
        self._tally.requests += 1
        self._tally.replies += 1
        if isinstance(answer, EchoAnswer):
            self._effects.append(Publish(answer.topic.encode()))
        self._requests.answer(_reply(message, answer), message)
        return isinstance(answer, DrainAnswer)

    def _answer(self, service: bytes, method: str, message: Message, state: str, now: float) -> msgspec.Struct:
        if service == EVENTS:
            if method != "echo":
                raise UnknownMethod("hoot.events has the method echo")
            return EchoAnswer(_echo_topic(message))
        if service != BROKER:
            raise UnknownService(f"the broker itself has no service {service.decode(errors='replace')!r}")
        match method:
            case "status":
                return self._status(state, now)
            case "services":
                return self._services()
            case "workers":
                return self._workers(now)
            case "drain":
                requests = self._requests
                queued = requests.queued_count
                return DrainAnswer(state="draining", inFlight=requests.open_count - queued, queued=queued)
        raise UnknownMethod("hoot.broker has the methods status, services, workers and drain")

    def _status(self, state: str, now: float) -> StatusAnswer:
        requests, tally = self._requests, self._tally
        counters = {
            "requests": tally.requests,
            "replies": tally.replies,
            "partials": tally.partials,
            "merged": tally.merged,
            "retried": tally.retried,
            "workers_attached": tally.workers_attached,
            "workers_lost": tally.workers_lost,
            "disconnects": tally.disconnects,
        }
        dropped = dict(tally.dropped)
        for field, count in tally.malformed.items():
            dropped[f"bad_frame.{field.replace(' ', '_')}"] = count
        return StatusAnswer(
            broker=self._instance.hex(),
            version=self._version,
            state=state,
            pid=self._pid,
            uptimeSecs=self.uptime_s(now),
            services=len(requests.services),
            workers=len(self._roster.workers),
            queued=requests.queued_count,
            inFlight=requests.open_count - requests.queued_count,
            heldBytes=requests.held_bytes,
            counters=counters,
            errors=dict(tally.errors),
            dropped=dropped,
        )

    def _services(self) -> ServicesAnswer:
        found = []
        for name, service in sorted(self._requests.services.items()):
            workers = service.workers.values()
            in_flight = sum(len(worker.in_flight) for worker in workers)
            slots = sum(worker.slots for worker in workers)
            found.append(
                ServiceAnswer(
                    name=name.decode(),
                    workers=len(workers),
                    slots=slots,
                    free=slots - in_flight,
                    queued=len(service.queue),
                    queuedBytes=service.queue_bytes,
                    inFlight=in_flight,
                    requests=service.requests,
                    replies=service.replies,
                    errors=service.errors,
                    methods=tuple(sorted({method for worker in workers for method in worker.methods})),
                )
            )
        return ServicesAnswer(tuple(found))

    def _workers(self, now: float) -> WorkersAnswer:
        return WorkersAnswer(
            tuple(
                WorkerAnswer(
                    id=f"w{worker.number}",
                    service=worker.service.name.decode(),
                    name=worker.name,
                    hostname=worker.hostname,
                    version=worker.version,
                    state=worker.state,
                    pid=worker.pid,
                    slots=worker.slots,
                    inFlight=len(worker.in_flight),
                    done=worker.done,
                    silentMs=int((now - worker.seen_at) * 1000),
                    connectedSecs=int(now - worker.connected_at),
                    extension=worker.extended,
                )
                for worker in self._roster.workers.values()
            )
        )


def _echo_topic(message: Message) -> str:
    """The topic in an echo request's body. Raises BadBody or UnsupportedContentType."""
    try:
        if message.content_type is ContentType.JSON:
            topic = read_json(message.body, EchoAnswer).topic
        elif message.content_type is ContentType.CAPNPROTO:
            topic = str(read_capnp(message.body, standard.broker.EchoRequest).topic)
        else:
            raise UnsupportedContentType("hoot.events/echo takes JSON or Cap'n Proto")
    except BodyError as error:
        raise BadBody(str(error)) from None
    if not topic.startswith(ECHO_PREFIX) or len(topic) > _ECHO_CHARS_MAX or not topic.isascii():
        raise BadBody(f"the topic must begin with {ECHO_PREFIX!r} and have at most {_ECHO_CHARS_MAX} ASCII characters")
    return topic


def _reply(message: Message, answer: msgspec.Struct) -> Message:
    """The answer in the form of the question: Cap'n Proto for Cap'n Proto, JSON for all else."""
    if message.content_type is not ContentType.CAPNPROTO:
        return answers.reply(message, ContentType.JSON, write_json(answer))
    schema = _SCHEMAS[type(answer)]
    fields = msgspec.to_builtins(answer)
    # Cap'n Proto has no maps: counters are lists of name and value.
    for field, value in fields.items():
        if isinstance(value, dict):
            fields[field] = [{"name": name, "value": count} for name, count in value.items()]
    body = write_capnp(schema.new_message(**fields))
    return answers.reply(message, ContentType.CAPNPROTO, body, type_id(schema))
