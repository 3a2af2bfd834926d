"""The simulator finds bugs: each planted one breaks a promise in one of the first worlds."""

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest

from hootbus.bus.candidates import Candidate
from hootbus.bus.core import _COMMANDS, _INPUTS, Core
from hootbus.bus.gate import Gate
from hootbus.bus.gathers import Gathers
from hootbus.bus.inputs import ServiceDisconnected
from hootbus.bus.outcomes import Outcomes
from hootbus.bus.queues import Queue
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.state import Phase, Request, Service, Worker
from hootbus.bus.streams import Streams
from hootbus.bus.versions import Version, Versions
from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import HootError, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, Flag
from hootbus.schemas import Registration
from hootbus.workers.client_session import ClientSession
from hootbus.workers.flow import Outflow
from hootbus.workers.inflows import Inflows
from hootbus.workers.pending import Pending
from hootbus.workers.session import Effect, Outcome
from hootbus.workers.worker_session import WorkerSession
from sim.violation import Violation
from sim.world import play

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
_SEEDS: Final = 600


def _late_reply_frees_no_slot(patch: pytest.MonkeyPatch) -> None:
    right = Requests.complete

    def complete(self: Requests, worker: Worker, message: Message, now: float) -> None:
        request = worker.in_flight.get(message.request_id)
        over = request is not None and request.phase is Phase.OVER
        right(self, worker, message, now)
        if request is not None and over:
            worker.in_flight[message.request_id] = request
            worker.service.offer(worker)

    patch.setattr(Requests, "complete", complete)


def _retries_what_may_run_once(patch: pytest.MonkeyPatch) -> None:
    right = Requests.accept

    def accept(self: Requests, message: Message, service: Service, now: float) -> None:
        if message.options is not None:
            options = message.options.__replace__(flags=message.options.flags | Flag.IDEMPOTENT)
            message = message.__replace__(options=options)
        right(self, message, service, now)

    patch.setattr(Requests, "accept", accept)


def _hands_out_what_is_too_late(patch: pytest.MonkeyPatch) -> None:
    right = Requests.dispatch

    def dispatch(self: Requests, service: Service, now: float) -> None:
        right(self, service, now - 0.5)

    patch.setattr(Requests, "dispatch", dispatch)


def _late_replies_are_outcomes_too(patch: pytest.MonkeyPatch) -> None:
    right = ClientSession._reply

    def reply(self: ClientSession, message: Message, now: float) -> list[Effect]:
        known = message.request_id in self._pending
        return right(self, message, now) if known else [Outcome(message.request_id, message)]

    patch.setattr(ClientSession, "_reply", reply)


def _undeliverable_requests_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    def take_back(self: Requests, worker: Worker, message: Message) -> None:
        request = worker.in_flight.pop(message.request_id)
        if request.phase is Phase.HANDED:
            self.close(request)

    patch.setattr(Requests, "take_back", take_back)


def _client_resends_everything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pending, "idempotent", property(lambda self: True))


def _no_quarantine(patch: pytest.MonkeyPatch) -> None:
    right = Requests.lost

    def lost(self: Requests, worker: Worker, now: float, died: bool) -> None:
        for request in worker.in_flight.values():
            request.strikes = -1
        right(self, worker, now, died)

    patch.setattr(Requests, "lost", lost)


def _one_id_for_two_clients(patch: pytest.MonkeyPatch) -> None:
    right = Requests.hand

    def hand(self: Requests, request: Request, payload: Message, worker: Worker, now: float) -> None:
        self._new_id = lambda: request.request_id
        right(self, request, payload, worker, now)

    patch.setattr(Requests, "hand", hand)


def _one_way_requests_vanish(patch: pytest.MonkeyPatch) -> None:
    right = Roster.lose

    def lose(self: Roster, worker: Worker, reason: str, now: float, *, died: bool) -> None:
        for wire_id, request in list(worker.in_flight.items()):
            if request.one_way:
                del worker.in_flight[wire_id]
        right(self, worker, reason, now, died=died)

    patch.setattr(Roster, "lose", lose)


def _who_cannot_be_reached_is_lost_with_what_never_left(patch: pytest.MonkeyPatch) -> None:
    def part(self: Roster, worker: Worker, reason: str, now: float, *, died: bool) -> None:
        self.lose(worker, reason, now, died=died)

    patch.setattr(Roster, "part", part)


