"""Workers: how they come, are known to be alive, and go."""

import pytest

from bus_world.inspect import kept, open_count, queue_length, returned_orders
from bus_world.world import (
    CAPNPROTO,
    EMPTY,
    HOUR_MS,
    JSON,
    PARTING_S,
    RAW,
    READY_ID,
    A,
    B,
    C,
    D,
    World,
    beat,
    cancel,
    cancelled,
    delivered,
    dismissed,
    failed,
    goodbye,
    handed,
    heartbeat,
    partial,
    ready,
    refused,
    reply,
    request,
    rid,
    sent,
    welcome,
)
from hootbus.bus.effects import Note, Send
from hootbus.bus.inputs import ConnectionLost, Received, ServiceDisconnected, Ticked
from hootbus.bus.limits import Limits
from hootbus.frames.errors import BadBody, BadFrame, Cancelled, Denied, HootError, Overloaded, Quarantined, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, Flag
from hootbus.schemas import Registration, read_error, write_ping, write_registration

LOST = WorkerLost("the worker went away; whether it carried this out is not known")
QUARANTINED = Quarantined("2 workers went down with this request")
KNOWN = Quarantined("this request took down the workers that tried it")
AGAIN = b"R" * 16


# Coming


def test_a_worker_of_ours_is_told_that_it_is_in_before_it_gets_work() -> None:
    world = World()
    world.get(request(b"c", flags=Flag.WAIT))
    assert world.get(ready(b"w")) == [welcome(b"w"), handed(b"w", request(b"c", flags=Flag.WAIT))]


@pytest.mark.parametrize("kind", [EMPTY, JSON, RAW, CAPNPROTO])
def test_a_plain_worker_is_taken_whatever_its_body_is_and_hears_nothing(kind: int) -> None:
    world = World()
    message = Message((b"w",), Command.READY, kind, READY_ID, b"text", b"", b"{}")  # type: ignore[arg-type]  # one of four
    assert world.get(message) == []
    asked = [request(b"c", A), request(b"c", B)]
    assert [world.get(message) for message in asked] == [[handed(b"w", asked[0], plain=True)], []]


def test_a_doubled_ready_changes_nothing_and_is_welcomed_again() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    assert world.noted(Received(ready(b"w"))) == [welcome(b"w")]
    answer = reply(b"w")
    assert world.get(answer) == [delivered(request(b"c"), answer)]


def test_another_ready_replaces_the_registration_and_what_was_in_flight_is_lost() -> None:
    world = World()
    world.join(b"w", slots=2)
    once, repeatable = request(b"c", A), request(b"c", B, flags=Flag.IDEMPOTENT)
    world.get(once)
    world.get(repeatable)
    got = world.get(ready(b"w", b"other", ready_id=AGAIN))
    assert got == [failed(once, LOST), welcome(b"w", AGAIN)]
    assert world.join(b"x") == [handed(b"x", repeatable)]
    assert world.get(reply(b"w", A)) == []
    assert world.get(request(b"c", C, b"other")) == [handed(b"w", request(b"c", C, b"other"))]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (ready(b"w", b"Text"), BadFrame("the service frame of a READY must be a service's name, [a-z0-9][a-z0-9._-]*")),
        (ready(b"w", b""), BadFrame("the service frame of a READY must be a service's name, [a-z0-9][a-z0-9._-]*")),
        (ready(b"w", b"a/b"), BadFrame("the service frame of a READY must be a service's name, [a-z0-9][a-z0-9._-]*")),
        (ready(b"w", b"a\n"), BadFrame("the service frame of a READY must be a service's name, [a-z0-9][a-z0-9._-]*")),
        (ready(b"w", b"hoot.jobs"), Denied("services whose names begin with 'hoot.' are the broker's own")),
        (ready(b"w", slots=65_536), BadBody("slots: 65536 is not 1 to 65535")),
        (
            ready(b"w").__replace__(content_type=JSON),
            BadBody("a READY with options must carry a Cap'n Proto Envelope.register"),
        ),
        (ready(b"w").__replace__(body=b"junk"), BadBody("4 bytes are no Cap'n Proto message")),
        (ready(b"w").__replace__(body=write_ping(A)), BadBody("payload: not a registration")),
    ],
)
def test_a_ready_that_cannot_be_taken_is_told_why(message: Message, error: HootError) -> None:
    world = World()
    assert world.get(message) == [dismissed(b"w", READY_ID, error)]
    assert world.dropped() == {"bad_registration": 1}
    assert set(kept(world.core).values()) == {0}
    told = read_error(sent(World().get(message)).body)
    assert told is not None
    assert (told.code, told.message) == (error.code, error.message)


