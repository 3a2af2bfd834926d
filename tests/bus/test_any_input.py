"""Whatever comes, in whatever order: the core never raises, its indexes agree, and each request has one outcome."""

from collections import Counter, deque

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bus_world.inspect import is_open, kept, open_count
from bus_world.world import World, ready, reply, rid
from hootbus.bus.effects import Effect, Send, Stop
from hootbus.bus.inputs import (
    ConnectionLost,
    Drain,
    Input,
    Malformed,
    Received,
    ServiceConnected,
    ServiceDisconnected,
    Ticked,
    Undeliverable,
)
from hootbus.bus.limits import Limits
from hootbus.bus.tally import Dropped
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType

# Few of everything, so that they meet. Any peer may be worker and client at once; one is a dialled service.
PEERS = [b"a", b"b", b"c", b"d"]
LINE = b"\0line"
IDS = [rid(number) for number in range(3)]
SERVICES = [b"text", b"text/upper", b"more", b"default", b"Bad", b"", b"hoot.broker/status", b"hoot.events/echo"]
TIGHT = Limits(
    services=3,
    workers=3,
    requests=6,
    requests_per_client=3,
    queue_messages=3,
    queue_bytes=200,
    held_bytes=300,
    gather_workers=2,
    quarantined=2,
    request_timeout_s=20.0,
    drain_timeout_s=10.0,
    lost_after_s=8.0,
    linger_s=2.0,
)
SENT_REMEMBERED = 12


class Step(msgspec.Struct, frozen=True):
    """One thing that happens, `after` so many seconds."""

    after: float


class Gets(Step, frozen=True):
    """A message comes, with a frame changed if `change` says so (which one, and to what)."""

    message: Message
    change: tuple[int, bytes] | None = None


class Answers(Step, frozen=True):
    """A worker answers one of the requests that were sent lately, or sends a part."""

    which: int
    command: Command
    attachments: tuple[bytes, ...] = ()


class Fails(Step, frozen=True):
    """One of the messages that were sent lately did not leave."""

    which: int
    gone: bool


class Happens(Step, frozen=True):
    """Something else."""

    event: Input


def some_options() -> st.SearchStrategy[Options | None]:
    return st.none() | st.builds(
        Options,
        deadline_ms=st.sampled_from([0, 0, 1, 500, 5000]),
        flags=st.integers(0, 31) | st.sampled_from([64, 72, 73, 76]),
        status=st.sampled_from([0, 0, 6]),
        sequence=st.sampled_from([0, 0, 3]),
        credit=st.sampled_from([0, 2, 2]),
    )


def some_messages() -> st.SearchStrategy[Message]:
    any_message = st.builds(
        Message,
        st.builds(lambda peer, via: (peer, *via), st.sampled_from([*PEERS, LINE]), st.sampled_from([(), (b"via",)])),
        st.sampled_from([*Command, *[Command.REQUEST] * 12, Command.CANCEL, Command.HEARTBEAT, Command.HEARTBEAT]),
        st.sampled_from(ContentType),
        st.sampled_from(IDS),
        st.sampled_from([*SERVICES, *SERVICES[:4]]),
        body=st.sampled_from([b"", b"small", bytes(90), b'{"topic":"hoot.echo.a"}']),
        options=some_options(),
        attachments=st.sampled_from([(), (), (), (b"attached",)]),
    )
    readies = st.builds(
        ready,
        st.sampled_from(PEERS),
        st.sampled_from([b"text", b"text", b"more", b"default", b"hoot.x"]),
        st.integers(1, 3),
        ready_id=st.sampled_from(IDS),
        lost_after_ms=st.sampled_from([0, 0, 3000]),
    )
    return any_message | readies


