"""Any messages, against the whole of the broker's core: it never raises, and never says what nobody asked for."""

import itertools
import json
import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.notation import options
from fuzz.messages import BODIES, IDS, hostile_bodies, message, mutated
from hootbus.bus.core import Core
from hootbus.bus.effects import Effect, Judge, Publish, Send, Stop
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
from hootbus.bus.judgement import Finding, Verdict
from hootbus.bus.limits import Limits
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import parse, serialize
from hootbus.frames.protocol import Command, Flag

PEERS = [b"one", b"two", b"three", b"\0auto", b"HOOT01"]
DIALLED = b"dialled"
ASKER = b"asker"
# Small enough that the fuzz reaches them.
LIMITS = Limits(
    services=4, workers=4, requests=12, requests_per_client=6, queue_messages=3, queue_bytes=4000, held_bytes=6000,
    quarantined=1, slots_per_worker=5,
)  # fmt: skip
# Beyond every deadline that 32 bits of milliseconds can say.
FOR_EVER_S = 1e7


class World:
    """A core, and what its peers could object to."""

    def __init__(self, default_service: str = "") -> None:
        ids = itertools.count(1)
        self.core = Core(
            instance=bytes(16),
            new_id=lambda: next(ids).to_bytes(16, "big"),
            now=0.0,
            limits=LIMITS,
            default_service=default_service,
        )
        self.now = 0.0
        self.stopped = False
        # What each peer has asked and was answered, by its identity and its id; and who speaks the extension.
        self.asked: Counter[tuple[bytes, bytes]] = Counter()
        self.answered: Counter[tuple[bytes, bytes]] = Counter()
        self.wants_none: set[tuple[bytes, bytes]] = set()
        self.extended: set[bytes] = set()

    def receive(self, identity: bytes, frames: list[bytes]) -> list[Effect]:
        happened: Input
        if self.stopped:
            return []
        try:
            found = parse([identity, *frames], 1)
            happened = Received(found)
            if found.options is not None:
                self.extended.add(identity)
            if found.command is Command.REQUEST:
                self.asked[identity, found.request_id] += 1
                if found.options is not None and found.options.flags & Flag.ONE_WAY:
                    self.wants_none.add((identity, found.request_id))
        except MalformedMessage as error:
            happened = Malformed(error)
            if error.request_id is not None:
                self.asked[identity, error.request_id] += 1
        return self.happens(happened)

    def happens(self, happened: Input) -> list[Effect]:
        """Hands it over, and judges what comes out."""
        if self.stopped:
            return []
        effects = self.core.handle(happened, self.now)
        assert not math.isnan(self.core.wake_at())
        for effect in effects:
            match effect:
                case Send():
                    self._judge(effect)
                case Publish():
                    assert effect.topic.startswith(b"hoot.echo.")
                case Stop():
                    self.stopped = True
        if any(isinstance(effect, Judge) for effect in effects):
            effects += self.happens(Judged(Verdict(Finding.UNSOUND, ("none",))))
        return effects

    def _judge(self, effect: Send) -> None:
        sent = effect.message
        to = sent.route[0]
        assert to in {*PEERS, DIALLED, ASKER}
        assert parse(serialize(sent), 1) == sent, "a peer of ours could read it"
        if sent.options is not None or sent.attachments or sent.command > Command.DISCONNECT:
            assert to in self.extended, f"our extension to a plain peer: {sent}"
        if sent.command is Command.REPLY:
            key = (to, sent.request_id)
            self.answered[key] += 1
            assert self.answered[key] <= self.asked[key], f"a reply that nobody asked for: {sent}"

    def status(self) -> dict[str, int]:
        self.now += 1e-3
        frames = message("REQUEST", "JSON", IDS[0], b"hoot.broker/status", b"{}")
        (reply,) = (e for e in self.receive(ASKER, frames) if isinstance(e, Send) and e.message.route == (ASKER,))
        answer: dict[str, int] = json.loads(bytes(reply.message.body))
        return answer


_EVENTS: st.SearchStrategy[Input] = st.sampled_from(
    [
        Ticked(),
        ConnectionLost(),
        ServiceConnected(DIALLED, "up", 2),
        ServiceConnected(DIALLED, "dialled", 1),
        ServiceDisconnected(DIALLED),
        Drain(),
    ]
)
_STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.sampled_from(PEERS), mutated()),
            st.tuples(st.sampled_from(PEERS), mutated()),
            st.tuples(st.sampled_from(PEERS), mutated()),
            _EVENTS,
        ),
        # Seconds that pass before it, and which of what it causes does not arrive.
        st.sampled_from([0.0, 0.0, 0.01, 1.0, 70.0]),
        st.sampled_from(["", "", "", "gone", "full"]),
    ),
    max_size=25,
)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS, st.sampled_from(["", "up"]))
def test_whatever_comes_the_core_lives_and_every_request_has_one_outcome(
    steps: list[tuple[Input | tuple[bytes, list[bytes]], float, str]], default_service: str
) -> None:
    world = World(default_service)
    drained = False
    for step, pause, fate in steps:
        world.now += pause
        if isinstance(step, tuple):
            effects = world.receive(*step)
        else:
            drained = drained or isinstance(step, Drain)
            effects = world.happens(step)
        if fate:
            pending = [effect for effect in effects if isinstance(effect, Send)]
            # What follows from one that did not arrive may not arrive either; the chain must end.
            for _ in range(100):
                if not pending:
                    break
                effects = world.happens(Undeliverable(pending.pop(0).message, fate == "gone"))
                pending += [effect for effect in effects if isinstance(effect, Send)]
            assert not pending, "undeliverable messages give ever more messages"
    for _ in range(3):
        world.now += FOR_EVER_S
        world.happens(Ticked())
    if not world.stopped:
        status = world.status()
        assert (status["inFlight"], status["queued"], status["heldBytes"]) == (0, 0, 0)
    unanswered = {key for key in world.asked if not world.answered[key]} - world.wants_none
    assert not unanswered, f"requests without an outcome: {unanswered}"


@pytest.mark.parametrize("content_type", ["CAPNPROTO", "JSON", "RAW", "EMPTY"])
def test_a_body_that_is_not_what_it_claims_to_be_is_answered_or_refused(content_type: str) -> None:
    world = World()
    for body in [*hostile_bodies().values(), *BODIES]:
        for more in ((), (options(flags=16),)):
            world.receive(PEERS[0], message("READY", content_type, IDS[0], b"up", body, *more))
            world.receive(PEERS[1], message("DISCONNECT", content_type, IDS[1], b"up", body, *more))
            for service in (b"", b"hoot.broker", b"hoot.broker/status", b"hoot.events/echo", b"hoot.x"):
                before = world.answered.total()
                world.receive(PEERS[2], message("REQUEST", content_type, IDS[2], service, body, *more))
                assert world.answered.total() == before + 1
    assert world.status()["inFlight"] == 0


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=30), max_size=12))
def test_frames_of_no_form_at_all_are_counted(frames: list[bytes]) -> None:
    world = World()
    effects = world.receive(PEERS[0], frames)
    status = world.core.tally
    assert status.dropped["bad_frame"] == 1 or any(isinstance(effect, Send) for effect in effects)