def _goodbyes_are_strikes(patch: pytest.MonkeyPatch) -> None:
    right = Requests.lost

    def lost(self: Requests, worker: Worker, now: float, died: bool) -> None:
        right(self, worker, now, True)

    patch.setattr(Requests, "lost", lost)


def _struck_requests_share_a_worker(patch: pytest.MonkeyPatch) -> None:
    right = Queue.pop

    def pop(self: Queue, struck: bool) -> Request | None:
        return right(self, True)

    patch.setattr(Queue, "pop", pop)


def _workers_that_know_nothing_get_work(patch: pytest.MonkeyPatch) -> None:
    right = Roster.part

    def part(self: Roster, worker: Worker, reason: str, now: float, *, died: bool) -> None:
        if "answer to its READY" not in reason:
            right(self, worker, reason, now, died=died)

    patch.setattr(Roster, "part", part)


def _cancels_nobody_hears_of(patch: pytest.MonkeyPatch) -> None:
    def cancel(self: Requests, request: Request, now: float) -> None:
        if request.phase is Phase.QUEUED:
            request.service.queue.discard(request)
            self.queued_count -= 1
            self.close(request)
            self.settle(request.service, now)

    patch.setattr(Requests, "cancel", cancel)


def _gaps_in_streams_go_unseen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Inflows, "gap_before", lambda self, pending, message: None)


def _more_handlers_than_slots(patch: pytest.MonkeyPatch) -> None:
    right = WorkerSession._orphan_all

    def orphan_all(self: WorkerSession, why: str) -> list[Effect]:
        effects = right(self, why)
        self._slots += len(effects)
        return effects

    patch.setattr(WorkerSession, "_orphan_all", orphan_all)


def _versions_are_not_looked_at_again(patch: pytest.MonkeyPatch) -> None:
    right = Requests.accept

    def accept(self: Requests, message: Message, service: Service, now: float) -> None:
        right(self, message, service, now)
        for request in service.queue.values():
            # As if it had been accepted under whatever there will be.
            request.__class__ = _Ageless

    class _Ageless(Request):
        @property
        def epoch(self) -> int:
            return self.service.versions.epoch

        @epoch.setter
        def epoch(self, value: int) -> None:
            pass

    patch.setattr(Requests, "accept", accept)


def _any_version_is_understood(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Versions, "objection", lambda self, frame, options: None)


def _who_waits_is_in(patch: pytest.MonkeyPatch) -> None:
    right = Gate.come

    def come(self: Gate, message: Message, registration: Registration, now: float) -> None:
        right(self, message, registration, now)
        candidate = self.find(message.route[0])
        if candidate is not None:
            self.leave(candidate, now)
            self.admit(candidate, Version(candidate.inquiry.methods, b"", (("", ""),)), now)

    patch.setattr(Gate, "come", come)


def _verdicts_are_for_whoever_is_first(patch: pytest.MonkeyPatch) -> None:
    right = Gate.leave

    def leave(self: Gate, candidate: Candidate, now: float) -> None:
        inquiry, proof = candidate.inquiry, candidate.inquiry.proof
        right(self, candidate, now)
        if inquiry.waiting and proof is not None:
            inquiry.proof = proof

    patch.setattr(Gate, "leave", leave)


def _producers_go_on_without_credit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outflow, "may_send", lambda self, ahead: True)


def _credit_ends_at_the_broker(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Streams, "grant", lambda self, request, message: None)


def _what_is_for_a_worker_waits_for_another_turn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gathers, "give", lambda self, worker, now: None)


def _parts_go_down_with_their_worker(patch: pytest.MonkeyPatch) -> None:
    right = Gathers.failed

    def failed(self: Gathers, part: Request, error: HootError) -> None:
        if not isinstance(error, WorkerLost):
            right(self, part, error)

    patch.setattr(Gathers, "failed", failed)


def _a_gather_is_for_the_first_worker_twice(patch: pytest.MonkeyPatch) -> None:
    right = Gathers.answered

    def answered(self: Gathers, part: Request, message: Message, now: float) -> None:
        assert part.gather is not None
        first = next(iter(part.service.workers.values()), None)
        part.addressee, mine = first or part.addressee, part.addressee
        assert part.gather.parts is not None
        assert part.addressee is not None
        assert mine is not None
        part.gather.parts[part.addressee.number] = part.gather.parts.pop(mine.number)
        right(self, part, message, now)

    patch.setattr(Gathers, "answered", answered)