def some_steps() -> st.SearchStrategy[Step]:
    after = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.25, 1.0, 4.0])
    events = st.sampled_from(
        [Ticked(), Ticked(), ConnectionLost(), ServiceConnected(LINE, "text", 1), ServiceDisconnected(LINE)]
    )
    which = st.integers(0, SENT_REMEMBERED - 1)
    messages = some_messages()
    return (
        st.builds(Gets, after, messages)
        | st.builds(Gets, after, messages)
        | st.builds(Gets, after, messages, st.tuples(st.integers(1, 9), st.binary(max_size=40)))
        | st.builds(Answers, after, which, st.sampled_from([Command.REPLY, Command.REPLY, Command.PARTIAL]))
        | st.builds(Fails, after, which, st.booleans())
        | st.builds(Happens, after, events)
    )


class Judge:
    """The world, with an account of what every client asked and was told."""

    def __init__(self) -> None:
        self.world = World(TIGHT, "default")
        self.sent: deque[Message] = deque(maxlen=SENT_REMEMBERED)
        self.asked: Counter[tuple[bytes, bytes]] = Counter()
        self.told: Counter[tuple[bytes, bytes]] = Counter()
        self.stops = 0

    def take(self, step: Step) -> None:
        match step:
            case Gets(message=message, change=change):
                self.receive(message, change, step.after)
            case Answers(which=which, command=command) if which < len(self.sent):
                of = self.sent[which]
                answer = reply(of.route[0], of.request_id).__replace__(command=command)
                self.receive(answer, None, step.after)
            case Fails(which=which, gone=gone) if which < len(self.sent):
                message = self.sent[which]
                del self.sent[which]
                self.happen(Undeliverable(message, gone), step.after)
            case Happens(event=event):
                self.happen(event, step.after)

    def receive(self, message: Message, change: tuple[int, bytes] | None, after: float) -> None:
        if change is not None:
            frames = serialize(message)
            frames[change[0] % len(frames) or 1] = change[1]
            try:
                message = parse(frames, 1)
            except MalformedMessage as error:
                if error.request_id is not None:
                    self.asked[message.route[0], error.request_id] += 1
                self.happen(Malformed(error), after)
                return
        key = message.route[0], message.request_id
        if message.command is Command.REQUEST and not is_open(self.world.core, *key):
            self.asked[key] += 1
        self.happen(Received(message), after)

    def happen(self, event: Input, after: float) -> None:
        self.account(self.world.step(event, after))
        if isinstance(event, Ticked):
            assert self.world.core.wake_at() > self.world.now

    def account(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.stops += isinstance(effect, Stop)
            if not isinstance(effect, Send):
                continue
            message = effect.message
            self.sent.append(parse(serialize(message), 1))
            if message.command is Command.REPLY:
                self.told[message.route[0], message.request_id] += 1
        for key, count in self.told.items():
            assert count <= self.asked[key], key
        one_way = self.world.core.tally.dropped[Dropped.REPLY_ONE_WAY] + self.world.core.tally.dropped["error_one_way"]
        assert self.asked.total() == self.told.total() + open_count(self.world.core) + one_way


@given(st.lists(some_steps(), min_size=20, max_size=80))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_each_request_has_one_outcome_and_the_indexes_agree(steps: list[Step]) -> None:
    judge = Judge()
    for step in steps:
        judge.take(step)
    judge.happen(Drain(), 0.0)
    judge.happen(Ticked(), TIGHT.drain_timeout_s)
    assert judge.stops == 1
    assert {**kept(judge.world.core), "workers": 0, "services": 0} == dict.fromkeys(kept(judge.world.core), 0)


@given(st.lists(some_steps(), min_size=10, max_size=40))
@settings(max_examples=100, deadline=None)
def test_left_alone_the_core_wakes_itself_until_nothing_is_left(steps: list[Step]) -> None:
    judge = Judge()
    for step in steps:
        judge.take(step)
    wakes = 0
    until = judge.world.now + 120.0
    while judge.world.now < until:
        # As the shell would: at the moment the core asked for, or at once if that is past.
        judge.happen(Ticked(), max(0.0, judge.world.core.wake_at() - judge.world.now))
        wakes += 1
    assert wakes < 200
    left = kept(judge.world.core)
    # Only what the shell must see the end of is there for ever.
    assert left.pop("workers") <= 1
    assert left.pop("services") <= 1
    assert set(left.values()) == {0}
