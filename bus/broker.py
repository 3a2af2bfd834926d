"""The broker's shell: it receives, hands over to the core, and carries out. It decides nothing."""

import logging
import math
import os
import secrets
import select
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from importlib.metadata import version
from typing import Final, TypeVar

import zmq

from hootbus.bus.access import Access
from hootbus.bus.core import Core
from hootbus.bus.court import Court
from hootbus.bus.dialout import DialOut, Line
from hootbus.bus.door import DESCRIPTORS_MIN, Doorkeeper
from hootbus.bus.effects import Effect, Expel, Judge, Note, Publish, Send, Stop
from hootbus.bus.guard import (
    CannotServe,
    IpcFolder,
    is_loopback,
    raise_descriptor_limit,
    require_closed,
    require_loopback,
)
from hootbus.bus.hootenanny import BareEventFeed
from hootbus.bus.inputs import (
    ConnectionLost,
    DoorClosed,
    Drain,
    Input,
    Judged,
    Malformed,
    Received,
    Ticked,
    Undeliverable,
)
from hootbus.bus.judgement import Verdict
from hootbus.bus.limits import Limits
from hootbus.bus.looks import Looks
from hootbus.bus.notify import Notifier
from hootbus.bus.proxy import PUBLISH_INSIDE, EventProxy, last_endpoint
from hootbus.bus.security import Security
from hootbus.frames.address import BusAddress, parse_address
from hootbus.frames.context import aligned_context, fallbacks
from hootbus.frames.event import EventHeader, write_event_header
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import ContentType
from hootbus.frames.sockets import LinkChange, Monitor, event_socket, router
from hootbus.frames.wire import SENT, UNREACHABLE, Wire

_log = logging.getLogger("hootbus.broker")
T = TypeVar("T")

# Messages taken in before the clock, the monitors and the wake-up are looked at again.
_BATCH: Final = 64
# Three free ports in a row are soon found; a machine where they are not has other troubles.
_PORT_TRIES: Final = 100
_INSTANCE_BYTES: Final = 16
# Whoever wakes the broker says so in its own list; the bytes in the pipe only end the wait.
_WAKE_BYTES: Final = 4096
# What was sent last, goodbyes among them, gets this long to leave.
_LINGER_MS: Final = 500