def _replays_somebody_elses(patch: pytest.MonkeyPatch) -> None:
    right = Outcomes.find

    def find(self: Outcomes, message: Message, now: float) -> Message | None:
        mine = right(self, message, now)
        others = [kept.reply for kept in self._kept.values() if kept.target == message.service]
        return mine and others[0].__replace__(route=message.route, request_id=message.request_id)

    patch.setattr(Outcomes, "find", find)


def _outcomes_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Outcomes, "keep", lambda self, target, reply, now: None)


# What brokers of this kind have had before (the Majordomo pattern's, most of all).


def _who_is_busy_is_dead(patch: pytest.MonkeyPatch) -> None:
    right = Roster.tick

    def tick(self: Roster, now: float) -> None:
        right(self, now)
        for worker in list(self.workers.values()):
            if len(worker.in_flight) == worker.slots and now - worker.seen_at > 0.5:
                self.part(worker, "has not said a word for half a second", now, died=True)

    patch.setattr(Roster, "tick", tick)


def _what_a_dead_worker_had_waits_for_its_deadline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Requests, "lost", lambda self, worker, now, died: self.settle(worker.service, now))


def _nobody_behind_a_living_worker_is_dead(patch: pytest.MonkeyPatch) -> None:
    right = Roster.tick

    def tick(self: Roster, now: float) -> None:
        workers = iter(list(self.workers.values()))
        for worker in workers:
            if now - worker.seen_at <= worker.lost_after_s:
                break
        hidden = [(worker, worker.seen_at) for worker in workers]
        for worker, _ in hidden:
            worker.seen_at = now
        right(self, now)
        for worker, seen_at in hidden:
            worker.seen_at = seen_at

    patch.setattr(Roster, "tick", tick)


def _a_worker_is_put_back_under_another_service(patch: pytest.MonkeyPatch) -> None:
    right = Service.offer
    services: list[Service] = []

    def offer(self: Service, worker: Worker) -> None:
        if self.workers and self not in services:
            services.append(self)
        other = next((each for each in services if each.name > self.name and each.sole is None), self)
        right(other, worker)

    patch.setattr(Service, "offer", offer)


def _what_a_peer_says_is_taken_for_granted(patch: pytest.MonkeyPatch) -> None:
    right = Requests.complete

    def complete(self: Requests, worker: Worker, message: Message, now: float) -> None:
        assert message.request_id in worker.in_flight, "a worker answers what it has"
        right(self, worker, message, now)

    patch.setattr(Requests, "complete", complete)


def _a_request_is_anybodys_to_cancel(patch: pytest.MonkeyPatch) -> None:
    right = Core._on_cancel

    def on_cancel(self: Core, message: Message, now: float) -> None:
        for client in list(self._requests._clients.values()):
            if message.request_id in client.open:
                message = message.__replace__(route=(client.identity,))
        right(self, message, now)

    patch.setitem(_COMMANDS, Command.CANCEL, on_cancel)


def _a_reply_is_anybodys_to_send(patch: pytest.MonkeyPatch) -> None:
    right = Core._on_reply

    def on_reply(self: Core, message: Message, now: float) -> None:
        for worker in self._roster.workers.values():
            if message.request_id in worker.in_flight:
                message = message.__replace__(route=(worker.identity,))
        right(self, message, now)

    patch.setitem(_COMMANDS, Command.REPLY, on_reply)


def _parts_go_to_who_wants_none(patch: pytest.MonkeyPatch) -> None:
    right = Streams.pass_partial

    def pass_partial(self: Streams, worker: Worker, message: Message) -> None:
        request = worker.in_flight.get(message.request_id)
        if request is not None and request.extended:
            request.flags |= Flag.PARTIALS
        right(self, worker, message)

    patch.setattr(Streams, "pass_partial", pass_partial)


def _after_a_long_sleep_one_deadline_is_seen_to(patch: pytest.MonkeyPatch) -> None:
    right = Deadlines.due

    def due(self: Deadlines[object], now: float) -> list[object]:
        found = right(self, now)
        for key in found[3:]:
            self.set(key, now)
        return found[:3]

    patch.setattr(Deadlines, "due", due)


def _queues_take_one_more(patch: pytest.MonkeyPatch) -> None:
    right = Queue.__len__
    patch.setattr(Queue, "__len__", lambda self: max(0, right(self) - 1))


def _who_leaves_gets_more_work(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Worker, "takes_more", property(lambda self: len(self.in_flight) < self.slots and not self.stalled))


def _any_worker_gets_any_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Service, "exchange", lambda self, worker, frame, struck: worker)


