"""Ends that are not a worker's reply: deadlines, cancellation, a service that nobody offers any more."""

import pytest

from bus_world.inspect import held_bytes, kept, queue_length
from bus_world.world import (
    A,
    B,
    C,
    D,
    World,
    cancel,
    cancelled,
    delivered,
    failed,
    goodbye,
    handed,
    reply,
    request,
    rid,
    sent,
)
from hootbus.bus.limits import Limits
from hootbus.frames.errors import Cancelled, DeadlineExceeded, UnknownService, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType, Flag

TOO_LATE = DeadlineExceeded("the time given is over")
UNWANTED = Cancelled("cancelled by the client")


def nobody(name: str) -> UnknownService:
    return UnknownService(f"no worker offers {name!r} any more")


def test_what_expires_in_the_queue_is_answered_and_never_handed_out() -> None:
    world = World()
    world.join(b"w")
    first, second = request(b"c", A), request(b"c", B, deadline_ms=500)
    world.get(first)
    world.get(second)
    assert world.tick(after=0.25) == []
    assert world.tick(after=0.25) == [failed(second, TOO_LATE)]
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(first, answer)]


def test_what_expired_before_the_tick_is_not_handed_out_either() -> None:
    world = World()
    world.join(b"w")
    asked = [request(b"c", A), request(b"c", B, deadline_ms=500), request(b"c", C)]
    for message in asked:
        world.get(message)
    answer = reply(b"w", A)
    late = [delivered(asked[0], answer), failed(asked[1], TOO_LATE), handed(b"w", asked[2], deadline_ms=3_599_000)]
    assert world.get(answer, after=1.0) == late
    assert world.tick() == []


def test_what_expires_behind_a_waiting_one_is_answered_all_the_same() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    behind = request(b"c", C, deadline_ms=500)
    world.get(behind)
    assert world.tick(after=0.5) == [failed(behind, TOO_LATE)]
    assert queue_length(world.core, b"text") == 1


def test_what_expires_at_the_worker_is_answered_and_the_worker_told() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", deadline_ms=500)
    assert world.get(asked) == [handed(b"w", asked, deadline_ms=500)]
    assert world.tick(after=0.5) == [failed(asked, TOO_LATE), cancelled(b"w", TOO_LATE)]
    assert world.errors() == {"deadline_exceeded": 1}


def test_only_the_reply_that_is_still_owed_frees_the_slot_and_it_is_dropped() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A, deadline_ms=500))
    world.tick(after=0.5)
    waiting = request(b"c", B)
    assert world.get(waiting) == []
    assert world.get(reply(b"w", A)) == [handed(b"w", waiting)]
    assert world.dropped() == {"reply_late": 1}


def test_the_time_left_is_what_the_worker_is_given() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    waiting = request(b"c", B, deadline_ms=1000)
    world.get(waiting)
    answer = reply(b"w", A)
    got = world.get(answer, after=0.75)
    assert got == [delivered(request(b"c", A), answer), handed(b"w", waiting, deadline_ms=250)]


def test_a_request_without_a_deadline_gets_the_brokers() -> None:
    world = World(Limits(request_timeout_s=2.0))
    world.join(b"w")
    plain = request(b"c", plain=True, kind=ContentType.CAPNPROTO)
    assert world.get(plain) == [handed(b"w", plain, deadline_ms=2000)]
    assert world.tick(after=2.0) == [failed(plain, TOO_LATE), cancelled(b"w", TOO_LATE)]


def test_a_plain_worker_is_not_told_of_what_expired() -> None:
    world = World()
    world.join_plain(b"w")
    asked = request(b"c", deadline_ms=500)
    world.get(asked)
    assert world.tick(after=0.5) == [failed(asked, TOO_LATE)]
    assert world.get(reply(b"w", plain=True)) == []


