"""Every limit of the broker: a story that reaches it, what follows, and the counter that says so."""

from collections.abc import Callable
from typing import Final, TypeAlias

import pytest

from bus_world.gate import FINE, V1, V2, V3, asked, attach, compares, shown, to_judge, typed, typed_ready, verdict
from bus_world.world import A, B, C, D, World, heartbeat, partial, ready, reply, request
from hootbus.bus.access import Access, Known, Rights
from hootbus.bus.effects import Effect, Send, Stop
from hootbus.bus.inputs import Judged
from hootbus.bus.judgement import Finding
from hootbus.bus.limits import INTERVALS, Limits
from hootbus.frames.errors import (
    BadBody,
    DeadlineExceeded,
    HootError,
    Overloaded,
    Quarantined,
    UnknownService,
    WorkerLost,
)
from hootbus.frames.options import NO_OPTIONS
from hootbus.frames.protocol import Command, Flag
from hootbus.workers.failure import error_of, refusal_of

AGAIN = Flag.IDEMPOTENT
ALICE = b"a" * 40
Story: TypeAlias = Callable[[], World]


def told(effects: list[Effect], kind: type[HootError]) -> None:
    """Somebody is told of an error of this kind."""
    said = []
    for effect in effects:
        if isinstance(effect, Send):
            command = effect.message.command
            read = error_of if command is Command.REPLY else refusal_of if command is Command.DISCONNECT else None
            said.append(type(read(effect.message)) if read else None)
    assert kind in said, effects


def services() -> World:
    world = World(Limits(services=1))
    world.join(b"w")
    told(world.get(ready(b"x", b"other")), Overloaded)
    return world


def workers() -> World:
    world = World(Limits(workers=1))
    world.join(b"w")
    told(world.get(ready(b"x")), Overloaded)
    return world


def clients() -> World:
    world = World(Limits(clients=1))
    for identity in (b"c", b"d"):
        world.get(heartbeat(identity, NO_OPTIONS))
    (told_to, stop) = world.drain()
    assert isinstance(told_to, Send)
    assert (told_to.message.route, stop) == ((b"d",), Stop())
    return world


def slots_per_worker() -> World:
    world = World(Limits(slots_per_worker=2))
    told(world.get(ready(b"w", slots=3)), BadBody)
    return world


def _second_is_too_much(limits: Limits, slots: int = 9, flags: int = 0) -> World:
    world = World(limits)
    world.join(b"w", slots=slots)
    world.get(request(b"c", A, flags=flags))
    told(world.get(request(b"c", B, flags=flags)), Overloaded)
    return world


def gather_workers() -> World:
    world = World(Limits(gather_workers=1))
    world.join(b"v")
    world.join(b"w")
    told(world.get(request(b"c", A, flags=Flag.PARTIALS | Flag.GATHER)), Overloaded)
    return world


def _third_waits_in_vain(limits: Limits) -> World:
    world = World(limits)
    world.join(b"w")
    world.get(request(b"c", A))
    assert world.get(request(b"c", B)) == []
    told(world.get(request(b"c", C)), Overloaded)
    return world


def _poison(limits: Limits, number: int = 1) -> World:
    world = World(limits)
    for at in range(number):
        world.join(b"w%d" % at)
        world.get(request(b"c%d" % at, flags=AGAIN))
        told(world.dies(b"w%d" % at), Quarantined)
    return world


def _answered(limits: Limits) -> World:
    world = World(limits)
    world.join(b"w", slots=9)
    for request_id in (A, B):
        world.get(request(b"c", request_id, flags=AGAIN))
        world.get(reply(b"w", request_id))
    return world


def outcomes() -> World:
    world = _answered(Limits(outcomes=1))
    assert _is_carried_out_again(world, A)
    return world


def outcome_bytes() -> World:
    world = _answered(Limits(outcome_bytes=7))
    assert _is_carried_out_again(world, A)
    return world


def outcome_age_s() -> World:
    world = _answered(Limits(outcome_age_s=2.0))
    assert not _is_carried_out_again(world, A)
    world.tick(after=2.0)
    assert _is_carried_out_again(world, A)
    return world


