"""The workers: who is registered, who is alive, who is leaving.

Death is the connection's, told by a HEARTBEAT that cannot be delivered; silence alone only makes a worker suspect, and
lost after a long while, because a busy handler is not a dead one.
"""

import math
from collections import deque
from typing import Final

from hootbus.bus import answers
from hootbus.bus.candidates import Candidate
from hootbus.bus.effects import Effect, Note, Send
from hootbus.bus.gate import Gate
from hootbus.bus.limits import Limits
from hootbus.bus.requests import Requests
from hootbus.bus.state import Service, Worker, is_service_name
from hootbus.bus.tally import Dropped, Tally
from hootbus.bus.versions import Version, stated
from hootbus.frames.errors import BadBody, BadFrame, BrokerStopping, Denied, HootError, Overloaded, WorkerLost
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message
from hootbus.frames.protocol import RECORDER, SERVICE_NAME, ContentType, Flag
from hootbus.schemas import BodyError, Registration, read_registration

# libzmq may still be taking down the pipe when it tells of a broken connection; a second look finds what the first
# missed.
_PROBES: Final = 2
_PROBE_INTERVAL_S: Final = 0.1
# Between the first word of a worker's end and the moment it is let go with what it has. By then every request that did
# not leave for it has come back and was never in its hands, its last replies are read, and the probes have found who
# else went, so that nothing is handed from one dead worker to the next.
_PARTING_S: Final = 0.1
OWN_PREFIX: Final = b"hoot."