def test_as_many_workers_and_services_are_taken_as_there_may_be() -> None:
    world = World(Limits(workers=2, services=1))
    world.join(b"w")
    other = ready(b"x", b"other")
    too_many = Overloaded("the broker has as many services as it may")
    assert world.get(other) == [dismissed(b"x", READY_ID, too_many)]
    world.join(b"x")
    assert world.get(ready(b"y")) == [dismissed(b"y", READY_ID, Overloaded("the broker has as many workers as it may"))]


def test_a_refused_ready_of_a_registered_worker_ends_its_registration() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    bad = ready(b"w", b"hoot.x", ready_id=AGAIN)
    denied = Denied("services whose names begin with 'hoot.' are the broker's own")
    assert world.get(bad) == [failed(request(b"c"), LOST), dismissed(b"w", AGAIN, denied)]
    assert set(kept(world.core).values()) == {0}


def test_a_worker_that_changes_its_service_is_not_put_back_under_the_old_one() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(ready(b"w", b"other", ready_id=AGAIN))
    world.get(reply(b"w"))
    assert sent(world.get(request(b"c", B))).command is Command.REPLY
    assert world.errors() == {"unknown_service": 1, "worker_lost": 1}


def test_text_of_a_peer_that_is_refused_is_noted_for_the_operator() -> None:
    (_, note) = reversed(World().noted(Received(ready(b"w", b"\xff\n"))))
    assert isinstance(note, Note)
    assert note.event == "worker_refused"


# Being there


def test_every_second_each_worker_gets_a_heartbeat_with_the_brokers_name() -> None:
    world = World()
    world.join(b"w")
    world.join_plain(b"p")
    assert world.step(Ticked(), after=0.5) == []
    assert world.step(Ticked(), after=0.5) == [beat(b"w"), beat(b"p", plain=True)]
    assert world.step(Ticked(), after=0.5) == []
    assert world.step(Ticked(), after=0.5) == [beat(b"w"), beat(b"p", plain=True)]


def test_a_strangers_heartbeat_comes_back_once_with_its_route_and_id_also_while_all_are_busy() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    plain = Message((b"s", b"via", b""), Command.HEARTBEAT, EMPTY, C)
    assert world.get(plain) == [Send(plain)]
    ours = heartbeat(b"s", NO_OPTIONS, D)
    assert world.get(ours) == [welcome(b"s", D)]


def test_a_registered_workers_heartbeat_is_never_answered() -> None:
    world = World()
    world.join(b"w")
    world.join_plain(b"p")
    assert world.get(heartbeat(b"w")) == []
    assert world.get(heartbeat(b"w", NO_OPTIONS)) == []
    assert world.get(heartbeat(b"p", None)) == []


def test_who_wrongly_believes_to_be_a_worker_is_told_and_can_register_again() -> None:
    world = World()
    assert world.get(heartbeat(b"w", request_id=C)) == [dismissed(b"w", C)]
    world.join(b"w")


def test_a_silent_worker_is_suspect_and_gets_work_only_if_no_other_can_take_it() -> None:
    world = World()
    world.join(b"quiet", slots=2)
    world.join(b"loud", slots=2)
    world.tick(after=3.5)
    world.get(heartbeat(b"loud"))
    world.tick(after=1.0)
    took = [sent(world.get(request(b"c", rid(number)))).route[0] for number in range(4)]
    assert took == [b"loud", b"loud", b"quiet", b"quiet"]


