"""What the metrics tell of the broker: all it counts, and no more names than it may."""

from bus_world.world import A, B, C, World, partial, reply, request, rid
from hootbus.bus.limits import Limits
from hootbus.bus.snapshot import OTHERS, ServiceSnapshot, Snapshot
from hootbus.frames.errors import HandlerFailed
from hootbus.frames.options import Options
from hootbus.frames.protocol import Flag


def look(world: World) -> Snapshot:
    return world.core.snapshot(world.now)


def services(world: World) -> dict[str, ServiceSnapshot]:
    told = look(world).services
    assert len({service.name for service in told}) == len(told)
    return {service.name: service for service in told}


def test_a_snapshot_has_the_status_and_each_service() -> None:
    world = World()
    world.join(b"w", slots=2)
    for request_id in (A, B, C):
        world.get(request(b"c", request_id, body=b"12345", flags=Flag.PARTIALS))
    world.get(partial(b"w", A))
    found = look(world)
    assert (found.status.queued, found.status.inFlight, found.status.counters["requests"]) == (1, 2, 3)
    assert found.status.reached == world.core.tally.reached
    (text,) = found.services
    assert (text.name, text.workers, text.slots, text.in_flight) == ("text", 1, 2, 2)
    assert (text.queued, text.queued_bytes, text.requests, text.replies, text.partials) == (1, 5, 3, 0, 1)


def test_a_snapshot_is_of_its_moment() -> None:
    world = World()
    world.join(b"w")
    found = look(world)
    world.get(request(b"c"))
    world.get(reply(b"w"))
    assert found.services[0].requests == 0
    assert sum(found.services[0].took.counts) == 0
    assert sum(services(world)["text"].took.counts) == 1


def test_errors_are_counted_by_code_whoever_answers_with_them() -> None:
    world = World()
    world.join(b"w", slots=3)
    for request_id, status in ((A, HandlerFailed.number), (B, 60_000)):
        world.get(request(b"c", request_id))
        world.get(reply(b"w", request_id).__replace__(options=Options(status=status)))
    world.get(request(b"c", C, deadline_ms=10))
    world.tick(after=1.0)
    assert services(world)["text"].errors_by_code == {"handler_error": 1, "other": 1, "deadline_exceeded": 1}


def test_of_more_services_than_the_metrics_tell_apart_the_rest_are_told_together() -> None:
    world = World(Limits(metric_services=2))
    for at, name in enumerate((b"a", b"b", b"c", b"d")):
        world.join(name, name)
        world.get(request(b"client", rid(at), name))
    told = services(world)
    assert list(told) == ["a", "b", OTHERS]
    assert (told[OTHERS].workers, told[OTHERS].requests, told[OTHERS].in_flight) == (2, 2, 2)
    look(world)
    assert world.core.tally.reached["metric_services"] == 2


def test_what_services_that_are_told_together_have_counted_stays_when_they_go() -> None:
    world = World(Limits(metric_services=1))
    world.join(b"a", b"a")
    look(world)
    for at in range(3):
        world.join(b"b", b"b")
        world.get(request(b"c", rid(at), b"b"))
        world.get(reply(b"b", rid(at)))
        assert services(world)[OTHERS].requests == at + 1
        world.leaves(b"b")
        told = services(world)[OTHERS]
        assert (told.requests, told.replies, told.workers, sum(told.took.counts)) == (at + 1, at + 1, 0, at + 1)


def test_a_name_is_told_apart_for_ever() -> None:
    world = World(Limits(metric_services=1))
    world.join(b"a", b"a")
    look(world)
    world.leaves(b"a")
    world.join(b"b", b"b")
    assert list(services(world)) == [OTHERS]
    world.join(b"a", b"a")
    assert list(services(world)) == ["a", OTHERS]
