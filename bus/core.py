"""The broker's core: an input and a time go in, effects come out.

It holds all routing state and touches no socket, clock, thread, random source or logger, so that the same code runs
in the broker's process, in unit tests and under the simulator. It reads headers; bodies pass through unopened, but for
those that are for the broker itself.
"""

from collections.abc import Callable
from typing import Final

from hootbus.bus import answers
from hootbus.bus.access import Access
from hootbus.bus.admission import Admission
from hootbus.bus.clients import Clients
from hootbus.bus.effects import Effect, Note, Send, Stop
from hootbus.bus.gate import Gate
from hootbus.bus.gathers import is_gather
from hootbus.bus.house import BROKER, House
from hootbus.bus.inputs import (
    AccessChanged,
    ConnectionLost,
    ConnectionsHung,
    DoorClosed,
    Drain,
    HandshakesRefused,
    Input,
    Judged,
    Malformed,
    Received,
    ServiceConnected,
    ServiceDisconnected,
    Ticked,
    Undeliverable,
)
from hootbus.bus.limits import Limits
from hootbus.bus.requests import Requests
from hootbus.bus.roster import OWN_PREFIX, Roster
from hootbus.bus.snapshot import Census, Snapshot
from hootbus.bus.state import Service, Worker, is_service_name
from hootbus.bus.streams import Streams
from hootbus.bus.tally import Dropped, Tally
from hootbus.frames.errors import BrokerStopping, HootError, Overloaded, Quarantined, UnknownService
from hootbus.frames.message import Message
from hootbus.frames.protocol import RECORDER, Command, ContentType, Flag
from hootbus.schemas import is_ping, write_pong

# A ping is a few words; a larger body is not opened to look for one.
_PING_BYTES_MAX: Final = 1024


