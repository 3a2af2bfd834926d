"""An idempotent request that comes again after its reply was sent gets that reply again."""

import pytest

from bus_world.world import (
    OURS,
    RAW,
    A,
    B,
    World,
    cancel,
    delivered,
    failed,
    goodbye,
    handed,
    partial,
    refused,
    reply,
    request,
    rid,
    sent,
)
from hootbus.bus.effects import Effect, Send
from hootbus.bus.limits import Limits
from hootbus.frames.errors import (
    Cancelled,
    HandlerFailed,
    HootError,
    Overloaded,
    SchemaMismatch,
    UnknownService,
)
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Flag
from hootbus.workers.failure import error_body

AGAIN = Flag.IDEMPOTENT


def asked(identity: bytes = b"c", request_id: bytes = A, flags: int = 0, **more: object) -> Message:
    return request(identity, request_id, flags=AGAIN | flags, **more)  # type: ignore[arg-type]  # as `request` has them


def replied(world: World, request_id: bytes = A, size: int = 4) -> Message:
    """A request is asked and answered; its reply."""
    world.get(asked(request_id=request_id))
    answer = reply(b"w", request_id, bytes(size))
    assert world.get(answer) == [delivered(asked(request_id=request_id), answer)]
    return answer


def failure(error: HootError, request_id: bytes = A) -> Message:
    body = error_body(asked(request_id=request_id), error)
    return reply(b"w", request_id).__replace__(
        content_type=body.content_type, body=body.buffer, options=Options(status=error.number)
    )


def joined(limits: Limits | None = None, slots: int = 1) -> World:
    world = World(limits)
    world.join(b"w", slots=slots)
    return world


def kept(world: World) -> int:
    return len(world.core._requests.outcomes)


def reached(world: World) -> dict[str, int]:
    return {name: count for name, count in world.core.tally.reached.items() if count}


def test_a_request_that_comes_again_after_its_reply_gets_that_reply_to_where_it_comes_from_now() -> None:
    world = joined()
    answer = replied(world)
    again = asked(route=(b"via",))
    assert world.get(again, after=1.0) == [delivered(again, answer)]
    assert world.get(again) == [delivered(again, answer)]
    assert (world.core.tally.replayed, world.core.tally.requests, world.core.tally.replies) == (2, 1, 1)


def test_a_reply_that_found_its_client_gone_is_there_when_the_client_is_back() -> None:
    world = joined()
    world.get(asked())
    answer = reply(b"w")
    lost = sent(world.get(answer))
    assert world.gone(lost) == []
    assert world.get(asked()) == [delivered(asked(), answer)]


def test_a_reply_is_there_for_its_client_alone_and_under_its_id_alone() -> None:
    world = joined(slots=9)
    replied(world)
    for other in (asked(b"d"), asked(request_id=B), asked(service=b"text/other")):
        assert sent(world.get(other)).route == (b"w",)
    assert world.core.tally.replayed == 0


@pytest.mark.parametrize("flags", [0, Flag.ONE_WAY, AGAIN | Flag.ONE_WAY])
def test_what_is_not_idempotent_or_wants_no_reply_is_carried_out_again(flags: int) -> None:
    world = joined()
    for _ in range(2):
        (hand,) = world.get(request(b"c", flags=flags))
        assert hand == handed(b"w", request(b"c", flags=flags))
        world.get(reply(b"w"))
    assert kept(world) == (flags == AGAIN)


def test_a_plain_client_has_no_way_to_ask_for_a_replay() -> None:
    world = joined()
    replied(world)
    plain = request(b"c", plain=True)
    assert world.get(plain) == [handed(b"w", plain)]


def test_the_end_of_a_stream_is_not_kept_as_its_parts_are_not() -> None:
    world = joined()
    stream = asked(flags=Flag.PARTIALS)
    world.get(stream)
    world.get(partial(b"w"))
    world.get(reply(b"w").__replace__(options=Options(sequence=1)))
    assert kept(world) == 0
    assert world.get(stream) == [handed(b"w", stream)]


@pytest.mark.parametrize("error", [Overloaded("not now"), UnknownService("?"), SchemaMismatch("?"), Cancelled("?")])
def test_errors_that_say_that_nothing_was_done_are_not_kept(error: HootError) -> None:
    world = joined()
    world.get(asked())
    world.get(failure(error))
    assert kept(world) == 0
    assert world.get(asked()) == [handed(b"w", asked())]


def test_that_a_handler_failed_is_an_outcome_like_any_other() -> None:
    world = joined()
    world.get(asked())
    failed_once = failure(HandlerFailed("it went wrong"))
    world.get(failed_once)
    assert world.get(asked()) == [delivered(asked(), failed_once)]


def test_the_brokers_own_errors_are_not_kept() -> None:
    world = World()
    for _ in range(2):
        assert world.get(asked()) == [refused(asked(), UnknownService("no worker offers 'text'"))]
    world.join(b"w")
    world.get(asked())
    assert world.get(cancel(b"c"))[0] == failed(asked(), Cancelled("cancelled by the client"))
    assert kept(world) == 0


def test_a_plain_workers_replies_are_not_kept_as_an_error_could_not_be_told() -> None:
    world = World()
    world.join_plain(b"w")
    world.get(asked())
    world.get(reply(b"w", plain=True))
    assert kept(world) == 0


def test_a_draining_broker_still_tells_what_it_told() -> None:
    world = joined(slots=2)
    answer = replied(world)
    world.get(asked(request_id=B))
    world.drain()
    assert world.get(asked()) == [delivered(asked(), answer)]


def test_of_too_many_the_oldest_is_forgotten() -> None:
    world = joined(Limits(outcomes=2))
    for number in range(3):
        replied(world, rid(number))
    assert kept(world) == 2
    assert reached(world) == {"outcomes": 1}
    assert world.get(asked(request_id=rid(0))) == [handed(b"w", asked(request_id=rid(0)))]


def test_of_too_many_bytes_the_oldest_are_forgotten_and_what_is_larger_than_all_is_not_kept() -> None:
    world = joined(Limits(outcome_bytes=10))
    for number in range(3):
        replied(world, rid(number), size=5)
    assert kept(world) == 2
    replied(world, rid(3), size=10)
    assert kept(world) == 1
    replied(world, rid(4), size=11)
    assert kept(world) == 1
    assert reached(world) == {"outcome_bytes": 4}


def test_what_is_too_old_is_not_told_and_soon_forgotten() -> None:
    world = joined(Limits(outcome_age_s=2.0))
    replied(world)
    world.tick(after=1.0)
    assert kept(world) == 1
    world.now += 1.0
    assert world.get(asked()) == [handed(b"w", asked())]
    world.tick()
    assert (kept(world), reached(world)) == (0, {"outcome_age_s": 1})


def test_a_reply_under_the_same_id_takes_the_place_of_the_earlier_one() -> None:
    world = joined()
    replied(world)
    other = asked(service=b"text/other")
    world.get(other)
    answer = reply(b"w", body=b"other")
    world.get(answer)
    assert kept(world) == 1
    assert world.get(other) == [delivered(other, answer)]


def test_none_are_kept_where_none_may_be() -> None:
    world = joined(Limits(outcomes=0))
    replied(world)
    assert kept(world) == 0


def test_a_worker_that_goes_takes_no_outcome_with_it() -> None:
    world = joined()
    answer = replied(world)
    world.get(goodbye(b"w"))
    effects: list[Effect] = world.get(asked())
    assert effects == [delivered(asked(), answer)]
    assert isinstance(effects[0], Send)
    assert (effects[0].message.content_type, OURS.flags) == (RAW, Flag.WORKER)
