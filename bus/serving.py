"""The broker's loop: it receives, hands over to the core, and carries out. It decides nothing."""

import logging
import math
import select
import time
from collections.abc import Mapping, Sequence
from typing import Final

import zmq

from hootbus.bus.core import Core
from hootbus.bus.court import Court
from hootbus.bus.dialout import Line
from hootbus.bus.door import Doorkeeper
from hootbus.bus.effects import Effect, Expel, Judge, Note, Publish, Send, Stop
from hootbus.bus.inputs import (
    ConnectionLost,
    ConnectionsHung,
    DoorClosed,
    Input,
    Malformed,
    Received,
    Ticked,
    Undeliverable,
)
from hootbus.bus.notify import Notifier
from hootbus.bus.pulse import Physician
from hootbus.bus.ration import Ration
from hootbus.bus.security import Security
from hootbus.bus.wishes import Wishes
from hootbus.frames.address import BusAddress
from hootbus.frames.event import EventHeader, write_event_header
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import Command, ContentType
from hootbus.frames.sockets import LinkChange, Monitor
from hootbus.frames.wire import SENT, UNREACHABLE, Wire

_log = logging.getLogger("hootbus.broker")

# Messages taken in before the clock, the monitors and the wake-up are looked at again.
_BATCH: Final = 64
# Of one kind in the log, where peers cause them: a READY that is refused costs its sender nothing.
_LINES_PER_MINUTE: Final = 300