class Core:
    """One broker's decisions.

    `instance` is 16 random bytes that name this broker's life, `new_id` gives fresh request ids (16 bytes), `now` is
    any clock that only goes forward, in seconds, the same one for every call. `default_service` takes the requests
    whose service nobody offers. `access` tells who may do what; by default it is a bus without keys, of which all is
    allowed. Without `judging` nobody's schema is looked at.
    """

    def __init__(
        self,
        *,
        instance: bytes,
        new_id: Callable[[], bytes],
        now: float,
        limits: Limits | None = None,
        default_service: str = "",
        version: str = "",
        pid: int = 0,
        access: Access | None = None,
        judging: bool = True,
    ) -> None:
        self.limits = limits if limits is not None else Limits()
        self.tally = Tally()
        self._instance = instance
        self._default = default_service.encode()
        self._drain_until: float | None = None
        self._stopped = False
        self._effects: list[Effect] = []
        self._clients = Clients(self.limits, self.tally)
        self._requests = Requests(self.limits, self.tally, new_id, self._effects)
        self._streams = Streams(self.tally, self._effects)
        self._gate = Gate(self.limits, self.tally, self._requests.services, self._default, new_id, self._effects)
        self._census = Census(self.limits, self.tally, self._requests.services)
        self._roster = Roster(
            self.limits, self.tally, self._requests, self._gate, instance, self._effects, now, judging
        )
        access = access if access is not None else Access()
        self._keyed = access.keyed
        self._admission = Admission(
            access, self.limits, self.tally, self._requests, self._roster, self._gate, self._effects
        )
        self._house = House(
            self._requests,
            self._roster,
            self._gate,
            self.tally,
            instance=instance,
            version=version,
            pid=pid,
            effects=self._effects,
            now=now,
            judging=judging,
        )

    def handle(self, event: Input, now: float) -> list[Effect]:
        """Takes in what happened; what is to be done comes out, in order."""
        if type(event) is Received:
            message = event.message
            if not self._keyed or self._admission.lets_in(message, event, now):
                _COMMANDS[message.command](self, message, now)
        else:
            _INPUTS[type(event)](self, event, now)
        if self._drain_until is not None:
            self._stop_if_drained(now)
        if self._keyed and self._admission.identities.usurped:
            self._admission.hold_back(self._undeliverable, now)
        effects = self._effects.copy()
        self._effects.clear()
        return effects

    def wake_at(self) -> float:
        """When the next `Ticked` has something to do."""
        times = [self._roster.wake_at()]
        if (expiry := self._requests.wake_at()) is not None:
            times.append(expiry)
        if self._gate.asked:
            times.append(self._gate.wake_at())
        if self._drain_until is not None and not self._stopped:
            times.append(self._drain_until)
        return min(times)

    @property
    def state(self) -> str:
        """`serving` or `draining`."""
        return "serving" if self._drain_until is None else "draining"

    def snapshot(self, now: float) -> Snapshot:
        """What the metrics tell of this moment."""
        services = self._census.take()
        return Snapshot(self._house.status(self.state, now), services)

    # Messages, by command

    def _on_request(self, message: Message, now: float) -> None:
        service = message.service
        name = service.partition(b"/")[0]
        if self._keyed or name.startswith(OWN_PREFIX):
            # Before all else: not even an answer that it was given before is for one that may ask no more.
            denied = self._admission.call_refusal(message.route[0], service)
            if denied is not None:
                self._requests.refuse(message, denied)
                return
        open_already = self._requests.find(message.route[0], message.request_id)
        if open_already is not None:
            self._requests.merge(open_already, message)
            return
        replay = self._requests.outcomes.find(message, now)
        if replay is not None:
            self.tally.replayed += 1
            self._effects.append(Send(replay))
            return
        if name.startswith(OWN_PREFIX) and name != RECORDER:
            if service == BROKER and _is_ping(message):
                self._pong(message, now)
            elif self._house.ask(message, self.state, now):
                self._drain(now)
            return
        if self._drain_until is not None:
            self._requests.refuse(message, BrokerStopping("the broker takes no new requests"))
            return
        if self._requests.quarantine.holds(message):
            self._requests.refuse(message, Quarantined("this request took down the workers that tried it"))
            return
        found = self._requests.services.get(name)
        if found is None or not found.workers:
            found = self._without_worker(message, name, found, now)
            if found is None:
                return
        objection = found.versions.objection(service, message.options)
        if objection is not None:
            self._requests.refuse(message, objection)
            return
        if is_gather(message):
            self._requests.gathers.accept(message, found, now)
            return
        self._requests.accept(message, found, now)
        if not found.workers:
            self._requests.settle(found, now)

    def _without_worker(self, message: Message, name: bytes, found: Service | None, now: float) -> Service | None:
        """Who takes a request whose service nobody offers now; None if it has its answer already."""
        if _is_ping(message):
            self._pong(message, now)
            return None
        # Nobody stands in for a recorder.
        default = self._requests.services.get(self._default) if self._default and name != RECORDER else None
        if default is not None and default.workers:
            if self._keyed:
                denied = self._admission.default_refusal(
                    message.route[0], service=message.service, default=default.name
                )
                if denied is not None:
                    self._requests.refuse(message, denied)
                    return None
            return default
        waits = message.options is not None and message.options.flags & Flag.WAIT and is_service_name(name)
        # A service whose worker stands at the gate is not unknown. A gather is for those who are there.
        if is_gather(message) or not (waits or self._gate.awaits(name)):
            shown = name.decode(errors="replace")
            self._requests.refuse(message, UnknownService(f"no worker offers {shown!r}"))
            return None
        if found is None:
            services = self._requests.services
            # Those that nobody offers may take half of the room: workers must find some, whatever clients wait for.
            if len(services) >= self.limits.services or self._requests.orphans >= self.limits.services / 2:
                self.tally.reached["services"] += 1
                self._requests.refuse(message, Overloaded("the broker has as many services as it may"))
                return None
            found = services[name] = Service(name)
        return found

    def _pong(self, message: Message, now: float) -> None:
        pong = write_pong(message.request_id, self._instance, self._house.uptime_s(now))
        self._requests.answer(answers.reply(message, ContentType.CAPNPROTO, pong), message)

    def _on_reply(self, message: Message, now: float) -> None:
        worker = self._roster.workers.get(message.route[0])
        if worker is None or worker.left:
            candidate = self._gate.find(message.route[0])
            if candidate is not None:
                self._gate.replied(candidate, message, now)
            else:
                self.tally.drop(Dropped.REPLY_UNASKED)
            return
        self._roster.heard(worker, now)
        self._requests.complete(worker, message, now)
        if worker.draining:
            self._roster.leave_if_done(worker, now)

    def _on_partial(self, message: Message, now: float) -> None:
        worker = self._roster.workers.get(message.route[0])
        if worker is None or worker.left:
            self.tally.drop(Dropped.PARTIAL_UNASKED)
            return
        self._roster.heard(worker, now)
        self._streams.pass_partial(worker, message)

    def _on_cancel(self, message: Message, now: float) -> None:
        request = self._requests.find(message.route[0], message.request_id)
        if request is not None:
            self._requests.cancel(request, now)
        elif not self._gate.cancel(message.route[0], message.request_id):
            self.tally.drop(Dropped.CANCEL_UNKNOWN)

    def _on_heartbeat(self, message: Message, now: float) -> None:
        worker = self._roster.workers.get(message.route[0])
        if worker is not None and not worker.left:
            self._roster.heard(worker, now)
        elif self._gate.find(message.route[0]) is None:
            if message.options is not None and not message.options.flags & Flag.WORKER:
                self._clients.greeted(message)
            self._roster.heartbeat(message)

    def _on_ready(self, message: Message, now: float) -> None:
        refusal: HootError | None = None
        if self._drain_until is not None:
            refusal = BrokerStopping("the broker takes no new workers")
        elif self._keyed:
            refusal = self._admission.offer_refusal(message.route[0], message.service)
        self._roster.ready(message, now, refusal)

    def _on_disconnect(self, message: Message, now: float) -> None:
        candidate = self._gate.find(message.route[0])
        if candidate is not None:
            self._gate.leave(candidate, now)
        worker = self._roster.workers.get(message.route[0])
        if worker is not None:
            self._roster.disconnect(worker, message, now)
            if message.options is not None and message.options.deadline_ms:
                # It finishes what it has, and may need replies of its own for that.
                return
        # A client that says goodbye wants no more replies.
        self._clients.left(message.route)
        for request in self._requests.of_client(message.route[0]):
            self._requests.cancel(request, now)
        self._forget_comparisons(message.route[0])

    def _on_credit(self, message: Message, now: float) -> None:
        self._streams.grant(self._requests.find(message.route[0], message.request_id), message)

    # Everything else that happens

    def _malformed(self, event: Malformed, now: float) -> None:
        route = event.error.route
        if self._keyed and not (route and self._admission.is_owner(route[0], event.principal, event.connection, now)):
            # Who may not speak under this identity is not answered under it either.
            self.tally.drop(Dropped.BAD_FRAME)
            return
        self._requests.refuse_malformed(event.error)

    def _undeliverable(self, event: Undeliverable, now: float) -> None:
        message = event.message
        if message.command is not Command.REPLY and message.command is not Command.PARTIAL:
            worker = self._roster.workers.get(message.route[0])
            if worker is not None:
                self._worker_missed(worker, message, event.gone, now)
                return
            candidate = self._gate.find(message.route[0])
            if candidate is not None:
                service = self._requests.services.get(candidate.service)
                self.tally.drop(Dropped.WORKER_GONE if event.gone else Dropped.WORKER_FULL, service)
                if event.gone or message.request_id == candidate.asked_id:
                    # With a full pipe it does not know that it was asked: it begins anew with its next READY.
                    self._gate.leave(candidate, now)
                return
        if message.command in _TO_WORKERS:
            # The worker is gone from the roster already, and with it whatever it had.
            service = self._requests.service_of(message)
            self.tally.drop(Dropped.WORKER_GONE if event.gone else Dropped.WORKER_FULL, service)
            return
        service = self._requests.service_of(message)
        self.tally.drop(Dropped.CLIENT_GONE if event.gone else Dropped.CLIENT_FULL, service)
        if event.gone:
            self._clients.left(message.route)
            self._forget_comparisons(message.route[0])
        else:
            self._clients.missed(message.route)
        if message.command is Command.PARTIAL:
            request = self._requests.find(message.route[0], message.request_id)
            if request is not None:
                self._requests.end_stream(request, now)

    def _worker_missed(self, worker: Worker, message: Message, gone: bool, now: float) -> None:
        if message.command is Command.REQUEST:
            self._requests.take_back(worker, message)
        else:
            self.tally.drop(Dropped.WORKER_GONE if gone else Dropped.WORKER_FULL, worker.service)
        if gone:
            # Others may have gone with it.
            self._roster.probe(now)
            self._roster.part(worker, "its connection is gone", now, died=True)
        elif worker.extended and message.command is Command.HEARTBEAT and message.request_id == worker.ready_id:
            # It does not know that it is in, so it would let go of what it is given. It will send its READY again.
            self._roster.part(worker, "its pipe had no room for the answer to its READY", now, died=False)
        else:
            worker.stalled = True
            worker.service.offer(worker)
            self._roster.leave_if_done(worker, now)
        self._requests.dispatch(worker.service, now)

    def _connection_lost(self, event: ConnectionLost, now: float) -> None:
        self._roster.connection_lost(now)

    def _service_connected(self, event: ServiceConnected, now: float) -> None:
        if self._drain_until is None:
            self._roster.connected(event.identity, event.service, event.slots, now)

    def _service_disconnected(self, event: ServiceDisconnected, now: float) -> None:
        worker = self._roster.workers.get(event.identity)
        if worker is not None:
            self._roster.part(worker, "its connection is gone", now, died=True)

    def _judged(self, event: Judged, now: float) -> None:
        self._gate.judged(event.verdict, now)

    def _access_changed(self, event: AccessChanged, now: float) -> None:
        self._admission.change(event.access, now)

    def _handshakes_refused(self, event: HandshakesRefused, now: float) -> None:
        self.tally.handshakes_denied += event.denied
        self.tally.handshakes_failed += event.failed

    def _ticked(self, event: Ticked, now: float) -> None:
        self._requests.expire(now)
        self._requests.outcomes.expire(now)
        self._admission.identities.forget_idle(now)
        self._gate.tick(now)
        self._roster.tick(now)

    # The end

    def _drain(self, now: float) -> None:
        if self._drain_until is None:
            self._drain_until = now + self.limits.drain_timeout_s
            self._effects.append(Note("draining", {"open": self._requests.open_count}))
            self._gate.close(BrokerStopping("the broker takes no new workers"))

    def _connections_hung(self, event: ConnectionsHung, now: float) -> None:
        self.tally.connections_hung += event.count
        self._effects.append(Note("hung", {"connections": event.count}))

    def _door_closed(self, event: DoorClosed, now: float) -> None:
        self.tally.doors_closed += 1

    def _asked_to_drain(self, event: Drain, now: float) -> None:
        self._drain(now)

    def _stop_if_drained(self, now: float) -> None:
        assert self._drain_until is not None
        stopping = BrokerStopping("the broker stops")
        if now >= self._drain_until:
            for request in self._requests.all_open():
                self.tally.reached["drain_timeout_s"] += 1
                self._requests.stop(request, stopping, now)
        if self._requests.open_count or self._stopped:
            return
        self._stopped = True
        self._roster.dismiss_all(stopping)
        self._effects += self._clients.dismiss_all(stopping)
        self._effects.append(Stop())

    def _forget_comparisons(self, identity: bytes) -> None:
        for _ in range(self._gate.client_gone(identity)):
            self.tally.drop(Dropped.CLIENT_GONE)


