"""Which worker gets a request, and where it waits when none is free."""

import pytest

from bus_world.inspect import deadline_entries, free_heap, held_bytes, kept, queue_length
from bus_world.world import (
    CAPNPROTO,
    INSTANCE,
    START,
    A,
    B,
    C,
    D,
    World,
    cancelled,
    delivered,
    failed,
    handed,
    partial,
    ready,
    refused,
    reply,
    request,
    rid,
    sent,
)
from hootbus.bus.effects import Send
from hootbus.bus.inputs import Received
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.limits import Limits
from hootbus.frames.errors import Overloaded, UnknownService, UnsupportedContentType
from hootbus.frames.message import Message, serialize
from hootbus.frames.options import Options
from hootbus.frames.protocol import RECORDER, Command, Flag
from hootbus.schemas import read_pong, write_ping

QUEUE_FULL = Overloaded("the queue of 'text' is full")
TOO_MANY = Overloaded("too many requests without an outcome")


def nobody(name: str) -> UnknownService:
    return UnknownService(f"no worker offers {name!r}")


def test_a_request_goes_to_the_worker_and_its_reply_to_the_client() -> None:
    world = World()
    world.join(b"w")
    asked, answer = request(b"c"), reply(b"w")
    assert world.get(asked) == [handed(b"w", asked)]
    assert world.get(answer) == [delivered(asked, answer)]
    assert kept(world.core) == {**dict.fromkeys(kept(world.core), 0), "services": 1, "workers": 1}


def test_the_method_behind_the_slash_does_not_matter_to_the_broker() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", service=b"text/upper")
    assert world.get(asked) == [handed(b"w", asked)]


def test_a_method_that_only_newer_workers_have_goes_to_these_and_waits_for_them() -> None:
    world = World()
    world.join(b"old", methods=["upper"])
    world.join(b"new", methods=["upper", "lower"])
    first, second = (request(b"c", each, service=b"text/lower") for each in (A, B))
    assert world.get(first) == [handed(b"new", first)]
    assert world.get(second) == []
    third = request(b"c", C, service=b"text/upper")
    # In its turn: the queue is one.
    assert world.get(third) == []
    answer = reply(b"new", A)
    assert world.get(answer) == [delivered(first, answer), handed(b"new", second), handed(b"old", third)]


def test_a_method_that_nobody_has_is_left_to_a_worker_to_refuse() -> None:
    world = World()
    world.join(b"old", methods=["upper"])
    world.join(b"new", methods=["upper", "lower"])
    asked = request(b"c", service=b"text/sing")
    assert world.get(asked) == [handed(b"old", asked)]


def test_who_waits_for_newer_workers_does_so_no_longer_once_the_last_has_gone() -> None:
    world = World()
    world.join(b"old", methods=["upper"])
    world.join(b"new", methods=["lower"])
    first, second = (request(b"c", each, service=b"text/lower") for each in (A, B))
    world.get(first)
    assert world.get(second) == []
    assert sent(world.leaves(b"new")[-1:]).route == (b"old",)


def test_a_worker_that_names_no_methods_takes_any() -> None:
    world = World()
    world.join(b"old", methods=["upper"])
    world.join(b"plain")
    first, second = (request(b"c", each, service=b"text/lower") for each in (A, B))
    assert world.get(first) == [handed(b"plain", first)]
    assert world.get(second) == []


def test_the_least_loaded_worker_is_next_and_load_is_by_declared_slots() -> None:
    world = World()
    world.join(b"one", slots=1)
    world.join(b"four", slots=4)
    took = [sent(world.get(request(b"c", rid(number)))) for number in range(5)]
    assert [message.route[0] for message in took] == [b"one", b"four", b"four", b"four", b"four"]


def test_of_equally_loaded_workers_the_longest_idle_is_next() -> None:
    world = World()
    for worker in (b"x", b"y", b"z"):
        world.join(worker)
    for worker, request_id in ((b"x", A), (b"y", B), (b"z", C)):
        assert world.get(request(b"c", request_id)) == [handed(worker, request(b"c", request_id))]
    for worker, request_id in ((b"y", B), (b"z", C), (b"x", A)):
        world.get(reply(worker, request_id))
    took = [world.get(request(b"c", request_id))[0] for request_id in (A, B, C)]
    assert took == [handed(w, request(b"c", i)) for w, i in ((b"y", A), (b"z", B), (b"x", C))]