def test_a_suspect_worker_that_is_heard_of_is_as_good_as_any() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x")
    world.tick(after=4.0)
    world.get(heartbeat(b"x"))
    world.get(heartbeat(b"w"))
    assert [sent(world.get(request(b"c", i))).route[0] for i in (A, B)] == [b"x", b"w"]


def test_a_busy_worker_that_says_nothing_is_not_dead_until_long_after() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    for _ in range(60):
        assert world.tick(after=1.0) == []
    assert world.tick(after=1.0) == [dismissed(b"w")]
    assert world.tick(after=PARTING_S) == [failed(request(b"c"), LOST)]


def test_a_worker_states_itself_after_how_long_a_silence_it_is_lost_within_the_brokers_bound() -> None:
    world = World(Limits(lost_after_max_s=100.0))
    world.get(ready(b"short", lost_after_ms=5_000))
    world.get(ready(b"long", lost_after_ms=10_000_000))
    assert world.tick(after=6.0) == [dismissed(b"short")]
    assert world.tick(after=94.0) == []
    assert world.tick(after=1.0) == [dismissed(b"long")]


def test_a_broken_connection_is_found_by_a_heartbeat_that_cannot_be_delivered() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x")
    world.get(request(b"c"))
    assert world.step(ConnectionLost()) == []
    assert world.core.wake_at() == world.now
    assert world.step(Ticked()) == [beat(b"w"), beat(b"x")]
    assert world.gone(beat(b"w").message) == []
    assert world.tick(after=PARTING_S) == [failed(request(b"c"), LOST)]
    assert world.core.tally.workers_lost == 1
    assert world.core.tally.disconnects == 1


def test_a_second_look_follows_as_the_first_may_come_too_early() -> None:
    world = World()
    world.join(b"w")
    world.step(ConnectionLost())
    world.step(Ticked())
    assert world.core.wake_at() == world.now + 0.1
    assert world.step(Ticked(), after=0.125) == [beat(b"w")]
    assert world.core.wake_at() > world.now + 0.5


def test_connections_that_come_and_go_all_the_time_do_not_make_the_broker_look_each_time() -> None:
    world = World()
    world.join(b"w")
    beats = 0
    for _ in range(1000):
        world.step(ConnectionLost(), after=0.001)
        if world.now >= world.core.wake_at():
            beats += len(world.step(Ticked()))
    assert beats <= 12


def test_a_worker_whose_pipe_is_full_gets_nothing_until_there_is_room() -> None:
    world = World()
    world.join(b"w", slots=4)
    world.join(b"x")
    first, second, third = request(b"c", A), request(b"c", B), request(b"c", C)
    assert world.get(first) == [handed(b"w", first)]
    assert world.full(handed(b"w", first).message) == [handed(b"x", first)]
    assert world.get(second) == []
    assert world.get(third) == []
    assert world.get(heartbeat(b"w")) == [handed(b"w", second), handed(b"w", third)]


def test_a_full_pipe_is_tried_again_once_a_beat_and_not_in_between() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.full(handed(b"w", request(b"c")).message)
    tries = 0
    for _ in range(40):
        world.now = max(world.now, world.core.wake_at())
        for effect in world.tick():
            tries += 1
            assert isinstance(effect, Send)
            assert effect.message.command is Command.REQUEST
            assert world.full(effect.message) == []
    assert tries == 40
    assert world.now >= 1040.0


def test_requests_that_come_back_from_a_full_pipe_keep_their_order() -> None:
    world = World()
    asked = [request(b"c", rid(number), flags=Flag.WAIT) for number in range(6)]
    for message in asked[:5]:
        world.get(message)
    out = world.join(b"w", slots=4)
    assert out == [handed(b"w", message) for message in asked[:4]]
    world.get(asked[5])
    for effect in out:
        assert isinstance(effect, Send)
        assert world.full(effect.message) == []
    assert world.join(b"x", slots=9) == [handed(b"x", message) for message in asked]
    assert returned_orders(world.core, b"text") == 0