def test_a_deadline_beyond_what_the_options_can_say_is_cut() -> None:
    world = World(Limits(request_timeout_s=1e9))
    world.join(b"w")
    assert world.get(request(b"c")) == [handed(b"w", request(b"c"), deadline_ms=0xFFFF_FFFF)]


def test_a_request_is_cancelled_while_it_waits() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    waiting = request(b"c", B)
    world.get(waiting)
    assert world.get(cancel(b"c", B)) == [failed(waiting, UNWANTED)]
    assert held_bytes(world.core) == 0
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(request(b"c", A), answer)]


def test_a_request_is_cancelled_at_the_worker_under_the_id_it_has_there() -> None:
    world = World()
    world.join(b"w", slots=2)
    world.get(request(b"c"))
    world.get(request(b"d"))
    wire_id = b"new id 000000001"
    assert world.get(cancel(b"d")) == [failed(request(b"d"), UNWANTED), cancelled(b"w", UNWANTED, wire_id)]
    assert world.get(reply(b"w", wire_id)) == []
    assert world.dropped() == {"reply_late": 1}


def test_a_plain_worker_is_not_told_of_a_cancellation() -> None:
    world = World()
    world.join_plain(b"w")
    world.get(request(b"c"))
    assert world.get(cancel(b"c")) == [failed(request(b"c"), UNWANTED)]


def test_a_cancel_of_what_is_not_ones_own_or_no_more_open_is_counted() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    assert world.get(cancel(b"d")) == []
    assert world.get(cancel(b"c", B)) == []
    world.get(cancel(b"c"))
    assert world.get(cancel(b"c")) == []
    assert world.dropped() == {"cancel_unknown": 3}


def test_a_cancelled_id_can_be_used_again_though_its_reply_is_still_owed() -> None:
    world = World()
    world.join(b"w", slots=2)
    world.get(request(b"c"))
    world.get(cancel(b"c"))
    again = request(b"c", body=b"again")
    wire_id = b"new id 000000001"
    assert world.get(again) == [handed(b"w", again, wire_id)]
    assert world.get(reply(b"w", A)) == []
    answer = reply(b"w", wire_id)
    assert world.get(answer) == [delivered(again, answer)]


def test_a_client_that_says_goodbye_has_its_requests_cancelled_wherever_they_are() -> None:
    world = World()
    world.join(b"w")
    out, waiting = request(b"c", A), request(b"c", B)
    world.get(out)
    world.get(waiting)
    world.get(request(b"d", C))
    gone = world.get(goodbye(b"c"))
    assert gone == [failed(out, UNWANTED), cancelled(b"w", UNWANTED), failed(waiting, UNWANTED)]
    assert world.get(goodbye(b"c")) == []
    assert world.get(reply(b"w", A)) == [handed(b"w", request(b"d", C))]


def test_a_plain_client_gets_one_message_for_a_request_however_it_ends() -> None:
    world = World()
    world.join(b"w", slots=9)
    asked = request(b"c", A, plain=True, flags=0)
    to_client: list[Message] = []

    def collect(effects: object) -> None:
        assert isinstance(effects, list)
        to_client.extend(effect.message for effect in effects if effect.message.route[0] == b"c")

    collect(world.get(asked))
    collect(world.get(asked))
    collect(world.tick(after=3600.0))
    collect(world.get(reply(b"w", A)))
    collect(world.get(reply(b"w", A)))
    collect(world.get(cancel(b"c", A)))
    collect(world.get(goodbye(b"c")))
    assert [(message.command, message.request_id) for message in to_client] == [(Command.REPLY, A)]


def test_what_waits_when_the_last_worker_leaves_has_a_moment_for_the_next_one() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A, flags=Flag.IDEMPOTENT))
    waiting = request(b"c", B)
    world.get(waiting)
    assert world.leaves(b"w") == []
    assert world.tick(after=4.375) == []
    first = request(b"c", A, flags=Flag.IDEMPOTENT)
    assert world.join(b"x", slots=2) == [
        handed(b"x", first, deadline_ms=3_595_500),
        handed(b"x", waiting, deadline_ms=3_595_500),
    ]


