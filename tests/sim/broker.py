"""The broker's process: the real core in a shell without sockets, with a ledger beside it."""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from bus_world.indexes import agree
from bus_world.inspect import kept
from hootbus.bus.core import Core
from hootbus.bus.effects import Judge, Note, Publish, Send, Stop
from hootbus.bus.inputs import (
    ConnectionLost,
    Drain,
    Input,
    Judged,
    Malformed,
    Received,
    ServiceConnected,
    ServiceDisconnected,
    Ticked,
    Undeliverable,
)
from hootbus.bus.judgement import Case, Finding, Verdict
from hootbus.frames.buffer import Frames
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import Command
from hootbus.schemas import BodyError, Registration, read_registration
from sim.clock import Alarm
from sim.ledger import Ledger
from sim.network import Line, brief
from sim.punctuality import check_core
from sim.versions import judge
from sim.violation import Violation
from sim.workers import DialledService

if TYPE_CHECKING:
    from sim.world import World

# The broker's own steps after which it is its turn, at the latest.
_CHECKED_AFTER: Final = 16
_GOODBYE_S: Final = 0.3
_JUDGING_S: Final = 0.3
# Of judgements in a storm.
_DIES: Final = 0.03
_TAKES_TOO_LONG: Final = 0.03


class SimBroker:
    """One broker, from its start to its end."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        limits = world.profile.broker
        clock, network = world.clock, world.network
        self.core = Core(
            instance=world.new_bytes(16),
            new_id=lambda: world.new_bytes(16),
            now=clock.now,
            limits=limits,
            default_service="svc0" if world.profile.default_service else "",
        )
        self.ledger = Ledger(limits, world.asks, lambda identity: not identity[0])
        self._touched = True
        self._touches = 0
        self._outgoing: list[Message] = []
        self._flush_due = self._flushing = self._stopping = False
        self._alarm = Alarm(clock, world.lateness, self._tick)
        self._alarm.set(self.core.wake_at())
        network.broker_takes = self._take
        network.broker_noticed = self._noticed
        network.broker_dialled = self._dialled

    def _noticed(self, line: Line) -> None:
        if line.dialled:
            self.ledger.gone(line.identity)
            self._handle(ServiceDisconnected(line.identity))
        else:
            self._handle(ConnectionLost())

    def _dialled(self, line: Line) -> None:
        peer = line.peer
        assert isinstance(peer, DialledService)
        if self.core.state == "serving":
            self.ledger.dialled(line.identity, peer.slots)
        self._handle(ServiceConnected(line.identity, peer.service.decode(), peer.slots))
        self.ledger.offers(line.identity, peer.service)

    def _take(self, line: Line, frames: Frames) -> None:
        try:
            message = parse([line.identity, *frames], 1)
        except MalformedMessage as error:
            self.world.note(self.name, partial("<- {} rubbish, {}".format, line.identity[:4].hex(), error))
            self.ledger.malformed(error)
            self._handle(Malformed(error))
            return
        registration = Registration(worker_id=b"", name="", slots=1)
        if message.command is Command.READY and len(message.body):
            with suppress(BodyError):
                registration = read_registration(message.body)
        self.world.note(self.name, lambda: f"<- {line.identity[:4].hex()} {brief(message)}")
        self.ledger.received(message, registration, self.world.clock.now)
        self._handle(Received(message))

    def _tick(self) -> None:
        if self._outgoing:
            # As in bus.serving, which looks at the clock after it has sent.
            self._flush()
        if not self.alive:
            return
        self._handle(Ticked())
        if self._lives() and self.core.wake_at() <= self.world.clock.now:
            raise Violation("the core has ticked and wants to be woken at a time that is past")

    def _lives(self) -> bool:
        """A function, so that the type checker asks again after something has happened."""
        return self.alive

    def drain(self) -> None:
        """The operator asks it to finish and end."""
        self._handle(Drain())

    def crash(self) -> None:
        """The process is killed."""
        self.world.note(self.name, lambda: "dies")
        self.alive = False
        for message in self._outgoing:
            self._lose(message, noticed=True)
        self._outgoing.clear()
        self.world.network.broker_ends(0.0)

    def _handle(self, event: Input) -> None:
        now = self.world.clock.now
        self._touched = True
        for effect in self.core.handle(event, now):
            match effect:
                case Send():
                    self.ledger.sent(effect.message, now)
                    self._outgoing.append(effect.message)
                case Note():
                    self.world.note(self.name, partial("{} {}".format, effect.event, effect.facts))
                case Judge():
                    self._judge(effect.case)
                case Stop():
                    self._stop()
                case Publish():
                    raise Violation("nobody asked for an event")
        if self._outgoing and not self._flush_due:
            # As in bus.serving, sends gather while there is more to receive.
            self._flush_due = True
            self.world.clock.after(self.world.random.choice((0.0, 0.0, 0.001, 0.01)), self._flush)
        if self.alive:
            self._alarm.set(self.core.wake_at())

    def _judge(self, case: Case) -> None:
        types = self.world.types
        chance = types.random() if self.world.stormy else 1.0
        if chance < _DIES:
            verdict = Verdict(Finding.UNJUDGED, ("the judge has died over it",))
        elif chance < _DIES + _TAKES_TOO_LONG:
            verdict = Verdict(Finding.TOO_LONG, ("it takes too long",))
        else:
            verdict = judge(case)
        self.world.note(self.name, lambda: f"has judged {case.claim.nodes!r}: {verdict.finding}")
        self.world.clock.after(types.random() * _JUDGING_S, lambda: self._judged(verdict))

    def _judged(self, verdict: Verdict) -> None:
        if self.alive:
            self._handle(Judged(verdict))

    def _flush(self) -> None:
        self._flush_due, self._flushing = False, True
        outgoing = self._outgoing
        # What cannot be sent is an input in turn, and what follows from it comes behind what is already decided.
        for message in outgoing:
            self._send(message)
        outgoing.clear()
        self._flushing = False
        if self._stopping:
            self._stopping = False
            self.world.network.broker_ends(_GOODBYE_S)
            self.world.broker_ended()

    def _send(self, message: Message) -> None:
        identity, now = message.route[0], self.world.clock.now
        line = self.world.network.routes.get(identity)
        if line is not None and now >= line.full_until:
            self.world.note(self.name, lambda: f"-> {identity[:4].hex()} {brief(message)}")
            self.ledger.left(message)
            self.world.network.down(line, serialize(message)[1:])
            return
        self.world.note(self.name, lambda: f"-x {identity[:4].hex()} {brief(message)} ({'full' if line else 'gone'})")
        if line is not None and message.command is Command.DISCONNECT and message.options is None:
            line.untold = True
        self.ledger.undelivered(message, gone=line is None)
        self._lose(message, noticed=line is None)
        self._handle(Undeliverable(message, line is None))

    def _lose(self, message: Message, noticed: bool) -> None:
        ask = self.world.asks.find(message.route[0], message.request_id)
        if ask is not None:
            ask.lost(message, noticed)

    def _stop(self) -> None:
        self.world.note(self.name, lambda: "has drained and ends")
        self.ledger.check_ended()
        self.alive, self._stopping = False, True
        if not self._flushing:
            self._flush()

    def knows(self, identity: bytes) -> bool:
        """Whether this is a worker of its own."""
        return self.alive and identity in self.core._roster.workers

    def check(self) -> None:
        """After each step; all of it only now and then, as it takes longer than what it checks."""
        if not self.alive or not self._touched or self.world.clock.behind:
            return
        self._touched = False
        self._touches += 1
        if self.world.looks_closely() or self._touches > _CHECKED_AFTER:
            self._touches = 0
            self.ledger.check(self.world.clock.now)
            check_core(self.core, self.world.clock.now)

    @property
    def busy(self) -> bool:
        """Whether anybody owes anybody anything."""
        core = self.core
        gate = core._gate
        waiting = len(gate) + len(gate._questions) + (gate._on_trial is not None)
        in_flight = any(worker.in_flight for worker in core._roster.workers.values())
        return bool(core._requests.open_count or waiting or in_flight)

    def check_idle(self) -> None:
        """When everything has settled nothing may be left."""
        core = self.core
        requests, workers = core._requests, core._roster.workers.values()
        left = {worker.number: [wire_id.hex() for wire_id in worker.in_flight] for worker in workers}
        if self.busy:
            raise Violation(f"all is quiet, and the core has {requests.open_count} open, in flight {left}")
        remembered = kept(core)
        there = {"workers": len(workers), "services": len({worker.service.name for worker in workers})}
        agree("what is kept while all is quiet", remembered, dict.fromkeys(remembered, 0) | there)
        agree("who is going while all is quiet", [worker.number for worker in workers if worker.going], [])
        check_core(core, self.world.clock.now)
