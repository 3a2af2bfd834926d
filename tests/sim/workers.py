"""Those who answer: a worker of ours, a plain HOOT01 worker, and the handlers both run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from bus_world.indexes import agree
from hootbus.frames.errors import (
    BadBody,
    Cancelled,
    HandlerFailed,
    HootError,
    Overloaded,
    SchemaMismatch,
    UnknownMethod,
)
from hootbus.frames.message import Message
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType, Flag
from hootbus.schemas import Method, Registration, write_registration
from hootbus.workers.failure import error_body
from hootbus.workers.link import LinkState
from hootbus.workers.session import Abort, Body, Closed, Effect, Linked, Refused, Resume, Start, Waiting
from hootbus.workers.worker_session import WorkerSession
from sim.asks import Ask
from sim.clock import Action
from sim.network import Line
from sim.peers import Peer, SessionPeer
from sim.tables import check_worker
from sim.versions import LIE, go_together, method, nodes
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.world import World

_LONGEST_S: Final = 2.0
# Longer than any request's time.
_STUCK_S: Final = 8.0
_METHODS: Final = ((), (), ("do",), ("do", "old"), ("old",))


class Job(msgspec.Struct, eq=False):
    """A handler that runs. `parts` is how many items it has yet to give, None if it is no generator."""

    request_id: bytes
    ask: Ask
    parts: int | None
    given: int = 0
    # Waits until its client takes more.
    paused: bool = False
    over: bool = False


class Handlers:
    """They take random time, stream, fail, are slow to stop, and die of poison."""

    def __init__(
        self,
        peer: Peer,
        slots: int,
        finish: Callable[[bytes, Body | HootError], None],
        partial: Callable[[bytes, Body], None],
        may_send: Callable[[bytes, int], bool] = lambda request_id, ahead: True,
        version: int = 0,
    ) -> None:
        self._version = version
        self._peer = peer
        self._world = peer.world
        self._slots = slots
        self._finish = finish
        self._partial = partial
        self._may_send = may_send
        self._attach = not peer.plain
        self.jobs: dict[bytes, Job] = {}
        # The service frames that are taken; none: all.
        self.frames: frozenset[bytes] = frozenset()

    def start(self, message: Message) -> None:
        """A handler begins."""
        ask = self._world.asks.all[message.traceparent]
        ask.started(self._peer.name)
        # What came garbled may have lost what it said of its types.
        judged = ask.version and self._version and not ask.garbled
        if judged and not go_together(ask.version, self._version):
            raise Violation(f"{ask} of version {ask.version} is started by {self._peer.name} of {self._version}")
        if message.request_id in self.jobs:
            raise Violation(f"{ask}: started under an id that runs already")
        streams = message.options is not None and message.options.flags & Flag.PARTIALS
        # Another try may have another length: what it gives must not be taken for the rest of the first one's.
        length = self._world.random.randint(0, ask.length) if streams else None
        job = self.jobs[message.request_id] = Job(message.request_id, ask, length)
        if len(self.jobs) > self._slots:
            raise Violation(f"{self._peer.name} runs {len(self.jobs)} handlers in {self._slots} slots")
        self._world.note(self._peer.name, lambda: f"starts {ask.token.decode()}")
        if self.frames and b"/" in message.service and message.service not in self.frames:
            self._end(job, UnknownMethod("no such method"))
        elif ask.poison:
            self._after(0.001, self._peer.die)
        elif self._world.random.random() < 0.2:
            self._go_on(job)
        else:
            self._later(job)

    def abort(self, request_id: bytes) -> None:
        """Nobody waits any more: most handlers end soon, some do not care."""
        job = self.jobs[request_id]
        if job.paused:
            self._end(job, Cancelled("aborted while it waited"))
        elif self._world.random.random() < 0.7:
            self._after(self._world.random.random() * 0.01, lambda: self._end(job, Cancelled("aborted")))

    def abandon(self) -> None:
        """The process forgets what it does."""
        for job in self.jobs.values():
            job.over = True
        self.jobs.clear()

    def resume(self, request_id: bytes, count: int) -> None:
        """Its client takes more."""
        job = self.jobs[request_id]
        if count != 1 or not job.paused:
            raise Violation(f"{job.ask}: {count} are to go on, and it waits: {job.paused}")
        job.paused = False
        self._give(job)

    def _later(self, job: Job) -> None:
        mean = self._world.profile.handler_s / (1 + (job.parts or 0))
        seconds = min(self._world.random.expovariate(1 / mean), _LONGEST_S)
        if self._world.stormy and self._world.random.random() < 0.01:
            seconds = _STUCK_S
        self._after(seconds, lambda: self._go_on(job))

    def _after(self, delay: float, action: Action) -> None:
        self._world.clock.after(delay, lambda: self._peer.do(action))

    def _go_on(self, job: Job) -> None:
        if job.over:
            return
        if not job.parts:
            self._end(job)
            return
        if self._may_send(job.request_id, 1):
            self._give(job)
        else:
            job.paused = True

    def _give(self, job: Job) -> None:
        assert job.parts
        self._partial(job.request_id, Body(ContentType.RAW_BINARY, b"%b part %d" % (job.ask.token, job.given)))
        job.given += 1
        job.parts -= 1
        self._later(job)

    def _end(self, job: Job, error: HootError | None = None) -> None:
        if job.over:
            return
        job.over = True
        del self.jobs[job.request_id]
        chance = self._world.random.random()
        attachments = (b"attached",) if self._attach and self._world.stormy and chance > 0.95 else ()
        result: Body | HootError = Body(ContentType.RAW_BINARY, b"%b done" % job.ask.token, 0, attachments)
        if error is not None:
            result = error
        elif chance < 0.05 and self._world.stormy:
            result = HandlerFailed("it went wrong")
        elif chance < 0.1 and self._world.stormy and job.ask.idempotent:
            result = Overloaded("not now")
        self._finish(job.request_id, result)


class SimWorker(SessionPeer):
    """A worker process of ours."""

    def __init__(self, world: "World", name: str, service: bytes, slots: int, identity: bytes = b"") -> None:
        super().__init__(world, name, identity or b"W" + world.new_bytes(15))
        self.slots = slots
        self.version = version = world.draw_version()
        names = world.random.choice(_METHODS) if world.stormy else ()
        methods = (method(version),) if version else tuple(Method(name=each) for each in names)
        patience_ms = world.random.choice((0, 0, 3000))
        registration = Registration(
            worker_id=self.identity, name=name, slots=slots, methods=methods, lost_after_ms=patience_ms
        )
        self.worker = WorkerSession(
            service,
            slots=slots,
            registration=lambda request_id: write_registration(request_id, registration),
            schema=self._schema,
            new_id=lambda: world.new_bytes(16),
            random=world.random.random,
            now=world.clock.now,
            limits=world.profile.peer,
        )
        self._handlers = Handlers(self, slots, self._finish, self._partial, self.worker.may_send, version)
        self._handlers.frames = frozenset(service + b"/" + each.name.encode() for each in methods)
        self.begin(self.worker)

    @property
    def linked(self) -> bool:
        """Whether the broker has taken it in."""
        return self.worker.link is LinkState.UP

    @property
    def idle(self) -> bool:
        """Whether no handler runs."""
        return not self._handlers.jobs

    def stop(self, within: float) -> None:
        """Asked to end: with time to finish, or (0) at once."""
        self.world.note(self.name, lambda: f"is stopped within {within:.2f} s")
        now = self.world.clock.now
        self.carry_out(self.worker.drain(now, within) if within else self.worker.stop(now))

    def effect(self, effect: Effect) -> None:
        if isinstance(effect, Start):
            self._handlers.start(effect.message)
        elif isinstance(effect, Abort):
            self._handlers.abort(effect.request_id)
        elif isinstance(effect, Resume):
            self._handlers.resume(effect.request_id, effect.count)
        elif isinstance(effect, Closed):
            self.die(orderly=True)
        elif isinstance(effect, Refused):
            if not self.version or not isinstance(effect.error, SchemaMismatch | BadBody):
                raise Violation(f"{self.name} is refused: {effect.error}")
        elif not isinstance(effect, Linked | Waiting):
            raise Violation(f"{self.name}: {effect}")

    def _schema(self) -> bytes:
        lies = self.world.stormy and self.world.types.random() < 0.05
        return LIE if lies else nodes(self.version)

    def send(self, message: Message) -> None:
        if message.service == WORKER_SCHEMA and self.world.stormy and self.world.types.random() < 0.05:
            self.world.note(self.name, lambda: "keeps its schema to itself")
        else:
            super().send(message)

    def _finish(self, request_id: bytes, result: Body | HootError) -> None:
        self.carry_out(self.worker.finish(request_id, result, self.world.clock.now))

    def _partial(self, request_id: bytes, item: Body) -> None:
        self.carry_out(self.worker.partial(request_id, item, self.world.clock.now))

    def check(self) -> None:
        agree(f"handlers of {self.name}", len(self.worker), len(self._handlers.jobs))
        if self.world.looks_closely():
            check_worker(self.worker)


class PlainWorker(Peer):
    """A HOOT01 worker without our extension: one slot, a bare READY, heartbeats given back."""

    plain = True
    slots = 1

    def __init__(self, world: "World", name: str, service: bytes) -> None:
        super().__init__(world, name, b"")
        self.service = service
        self._registered = False
        self._requests: dict[bytes, Message] = {}
        self._handlers = Handlers(self, self.slots, self._finish, self._partial)

    @property
    def linked(self) -> bool:
        """Whether the broker has taken it in, which nobody tells it."""
        return self.line is not None and self.world.broker.knows(self.identity)

    @property
    def idle(self) -> bool:
        """Whether no handler runs."""
        return not self._handlers.jobs

    def stop(self, within: float) -> None:
        """It says goodbye, and goes."""
        self.send(Message((), Command.DISCONNECT, ContentType.EMPTY, self.world.new_bytes(16)))
        self.die(orderly=True)

    def connected(self) -> None:
        self._ready()

    def _ready(self) -> None:
        # What it still runs is nobody's any more; a simple worker has one thread, and ends it first.
        if self._registered:
            return
        if self._handlers.jobs:
            self.world.clock.after(0.05, lambda: self.do(self._ready))
            return
        self._registered = True
        self.send(Message((), Command.READY, ContentType.EMPTY, self.world.new_bytes(16), self.service))

    def disconnected(self) -> None:
        super().disconnected()
        self._registered = False

    def received(self, message: Message) -> None:
        if message.command is Command.HEARTBEAT:
            self.send(Message((), Command.HEARTBEAT, ContentType.EMPTY, message.request_id))
        elif message.command is Command.DISCONNECT:
            self._registered = False
            self.world.clock.after(0.1, lambda: self.do(self._ready))
        elif message.command is Command.REQUEST and not message.options and not message.attachments:
            if len(self._handlers.jobs) >= self.slots or message.request_id in self._handlers.jobs:
                self._answer(message, Overloaded("no more at a time"))
            else:
                self._requests[message.request_id] = message
                self._handlers.start(message)
        else:
            raise Violation(f"{self.name}, a plain worker, gets {message}")

    def _finish(self, request_id: bytes, result: Body | HootError) -> None:
        self._answer(self._requests.pop(request_id), result)

    def _answer(self, request: Message, result: Body | HootError) -> None:
        body = error_body(request, result) if isinstance(result, HootError) else result
        self.send(
            Message(
                request.route,
                Command.REPLY,
                body.content_type,
                request.request_id,
                request.service,
                request.traceparent,
                body.buffer,
            )
        )

    def _partial(self, request_id: bytes, item: Body) -> None:
        raise Violation(f"{self.name}, a plain worker, was asked to stream")


class DialledService(PlainWorker):
    """A plain service that binds, and waits for the broker to connect: it registers nowhere."""

    dialled = True
    slots = 2

    def __init__(self, world: "World", name: str, service: bytes) -> None:
        super().__init__(world, name, service)
        # The broker's name for its connection to this place.
        self.identity = b"\0dialled" + name.encode()

    def connected(self) -> None:
        """Nothing is to be said."""

    def line_broke(self, line: Line) -> None:
        if self.line is line:
            self._handlers.abandon()
        super().line_broke(line)

    def received(self, message: Message) -> None:
        if message.command is not Command.DISCONNECT:
            super().received(message)
