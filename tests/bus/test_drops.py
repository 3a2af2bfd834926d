"""Every message that goes no further is counted by its reason, and for the service that it belongs to."""

import pytest

from bus_world.world import (
    A,
    B,
    C,
    World,
    cancel,
    partial,
    ready,
    reply,
    request,
    sent,
)
from hootbus.bus.inputs import Malformed
from hootbus.bus.limits import Limits
from hootbus.frames.errors import ERRORS, HandlerFailed
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Flag


def joined() -> World:
    world = World(Limits(slots_per_worker=9))
    world.join(b"w", slots=9)
    return world


def of_service(world: World, name: bytes = b"text") -> dict[str, int]:
    """What is counted for a service; the totals agree with all of them."""
    services = world.core._requests.services.values()
    totals: dict[str, int] = dict(world.core.tally.dropped_elsewhere)
    for service in services:
        for reason, count in service.dropped.items():
            totals[reason] = totals.get(reason, 0) + count
    assert totals == world.dropped()
    return dict(world.core._requests.services[name].dropped)


def test_what_a_worker_says_unasked_or_late_is_its_services() -> None:
    world = joined()
    world.get(request(b"c", A))
    world.get(cancel(b"c", A))
    world.get(partial(b"w", A))
    world.get(reply(b"w", A))
    world.get(reply(b"w", B))
    world.get(partial(b"w", B))
    assert of_service(world) == {"partial_late": 1, "reply_late": 1, "reply_unasked": 1, "partial_unasked": 1}


def test_what_one_way_requests_would_have_been_told_is_their_services() -> None:
    world = joined()
    world.get(request(b"c", A, flags=Flag.ONE_WAY))
    world.get(reply(b"w", A))
    world.get(request(b"c", B, flags=Flag.ONE_WAY, deadline_ms=500))
    world.tick(after=0.5)
    assert of_service(world) == {"reply_one_way": 1, "error_one_way": 1}


@pytest.mark.parametrize(("gone", "reason"), [(True, "client_gone"), (False, "client_full")])
def test_a_reply_that_finds_no_client_is_its_services(gone: bool, reason: str) -> None:
    world = joined()
    world.get(request(b"c", A))
    lost = sent(world.get(reply(b"w", A)))
    (world.gone if gone else world.full)(lost)
    assert of_service(world) == {reason: 1}


def test_what_does_not_reach_a_worker_is_its_services() -> None:
    world = joined()
    world.get(request(b"c", A))
    told = [effect.message for effect in world.get(cancel(b"c", A)) if effect.message.route == (b"w",)]  # type: ignore[union-attr]  # all are Sends
    world.full(told[0])
    assert of_service(world) == {"worker_full": 1}


def test_a_worker_that_is_not_let_in_is_counted_for_the_service_it_wanted() -> None:
    world = joined()
    world.get(ready(b"x", slots=10))
    world.get(ready(b"x", b"other", slots=10))
    assert of_service(world) == {"bad_registration": 1}
    assert world.core.tally.dropped_elsewhere == {"bad_registration": 1}


def test_what_belongs_to_no_service_is_counted_by_itself() -> None:
    world = joined()
    world.step(Malformed(MalformedMessage("request id", "short", (b"m",))))
    world.get(cancel(b"c", C))
    world.get(reply(b"stranger", A))
    assert of_service(world) == {}
    assert world.core.tally.dropped_elsewhere == {"bad_frame": 1, "cancel_unknown": 1, "reply_unasked": 1}


def failure(request_id: bytes, status: int) -> Message:
    return reply(b"w", request_id).__replace__(options=Options(status=status))


def test_what_workers_answer_as_errors_is_counted_by_the_same_codes() -> None:
    world = joined()
    for request_id, status in ((A, HandlerFailed.number), (B, HandlerFailed.number), (C, 4711)):
        world.get(request(b"c", request_id))
        world.get(failure(request_id, status))
    assert {code: count for code, count in world.core.tally.failures.items() if count} == {
        "handler_error": 2,
        "other": 1,
    }
    assert world.core.tally.failures.keys() == {kind.code for kind in ERRORS} | {"other"}
    assert world.errors() == {}