def _is_carried_out_again(world: World, request_id: bytes) -> bool:
    (effect,) = world.get(request(b"c", request_id, flags=AGAIN))
    assert isinstance(effect, Send)
    return effect.message.command is Command.REQUEST


def quarantined_bytes() -> World:
    world = _poison(Limits(strikes=1, quarantined_bytes=3))
    (kept,) = world.core._requests.quarantine.all()
    assert kept.message is None
    return world


def quarantined() -> World:
    world = _poison(Limits(strikes=1, quarantined=1), number=2)
    assert [each.id for each in world.core._requests.quarantine.all()] == ["q2"]
    return world


def pending_workers() -> World:
    world = World(Limits(pending_workers=1))
    asked(world.get(typed_ready(b"w")))
    told(world.get(typed_ready(b"x", ready_id=A)), Overloaded)
    return world


def _compared(limits: Limits, first: bytes = b"c", second: bytes = b"c") -> World:
    world = World(limits)
    attach(world, b"w", nodes=b"n")
    world.get(compares(first, A, V2))
    told(world.get(compares(second, B, V3)), Overloaded)
    return world


def schema_bytes() -> World:
    world = World(Limits(schema_bytes=3))
    told(world.get(shown(asked(world.get(typed_ready(b"w"))), b"four")), BadBody)
    return world


def held_schema_bytes() -> World:
    world = World(Limits(held_schema_bytes=3))
    told(world.get(shown(asked(world.get(typed_ready(b"w"))), b"four")), Overloaded)
    return world


def versions_per_service() -> World:
    world = World(Limits(versions_per_service=1))
    attach(world, b"w")
    told(world.get(typed_ready(b"x", (typed(V2),), ready_id=A)), Overloaded)
    return world


def compared_versions() -> World:
    world = World(Limits(compared_versions=1))
    attach(world, b"w")
    for request_id, version in ((A, V2), (B, V3)):
        to_judge(world.get(compares(b"c", request_id, version)))
        world.step(Judged(FINE))
    versions = world.core._requests.services[b"text"].versions
    assert list(versions._spoken[b"text/play"].compared) == [V3]
    assert V1 in versions._spoken[b"text/play"].fingerprints
    return world


def schema_timeout_s() -> World:
    world = World(Limits(schema_timeout_s=2.0))
    asked(world.get(typed_ready(b"w")))
    told(world.tick(after=2.0), Overloaded)
    return world


def judge_timeout_s() -> World:
    # The judge's process keeps to it (tests/bus/test_judge.py), and this is what it says then.
    world = World()
    to_judge(world.get(shown(asked(world.get(typed_ready(b"w"))))))
    told(world.step(verdict(Finding.TOO_LONG, "it takes too long")), Overloaded)
    return world


def request_timeout_s() -> World:
    world = World(Limits(request_timeout_s=2.0))
    world.join(b"w")
    world.get(request(b"c"))
    world.get(request(b"c", B, deadline_ms=1000))
    told(world.tick(after=1.0), DeadlineExceeded)
    assert not reached(world)
    told(world.tick(after=1.0), DeadlineExceeded)
    return world


def drain_timeout_s() -> World:
    world = World(Limits(drain_timeout_s=2.0))
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    told(world.tick(after=2.0), WorkerLost)
    return world


def suspect_after_s() -> World:
    world = World(Limits(suspect_after_s=2.0))
    world.join(b"w")
    world.tick(after=2.5)
    assert [worker.state for worker in world.core._roster.workers.values()] == ["suspect"]
    return world


def lost_after_s() -> World:
    world = World(Limits(lost_after_s=2.0))
    world.join(b"w")
    world.tick(after=2.5)
    assert not world.core._roster.workers
    return world


def lost_after_max_s() -> World:
    world = World(Limits(lost_after_max_s=5.0))
    world.get(ready(b"w", lost_after_ms=60_000))
    assert [worker.lost_after_s for worker in world.core._roster.workers.values()] == [5.0]
    return world