def _is_ping(message: Message) -> bool:
    return (
        message.content_type is ContentType.CAPNPROTO and len(message.body) <= _PING_BYTES_MAX and is_ping(message.body)
    )


_TO_WORKERS: Final = frozenset({Command.REQUEST, Command.CANCEL, Command.CREDIT, Command.DISCONNECT})
_COMMANDS: Final[dict[Command, Callable[[Core, Message, float], None]]] = {
    Command.READY: Core._on_ready,
    Command.REQUEST: Core._on_request,
    Command.REPLY: Core._on_reply,
    Command.HEARTBEAT: Core._on_heartbeat,
    Command.DISCONNECT: Core._on_disconnect,
    Command.CANCEL: Core._on_cancel,
    Command.PARTIAL: Core._on_partial,
    Command.CREDIT: Core._on_credit,
}
_INPUTS: Final[dict[type[Input], Callable[..., None]]] = {
    Malformed: Core._malformed,
    Undeliverable: Core._undeliverable,
    ConnectionLost: Core._connection_lost,
    ServiceConnected: Core._service_connected,
    ServiceDisconnected: Core._service_disconnected,
    Judged: Core._judged,
    ConnectionsHung: Core._connections_hung,
    DoorClosed: Core._door_closed,
    AccessChanged: Core._access_changed,
    HandshakesRefused: Core._handshakes_refused,
    Drain: Core._asked_to_drain,
    Ticked: Core._ticked,
}