def test_a_request_that_never_left_is_not_lost_with_its_worker_and_has_no_strike() -> None:
    world = World()
    once = request(b"c", flags=Flag.WAIT)
    world.get(once)
    for number in range(5):
        worker = b"w%d" % number
        assert world.join(worker) == [handed(worker, once)]
        assert world.gone(handed(worker, once).message) == []
    assert world.join(b"x") == [handed(b"x", once)]
    assert world.dropped() == {}


def test_a_cancelled_request_that_could_not_be_sent_does_not_come_back() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(cancel(b"c"))
    assert world.full(handed(b"w", request(b"c")).message) == []
    world.get(heartbeat(b"w"))
    assert world.get(request(b"c", B)) == [handed(b"w", request(b"c", B))]


def test_a_heartbeat_that_finds_a_full_pipe_does_not_make_the_worker_lost() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    assert world.full(beat(b"w").message) == []
    assert world.dropped() == {"worker_full": 1}
    answer = reply(b"w")
    assert world.get(answer) == [delivered(request(b"c"), answer)]


def test_a_worker_that_cannot_be_told_it_is_in_is_not() -> None:
    world = World()
    world.get(request(b"c", flags=Flag.WAIT))
    message = request(b"c", flags=Flag.WAIT)
    assert world.get(ready(b"w")) == [welcome(b"w"), handed(b"w", message)]
    assert world.full(welcome(b"w").message) == []
    assert world.full(handed(b"w", message).message) == []
    world.get(heartbeat(b"w"))
    assert world.tick(after=PARTING_S) == []
    assert kept(world.core)["workers"] == 0
    assert world.get(ready(b"w")) == [welcome(b"w"), handed(b"w", message, deadline_ms=HOUR_MS - 125)]


def test_a_worker_that_repeats_its_ready_before_it_is_let_go_is_registered_anew() -> None:
    world = World()
    message = request(b"c", flags=Flag.WAIT | Flag.IDEMPOTENT)
    world.get(message)
    world.get(ready(b"w"))
    assert world.full(welcome(b"w").message) == []
    assert world.get(ready(b"w")) == [welcome(b"w"), handed(b"w", message)], "it let go of it, and did not die of it"
    assert world.tick(after=PARTING_S) == []
    answer = reply(b"w")
    assert world.get(answer) == [delivered(message, answer)]


@pytest.mark.parametrize("flags", [0, Flag.IDEMPOTENT])
def test_what_never_left_for_a_second_dead_worker_was_not_in_its_hands(flags: int) -> None:
    world = World()
    first, second = request(b"c", A, flags=Flag.IDEMPOTENT), request(b"c", B, flags=flags)
    world.join(b"v")
    world.join(b"w")
    world.join(b"x", slots=3)
    world.get(first)
    world.get(second)
    assert world.gone(beat(b"v").message) == []
    assert world.gone(handed(b"w", second).message) == [handed(b"x", second)]
    assert world.gone(beat(b"w").message) == []
    (again,) = world.tick(after=PARTING_S)
    assert again == handed(b"x", first, deadline_ms=HOUR_MS - 125)
    assert world.errors() == {}


def test_a_worker_that_cannot_be_reached_gets_nothing_more_whatever_is_heard_of_it() -> None:
    world = World()
    world.join(b"w", slots=4)
    once, other = request(b"c", A), request(b"c", B)
    world.get(once)
    assert world.gone(Message((b"w",), Command.CANCEL, EMPTY, C, options=NO_OPTIONS)) == []
    assert world.get(heartbeat(b"w")) == []
    assert world.get(other) == []
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(once, answer)], "its last word counts"
    assert world.join(b"x") == [handed(b"x", other)]
    assert world.tick(after=PARTING_S) == []
    assert kept(world.core)["workers"] == 1


def test_a_worker_that_cannot_be_reached_and_registers_again_is_a_new_one() -> None:
    world = World()
    world.join(b"w")
    once = request(b"c")
    world.get(once)
    world.gone(beat(b"w").message)
    assert world.get(ready(b"w", ready_id=AGAIN)) == [failed(once, LOST), welcome(b"w", AGAIN)]
    assert world.tick(after=PARTING_S) == []
    assert world.get(request(b"c", B)) == [handed(b"w", request(b"c", B))]


