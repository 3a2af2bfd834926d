"""The broker's own services, by what they are asked; `hoot.quarantine` is the ward's."""

import math
from functools import partial
from typing import Final

import msgspec

from hootbus.bus.comparisons import Comparison
from hootbus.bus.effects import Effect, Publish
from hootbus.bus.gate import Gate
from hootbus.bus.latencies import BOUNDS_S, Latencies
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.state import Service
from hootbus.bus.statements import (
    ComparedAnswer,
    DrainAnswer,
    EchoAnswer,
    HistogramAnswer,
    LatenciesAnswer,
    MethodAnswer,
    SchemaAnswer,
    SchemaQuestion,
    ServiceAnswer,
    ServiceLatenciesAnswer,
    ServicesAnswer,
    StatusAnswer,
    VersionAnswer,
    VersionSchema,
    WorkerAnswer,
    WorkersAnswer,
    question,
    reply,
)
from hootbus.bus.tally import Tally
from hootbus.bus.versions import Version
from hootbus.bus.ward import QUARANTINE, Ward
from hootbus.frames.errors import BadBody, Denied, HootError, UnknownMethod, UnknownService, UnsupportedContentType
from hootbus.frames.message import Message
from hootbus.frames.protocol import SERVICE_BYTES_MAX, ContentType
from hootbus.schemas import BodyError, Method, read_capnp, standard

BROKER: Final = b"hoot.broker"
EVENTS: Final = b"hoot.events"
# Only under this prefix does the broker publish for a peer, so that nobody can speak in another's name.
ECHO_PREFIX: Final = "hoot.echo."
_ECHO_CHARS_MAX: Final = 64
# Of all schemas in one answer: a few bytes ask for it, and the broker does nothing else while it writes it.
_SCHEMA_BYTES_MAX: Final = 4 * 1024 * 1024


