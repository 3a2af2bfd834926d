"""How long requests wait and take: counted between fixed bounds, and told by the broker."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus_world.world import JSON, A, B, C, World, partial, reply, request, sent
from hootbus.bus.latencies import BOUNDS_S, Latencies
from hootbus.frames.protocol import Flag
from hootbus.schemas import read_json

FIRST = BOUNDS_S[0]
TIMES = st.lists(st.floats(0.0, 1e6) | st.sampled_from(BOUNDS_S))


def of(times: list[float]) -> Latencies:
    found = Latencies()
    for seconds in times:
        found.add(seconds)
    return found


@given(TIMES)
def test_each_time_is_counted_between_the_bounds_around_it(times: list[float]) -> None:
    found = of(times)
    for place, (above, up_to) in enumerate(zip((-1.0, *BOUNDS_S), (*BOUNDS_S, float("inf")), strict=True)):
        assert found.counts[place] == sum(above < seconds <= up_to for seconds in times)
    assert found.total_s == pytest.approx(sum(times))


@given(TIMES, TIMES)
def test_those_of_two_together_are_as_if_counted_in_one(one: list[float], other: list[float]) -> None:
    found = of(one)
    found.merge(of(other))
    assert found.counts == of([*one, *other]).counts
    assert found.total_s == pytest.approx(sum(one) + sum(other))


def told(world: World) -> dict[str, Any]:
    """What the broker says of its only service: the bounds that its requests were found at, and seconds in all."""
    answer = read_json(sent(world.get(request(b"asker", C, b"hoot.broker/latencies", b"", kind=JSON))).body)
    (service,) = answer["services"]
    bounds = [*answer["bounds"], float("inf")]
    return {
        kind: (
            {bound: count for bound, count in zip(bounds, service[kind]["counts"], strict=True) if count},
            pytest.approx(service[kind]["totalSecs"]),
        )
        for kind in ("waited", "took")
    }


def test_a_request_that_finds_a_free_worker_has_not_waited_and_takes_until_its_reply() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(reply(b"w"), after=0.02)
    assert told(world) == {"waited": ({FIRST: 1}, 0.0), "took": ({1 / 32: 1}, 0.02)}


def test_one_that_waits_for_a_worker_has_waited_until_it_is_handed_out() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    world.get(reply(b"w", A), after=0.2)
    world.get(partial(b"w", B), after=1.0)
    world.get(reply(b"w", B), after=1.0)
    assert told(world) == {"waited": ({FIRST: 1, 0.25: 1}, 0.2), "took": ({0.25: 1, 4.0: 1}, 2.4)}


def test_one_that_is_given_to_another_worker_has_waited_twice_and_takes_as_long_as_its_client_waits() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", flags=Flag.IDEMPOTENT))
    world.now += 3.0
    world.dies(b"w")
    world.join(b"x")
    world.get(reply(b"x"), after=1.0)
    assert told(world) == {"waited": ({FIRST: 1, 4.0: 1}, 3.125), "took": ({8.0: 1}, 4.125)}


def test_what_its_client_is_told_without_a_reply_has_not_taken_any_time() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", deadline_ms=100))
    world.tick(after=0.5)
    world.get(reply(b"w"), after=0.5)
    assert told(world)["took"] == ({}, 0.0)