def test_a_cancelled_request_of_a_worker_that_cannot_be_reached_is_no_reason_to_write_to_it() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.gone(beat(b"w").message)
    assert world.get(cancel(b"c")) == [failed(request(b"c"), Cancelled("cancelled by the client"))]
    assert world.step(Ticked(), after=PARTING_S) == []


def test_a_plain_worker_whose_ready_had_the_id_of_the_brokers_heartbeats_stays_in() -> None:
    world = World()
    world.get(Message((b"p",), Command.READY, EMPTY, bytes(16), b"text"))
    assert world.full(beat(b"p", plain=True).message) == []
    assert kept(world.core)["workers"] == 1


# Going


def test_a_lost_workers_requests_are_told_or_if_repeatable_tried_elsewhere_before_all_others() -> None:
    world = World()
    world.join(b"w", slots=4)
    asked = [request(b"c", rid(number), flags=number % 2) for number in range(5)]
    for message in asked:
        world.get(message)
    world.join(b"x")
    world.get(reply(b"x", rid(4)))
    world.get(request(b"c", D))
    world.get(request(b"c", C))
    left = HOUR_MS - 125
    again = world.dies(b"w")
    assert again == [failed(asked[0], LOST), failed(asked[2], LOST)]
    answer = reply(b"x", D)
    assert world.get(answer) == [delivered(request(b"c", D), answer), handed(b"x", asked[1], deadline_ms=left)]
    answer = reply(b"x", rid(1))
    assert world.get(answer) == [delivered(asked[1], answer), handed(b"x", asked[3], deadline_ms=left)]
    answer = reply(b"x", rid(3))
    assert world.get(answer) == [delivered(asked[3], answer), handed(b"x", request(b"c", C), deadline_ms=left)]
    assert world.core.tally.retried == 2


def test_a_request_that_took_two_workers_down_is_not_handed_to_a_third() -> None:
    world = World()
    poison = request(b"c", flags=Flag.IDEMPOTENT)
    world.join(b"w")
    world.join(b"x")
    world.join(b"y")
    assert world.get(poison) == [handed(b"w", poison)]
    assert world.dies(b"w") == [handed(b"x", poison, deadline_ms=HOUR_MS - 125)]
    assert world.dies(b"x") == [failed(poison, QUARANTINED)]
    assert world.get(poison) == [refused(poison, KNOWN)]
    assert world.get(request(b"d", flags=Flag.IDEMPOTENT)) == [handed(b"y", request(b"d", flags=Flag.IDEMPOTENT))]
    assert world.errors() == {"quarantined": 2}


def test_a_quarantined_request_is_known_also_while_nobody_offers_its_service() -> None:
    world = World(Limits(strikes=1))
    poison = request(b"c", flags=Flag.IDEMPOTENT)
    world.join(b"w")
    world.get(poison)
    world.dies(b"w")
    assert world.get(poison) == [refused(poison, KNOWN)]


def test_so_many_quarantined_requests_are_remembered_the_oldest_is_forgotten_first() -> None:
    world = World(Limits(strikes=1, quarantined=2))
    for request_id in (A, B, C):
        world.join(b"w")
        world.get(request(b"c", request_id, flags=Flag.IDEMPOTENT))
        world.dies(b"w")
    world.join(b"w", slots=9)
    again = [request(b"c", request_id, flags=Flag.IDEMPOTENT) for request_id in (A, B, C)]
    assert [world.get(message) for message in again] == [
        [handed(b"w", again[0])],
        [refused(again[1], KNOWN)],
        [refused(again[2], KNOWN)],
    ]


def test_what_was_cancelled_at_a_lost_worker_is_not_tried_again() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x")
    world.get(request(b"c", flags=Flag.IDEMPOTENT))
    world.get(cancel(b"c"))
    assert world.leaves(b"w") == []
    assert world.get(request(b"c", B)) == [handed(b"x", request(b"c", B))]