class CountedKey(float):
    """A heap's key that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        CountedKey.compared += 1
        return float.__lt__(self, other)

    def __eq__(self, other: object) -> bool:
        CountedKey.compared += 1
        return float.__eq__(self, other)

    __hash__ = float.__hash__


@pytest.mark.interpreted
def test_the_choice_among_a_thousand_workers_compares_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    push = LazyHeap.push
    monkeypatch.setattr(LazyHeap, "push", lambda heap, key, item: push(heap, CountedKey(key), item))
    core = World().core
    for number in range(1000):
        core.handle(Received(ready(b"w%d" % number)), START)
    CountedKey.compared = 0
    rounds = 500
    for number in range(rounds):
        worker = sent(core.handle(Received(request(b"c", rid(number))), START)).route[0]
        core.handle(Received(reply(worker, rid(number))), START)
    # One worker among them all would take a thousand comparisons at the least.
    assert CountedKey.compared / rounds < 100


def test_a_busy_hour_leaves_no_stale_entries_behind() -> None:
    core = World().core
    core.handle(Received(ready(b"w", slots=2)), START)
    for number in range(5000):
        core.handle(Received(request(b"c", rid(number))), START)
        core.handle(Received(reply(b"w", rid(number))), START)
    assert len(free_heap(core, b"text")) < 200
    assert deadline_entries(core) < 200


def test_what_finds_no_free_slot_waits_and_is_handed_out_in_the_order_of_arrival() -> None:
    world = World()
    world.join(b"w")
    asked = [request(b"c", rid(number)) for number in range(4)]
    assert [world.get(message) for message in asked] == [[handed(b"w", asked[0])], [], [], []]
    for number in range(3):
        answer = reply(b"w", rid(number))
        assert world.get(answer) == [delivered(asked[number], answer), handed(b"w", asked[number + 1])]


def test_a_new_worker_takes_what_waits() -> None:
    world = World()
    world.join(b"w")
    asked = [request(b"c", rid(number)) for number in range(4)]
    for message in asked:
        world.get(message)
    assert world.join(b"x", slots=2) == [handed(b"x", asked[1]), handed(b"x", asked[2])]


def test_a_full_queue_answers_overloaded_by_count() -> None:
    world = World(Limits(queue_messages=2))
    world.join(b"w")
    for number in range(3):
        world.get(request(b"c", rid(number)))
    assert world.get(request(b"c", D)) == [refused(request(b"c", D), QUEUE_FULL)]
    assert world.errors() == {"overloaded": 1}


def test_a_full_queue_answers_overloaded_by_bytes_attachments_included() -> None:
    world = World(Limits(queue_bytes=10))
    world.join(b"w")
    world.get(request(b"c", A))
    assert world.get(request(b"c", B, body=b"12345", attachments=(b"6789",))) == []
    too_large = request(b"c", C, body=b"12")
    assert world.get(too_large) == [refused(too_large, QUEUE_FULL)]
    assert world.get(request(b"c", D, body=b"1")) == []


def test_one_client_has_so_many_requests_open_and_others_still_theirs() -> None:
    world = World(Limits(requests_per_client=2))
    world.join(b"w", slots=9)
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    assert world.get(request(b"c", C)) == [refused(request(b"c", C), TOO_MANY)]
    assert world.get(request(b"d", C)) == [handed(b"w", request(b"d", C))]
    world.get(reply(b"w", A))
    assert world.get(request(b"c", D)) == [handed(b"w", request(b"c", D))]


def test_all_clients_together_have_so_many_requests_open() -> None:
    world = World(Limits(requests=2))
    world.join(b"w", slots=9)
    world.get(request(b"c", A))
    world.get(request(b"d", B))
    assert world.get(request(b"e", C)) == [refused(request(b"e", C), TOO_MANY)]


def test_held_bytes_are_those_of_waiting_and_repeatable_requests_and_return_to_nothing() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A, body=b"once"))
    assert held_bytes(world.core) == 0
    world.get(request(b"c", B, body=b"again", flags=Flag.IDEMPOTENT))
    world.get(request(b"c", C, body=b"waits"))
    assert held_bytes(world.core) == 10
    world.get(reply(b"w", A))
    assert held_bytes(world.core) == 10, "the repeatable one is kept while it is out"
    world.get(reply(b"w", B))
    assert held_bytes(world.core) == 0
    world.get(reply(b"w", C))
    assert held_bytes(world.core) == 0


def test_a_broker_that_holds_all_it_may_refuses_what_it_would_have_to_hold() -> None:
    world = World(Limits(held_bytes=10))
    world.join(b"w", slots=2)
    world.get(request(b"c", A, body=bytes(9), flags=Flag.IDEMPOTENT))
    full = Overloaded("the broker holds as many bytes as it may")
    second = request(b"c", B, body=bytes(2), flags=Flag.IDEMPOTENT)
    assert world.get(second) == [refused(second, full)]
    passing = request(b"c", C, body=bytes(2))
    assert world.get(passing) == [handed(b"w", passing)]
    waiting = request(b"c", D, body=bytes(2))
    assert world.get(waiting) == [refused(waiting, full)]


def test_a_worker_that_was_chosen_for_what_is_refused_is_there_for_the_next() -> None:
    world = World(Limits(held_bytes=1))
    for identity in (b"v", b"w"):
        world.join(identity)
    held = request(b"c", A, body=bytes(2), flags=Flag.IDEMPOTENT)
    for _ in range(2):
        assert world.get(held) == [refused(held, Overloaded("the broker holds as many bytes as it may"))]
    for worker, request_id in ((b"v", B), (b"w", C)):
        passing = request(b"c", request_id, body=bytes(2))
        assert sent(world.get(passing)).route == (worker,)


@pytest.mark.parametrize("service", [b"text", b"text/upper", b"", b"Holler-1", b"\xff\xfe", b"a b", b"/x"])
def test_a_service_nobody_offers_is_unknown_at_once(service: bytes) -> None:
    world = World()
    asked = request(b"c", service=service)
    name = service.partition(b"/")[0].decode(errors="replace")
    assert world.get(asked) == [refused(asked, nobody(name))]
    assert set(kept(world.core).values()) == {0}


def test_a_request_that_asks_to_wait_is_handed_to_the_worker_that_comes() -> None:
    world = World()
    asked = request(b"c", flags=Flag.WAIT)
    assert world.get(asked) == []
    assert world.get(request(b"c", B)) == [refused(request(b"c", B), nobody("text"))]
    assert world.join(b"w") == [handed(b"w", asked)]


def test_what_asks_to_wait_waits_until_its_deadline_and_leaves_nothing_behind() -> None:
    world = World()
    asked = request(b"c", flags=Flag.WAIT, deadline_ms=60_000)
    world.get(asked)
    assert world.tick(after=59.0) == []
    assert queue_length(world.core, b"text") == 1
    assert len(world.tick(after=1.0)) == 1
    assert set(kept(world.core).values()) == {0}


def test_no_name_that_a_worker_could_not_have_is_waited_for() -> None:
    world = World()
    asked = request(b"c", service=b"Holler", flags=Flag.WAIT)
    assert world.get(asked) == [refused(asked, nobody("Holler"))]


def test_as_many_services_are_waited_for_as_there_may_be() -> None:
    world = World(Limits(services=1))
    world.get(request(b"c", A, b"one", flags=Flag.WAIT))
    second = request(b"c", B, b"two", flags=Flag.WAIT)
    assert world.get(second) == [refused(second, Overloaded("the broker has as many services as it may"))]


def test_the_default_service_takes_what_nobody_answers_to() -> None:
    world = World(default_service="text")
    asked = request(b"c", A, b"holler-6b2f", plain=True)
    assert world.get(asked) == [refused(asked, nobody("holler-6b2f"))]
    world.join(b"w", slots=9)
    assert world.get(asked) == [handed(b"w", asked)]
    nameless = request(b"c", B, b"")
    assert world.get(nameless) == [handed(b"w", nameless)]
    waiting = request(b"c", C, b"other", flags=Flag.WAIT)
    assert world.get(waiting) == [handed(b"w", waiting)]
    world.join(b"x", b"other")
    named = request(b"c", D, b"other")
    assert world.get(named) == [handed(b"x", named)]


def test_a_ping_that_no_service_takes_is_answered_by_the_broker() -> None:
    world = World(default_service="text")
    asked = request(b"c", A, b"", write_ping(A), kind=CAPNPROTO, plain=True, route=(b"", b"via"))
    world.now += 5
    pong = sent(world.get(asked))
    assert (pong.route, pong.command, pong.request_id) == (asked.route, Command.REPLY, A)
    assert pong.options is None
    found = read_pong(pong.body)
    assert found is not None
    assert (found.worker_id, found.uptime_secs) == (INSTANCE, 5)


def test_a_ping_to_a_service_is_the_services() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", A, b"text", write_ping(A), kind=CAPNPROTO)
    assert world.get(asked) == [handed(b"w", asked)]


def test_the_same_request_again_is_merged_and_the_one_reply_goes_to_the_latest_route() -> None:
    world = World()
    world.join(b"w")
    first = request(b"c", route=(b"old",))
    latest = request(b"c", route=(b"new",), kind=CAPNPROTO)
    assert world.get(first) == [handed(b"w", first)]
    assert world.get(latest) == []
    answer = reply(b"w")
    assert world.get(answer) == [delivered(latest, answer)]
    assert world.core.tally.merged == 1
    assert world.get(reply(b"w")) == []
    assert world.dropped() == {"reply_unasked": 1}


def test_a_merged_request_keeps_its_place_in_the_queue() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    world.get(request(b"c", C))
    assert world.get(request(b"c", B)) == []
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(request(b"c", A), answer), handed(b"w", request(b"c", B))]


def test_of_a_one_way_request_sent_again_as_a_call_the_caller_gets_the_reply() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", flags=Flag.ONE_WAY))
    again = request(b"c")
    assert world.get(again) == []
    answer = reply(b"w")
    assert world.get(answer) == [delivered(again, answer)]


def test_one_id_from_two_clients_is_two_requests_with_two_ids_at_the_worker() -> None:
    world = World()
    world.join(b"w", slots=2)
    mine, theirs = request(b"c"), request(b"d")
    fresh = b"new id 000000001"
    assert world.get(mine) == [handed(b"w", mine)]
    assert world.get(theirs) == [handed(b"w", theirs, fresh)]
    answer = reply(b"w", fresh)
    assert world.get(answer) == [delivered(theirs, answer)]
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(mine, answer)]


def test_a_worker_cannot_answer_what_was_handed_to_another() -> None:
    world = World()
    world.join(b"w")
    world.join(b"x")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    assert world.get(reply(b"x", A)) == []
    assert world.get(reply(b"stranger", A)) == []
    assert world.dropped() == {"reply_unasked": 2}
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(request(b"c", A), answer)]


def test_a_client_that_is_gone_costs_a_count_and_nothing_else() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    got = sent(world.get(reply(b"w")))
    assert world.gone(got) == []
    assert world.full(got) == []
    assert world.dropped() == {"client_gone": 1, "client_full": 1}


def test_a_one_way_request_is_carried_out_and_never_answered() -> None:
    world = World()
    asked = request(b"c", flags=Flag.ONE_WAY)
    assert world.get(asked) == []
    world.join(b"w")
    assert world.get(asked) == [handed(b"w", asked)]
    assert world.get(reply(b"w")) == []
    lost = request(b"c", B, flags=Flag.ONE_WAY, deadline_ms=500)
    assert world.get(lost) == [handed(b"w", lost, deadline_ms=500)]
    assert [effect.message.command for effect in world.tick(after=1.0) if isinstance(effect, Send)] == [Command.CANCEL]
    assert world.dropped() == {"error_one_way": 2, "reply_one_way": 1}


def test_parts_go_to_a_client_that_takes_them_and_the_reply_ends_them() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", flags=Flag.PARTIALS)
    world.get(asked)
    for number in range(3):
        part = partial(b"w", sequence=number)
        assert world.get(part) == [delivered(asked, part)]
    answer = reply(b"w")
    assert world.get(answer) == [delivered(asked, answer)]
    assert world.get(partial(b"w", sequence=3)) == []
    assert world.dropped() == {"partial_unasked": 1}
    assert world.core.tally.partials == 3


@pytest.mark.parametrize("asked", [request(b"c"), request(b"c", plain=True), request(b"c", flags=10)])
def test_parts_that_the_client_does_not_take_are_dropped(asked: Message) -> None:
    world = World()
    world.join(b"w")
    world.get(asked)
    assert world.get(partial(b"w")) == []
    assert world.get(partial(b"stranger")) == []
    assert world.dropped() == {"partial_unasked": 2}


def test_a_part_that_cannot_be_delivered_ends_the_stream() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", flags=Flag.PARTIALS)
    world.get(asked)
    part = sent(world.get(partial(b"w")))
    too_slow = Overloaded("the client did not take the parts fast enough")
    assert world.full(part) == [failed(asked, too_slow), cancelled(b"w", too_slow)]
    assert world.full(part) == []
    assert world.get(partial(b"w", sequence=1)) == []
    assert world.get(reply(b"w")) == []
    assert world.dropped() == {"client_full": 2, "partial_late": 1, "reply_late": 1}


def test_a_plain_worker_is_sent_no_options_and_no_attachments() -> None:
    world = World()
    world.join_plain(b"w")
    asked = request(b"c", schema_id=7, deadline_ms=500)
    assert world.get(asked) == [handed(b"w", asked, plain=True)]
    answer = reply(b"w", plain=True)
    assert world.get(answer) == [delivered(asked, answer)]
    attached = request(b"c", B, attachments=(b"audio",))
    none = UnsupportedContentType("the worker takes no attachments")
    assert world.get(attached) == [failed(attached, none)]
    assert world.get(request(b"c", C)) == [handed(b"w", request(b"c", C), plain=True)]


def test_a_plain_client_gets_neither_options_nor_attachments() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", plain=True)
    assert world.get(asked) == [handed(b"w", asked)]
    answer = reply(b"w")
    assert world.get(answer) == [delivered(asked, answer)]
    world.get(asked)
    attached = answer.__replace__(attachments=(b"audio",))
    no = UnsupportedContentType("the reply has attachments, which this client cannot take")
    assert world.get(attached) == [failed(asked, no)]
    assert world.core.tally.replies == 1


def test_attachments_and_the_workers_word_on_its_reply_reach_a_client_of_ours() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", attachments=(b"in",), schema_id=9)
    assert world.get(asked) == [handed(b"w", asked)]
    answer = reply(b"w").__replace__(attachments=(b"out",), options=Options(status=13, schema_id=3))
    assert world.get(answer) == [delivered(asked, answer)]


def test_a_clients_identity_is_nowhere_in_what_a_worker_gets() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"secret-identity", route=(b"secret-address",))
    got = sent(world.get(asked))
    assert not any(b"secret" in bytes(frame) for frame in serialize(got))


def test_the_worker_is_told_what_the_client_said_but_not_what_only_peers_say_of_themselves() -> None:
    world = World()
    world.join(b"w")
    got = sent(world.get(request(b"c", flags=0xFFFF & ~Flag.GATHER, schema_id=11)))
    flags = Flag.IDEMPOTENT | Flag.ONE_WAY | Flag.WAIT | Flag.PARTIALS
    assert got.options == Options(3_600_000, flags, 0, 11)


def test_a_recorder_is_the_only_worker_with_a_name_of_the_brokers_own() -> None:
    world = World(default_service="text")
    world.join(b"w")
    asked = request(b"c", service=RECORDER + b"/replay")
    # Nobody stands in for it either.
    assert world.get(asked) == [failed(asked, nobody("hoot.recorder"))]
    world.join(b"r", RECORDER)
    asked = request(b"c", B, service=RECORDER + b"/replay")
    assert world.get(asked) == [handed(b"r", asked)]
    for count, name in enumerate((b"hoot.recorders", b"hoot.broker", b"hoot.other"), 1):
        assert sent(world.get(ready(b"x", name))).command is Command.DISCONNECT
        assert world.dropped() == {"bad_registration": count}


def test_what_clients_wait_for_leaves_room_for_workers_of_other_services() -> None:
    world = World(Limits(services=4))
    waiting = [request(b"c", rid(number), b"no%d" % number, flags=Flag.WAIT) for number in range(4)]
    full = Overloaded("the broker has as many services as it may")
    assert [world.get(asked) for asked in waiting] == [
        [],
        [],
        [refused(asked, full) for asked in waiting[2:3]],
        [refused(waiting[3], full)],
    ]
    assert world.core.tally.reached["services"] == 2
    for name in (b"one", b"two"):
        world.join(name, name)
