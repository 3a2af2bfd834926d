"""Whatever comes in whatever order: one outcome per request, none is forgotten, and nothing grows."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hootbus.frames.errors import ERRORS
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.workers.client_session import ClientSession
from hootbus.workers.limits import Limits
from hootbus.workers.session import (
    Abort,
    Body,
    Call,
    Connected,
    Disconnected,
    Effect,
    Malformed,
    Outcome,
    Part,
    Received,
    Resume,
    Send,
    Start,
    Ticked,
    Unsent,
)
from hootbus.workers.worker_session import WorkerSession

IDS = st.integers(0, 5).map(lambda value: bytes([value]) * 16)
SECONDS = st.sampled_from([0.0, 0.01, 0.3, 1.0, 4.0])
INSTANCES = st.sampled_from([b"one-" * 4, b"two-" * 4, b""])
NUMBERS = st.sampled_from([0, *(error.number for error in ERRORS), 99])
FLAGS = st.integers(0, 15) | st.integers(0, 127)
CREDITS = st.integers(0, 5)
LIMITS = Limits(requests=4, request_bytes=1000, stream_window=2)


class Clock:
    """Time that a rule moves, and ids that count up in a space of their own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ids = 0

    def new_id(self) -> bytes:
        self.ids += 1
        return b"id" + self.ids.to_bytes(14, "big")


