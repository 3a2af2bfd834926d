"""Clients are told when the broker ends, if they may trust what they are told then."""

from bus_world.world import READY_ID, A, World, delivered, dismissed, goodbye, heartbeat, reply, request
from hootbus.bus.effects import Stop
from hootbus.bus.limits import Limits
from hootbus.frames.errors import BrokerStopping
from hootbus.frames.options import NO_OPTIONS

STOPS = BrokerStopping("the broker stops")


def greet(world: World, identity: bytes) -> None:
    world.get(heartbeat(identity, NO_OPTIONS, READY_ID))


def test_a_client_that_has_greeted_is_told_behind_its_last_reply() -> None:
    world = World()
    world.join(b"w")
    greet(world, b"c")
    asked, answer = request(b"c"), reply(b"w")
    world.get(asked)
    assert world.drain() == []
    told = [dismissed(b"w", error=STOPS), dismissed(b"c", error=STOPS), Stop()]
    assert world.get(answer) == [delivered(asked, answer), *told]


def test_a_plain_client_is_told_nothing_it_does_not_know() -> None:
    world = World()
    world.get(heartbeat(b"p", None))
    assert world.drain() == [Stop()]


def test_a_client_that_has_left_or_is_gone_is_not_told() -> None:
    world = World()
    world.join(b"w")
    greet(world, b"c")
    greet(world, b"d")
    world.get(goodbye(b"c"))
    asked, answer = request(b"d"), reply(b"w")
    world.get(asked)
    world.get(answer)
    world.gone(delivered(asked, answer).message)
    assert world.drain() == [dismissed(b"w", error=STOPS), Stop()]


def test_one_that_may_have_missed_a_reply_is_not_told_though_it_greets_again() -> None:
    world = World()
    world.join(b"w")
    greet(world, b"c")
    asked, answer = request(b"c", A), reply(b"w", A)
    world.get(asked)
    world.get(answer)
    world.full(delivered(asked, answer).message)
    greet(world, b"c")
    assert world.drain() == [dismissed(b"w", error=STOPS), Stop()]


def test_of_too_many_the_oldest_are_not_told_which_is_counted() -> None:
    world = World(Limits(clients=2))
    for identity in (b"1", b"2", b"2", b"3"):
        greet(world, identity)
    assert world.core.tally.reached["clients"] == 1
    assert world.drain() == [dismissed(b"2", error=STOPS), dismissed(b"3", error=STOPS), Stop()]


def test_who_makes_up_return_addresses_takes_no_place_of_others() -> None:
    world = World(Limits(clients=3))
    greet(world, b"1")
    for number in range(9):
        greeting = heartbeat(b"2", NO_OPTIONS, READY_ID)
        world.get(greeting.__replace__(route=(b"2", b"%d" % number)))
    assert dismissed(b"1", error=STOPS) in world.drain()


def test_all_routes_of_one_that_has_left_are_forgotten() -> None:
    world = World()
    for route in ((b"1",), (b"1", b"a")):
        world.get(heartbeat(b"1", NO_OPTIONS, READY_ID).__replace__(route=route))
        world.get(goodbye(b"1").__replace__(route=route))
    assert world.drain() == [Stop()]