def test_what_waits_in_vain_for_the_next_worker_is_told_so_and_the_service_forgotten() -> None:
    world = World()
    world.join(b"w")
    tried = request(b"c", A, flags=Flag.IDEMPOTENT)
    untried = request(b"c", B)
    patient = request(b"c", C, flags=Flag.WAIT, deadline_ms=60_000)
    for message in (tried, untried, patient):
        world.get(message)
    world.leaves(b"w")
    lost = WorkerLost("the worker of 'text' went away and no other came")
    assert world.tick(after=5.0) == [failed(tried, lost), failed(untried, nobody("text"))]
    assert world.tick(after=54.0) == []
    assert world.tick(after=1.0) == [failed(patient, TOO_LATE)]
    assert set(kept(world.core).values()) == {0}


def test_a_cancelled_request_of_a_service_without_workers_takes_the_service_with_it() -> None:
    world = World()
    world.get(request(b"c", flags=Flag.WAIT))
    assert world.get(cancel(b"c")) == [failed(request(b"c", flags=Flag.WAIT), UNWANTED)]
    assert set(kept(world.core).values()) == {0}


@pytest.mark.parametrize("ending", ["reply", "cancel", "deadline", "lost", "goodbye", "drained"])
def test_nothing_is_kept_of_many_requests_however_they_end(ending: str) -> None:
    world = World()
    world.join(b"w", slots=4)
    core = world.core
    for number in range(200):
        world.get(request(b"c%d" % (number % 7), rid(number), deadline_ms=500, flags=number % 2))
    if ending == "deadline":
        world.tick(after=0.5)
    elif ending == "drained":
        world.drain()
        world.tick(after=30.0)
    for number in range(200):
        if ending == "reply":
            world.get(reply(b"w", rid(number)))
        elif ending == "cancel":
            world.get(cancel(b"c%d" % (number % 7), rid(number)))
        elif ending == "goodbye":
            world.get(goodbye(b"c%d" % (number % 7)))
    if ending == "lost":
        world.get(goodbye(b"w"))
        world.tick(after=5.0)
    else:
        for number in range(200):
            world.get(reply(b"w", rid(number)))
    assert {**kept(core), "services": 0, "workers": 0} == dict.fromkeys(kept(core), 0)


def test_the_wake_up_is_the_earliest_of_all_that_is_to_come() -> None:
    world = World()
    assert world.core.wake_at() == world.now + 1.0
    world.join(b"w")
    world.get(request(b"c", deadline_ms=250))
    assert world.core.wake_at() == world.now + 0.25
    world.get(reply(b"w"))
    assert world.core.wake_at() == world.now + 1.0


def test_a_reply_nobody_waits_for_does_not_reach_a_later_request_of_the_same_id_elsewhere() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x")
    world.get(request(b"c", D, deadline_ms=500))
    world.tick(after=0.5)
    again = request(b"c", D)
    assert sent(world.get(again)).route == (b"x",)
    assert world.get(reply(b"w", D, b"of the first")) == []
    answer = reply(b"x", D, b"of the second")
    assert world.get(answer) == [delivered(again, answer)]


@pytest.mark.parametrize("end", ["cancelled", "late", "lost"])
def test_an_error_reply_names_the_service_as_its_request_did_last(end: str) -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", service=b"text/upper", deadline_ms=500))
    world.get(request(b"c", service=b"text/lower", deadline_ms=500))
    if end == "cancelled":
        told, *_ = world.get(cancel(b"c"))
    elif end == "late":
        told, *_ = world.tick(after=0.5)
    else:
        (told,) = world.leaves(b"w")
    told_of = sent([told])
    assert (told_of.command, told_of.service, told_of.traceparent) == (Command.REPLY, b"text/lower", b"")