@pytest.mark.parametrize("died", [True, False])
def test_only_a_death_is_a_strike_and_a_goodbye_is_none(died: bool) -> None:
    world = World()
    asked = request(b"c", flags=Flag.IDEMPOTENT | Flag.WAIT)
    world.get(asked)
    for number in range(5):
        worker = b"w%d" % number
        got = world.join(worker)
        if died and number == 2:
            assert got == []
            break
        assert [sent([effect]).request_id for effect in got] == [A]
        # Of those who leave, some have been given up before their goodbye was read.
        if number % 2 and not died:
            assert world.gone(beat(worker).message) == []
        end = world.dies(worker) if died else world.leaves(worker)
        assert end == ([failed(asked, QUARANTINED)] if died and number == 1 else [])
    assert world.errors() == ({"quarantined": 1} if died else {})


def test_a_worker_whose_connection_closes_behind_its_goodbye_has_not_died() -> None:
    world = World(Limits(strikes=1))
    asked = request(b"c", flags=Flag.IDEMPOTENT)
    world.join(b"w", slots=2)
    world.get(asked)
    world.get(goodbye(b"w"))
    assert world.gone(beat(b"w").message) == []
    assert world.tick(after=PARTING_S) == []
    assert world.join(b"x") == [handed(b"x", asked, deadline_ms=HOUR_MS - 125)]


def test_what_a_worker_says_behind_its_goodbye_counts_for_nothing() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", flags=Flag.PARTIALS))
    world.get(goodbye(b"w"))
    assert world.get(partial(b"w")) == []
    assert world.get(reply(b"w")) == []
    assert world.get(heartbeat(b"w", request_id=C)) == [dismissed(b"w", C)]
    assert world.dropped() == {"partial_unasked": 1, "reply_unasked": 1}
    assert world.tick(after=PARTING_S) == [failed(request(b"c"), LOST)]


def test_what_overruns_the_time_to_leave_has_no_strike() -> None:
    world = World(Limits(strikes=1))
    asked = request(b"c", flags=Flag.IDEMPOTENT)
    world.join(b"w")
    world.get(asked)
    world.get(goodbye(b"w", 500))
    world.tick(after=1.0)
    world.tick(after=PARTING_S)
    assert world.join(b"x") == [handed(b"x", asked, deadline_ms=HOUR_MS - 1125)]


@pytest.mark.parametrize(("farewell", "strikes"), [(None, 1), (goodbye(b"w"), 0)])
def test_who_registers_again_has_died_unless_it_has_said_goodbye(farewell: Message | None, strikes: int) -> None:
    world = World(Limits(strikes=1))
    asked = request(b"c", flags=Flag.IDEMPOTENT)
    world.join(b"w")
    world.get(asked)
    if farewell is not None:
        world.get(farewell)
    again = world.get(ready(b"w", ready_id=AGAIN))
    assert again[-1] == (welcome(b"w", AGAIN) if strikes else handed(b"w", asked))
    assert world.errors() == ({"quarantined": 1} if strikes else {})


def test_of_all_that_were_with_the_poison_only_the_poison_is_quarantined() -> None:
    world = World()
    poison = rid(7)
    asked = {rid(number): request(b"c", rid(number), flags=Flag.IDEMPOTENT) for number in range(12)}
    world.join(b"w0", slots=64)
    for message in asked.values():
        world.get(message)
    deaths, answered = 0, 0
    effects = world.dies(b"w0")
    while open_count(world.core):
        if not effects:
            effects = world.join(b"w%d" % (deaths + 1), slots=64)
        (effect,) = effects
        assert isinstance(effect, Send)
        worker, request_id = effect.message.route[0], effect.message.request_id
        if request_id == poison:
            deaths += 1
            assert world.dies(worker)[0] == failed(asked[poison], QUARANTINED)
            effects = []
            continue
        answered += 1
        answer = reply(worker, request_id)
        delivery, *effects = world.get(answer)
        assert delivery == delivered(asked[request_id], answer)
    assert (deaths, answered, world.errors()) == (1, 11, {"quarantined": 1})