def _a_service_that_comes_back_has_its_old_work(patch: pytest.MonkeyPatch) -> None:
    def disconnected(self: Core, event: ServiceDisconnected, now: float) -> None:
        worker = self._roster.workers.get(event.identity)
        if worker is not None and not worker.in_flight:
            self._roster.part(worker, "its connection is gone", now, died=True)

    patch.setitem(_INPUTS, ServiceDisconnected, disconnected)


PLANTS: Final[dict[Plant, str]] = {
    _late_reply_frees_no_slot: "3 slots and 4 requests|all is quiet, and the core has",
    _retries_what_may_run_once: "is (handed out|not idempotent and was started) 2 times",
    _hands_out_what_is_too_late: "after its deadline|is handed with .* ms, and has",
    _late_replies_are_outcomes_too: "outcome number 2",
    _undeliverable_requests_are_forgotten: "the broker (is silent|ends and owes)|the core's account of open",
    _client_resends_everything: "is not idempotent and was started 2 times|started, and yet",
    _no_quarantine: "handed out 3 times",
    _one_id_for_two_clients: "under the same id",
    _one_way_requests_vanish: "the core's account|with a worker that is gone",
    _who_cannot_be_reached_is_lost_with_what_never_left: "and never left for any|is quarantined, and was at",
    _goodbyes_are_strikes: "is quarantined, and was at [01] deaths",
    _struck_requests_share_a_worker: "requests that have been through a death",
    _workers_that_know_nothing_get_work: "which is no worker|before it is in|all is quiet, and the core has",
    _cancels_nobody_hears_of: "the broker is silent",
    _gaps_in_streams_go_unseen: "part",
    _more_handlers_than_slots: "handlers in",
    _versions_are_not_looked_at_again: "is started by",
    _any_version_is_understood: "is started by",
    _who_waits_is_in: "is started by|the core's account of (versions|bytes of schemas)|started 2 times",
    _verdicts_are_for_whoever_is_first: "(who is asked for a schema|proofs)",
    _who_is_busy_is_dead: "is lost with a worker, and .*, which has it, is there",
    _what_a_dead_worker_had_waits_for_its_deadline: "is with a worker that is gone",
    _nobody_behind_a_living_worker_is_dead: "was silent for .* s, and is kept",
    _a_worker_is_put_back_under_another_service: "the core's account of free workers",
    _what_a_peer_says_is_taken_for_granted: "a worker answers what it has",
    _a_request_is_anybodys_to_cancel: "cancelled, though nobody did",
    _a_reply_is_anybodys_to_send: "somebody else's reply|slots and owes",
    _parts_go_to_who_wants_none: "which asked for none",
    _after_a_long_sleep_one_deadline_is_seen_to: "a request's deadline says False|deadlines of|wants to",
    _queues_take_one_more: "the core's account of (a queue|queues)|requests that wait",
    _who_leaves_gets_more_work: "the core's account of free workers|wait for .* while",
    _any_worker_gets_any_method: "which does not have it; another has",
    _a_service_that_comes_back_has_its_old_work: "which is no worker|the broker is silent",
    _producers_go_on_without_credit: "of which [0-9]+ are granted",
    _credit_ends_at_the_broker: "in peace",
    _what_is_for_a_worker_waits_for_another_turn: "parts of gathers wait for it",
    _parts_go_down_with_their_worker: "where a part is|whose part it is|the core's account",
    _a_gather_is_for_the_first_worker_twice: "answer [0-9]+ to a gather|the core's account|KeyError",
    _replays_somebody_elses: "is replayed",
    _outcomes_are_forgotten: "is carried out again",
}


# Where a bug that few worlds find is looked for first. What no longer finds it there finds it later.
LIKELY: Final[dict[Plant, int]] = {
    _goodbyes_are_strikes: 104,
    _struck_requests_share_a_worker: 130,
    _workers_that_know_nothing_get_work: 35,
    _gaps_in_streams_go_unseen: 47,
    _verdicts_are_for_whoever_is_first: 99,
    _nobody_behind_a_living_worker_is_dead: 49,
    _a_service_that_comes_back_has_its_old_work: 121,
    _replays_somebody_elses: 148,
}


def _run_many(likely: int) -> None:
    for seed in (likely, *range(_SEEDS)):
        play(seed)


@pytest.mark.interpreted
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__.strip("_"))
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Violation, match=PLANTS[plant]):
        _run_many(LIKELY.get(plant, 0))