class House:
    """Answers for the broker itself. `drain` is asked of whoever made it, as it is the whole broker's business."""

    def __init__(
        self,
        requests: Requests,
        roster: Roster,
        gate: Gate,
        tally: Tally,
        *,
        instance: bytes,
        version: str,
        pid: int,
        effects: list[Effect],
        now: float,
        judging: bool = True,
    ) -> None:
        self._judging = judging
        self._requests = requests
        self._roster = roster
        self._gate = gate
        self._tally = tally
        self._instance = instance
        self._version = version
        self._pid = pid
        self._effects = effects
        self._started_at = now
        self._ward = Ward(requests)

    def uptime_s(self, now: float) -> int:
        """Whole seconds since the broker began."""
        return int(now - self._started_at)

    def ask(self, message: Message, state: str, now: float) -> bool:
        """Answers a request to `hoot.*`; True if the broker was asked to drain."""
        service, _, method = message.service.partition(b"/")
        try:
            if service == BROKER and method == b"compare":
                # Its answer is the judge's, and comes later.
                self._gate.compare(self._comparison(message, now), now)
                return False
            if service == QUARANTINE:
                told = self._ward.ask(message, method.decode(errors="replace"), state, now)
                if told is not None:
                    self._say(told, message)
                return False
            answer = self._answer(service, method.decode(errors="replace"), message, state, now)
        except HootError as error:
            self._requests.refuse(message, error)
            return False
        if isinstance(answer, EchoAnswer):
            self._effects.append(Publish(answer.topic.encode()))
        self._say(answer, message)
        return isinstance(answer, DrainAnswer)

    def _say(self, answer: msgspec.Struct, message: Message) -> None:
        self._tally.requests += 1
        self._tally.replies += 1
        self._requests.answer(reply(message, answer), message)

    def _comparison(self, message: Message, now: float) -> Comparison:
        """The question in a body, which carries a schema and so is Cap'n Proto. Raises BadBody or another."""
        if not self._judging:
            raise Denied("this broker asks nobody who they are (--insecure), so it looks at nobody's schema")
        if message.content_type is not ContentType.CAPNPROTO:
            raise UnsupportedContentType("hoot.broker/compare takes Cap'n Proto")
        try:
            asked = read_capnp(message.body, standard.broker.Comparison)
            method = Method(
                name="",
                request_type=asked.requestType,
                reply_type=asked.replyType,
                request_fingerprint=asked.requestFingerprint,
                reply_fingerprint=asked.replyFingerprint,
            )
            target, nodes = str(asked.target), bytes(asked.nodes)
        except BodyError as error:
            raise BadBody(str(error)) from None
        frame = target.encode()
        if len(frame) > SERVICE_BYTES_MAX:
            raise BadBody(f"target: {len(frame)} bytes, at most {SERVICE_BYTES_MAX}")
        # What waits for the judge is counted by its nodes: nothing else of the body is kept.
        bare = message.__replace__(body=b"", attachments=())
        deadline_ms = message.options.deadline_ms if message.options is not None else 0
        until = now + deadline_ms / 1000 if deadline_ms else math.inf
        answer = partial(self._compared, bare, target)
        return Comparison(message.route[0], message.request_id, frame, method, nodes, until, answer)

    def _compared(self, message: Message, target: str, error: HootError | None) -> None:
        if error is None:
            self._say(ComparedAnswer(target), message)
        else:
            self._requests.refuse(message, error)

    def _answer(self, service: bytes, method: str, message: Message, state: str, now: float) -> msgspec.Struct:
        if service == EVENTS:
            if method != "echo":
                raise UnknownMethod("hoot.events has the method echo")
            return EchoAnswer(_echo_topic(message))
        if service != BROKER:
            raise UnknownService(f"the broker itself has no service {service.decode(errors='replace')!r}")
        match method:
            case "status":
                return self.status(state, now)
            case "services":
                return self._services()
            case "workers":
                return self._workers(now)
            case "latencies":
                return self._latencies()
            case "schema":
                return self._schema(question(message, SchemaQuestion, standard.broker.SchemaRequest).service)
            case "drain":
                requests = self._requests
                queued = requests.queued_count
                return DrainAnswer(state="draining", inFlight=requests.open_count - queued, queued=queued)
        raise UnknownMethod(
            "hoot.broker has the methods status, services, workers, latencies, schema, compare and drain"
        )

    def status(self, state: str, now: float) -> StatusAnswer:
        """What the broker is doing, and what it counted."""
        requests, tally = self._requests, self._tally
        counters = {
            "requests": tally.requests,
            "replies": tally.replies,
            "partials": tally.partials,
            "gathers": tally.gathers,
            "merged": tally.merged,
            "retried": tally.retried,
            "replayed": tally.replayed,
            "quarantined": tally.quarantined,
            "workers_attached": tally.workers_attached,
            "workers_lost": tally.workers_lost,
            "disconnects": tally.disconnects,
            "judged": tally.judged,
            "schemas_incompatible": tally.schemas_incompatible,
            "schemas_unsound": tally.schemas_unsound,
            "schemas_unjudged": tally.schemas_unjudged,
            "schemas_unanswered": tally.schemas_unanswered,
            "connections_hung": tally.connections_hung,
            "doors_closed": tally.doors_closed,
            "handshakes_denied": tally.handshakes_denied,
            "handshakes_failed": tally.handshakes_failed,
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
            failures=dict(tally.failures),
            reached=dict(tally.reached),
        )

    def _services(self) -> ServicesAnswer:
        found = []
        pending, services = self._gate.pending(), self._requests.services
        for name in sorted(services.keys() | pending.keys()):
            # One whose first workers still wait has nothing yet.
            service = services.get(name) or Service(name)
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
                    versions=tuple(map(_version, _by_workers(service))),
                    pending=pending.get(name, 0),
                    refused=service.refused,
                    dropped=dict(service.dropped),
                    unjudged=sum(worker.unjudged for worker in workers),
                )
            )
        return ServicesAnswer(tuple(found), dict(self._tally.dropped_elsewhere))

    def _workers(self, now: float) -> WorkersAnswer:
        attached = [
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
        ]
        waiting = [
            WorkerAnswer(
                # It is numbered once it is in.
                id="",
                service=candidate.service.decode(),
                name=candidate.registration.name,
                hostname=candidate.registration.hostname,
                version=candidate.registration.version,
                state="pending",
                pid=candidate.registration.pid,
                slots=candidate.registration.slots,
                inFlight=0,
                done=0,
                silentMs=0,
                connectedSecs=int(now - candidate.since),
                extension=True,
            )
            for candidate in self._gate
        ]
        return WorkersAnswer((*attached, *waiting))

    def _latencies(self) -> LatenciesAnswer:
        services = self._requests.services
        return LatenciesAnswer(
            BOUNDS_S,
            tuple(
                ServiceLatenciesAnswer(name.decode(), _histogram(service.waited), _histogram(service.took))
                for name, service in sorted(services.items())
            ),
        )

    def _schema(self, name: str) -> SchemaAnswer:
        service = self._requests.services.get(name.encode())
        if service is None:
            raise UnknownService(f"no worker offers {name!r}")
        found: list[VersionSchema] = []
        left = _SCHEMA_BYTES_MAX
        for version in _by_workers(service):
            left -= len(version.nodes)
            found.append(VersionSchema(_version(version), version.nodes if left >= 0 or not found else b""))
        return SchemaAnswer(tuple(found))


def _histogram(latencies: Latencies) -> HistogramAnswer:
    return HistogramAnswer(tuple(latencies.counts), latencies.total_s)


def _by_workers(service: Service) -> list[Version]:
    """A service's versions, that of most workers first."""
    return sorted(service.versions, key=lambda version: -version.workers)


def _version(version: Version) -> VersionAnswer:
    methods = zip(version.methods, version.names, strict=True)
    return VersionAnswer(
        version.workers,
        tuple(
            MethodAnswer(
                name=method.name,
                isDefault=method.is_default,
                request=request,
                reply=reply,
                requestType=method.request_type,
                replyType=method.reply_type,
                requestFingerprint=method.request_fingerprint,
                replyFingerprint=method.reply_fingerprint,
            )
            for method, (request, reply) in methods
        ),
    )


def _echo_topic(message: Message) -> str:
    """The topic in an echo request's body. Raises BadBody or UnsupportedContentType."""
    topic = question(message, EchoAnswer, standard.broker.EchoRequest).topic
    if not topic.startswith(ECHO_PREFIX) or len(topic) > _ECHO_CHARS_MAX or not topic.isascii():
        raise BadBody(f"the topic must begin with {ECHO_PREFIX!r} and have at most {_ECHO_CHARS_MAX} ASCII characters")
    return topic