def test_those_that_have_been_through_no_death_go_on_past_those_that_have() -> None:
    world = World()
    struck = [request(b"c", number, flags=Flag.IDEMPOTENT) for number in (A, B)]
    world.join(b"w", slots=2)
    for message in struck:
        world.get(message)
    world.dies(b"w")
    left = HOUR_MS - 125
    assert world.join(b"x", slots=3) == [handed(b"x", struck[0], deadline_ms=left)]
    fresh = request(b"c", C)
    assert world.get(fresh) == [handed(b"x", fresh)]
    assert world.get(cancel(b"c", A))[0] == failed(struck[0], Cancelled("cancelled by the client"))
    assert queue_length(world.core, b"text") == 1, "its handler may still run, and die"
    assert world.get(reply(b"x", A)) == [handed(b"x", struck[1], deadline_ms=left)]


def test_a_worker_with_what_may_kill_it_gets_others_last_and_another_takes_the_next_such() -> None:
    world = World()
    struck = [request(b"c", number, flags=Flag.IDEMPOTENT) for number in (A, B)]
    world.join(b"w", slots=2)
    for message in struck:
        world.get(message)
    world.join(b"x", slots=9)
    world.join(b"y", slots=2)
    took = [sent([effect]).route[0] for effect in world.dies(b"w")]
    assert took == [b"x", b"y"]
    assert world.get(reply(b"y", B)) != []
    took = [sent(world.get(request(b"c", rid(number)))).route[0] for number in range(3)]
    assert took == [b"y", b"y", b"x"]


def test_a_struck_request_that_does_not_leave_makes_room_for_the_next() -> None:
    world = World()
    struck = [request(b"c", number, flags=Flag.IDEMPOTENT) for number in (A, B)]
    world.join(b"w", slots=2)
    for message in struck:
        world.get(message)
    world.dies(b"w")
    left = HOUR_MS - 125
    (first,) = world.join(b"x", slots=3)
    assert isinstance(first, Send)
    assert world.full(first.message) == []
    assert world.join(b"y", slots=3) == [handed(b"y", struck[0], deadline_ms=left)]
    assert world.get(heartbeat(b"x")) == [handed(b"x", struck[1], deadline_ms=left)]


def test_a_worker_that_leaves_finishes_what_it_has_and_is_let_go_then() -> None:
    world = World()
    world.join(b"w", slots=2)
    world.get(request(b"c"))
    assert world.get(goodbye(b"w", 10_000)) == []
    assert world.get(request(b"c", B)) == []
    assert world.get(goodbye(b"w", 9_000)) == [], "asked for again"
    answer = reply(b"w")
    assert world.get(answer) == [delivered(request(b"c"), answer), dismissed(b"w", D)]
    assert world.join(b"x") == [handed(b"x", request(b"c", B))]
    assert world.core.tally.workers_lost == 0


def test_an_idle_worker_that_leaves_is_let_go_at_once() -> None:
    world = World()
    world.join(b"w")
    assert world.get(goodbye(b"w", 10_000)) == [dismissed(b"w", D)]
    assert set(kept(world.core).values()) == {0}


def test_a_leaving_worker_still_owes_a_reply_for_what_was_cancelled() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(goodbye(b"w", 10_000))
    world.get(cancel(b"c"))
    assert world.get(reply(b"w")) == [dismissed(b"w", D)]


def test_a_leaving_worker_whose_last_request_never_left_is_let_go() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(goodbye(b"w", 10_000))
    assert world.full(handed(b"w", request(b"c")).message) == [dismissed(b"w", D)]
    assert world.join(b"x") == [handed(b"x", request(b"c"))]


def test_a_leaving_workers_own_calls_go_on_until_it_is_gone() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x", b"other", slots=2)
    world.get(request(b"c", A))
    first, second = request(b"w", B, b"other"), request(b"w", C, b"other")
    world.get(first)
    world.get(second)
    assert world.get(goodbye(b"w", 10_000)) == []
    answer = reply(b"x", B)
    assert world.get(answer) == [delivered(first, answer)]
    unwanted = Cancelled("cancelled by the client")
    assert world.get(goodbye(b"w")) == [failed(second, unwanted), cancelled(b"x", unwanted, C)]
    assert world.tick(after=PARTING_S) == [failed(request(b"c", A), LOST)]