class Serving:
    """A broker that has begun. `watched` are sockets that are read here, beside the wire's and its monitor's."""

    def __init__(
        self,
        address: BusAddress,
        core: Core,
        wishes: Wishes,
        *,
        wire: Wire,
        monitor: Monitor,
        watched: Sequence[zmq.Socket[bytes]],
        lines: Mapping[bytes, Line],
        publisher: zmq.Socket[bytes],
        court: Court,
        door: Doorkeeper,
        notifier: Notifier,
        security: Security | None,
    ) -> None:
        self._address = address
        self._core = core
        self._wishes = wishes
        self._wire = wire
        self._monitor = monitor
        self._pulse = Physician(monitor, over_tcp=address.directory is None)
        self._watched = watched
        self._lines = lines
        self._publisher = publisher
        self._court = court
        self._door = door
        self._notifier = notifier
        self._security = security
        self._outgoing: list[Message] = []
        self._lines_of_all, self._lines_of_keys = Ration(_LINES_PER_MINUTE), Ration(1)

    def run(self) -> None:
        """Returns when the broker has stopped."""
        # The sockets' descriptors and not `zmq.poll`, which asks each socket several times over: 72 system calls of the
        # broker for a lone request are 61 so. They tell of changes only, and of none that a send has taken note of: so
        # there is always one more look, which finds nothing, between the last send and the wait.
        poller = select.poll()
        lines = [socket for line in self._lines.values() for socket in line.sockets]
        watched = (self._wire.socket, self._monitor.socket, *self._watched, *lines)
        for descriptor in (*(socket.fileno() for socket in watched), self._wishes.reader):
            poller.register(descriptor, select.POLLIN)
        monitor = self._monitor.socket.fileno()
        # At first without waiting: `drain` may have been called before there was a pipe to wake this.
        busy = changed = True
        while not self._wishes.stop:
            wait_s = 0.0 if busy or self._monitor.pending else self._idle_s()
            readable = {descriptor for descriptor, _ in poller.poll(math.ceil(wait_s * 1000))}
            changed = changed or monitor in readable or self._monitor.pending
            if self._wishes.reader in readable:
                self._wishes.woken()
            more = self._receive()
            busy = self._flush() or more
            if changed and not more:
                # Before that a worker may be taken for lost whose last replies are still to be read.
                changed = False
                self._watch()
            busy |= self._look_around()
            now = time.monotonic()
            if now >= self._core.wake_at():
                self._handle(Ticked())
            if now >= self._notifier.due:
                self._notifier.feed(now)
            if now >= self._pulse.look_at and (hung := self._pulse.look(now)):
                self._handle(ConnectionsHung(hung))
            if now >= self._door.look_at and self._door.look(now):
                self._handle(DoorClosed())
            busy |= self._flush()

    def _idle_s(self) -> float:
        """How long there is nothing to do but to wait for a message."""
        due = min(self._core.wake_at(), self._notifier.due, self._pulse.look_at, self._door.look_at)
        if self._security is not None:
            due = min(due, self._security.look_at())
        return max(0.0, due - time.monotonic())

    def _receive(self) -> bool:
        """Takes in what has come, up to a batch; True if there may be more."""
        wire, keyed = self._wire, self._security is not None
        receive = wire.receive
        for _ in range(_BATCH):
            frames = receive()
            if frames is None:
                return False
            try:
                message = parse(frames, 1)
            except MalformedMessage as error:
                self._handle(Malformed(error, wire.principal, wire.descriptor))
            else:
                if message.command is Command.HEARTBEAT or message.command is Command.READY:
                    self._pulse.heard(message, time.monotonic())
                self._handle(Received(message, wire.principal, wire.descriptor) if keyed else Received(message))
        return True

    def _watch(self) -> None:
        for change in self._monitor.read():
            if change is LinkChange.DOWN:
                self._handle(ConnectionLost())
            elif self._security is not None:
                self._security.noticed(change)

    def _look_around(self) -> bool:
        """Dialled services, what was asked for by drain() and look(), and verdicts; True if there may be more."""
        more = False
        for line in self._lines.values():
            for happened in line.read():
                self._handle(happened)
                more = True
        if self._security is not None:
            self._security.read_monitors()
            if time.monotonic() >= self._security.look_at():
                self._look_at_keys(reload=False)
        wishes = self._wishes
        while wishes.inputs:
            self._handle(wishes.inputs.pop(0))
        if wishes.looks.asked:
            wishes.looks.answer(self._core, time.monotonic())
        if wishes.reload:
            wishes.reload = False
            self._reload()
        return more

    def _reload(self) -> None:
        if self._core.state != "serving":
            return
        self._notifier.reloading(time.monotonic(), "reloading")
        if self._security is not None:
            self._look_at_keys(reload=True)
        failed = 0
        for hook in self._wishes.reload_hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001  # what a hook reads may be half written: all stays as it was
                failed += 1
                _log.error("not reloaded: %s", error)
        _log.info("reloaded" if not failed else "reloaded, but for what is said above")
        self._notifier.ready(f"serving {self._address.text}")

    def _look_at_keys(self, *, reload: bool) -> None:
        assert self._security is not None, "a bus without keys has none to look at"
        for happened in self._security.look(time.monotonic(), reload=reload):
            self._handle(happened)

    def _handle(self, happened: Input) -> None:
        for effect in self._core.handle(happened, time.monotonic()):
            if type(effect) is Send:
                self._outgoing.append(effect.message)
            else:
                self._carry_out(effect)

    def _flush(self) -> bool:
        """Sends what has gathered; True if there was anything.

        libzmq's thread is woken once for all of it and not once for each (measured).
        """
        outgoing = self._outgoing
        if not outgoing:
            return False
        # What cannot be sent is an input in turn, and what follows from it comes behind what is already decided.
        for message in outgoing:
            outcome = self._send(message)
            if outcome != SENT:
                self._handle(Undeliverable(message, outcome == UNREACHABLE))
        outgoing.clear()
        return True

    def _send(self, message: Message) -> int:
        if self._lines and (line := self._lines.get(message.route[0])) is not None:
            return line.send(message)
        return self._wire.send(serialize(message))

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Note():
                self._note(effect)
            case Publish():
                header = EventHeader(ContentType.EMPTY, time_ns=time.time_ns())
                self._publisher.send_multipart([effect.topic, write_event_header(header), b""])
            case Judge():
                self._court.judge(effect.case)
            case Expel():
                assert self._security is not None, "an identity has an owner on a bus with keys"
                self._security.expel(effect.principal, effect.connections, self._monitor)
            case Stop():
                self._wishes.stop = True

    def _note(self, note: Note) -> None:
        event, key = note.event, note.facts.get("key")
        # What a key did that it may not is told of each key, everything else of all peers together.
        ration, kind = (self._lines_of_all, event) if key is None else (self._lines_of_keys, f"{event} {key}")
        behind = ration.grants(kind, time.monotonic())
        if behind is None:
            return
        facts = " ".join(f"{name}={_printable(value)}" for name, value in note.facts.items())
        _log.info("%s %s%s", event, facts, behind, extra={"event": event, "hoot": note.facts})
        if event == "draining":
            self._notifier.stopping(f"draining, {facts}")


def _printable(fact: str | int | float) -> str:
    """A peer's text must not begin a line of its own in the log."""
    text = str(fact)
    return text if text.isprintable() else ascii(text)
