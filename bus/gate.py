"""The gate: who announces types that no worker of the service has yet waits here until they are judged.

A worker states its methods' types with fingerprints, which it could lie about, and which say nothing of how two
versions differ. So one worker of each new version is asked for its schema, and a judge outside of this process finds
out whether the schema is what was announced, and whether all versions of the service understand each other. The same
judge compares a client's schema, where a client asks for that.

One case is judged at a time: whatever it was compared with is still all there is when the verdict comes, or less.
Workers and clients take turns, so that neither can keep the others waiting, and what nobody waits for is not judged.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from hootbus.bus import answers
from hootbus.bus.candidates import Candidate, Inquiry, Proof
from hootbus.bus.comparisons import Comparison, Comparisons
from hootbus.bus.effects import Effect, Judge, Note, Send
from hootbus.bus.judgement import Case, Claim, Finding, Verdict, about, error_of
from hootbus.bus.limits import Limits
from hootbus.bus.state import Service
from hootbus.bus.tally import Dropped, Tally
from hootbus.bus.versions import Version, fingerprints_of, stated
from hootbus.frames.errors import (
    BadBody,
    Cancelled,
    DeadlineExceeded,
    HootError,
    Overloaded,
)
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType
from hootbus.schemas import Method, Registration

_WAITS: Final = "its schema is to be judged"


class Gate:
    """All candidates and cases. `admit` takes a worker in; `services` are those that there are."""

    admit: Callable[[Candidate, Version, float], None]

    def __init__(
        self,
        limits: Limits,
        tally: Tally,
        services: Mapping[bytes, Service],
        default_service: bytes,
        new_id: Callable[[], bytes],
        effects: list[Effect],
    ) -> None:
        self._limits = limits
        self._tally = tally
        self._services = services
        self._default = default_service
        self._new_id = new_id
        self._effects = effects
        self._candidates: dict[bytes, Candidate] = {}
        self._inquiries: dict[bytes, dict[tuple[Method, ...], Inquiry]] = {}
        # Who is to send a schema, and until when, in that order, by the ids of the requests.
        self.asked: OrderedDict[bytes, tuple[float, Candidate]] = OrderedDict()
        self._proofs: deque[Proof] = deque()
        self._questions: deque[Comparison] = deque()
        self._clients_turn = False
        self._on_trial: Proof | Comparison | None = None
        self._comparisons = Comparisons(limits, tally)
        self._closed: HootError | None = None
        # Of versions that are spoken, and of workers that wait for a verdict.
        self._workers_bytes = 0

    def __len__(self) -> int:
        """Workers that wait."""
        return len(self._candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._candidates.values())

    @property
    def held_bytes(self) -> int:
        """Of all schemas: of versions that are spoken, and of what waits for a verdict."""
        return self._workers_bytes + self._comparisons.bytes

    def find(self, identity: bytes) -> Candidate | None:
        """The worker that waits under this identity."""
        return self._candidates.get(identity)

    def awaits(self, service: bytes) -> bool:
        """Whether a worker of this service waits."""
        return service in self._inquiries

    def pending(self) -> dict[bytes, int]:
        """How many workers wait, by service."""
        return {name: sum(len(each.waiting) for each in found.values()) for name, found in self._inquiries.items()}

    def wake_at(self) -> float:
        """When `tick` next has something to do, while somebody is `asked`."""
        return next(iter(self.asked.values()))[0]

    # Workers

    def come(self, message: Message, registration: Registration, now: float) -> None:
        """A worker announces a version that none of its service speaks. Raises Overloaded."""
        limits = self._limits
        if len(self._candidates) >= limits.pending_workers:
            self._tally.reached["pending_workers"] += 1
            raise Overloaded(f"{len(self._candidates)} workers wait for their schemas to be judged")
        name, methods = message.service, stated(registration.methods)
        self._check_versions(self._services.get(name))
        of_service = self._inquiries.setdefault(name, {})
        inquiry = of_service.get(methods)
        if inquiry is None:
            inquiry = of_service[methods] = Inquiry(name, methods)
        candidate = Candidate(message, registration, inquiry, now)
        self._candidates[candidate.identity] = candidate
        inquiry.waiting[candidate.identity] = candidate
        self._note("worker_pending", service=name.decode(), name=registration.name, reason=_WAITS)
        if inquiry.first is candidate:
            self._ask(candidate, now)

    def replied(self, candidate: Candidate, message: Message, now: float) -> None:
        """A REPLY of a worker that waits: its schema, if it is the answer to our question."""
        inquiry = candidate.inquiry
        if message.request_id != candidate.asked_id or self.asked.pop(candidate.asked_id, None) is None:
            self._tally.drop(Dropped.REPLY_UNASKED, self._services.get(candidate.service))
            return
        size = len(message.body)
        try:
            self._check_size(size)
            if message.content_type is not ContentType.CAPNPROTO or (message.options and message.options.status):
                raise BadBody(f"the answer to {WORKER_SCHEMA.decode()} is no schema")
        except BadBody as error:
            self._tally.schemas_unsound += 1
            self._refuse(candidate, error, now)
        except Overloaded as error:
            self._refuse(candidate, error, now)
        else:
            inquiry.proof = Proof(inquiry, bytes(message.body))
            self._workers_bytes += size
            self._proofs.append(inquiry.proof)
            self._next_case(now)

    def leave(self, candidate: Candidate, now: float) -> None:
        """A worker that waits is gone, or begins anew."""
        inquiry = candidate.inquiry
        was_first = inquiry.first is candidate
        del self._candidates[candidate.identity]
        del inquiry.waiting[candidate.identity]
        self.asked.pop(candidate.asked_id, None)
        if was_first and inquiry.proof is not None:
            proof, inquiry.proof = inquiry.proof, None
            if proof in self._proofs:
                self._proofs.remove(proof)
            self._workers_bytes -= len(proof.claim.nodes)
        if not inquiry.waiting:
            self._forget(inquiry)
        elif was_first:
            self._ask(inquiry.first, now)

    def parted(self, service: Service, version: Version) -> None:
        """A worker that spoke this version is gone."""
        service.versions.part(version)
        if not version.workers:
            self._workers_bytes -= len(version.nodes)

    def _ask(self, candidate: Candidate, now: float) -> None:
        seconds = self._limits.schema_timeout_s
        candidate.asked_id = self._new_id()
        self.asked[candidate.asked_id] = now + seconds, candidate
        options = Options(max(1, int(seconds * 1000)))
        route, asked_id = candidate.route, candidate.asked_id
        question = Message(route, Command.REQUEST, ContentType.EMPTY, asked_id, WORKER_SCHEMA, options=options)
        self._effects.append(Send(question))

    def _refuse(self, candidate: Candidate, error: HootError, now: float) -> None:
        self.leave(candidate, now)
        self.tell(candidate, error)

    def tell(self, candidate: Candidate, error: HootError) -> None:
        """Tells a worker that it will not be let in."""
        service = self._services.get(candidate.service)
        self._tally.drop(Dropped.BAD_REGISTRATION, service)
        if service is not None:
            service.refused += 1
        self._note("worker_refused", service=candidate.service.decode(), reason=str(error))
        self._effects.append(Send(answers.disconnect(candidate.route, True, candidate.ready_id, error)))

    def revoke(self, candidate: Candidate, error: HootError, now: float) -> None:
        """The worker has lost the right to offer its service: it need not wait any more."""
        self.leave(candidate, now)
        self.tell(candidate, error)

    def _forget(self, inquiry: Inquiry) -> None:
        of_service = self._inquiries[inquiry.service]
        del of_service[inquiry.methods]
        if not of_service:
            del self._inquiries[inquiry.service]

    # Clients

    def compare(self, comparison: Comparison, now: float) -> None:
        """A client has its schema compared. Raises BadBody, Overloaded or BrokerStopping."""
        if self._closed is not None:
            raise self._closed
        before = self._comparisons.find(comparison.client, comparison.request_id)
        if before is not None:
            before.answer = comparison.answer
            return
        self._check_size(len(comparison.claim.nodes))
        self._comparisons.add(comparison)
        self._questions.append(comparison)
        self._next_case(now)

    def cancel(self, identity: bytes, request_id: bytes) -> bool:
        """The client does not want to know it any more; False if it has asked nothing under this id."""
        comparison = self._comparisons.find(identity, request_id)
        if comparison is None:
            return False
        self._dismiss(comparison)
        comparison.answer(Cancelled("cancelled by the client"))
        return True

    def client_gone(self, identity: bytes) -> int:
        """Drops what this client has asked, and says how much. One that comes back asks again."""
        gone = self._comparisons.of(identity)
        for comparison in gone:
            self._dismiss(comparison)
        return len(gone)

    def _dismiss(self, comparison: Comparison) -> None:
        if comparison is not self._on_trial:
            self._questions.remove(comparison)
        self._comparisons.remove(comparison)

    def _asked_of(self, comparison: Comparison) -> Service | None:
        """The service that such a client's requests go to now."""
        service = self._services.get(comparison.service)
        if self._default and (service is None or not service.workers):
            default = self._services.get(self._default)
            if default is not None and default.workers:
                # As it names no method of that one.
                comparison.turn_to(self._default)
                return default
        return service

    def _understood(self, service: Service, comparison: Comparison) -> bool:
        """Whether there is nothing to judge (any more), as after another client of the same version."""
        method = comparison.method
        return not any(
            service.versions.objection(comparison.frame, Options(schema_id=method.request_type, fingerprint=each))
            for each in fingerprints_of(method)
        )

    def _answer(self, comparison: Comparison, error: HootError | None) -> None:
        self._comparisons.remove(comparison)
        comparison.answer(error)

    # Judging

    def judged(self, verdict: Verdict, now: float) -> None:
        """The verdict on what is being judged."""
        case, self._on_trial = self._on_trial, None
        if case is None:
            # The broker is about to end, and nobody waits for it any more.
            return
        tally, finding = self._tally, verdict.finding
        tally.judged += 1
        tally.schemas_incompatible += finding is Finding.INCOMPATIBLE
        tally.schemas_unsound += finding is Finding.UNSOUND
        tally.schemas_unjudged += finding in (Finding.UNJUDGED, Finding.TOO_LONG, Finding.UNHEARD)
        tally.reached["judge_timeout_s"] += finding is Finding.TOO_LONG
        if isinstance(case, Comparison):
            if case in self._comparisons:
                self._compared(case, verdict)
        elif case.inquiry.proof is case:
            # Else its worker is gone, and another one is asked.
            self._proved(case, verdict, now)
        self._next_case(now)

    def _next_case(self, now: float) -> None:
        while self._on_trial is None and (self._proofs or self._questions):
            first, second = (self._questions, self._proofs) if self._clients_turn else (self._proofs, self._questions)
            case: Proof | Comparison = (first or second).popleft()
            service = self._asked_of(case) if isinstance(case, Comparison) else self._services.get(case.service)
            known = [Claim(each.methods, each.nodes) for each in service.versions] if service is not None else []
            if isinstance(case, Comparison):
                if case.until <= now:
                    self._answer(case, DeadlineExceeded("the time given ran out before the schemas were compared"))
                    continue
                if service is None or self._understood(service, case):
                    self._answer(case, None)
                    continue
                known = [about(claim, case.method.name) for claim in known]
            self._on_trial = case
            self._clients_turn = isinstance(case, Proof)
            self._effects.append(Judge(Case(case.claim, tuple(known))))

    def _proved(self, proof: Proof, verdict: Verdict, now: float) -> None:
        inquiry = proof.inquiry
        error = error_of(verdict)
        if error is None:
            try:
                self._check_versions(self._services.get(inquiry.service))
            except Overloaded as problem:
                error = problem
        candidates = [*inquiry.waiting.values()]
        if verdict.finding in (Finding.UNSOUND, Finding.UNJUDGED, Finding.TOO_LONG):
            # That one's fault; the next is asked.
            assert error is not None
            self._refuse(candidates[0], error, now)
            return
        # The others state the same types, so it is the same with them; or it was nobody's fault.
        self._forget(inquiry)
        for candidate in candidates:
            del self._candidates[candidate.identity]
        version = Version(inquiry.methods, proof.claim.nodes, verdict.names)
        for candidate in candidates:
            if error is None:
                self.admit(candidate, version, now)
            else:
                self.tell(candidate, error)
        # Else its bytes are held until the last of them has gone.
        if not version.workers:
            self._workers_bytes -= len(version.nodes)

    def _compared(self, comparison: Comparison, verdict: Verdict) -> None:
        service = self._services.get(comparison.service)
        if verdict.finding is Finding.FINE and service is not None:
            for fingerprint in fingerprints_of(comparison.method):
                most = self._limits.compared_versions
                self._tally.reached["compared_versions"] += service.versions.understands(
                    comparison.frame, fingerprint, most
                )
        self._answer(comparison, error_of(verdict))

    # Bounds, time, and the end

    def _check_size(self, size: int) -> None:
        if size > self._limits.schema_bytes:
            self._tally.reached["schema_bytes"] += 1
            raise BadBody(f"a schema of {size} bytes, at most {self._limits.schema_bytes}")
        if self.held_bytes + size > self._limits.held_schema_bytes:
            self._tally.reached["held_schema_bytes"] += 1
            raise Overloaded("the broker holds as many bytes of schemas as it may")

    def _check_versions(self, service: Service | None) -> None:
        if service is not None and len(service.versions) >= self._limits.versions_per_service:
            self._tally.reached["versions_per_service"] += 1
            raise Overloaded(f"the workers of {service.name.decode()!r} speak {len(service.versions)} versions already")

    def tick(self, now: float) -> None:
        """Refuses who has not sent its schema in time."""
        while self.asked and next(iter(self.asked.values()))[0] <= now:
            _, (_, candidate) = self.asked.popitem(last=False)
            self._tally.schemas_unanswered += 1
            self._tally.reached["schema_timeout_s"] += 1
            seconds = self._limits.schema_timeout_s
            # It may only have been busy: those of ours try again then.
            error = Overloaded(f"no answer to {WORKER_SCHEMA.decode()} within {seconds:g} s")
            self._refuse(candidate, error, now)

    def close(self, error: HootError) -> None:
        """The broker takes in nobody any more."""
        self._closed = error
        for candidate in self._candidates.values():
            self._effects.append(Send(answers.disconnect(candidate.route, True, candidate.ready_id, error)))
        comparisons = [*self._comparisons]
        for inquiry in [inquiry for found in self._inquiries.values() for inquiry in found.values()]:
            if inquiry.proof is not None:
                self._workers_bytes -= len(inquiry.proof.claim.nodes)
        self._candidates.clear()
        self._inquiries.clear()
        self.asked.clear()
        self._proofs.clear()
        self._questions.clear()
        self._on_trial = None
        for comparison in comparisons:
            self._answer(comparison, error)

    def _note(self, event: str, **facts: str | int | float) -> None:
        self._effects.append(Note(event, facts))