class Broker:
    """One broker. `run` serves in the calling thread until it has drained or is stopped.

    `drain`, `reload` and `stop` may be called from any thread and from signal handlers. `notifier` is told how it goes,
    and its watchdog is fed by the very loop that serves.
    """

    def __init__(
        self,
        address: BusAddress,
        *,
        limits: Limits | None = None,
        default_service: str = "",
        connect: tuple[DialOut, ...] = (),
        hootenanny_events: str = "",
        insecure: bool = False,
        notifier: Notifier | None = None,
        security: Security | None = None,
    ) -> None:
        self.address = address
        self._limits = limits
        self._default_service = default_service
        self._connect = connect
        self._hootenanny_events = hootenanny_events
        self._insecure = insecure
        self._notifier = notifier or Notifier()
        self._reload_hooks: list[Callable[[], None]] = []
        self._reload_asked = False
        self._security = security
        self._asked: list[Input] = []
        self._looks = Looks()
        self._outgoing: list[Message] = []
        self._stopped = False
        self._lines: dict[bytes, Line] = {}
        self._begun = False
        self._wake_reader = self._wake_writer = -1

    def run(self, on_ready: Callable[[BusAddress], None] | None = None) -> None:
        """Binds, serves, and returns when the broker has ended. Raises CannotServe if it cannot begin. Runs once.

        `on_ready` is called with the address once it serves; a tcp address with port 0 has got its port by then.
        """
        if self._begun:
            raise RuntimeError("a Broker runs once")
        self._begun = True
        descriptors = raise_descriptor_limit()
        if descriptors < DESCRIPTORS_MIN:
            raise CannotServe(
                f"{descriptors} files may be open, and a broker wants {DESCRIPTORS_MIN} at least; raise `ulimit -n`"
            )
        security = self._security
        keys = security.keys if security is not None else None
        require_loopback(self.address.requests, insecure=self._insecure, keyed=keys is not None)
        require_loopback(self._hootenanny_events, insecure=self._insecure)
        if keys is not None:
            require_closed(self._hootenanny_events, self._connect, insecure=self._insecure)
        with ExitStack() as stack:
            self._open_wake()
            stack.callback(self._looks.end)
            stack.callback(self._close_wake)
            folder = None
            if self.address.directory is not None:
                folder = stack.enter_context(IpcFolder(self.address))
            self._door = Doorkeeper(folder.move_door if folder is not None else None, descriptors)
            context = aligned_context()
            # ETERM ends the threads of the proxy and the feed, which close their sockets; they are waited for then.
            threads = stack.enter_context(ExitStack())
            stack.callback(context.term)
            for fallback in fallbacks(context):
                _log.warning("%s", fallback)
            if security is not None:
                security.open(context, stack, threads)
            proxy = EventProxy(context, keys, backlog=self._door.waiting)
            threads.callback(proxy.join)
            stack.callback(proxy.close)
            self._wire = Wire(router(context, keys, backlog=self._door.waiting), keys is not None)
            stack.callback(self._wire.close, _LINGER_MS)
            self._bind(proxy)
            if folder is not None:
                folder.make_private()
            self._monitor = Monitor(self._wire.socket)
            stack.callback(self._monitor.close)
            self._watched = security.watch(*proxy.sockets, stack) if security is not None else []
            proxy.start()
            self._publisher = event_socket(context, zmq.PUB)
            stack.callback(self._publisher.close, 0)
            self._publisher.connect(PUBLISH_INSIDE)
            if self._hootenanny_events:
                feed = BareEventFeed(context, self._hootenanny_events)
                threads.callback(feed.join)
                feed.start()
            self._dial(context, stack)
            self._core = Core(
                instance=secrets.token_bytes(_INSTANCE_BYTES),
                new_id=lambda: uuid.uuid4().bytes,
                now=time.monotonic(),
                limits=self._limits,
                default_service=self._default_service,
                version=version("hootbus"),
                pid=os.getpid(),
                # Without keys the address is all that tells a user from a stranger.
                access=Access(admin=folder is not None) if security is None else security.access,
                judging=not self._serves_strangers(),
            )
            self._court = Court(self._core.limits.judge_timeout_s, self._judged)
            stack.callback(self._court.close)
            if self._serves_strangers():
                _log.warning("everyone who reaches %s may use the bus; nobody's schema is judged", self.address.text)
            if on_ready is not None:
                on_ready(self.address)
            self._notifier.ready(f"serving {self.address.text}")
            self._serve()

    def drain(self) -> None:
        """Takes no new requests, finishes what is there (for `drain_timeout_s` at most), then ends."""
        self._asked.append(Drain())
        self._wake()

    def on_reload(self, hook: Callable[[], None]) -> None:
        """Has it called by `reload`, in the order of these calls. One that raises leaves what it is about as it was."""
        self._reload_hooks.append(hook)

    def reload(self) -> None:
        """Has the keys that are let in and their rights read again, and what `on_reload` was given called.

        On the broker's thread, between two messages.
        """
        self._reload_asked = True
        self._wake()

    def stop(self) -> None:
        """Ends now; requests without an outcome are left to their clients' clocks."""
        self._stopped = True
        self._wake()

    def look(self, at: Callable[[Core, float], T]) -> Future[T]:
        """Has the core looked at between two messages, with the time; from any thread. Cancelled if the broker ends.

        A look must change nothing and be short: the broker does nothing else meanwhile.
        """
        future = self._looks.ask(at)
        self._wake()
        return future

    def _judged(self, verdict: Verdict) -> None:
        """On the court's thread."""
        self._asked.append(Judged(verdict))
        self._wake()

    # Beginning

    def _bind(self, proxy: EventProxy) -> None:
        """Takes the bus's three endpoints; for port 0 finds a port where all three are free."""
        wanted = self.address
        problem: Exception | None = None
        for _ in range(_PORT_TRIES if wanted.port == 0 else 1):
            try:
                self._wire.socket.bind(wanted.requests)
            except zmq.ZMQError as error:
                problem = error
                continue
            bound = last_endpoint(self._wire.socket)
            try:
                # Only the port is taken from there: libzmq says [::ffff:127.0.0.1] for the 127.0.0.1 it was given.
                # One so high that there are no three behind it is no address.
                host, port = wanted.text.rpartition(":")[0], bound.rpartition(":")[2]
                address = parse_address(f"{host}:{port}") if wanted.port == 0 else wanted
                proxy.bind(address)
            except (zmq.ZMQError, ValueError) as error:
                self._wire.socket.unbind(bound)
                problem = error
                continue
            self.address = address
            return
        raise CannotServe(f"cannot serve {wanted.text}: {problem}")

    def _dial(self, context: zmq.Context[zmq.Socket[bytes]], stack: ExitStack) -> None:
        for target in self._connect:
            try:
                line = Line(context, target)
            except zmq.ZMQError as error:
                raise CannotServe(f"cannot connect to {target.service} at {target.endpoint}: {error}") from None
            stack.callback(line.close)
            self._lines[line.identity] = line

    # Serving

    def _serve(self) -> None:
        # The sockets' descriptors and not `zmq.poll`, which asks each socket several times over: 72 system calls of the
        # broker for a lone request are 61 so. They tell of changes only, and of none that a send has taken note of: so
        # there is always one more look, which finds nothing, between the last send and the wait.
        poller = select.poll()
        lines = [socket for line in self._lines.values() for socket in line.sockets]
        watched = (self._wire.socket, self._monitor.socket, *self._watched, *lines)
        for descriptor in (*(socket.fileno() for socket in watched), self._wake_reader):
            poller.register(descriptor, select.POLLIN)
        monitor = self._monitor.socket.fileno()
        # At first without waiting: `drain` may have been called before there was a pipe to wake this.
        busy = changed = True
        while not self._stopped:
            wait_s = 0.0 if busy else self._idle_s()
            readable = {descriptor for descriptor, _ in poller.poll(math.ceil(wait_s * 1000))}
            changed = changed or monitor in readable
            if self._wake_reader in readable:
                os.read(self._wake_reader, _WAKE_BYTES)
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
            if now >= self._door.look_at and self._door.look(now):
                self._handle(DoorClosed())
            busy |= self._flush()

    def _idle_s(self) -> float:
        """How long there is nothing to do but to wait for a message."""
        due = min(self._core.wake_at(), self._notifier.due, self._door.look_at)
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
        while self._asked:
            self._handle(self._asked.pop(0))
        if self._looks.asked:
            self._looks.answer(self._core, time.monotonic())
        if self._reload_asked:
            self._reload_asked = False
            self._reload()
        return more

    def _reload(self) -> None:
        if self._core.state != "serving":
            return
        self._notifier.reloading(time.monotonic(), "reloading")
        if self._security is not None:
            self._look_at_keys(reload=True)
        failed = 0
        for hook in self._reload_hooks:
            try:
                hook()
            except Exception as error:  # noqa: BLE001  # what a hook reads may be half written: all stays as it was
                failed += 1
                _log.error("not reloaded: %s", error)
        _log.info("reloaded" if not failed else "reloaded, but for what is said above")
        self._notifier.ready(f"serving {self.address.text}")

    def _look_at_keys(self, *, reload: bool) -> None:
        assert self._security is not None, "a bus without keys has none to look at"
        for happened in self._security.look(time.monotonic(), reload=reload):
            self._handle(happened)

    def _serves_strangers(self) -> bool:
        """Whether whoever reaches the address may be anybody."""
        return self._security is None and not is_loopback(self.address.requests)

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
                facts = " ".join(f"{name}={_printable(value)}" for name, value in effect.facts.items())
                _log.info("%s %s", effect.event, facts, extra={"event": effect.event, "hoot": effect.facts})
                if effect.event == "draining":
                    self._notifier.stopping(f"draining, {facts}")
            case Publish():
                header = EventHeader(ContentType.EMPTY, time_ns=time.time_ns())
                self._publisher.send_multipart([effect.topic, write_event_header(header), b""])
            case Judge():
                self._court.judge(effect.case)
            case Expel():
                assert self._security is not None, "an identity has an owner on a bus with keys"
                self._security.expel(effect.principal, effect.connections, self._monitor)
            case Stop():
                self._stopped = True

    # Being woken

    def _open_wake(self) -> None:
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)

    def _wake(self) -> None:
        try:
            os.write(self._wake_writer, b"\0")
        except OSError:
            # Full: it will wake in any case. Not open: it has ended, or has yet to begin and looks before it waits.
            return

    def _close_wake(self) -> None:
        # The number may soon be another file's: a late `stop` must not write into that.
        writer, self._wake_writer = self._wake_writer, -1
        os.close(writer)
        os.close(self._wake_reader)


def _printable(fact: str | int | float) -> str:
    """A peer's text must not begin a line of its own in the log."""
    text = str(fact)
    return text if text.isprintable() else ascii(text)