class Roster:
    """All registered workers, by identity. Those that are still to be judged are the gate's."""

    def __init__(
        self,
        limits: Limits,
        tally: Tally,
        requests: Requests,
        gate: Gate,
        instance: bytes,
        effects: list[Effect],
        now: float,
        judging: bool = True,
    ) -> None:
        self._limits = limits
        self._judging = judging
        self._tally = tally
        self._requests = requests
        self._gate = gate
        gate.admit = self.admit
        self._instance = instance
        self._effects = effects
        self._numbers = 0
        self._beat_at = now + limits.heartbeat_interval_s
        self._probe_at = now
        self._probes = 0
        # In the order in which they are let go.
        self._going: deque[tuple[float, Worker]] = deque()
        self.workers: dict[bytes, Worker] = {}

    def wake_at(self) -> float:
        """When `tick` next has something to do."""
        wake_at = min(self._beat_at, self._probe_at) if self._probes else self._beat_at
        return min(wake_at, self._going[0][0]) if self._going else wake_at

    # Coming

    def ready(self, message: Message, now: float, refusal: HootError | None) -> None:
        """A READY: the worker is in, or is told why not: with the `refusal`, if there is one already."""
        before = self.workers.get(message.route[0])
        if before is not None and before.dialled:
            # Its registration is the operator's, who said what it offers.
            self.heard(before, now)
            return
        if before is not None and before.ready_id == message.request_id and before.extended and not before.going:
            self._welcome(before)
            return
        if before is not None:
            # A process that crashed and came back, or one whose connection broke: nobody can tell, so it is a death,
            # unless it has said goodbye.
            self.lose(before, "registered again", now, died=before.died or not before.going)
        candidate = self._gate.find(message.route[0])
        if candidate is not None:
            if candidate.ready_id == message.request_id:
                return
            self._gate.leave(candidate, now)
        if isinstance(refusal, BrokerStopping):
            extended = message.options is not None
            self._effects.append(Send(answers.disconnect(message.route, extended, message.request_id, refusal)))
            return
        try:
            if refusal is not None:
                raise refusal
            name, registration = self._judge(message)
            version: Version | None = None
            # A plain worker could not be asked for its schema.
            methods = stated(registration.methods) if message.options is not None else ()
            if methods and self._judging:
                service = self._requests.services.get(name)
                version = service.versions.find(methods) if service is not None else None
                if version is None:
                    self._gate.come(message, registration, now)
                    return
        except HootError as error:
            self._tally.drop(Dropped.BAD_REGISTRATION, self._requests.service_of(message))
            self._note("worker_refused", service=message.service.decode(errors="replace"), reason=str(error))
            extended = message.options is not None
            self._effects.append(Send(answers.disconnect(message.route, extended, message.request_id, error)))
            return
        extended, ready_id = message.options is not None, message.request_id
        self._register(message.route, name, registration, ready_id, extended, version, now)

    def admit(self, candidate: Candidate, version: Version, now: float) -> None:
        """A worker that has waited at the gate: it is in, or is told why not."""
        try:
            self._check_room(candidate.service)
        except Overloaded as error:
            self._gate.tell(candidate, error)
            return
        self._register(
            candidate.route, candidate.service, candidate.registration, candidate.ready_id, True, version, now
        )

    def _register(
        self,
        route: Route,
        name: bytes,
        registration: Registration,
        ready_id: bytes,
        extended: bool,
        speaks: Version | None,
        now: float,
    ) -> None:
        worker = self._add(route, name, registration.slots, now)
        worker.extended = extended
        worker.ready_id = ready_id
        worker.name = registration.name
        worker.hostname = registration.hostname
        worker.version = registration.version
        worker.pid = registration.pid
        worker.service.announce(worker, tuple(method.name for method in registration.methods))
        if registration.lost_after_ms:
            stated_s, longest_s = registration.lost_after_ms / 1000, self._limits.lost_after_max_s
            self._tally.reached["lost_after_max_s"] += stated_s > longest_s
            worker.lost_after_s = min(stated_s, longest_s)
        worker.unjudged = extended and speaks is None and bool(stated(registration.methods))
        if worker.unjudged:
            self._note("worker_unjudged", worker=worker.number, service=name.decode())
        if speaks is not None:
            worker.speaks = speaks
            worker.service.versions.join(speaks)
        if worker.extended:
            self._welcome(worker)
        self._begin(worker, now)

    def connected(self, identity: bytes, service: str, slots: int, now: float) -> None:
        """A dialled service answers: a plain worker that sends no READY."""
        before = self.workers.get(identity)
        if before is not None:
            self.lose(before, "connected again", now, died=before.died or not before.going)
        worker = self._add((identity,), service.encode(), slots, now)
        worker.dialled = True
        # A plain service answers nothing while it works, and there is no READY by which it could come back: only the
        # end of its connection, which the shell sees, is its death.
        worker.lost_after_s = math.inf
        self._begin(worker, now)

    def _judge(self, message: Message) -> tuple[bytes, Registration]:
        """The service and the registration in a READY. Raises the HootError that its sender is told."""
        name = message.service
        if not is_service_name(name):
            raise BadFrame(f"the service frame of a READY must be a service's name, {SERVICE_NAME}")
        if name.startswith(OWN_PREFIX) and name != RECORDER:
            raise Denied("services whose names begin with 'hoot.' are the broker's own")
        self._check_room(name)
        registration = _read_registration(message)
        if not 1 <= registration.slots <= self._limits.slots_per_worker:
            self._tally.reached["slots_per_worker"] += registration.slots > self._limits.slots_per_worker
            raise BadBody(f"slots: {registration.slots} is not 1 to {self._limits.slots_per_worker}")
        return name, registration

    def _check_room(self, name: bytes) -> None:
        if len(self.workers) + len(self._gate) >= self._limits.workers:
            self._tally.reached["workers"] += 1
            raise Overloaded("the broker has as many workers as it may")
        if name not in self._requests.services and len(self._requests.services) >= self._limits.services:
            self._tally.reached["services"] += 1
            raise Overloaded("the broker has as many services as it may")

    def _add(self, route: tuple[bytes, ...], name: bytes, slots: int, now: float) -> Worker:
        services = self._requests.services
        service = services.get(name)
        if service is None:
            service = services[name] = Service(name)
        self._numbers += 1
        worker = Worker(
            route=route,
            service=service,
            number=self._numbers,
            extended=False,
            dialled=False,
            slots=slots,
            connected_at=now,
            seen_at=now,
            lost_after_s=self._limits.lost_after_s,
        )
        self.workers[worker.identity] = worker
        service.add(worker)
        self._tally.workers_attached += 1
        return worker

    def _begin(self, worker: Worker, now: float) -> None:
        self._note("worker_attached", worker=worker.number, service=worker.service.name.decode(), slots=worker.slots)
        worker.service.offer(worker)
        self._requests.settle(worker.service, now)
        self._requests.dispatch(worker.service, now)

    def _welcome(self, worker: Worker) -> None:
        self._effects.append(Send(answers.heartbeat(worker.route, True, self._instance, worker.ready_id)))

    # Being there

    def heard(self, worker: Worker, now: float) -> None:
        """Any message of a worker is a sign of life."""
        worker.seen_at = now
        if worker.suspect or worker.stalled:
            worker.suspect = False
            worker.stalled = bool(worker.going)
            worker.service.offer(worker)
            self._requests.dispatch(worker.service, now)

    def heartbeat(self, message: Message) -> None:
        """A HEARTBEAT of a peer that is no worker: who believes to be one is told, others get it back once."""
        options = message.options
        extended = options is not None
        if options is not None and options.flags & Flag.WORKER:
            self._effects.append(Send(answers.disconnect(message.route, extended, message.request_id)))
            return
        self._effects.append(Send(answers.heartbeat(message.route, extended, self._instance, message.request_id)))

    def connection_lost(self, now: float) -> None:
        """Somebody's connection broke: the probes find out whose."""
        self._tally.disconnects += 1
        self.probe(now)

    def probe(self, now: float) -> None:
        """Looks soon at who is still there."""
        # Not at once after the last look: connections that come and go all the time must not cost more than one quiet
        # look after the other.
        self._probe_at = max(now, self._probe_at)
        self._probes = _PROBES

    def tick(self, now: float) -> None:
        """Lets go who is going, sends heartbeats, and judges silence."""
        while self._going and self._going[0][0] <= now:
            _, worker = self._going.popleft()
            if self.workers.get(worker.identity) is worker:
                self.lose(worker, worker.going, now, died=worker.died)
        if self._probes and now >= self._probe_at:
            self._probes -= 1
            self._probe_at = now + _PROBE_INTERVAL_S
            self._beat()
        if now < self._beat_at:
            return
        self._beat_at = now + self._limits.heartbeat_interval_s
        for worker in list(self.workers.values()):
            silence = now - worker.seen_at
            if worker.going:
                continue
            if silence > worker.lost_after_s:
                self._tally.reached["lost_after_s"] += 1
                self._effects.append(Send(answers.disconnect(worker.route, worker.extended)))
                self.part(worker, f"silent for {silence:.1f} s", now, died=True)
            elif worker.draining and now > worker.drain_until:
                self.part(worker, "did not finish in the time it asked for", now, died=False)
            elif worker.stalled or (silence > self._limits.suspect_after_s and not worker.suspect):
                # A stalled one is tried again once a beat, as there may be room now.
                silent = silence > self._limits.suspect_after_s
                self._tally.reached["suspect_after_s"] += silent and not worker.suspect
                worker.stalled, worker.suspect = False, silent
                worker.service.offer(worker)
                self._requests.dispatch(worker.service, now)
        self._beat()

    def _beat(self) -> None:
        for worker in self.workers.values():
            if not worker.going:
                self._effects.append(Send(answers.heartbeat(worker.route, worker.extended, self._instance)))
        for candidate in self._gate:
            # It tells them nothing; it finds out who is gone.
            self._effects.append(Send(answers.heartbeat(candidate.route, True, self._instance)))

    # Going

    def disconnect(self, worker: Worker, message: Message, now: float) -> None:
        """A worker's DISCONNECT: gone now, or (with a deadline) leaving once it has answered what it has."""
        options = message.options
        if options is None or not options.deadline_ms:
            # Its supervisor says that it has died, in its name; all others say goodbye themselves.
            died = options is not None and options.status == WorkerLost.number
            self.part(worker, "disconnected", now, died=died)
            # Its connection may be gone before its goodbye is read, and is so soon after; and its supervisor may take
            # its end for a death. Whoever has said goodbye was not killed by what it had.
            worker.died = died and (worker.died or not worker.left)
            worker.left = True
            return
        worker.draining = True
        worker.drain_id = message.request_id
        worker.drain_until = now + options.deadline_ms / 1000
        worker.service.offer(worker)
        self._requests.gathers.forsake(worker)
        self.leave_if_done(worker, now)

    def leave_if_done(self, worker: Worker, now: float) -> None:
        """Lets a draining worker go once it owes nothing."""
        if worker.draining and not worker.in_flight:
            self._effects.append(Send(answers.disconnect(worker.route, worker.extended, worker.drain_id)))
            self.lose(worker, "drained", now, died=False)

    def part(self, worker: Worker, reason: str, now: float, *, died: bool) -> None:
        """The worker is at its end: it gets nothing more, and is let go at once if it has nothing, else soon."""
        if worker.going:
            return
        if not worker.in_flight:
            self.lose(worker, reason, now, died=died)
            return
        worker.going, worker.died = reason, died
        worker.stalled = True
        worker.service.offer(worker)
        self._going.append((now + _PARTING_S, worker))

    def lose(self, worker: Worker, reason: str, now: float, *, died: bool) -> None:
        """The worker is no longer there, and whatever it had is settled."""
        del self.workers[worker.identity]
        worker.service.remove(worker)
        if worker.speaks is not None:
            self._gate.parted(worker.service, worker.speaks)
        if worker.in_flight:
            self._tally.workers_lost += 1
        self._note(
            "worker_gone",
            worker=worker.number,
            service=worker.service.name.decode(),
            reason=reason,
            in_flight=len(worker.in_flight),
        )
        self._requests.lost(worker, now, died)

    def dismiss(self, worker: Worker, error: HootError, now: float) -> None:
        """The worker has lost the right to offer its service: it is told, and has nothing to finish."""
        self._effects.append(Send(answers.disconnect(worker.route, worker.extended, error=error)))
        self.lose(worker, error.message, now, died=False)

    def dismiss_all(self, error: BrokerStopping) -> None:
        """The broker ends: every worker is told."""
        for worker in self.workers.values():
            self._effects.append(Send(answers.disconnect(worker.route, worker.extended, error=error)))

    def _note(self, event: str, **facts: str | int | float) -> None:
        self._effects.append(Note(event, facts))


def _read_registration(message: Message) -> Registration:
    """What the READY says of its worker. Ours say it in Cap'n Proto; a plain peer may send anything, or nothing."""
    plain = Registration(worker_id=bytes(16), name="")
    if message.content_type is ContentType.CAPNPROTO:
        try:
            registration = read_registration(message.body)
        except BodyError as error:
            if message.options is not None:
                raise BadBody(str(error)) from None
            return plain
        # Fields that Hootenanny does not know are at their defaults: one slot, no methods.
        return registration
    if message.options is not None:
        raise BadBody("a READY with options must carry a Cap'n Proto Envelope.register")
    return plain