class AnyClient(RuleBasedStateMachine):
    """A client whose broker and network do anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.session = ClientSession(new_id=self.clock.new_id, random=lambda: 0.5, now=self.clock.now, limits=LIMITS)
        self.open: dict[bytes, float] = {}
        self.hello = b""
        self.sent: list[Message] = []

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Outcome):
                assert effect.request_id in self.open, "a second outcome"
                del self.open[effect.request_id]
            elif isinstance(effect, Part):
                assert effect.request_id in self.open, "an item after the outcome"
            elif isinstance(effect, Send):
                self.sent = [*self.sent[-9:], effect.message]
                if effect.message.command is Command.HEARTBEAT and effect.message.request_id.startswith(b"id"):
                    self.hello = effect.message.request_id

    def hear(self, message: Message) -> None:
        self.carry_out(self.session.handle(Received(message), self.clock.now))

    @rule(request_id=IDS, flags=FLAGS, timeout=SECONDS, size=st.sampled_from([0, 400]))
    def ask(self, request_id: bytes, flags: int, timeout: float, size: int) -> None:
        if request_id not in self.open:
            self.open[request_id] = self.clock.now + timeout
            call = Call(request_id=request_id, service=b"s", body=bytes(size), flags=flags, timeout=timeout)
            self.carry_out(self.session.request(call, self.clock.now))

    @rule(request_id=IDS)
    def cancel(self, request_id: bytes) -> None:
        self.carry_out(self.session.cancel(request_id, self.clock.now))
        assert request_id not in self.open

    @rule(event=st.sampled_from([Connected(), Disconnected(), Malformed(), Ticked()]))
    def happen(self, event: Connected | Disconnected | Malformed | Ticked) -> None:
        self.carry_out(self.session.handle(event, self.clock.now))

    @rule()
    def unsent(self) -> None:
        if self.sent:
            self.carry_out(self.session.handle(Unsent(self.sent.pop(0)), self.clock.now))

    @rule(instance=INSTANCES)
    def answer_hello(self, instance: bytes) -> None:
        self.hear(Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, self.hello or bytes(16), body=instance))

    @rule(
        request_id=IDS,
        command=st.sampled_from(Command),
        number=NUMBERS,
        sequence=st.integers(0, 3),
        options=st.booleans(),
        content_type=st.sampled_from(ContentType),
        body=st.sampled_from([b"", b"{}", b'{"error":{"code":"overloaded"}}', b"\0" * 16]),
    )
    def hear_anything(
        self,
        request_id: bytes,
        command: Command,
        number: int,
        sequence: int,
        options: bool,
        content_type: ContentType,
        body: bytes,
    ) -> None:
        said = Options(status=number, sequence=sequence) if options else None
        self.hear(Message((), command, content_type, request_id, body=body, options=said))

    @rule(request_id=IDS)
    def read(self, request_id: bytes) -> None:
        self.carry_out(self.session.took(request_id, self.clock.now))

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.carry_out(self.session.handle(Ticked(), self.clock.now))
        assert all(deadline > self.clock.now for deadline in self.open.values()), "one outlived its deadline"

    @invariant()
    def keeps_its_bounds(self) -> None:
        assert len(self.session) == len(self.open) <= LIMITS.requests
        assert self.session.pending_bytes <= LIMITS.request_bytes
        assert (self.session.pending_bytes == 0) or self.open
        wake_at = self.session.wake_at()
        assert wake_at is not None or not self.open

    def teardown(self) -> None:
        self.clock.now += 100.0
        self.carry_out(self.session.handle(Ticked(), self.clock.now))
        assert not self.open
        assert self.session.pending_bytes == 0


class AnyWorker(RuleBasedStateMachine):
    """A worker whose broker, network and handlers do anything at all."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.session = WorkerSession(
            b"s",
            slots=2,
            registration=lambda request_id: request_id,
            new_id=self.clock.new_id,
            random=lambda: 0.5,
            now=self.clock.now,
            limits=LIMITS,
        )
        self.running: dict[bytes, bool] = {}
        self.streams: set[bytes] = set()
        # How many times somebody waits for more to be taken, by request.
        self.paused: Counter[bytes] = Counter()
        self.greeting = bytes(16)

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Start):
                assert effect.message.request_id not in self.running
                self.running[effect.message.request_id] = False
                options = effect.message.options
                if options is not None and options.flags & Flag.PARTIALS:
                    self.streams.add(effect.message.request_id)
            elif isinstance(effect, Abort):
                assert self.running[effect.request_id] is False, "aborted twice, or not running"
                self.running[effect.request_id] = True
                self.paused.pop(effect.request_id, None)
            elif isinstance(effect, Resume):
                assert 0 < effect.count <= self.paused[effect.request_id], "nobody waits for that"
                self.paused[effect.request_id] -= effect.count
            elif isinstance(effect, Send) and effect.message.command is Command.READY:
                self.greeting = effect.message.request_id

    @rule(request_id=IDS, deadline_ms=st.sampled_from([0, 10, 5000]), flags=FLAGS, credit=CREDITS)
    def request(self, request_id: bytes, deadline_ms: int, flags: int, credit: int) -> None:
        options = Options(deadline_ms=deadline_ms, flags=flags, credit=credit)
        message = Message((), Command.REQUEST, ContentType.JSON, request_id, b"s/m", body=b"{}", options=options)
        self.carry_out(self.session.handle(Received(message), self.clock.now))

    @rule(request_id=IDS, command=st.sampled_from([Command.CANCEL, Command.DISCONNECT, Command.REPLY]), number=NUMBERS)
    def hear(self, request_id: bytes, command: Command, number: int) -> None:
        message = Message((), command, ContentType.EMPTY, request_id, options=Options(status=number))
        self.carry_out(self.session.handle(Received(message), self.clock.now))

    @rule(instance=INSTANCES)
    def welcome(self, instance: bytes) -> None:
        message = Message(
            (), Command.HEARTBEAT, ContentType.RAW_BINARY, self.greeting, body=instance, options=NO_OPTIONS
        )
        self.carry_out(self.session.handle(Received(message), self.clock.now))

    @rule(event=st.sampled_from([Connected(), Disconnected(), Malformed(), Ticked()]), seconds=SECONDS)
    def happen(self, event: Connected | Disconnected | Malformed | Ticked, seconds: float) -> None:
        self.clock.now += seconds
        self.carry_out(self.session.handle(event, self.clock.now))

    @rule(request_id=IDS)
    def item(self, request_id: bytes) -> None:
        if request_id in self.streams:
            self.carry_out(self.session.partial(request_id, Body(ContentType.JSON, b"1"), self.clock.now))

    @rule(request_id=IDS, ahead=st.integers(1, 3))
    def wait(self, request_id: bytes, ahead: int) -> None:
        if request_id in self.running and not self.session.may_send(request_id, ahead):
            assert not self.running[request_id], "who waits would not hear that nobody does"
            self.paused[request_id] += 1

    @rule(request_id=IDS, taken=CREDITS, credit=CREDITS)
    def grant(self, request_id: bytes, taken: int, credit: int) -> None:
        options = Options(sequence=taken, credit=credit)
        message = Message((), Command.CREDIT, ContentType.EMPTY, request_id, options=options)
        self.carry_out(self.session.handle(Received(message), self.clock.now))

    @rule(request_id=IDS)
    def finish(self, request_id: bytes) -> None:
        if request_id in self.running:
            del self.running[request_id]
            self.streams.discard(request_id)
            self.paused.pop(request_id, None)
            effects = self.session.finish(request_id, Body(ContentType.JSON, b"1"), self.clock.now)
            assert [type(effect) for effect in effects] in ([Send], [])

    @rule()
    def drain(self) -> None:
        self.carry_out(self.session.drain(self.clock.now, 5.0))

    @invariant()
    def keeps_its_slots(self) -> None:
        assert len(self.session) == len(self.running) <= 2


TestAnyClient = AnyClient.TestCase
TestAnyClient.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyWorker = AnyWorker.TestCase
TestAnyWorker.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