def linger_s() -> World:
    world = World(Limits(linger_s=2.0))
    world.join(b"w")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    world.leaves(b"w")
    told(world.tick(after=2.0), UnknownService)
    return world


def metric_services() -> World:
    world = World(Limits(metric_services=1))
    for name in (b"a", b"b", b"c"):
        world.join(name, name)
    assert [service.name for service in world.core.snapshot(world.now).services] == ["a", "(others)"]
    return world


def _keyed(limits: Limits) -> World:
    return World(limits, access=Access({ALICE: Known("alice", Rights())}))


def identities() -> World:
    world = _keyed(Limits(identities=1))
    world.hear(ALICE, heartbeat(b"c", NO_OPTIONS))
    # It has nothing open, so it makes room; and the next one does not.
    world.hear(ALICE, ready(b"w"))
    told(world.hear(ALICE, request(b"d")), Overloaded)
    assert world.core.tally.reached["identities"] == 2
    return world


def identity_idle_s() -> World:
    world = _keyed(Limits(identity_idle_s=10.0))
    world.hear(ALICE, heartbeat(b"c", NO_OPTIONS))
    world.tick(after=10.0)
    assert not world.core._admission.identities.is_owned(b"c")
    return world


STORIES: Final[dict[str, Story]] = {
    "services": services,
    "workers": workers,
    "clients": clients,
    "slots_per_worker": slots_per_worker,
    "requests": lambda: _second_is_too_much(Limits(requests=1)),
    "requests_per_client": lambda: _second_is_too_much(Limits(requests_per_client=1)),
    "gather_workers": gather_workers,
    "queue_messages": lambda: _third_waits_in_vain(Limits(queue_messages=1)),
    "queue_bytes": lambda: _third_waits_in_vain(Limits(queue_bytes=7)),
    "held_bytes": lambda: _second_is_too_much(Limits(held_bytes=7), flags=AGAIN),
    "strikes": lambda: _poison(Limits(strikes=1)),
    "quarantined": quarantined,
    "quarantined_bytes": quarantined_bytes,
    "outcomes": outcomes,
    "outcome_bytes": outcome_bytes,
    "outcome_age_s": outcome_age_s,
    "pending_workers": pending_workers,
    "comparisons": lambda: _compared(Limits(comparisons=1), second=b"d"),
    "comparisons_per_client": lambda: _compared(Limits(comparisons_per_client=1)),
    "schema_bytes": schema_bytes,
    "held_schema_bytes": held_schema_bytes,
    "versions_per_service": versions_per_service,
    "compared_versions": compared_versions,
    "metric_services": metric_services,
    "identities": identities,
    "identity_idle_s": identity_idle_s,
    "schema_timeout_s": schema_timeout_s,
    "judge_timeout_s": judge_timeout_s,
    "request_timeout_s": request_timeout_s,
    "drain_timeout_s": drain_timeout_s,
    "suspect_after_s": suspect_after_s,
    "lost_after_s": lost_after_s,
    "lost_after_max_s": lost_after_max_s,
    "linger_s": linger_s,
}


def reached(world: World) -> set[str]:
    """The limits that held something back."""
    return {name for name, count in world.core.tally.reached.items() if count}


def test_every_limit_has_its_story() -> None:
    assert STORIES.keys() == {*Limits.__struct_fields__} - INTERVALS


@pytest.mark.parametrize("limit", STORIES)
def test_a_limit_that_is_reached_does_what_it_says_and_is_counted(limit: str) -> None:
    world = STORIES[limit]()
    also = {"strikes"} if limit.startswith("quarantined") else {"suspect_after_s"} if limit == "lost_after_s" else set()
    assert reached(world) - also == {limit}


def test_what_stays_within_its_limits_counts_nothing() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A, flags=AGAIN | Flag.PARTIALS))
    world.get(partial(b"w", A))
    world.get(reply(b"w", A))
    world.get(request(b"c", D))
    world.leaves(b"w")
    assert not reached(world)