def test_a_leaving_worker_that_does_not_finish_in_its_time_is_lost() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.get(goodbye(b"w", 2_000))
    world.tick(after=2.0)
    assert world.tick(after=1.0) == []
    assert world.tick(after=PARTING_S) == [failed(request(b"c"), LOST)]


# Dialled services


def test_a_dialled_service_is_a_plain_worker_from_its_connection_to_its_end() -> None:
    world = World()
    asked = request(b"c", flags=Flag.WAIT)
    world.get(asked)
    assert world.dial(b"\0line") == [handed(b"\0line", asked, plain=True)]
    assert world.get(request(b"c", B)) == []
    assert world.step(ServiceDisconnected(b"\0line")) == []
    assert world.step(ServiceDisconnected(b"\0line")) == []
    assert world.tick(after=PARTING_S) == [failed(asked, LOST)]
    assert world.step(ServiceDisconnected(b"\0line")) == []
    assert world.dial(b"\0line", slots=2) == [handed(b"\0line", request(b"c", B), plain=True)]


def test_what_did_not_leave_for_a_dialled_service_goes_to_another() -> None:
    world = World()
    asked = request(b"c")
    world.dial(b"\0one")
    world.get(asked)
    world.step(ServiceDisconnected(b"\0one"))
    assert world.gone(handed(b"\0one", asked, plain=True).message) == []
    assert world.tick(after=PARTING_S) == []
    assert world.dial(b"\0two") == [handed(b"\0two", asked, plain=True)]


def test_a_dialled_service_that_works_for_an_hour_without_a_word_is_not_lost() -> None:
    world = World(Limits(request_timeout_s=1e9))
    world.dial(b"\0line")
    asked = request(b"c", deadline_ms=7_200_000)
    world.get(asked)
    for _ in range(60):
        assert world.tick(after=60.0) == []
    answer = reply(b"\0line", plain=True)
    assert world.get(answer) == [delivered(asked, answer)]


def test_a_dialled_service_cannot_make_itself_another() -> None:
    world = World()
    world.dial(b"\0line")
    assert world.get(Message((b"\0line",), Command.READY, EMPTY, READY_ID, b"other")) == []
    assert world.get(request(b"c")) == [handed(b"\0line", request(b"c"), plain=True)]
    assert sent(world.get(request(b"c", B, b"other"))).command is Command.REPLY


def test_a_dialled_connection_that_comes_up_twice_is_one_worker() -> None:
    world = World()
    world.dial(b"\0line")
    world.get(request(b"c"))
    assert world.dial(b"\0line") == [failed(request(b"c"), LOST)]
    assert kept(world.core)["workers"] == 1


def test_a_registration_of_hootenannys_has_one_slot() -> None:
    world = World()
    body = write_registration(READY_ID, Registration(worker_id=bytes(16), name="holler"))
    world.get(Message((b"w",), Command.READY, CAPNPROTO, READY_ID, b"text", b"", body))
    assert sent(world.get(request(b"c", A))).options is None
    assert world.get(request(b"c", B)) == []


def test_an_undeliverable_message_to_nobody_in_particular_is_counted() -> None:
    world = World()
    assert world.gone(dismissed(b"w").message) == []
    assert world.full(beat(b"w").message) == []
    assert world.gone(Message((b"w",), Command.CANCEL, EMPTY, A, options=Options())) == []
    assert world.dropped() == {"client_full": 1, "worker_gone": 2}


def test_what_a_plain_worker_could_not_be_given_is_still_of_its_type_for_the_next_one() -> None:
    world = World()
    world.join_plain(b"p")
    asked = request(b"c", A, schema_id=7)
    assert world.full(sent(world.get(asked))) == []
    (effect,) = world.join(b"w")
    assert effect == handed(b"w", asked, deadline_ms=3_600_000)
    assert isinstance(effect, Send)
    assert effect.message.options is not None
    assert effect.message.options.schema_id == 7
