"""The broker's own end: what is open is finished, what is new refused, and it stops once."""

import pytest

from bus_world.inspect import kept
from bus_world.world import (
    JSON,
    READY_ID,
    A,
    B,
    C,
    World,
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
    sent,
    welcome,
)
from hootbus.bus.effects import Send, Stop
from hootbus.bus.inputs import ConnectionLost, Drain, Input, Malformed, Received, ServiceConnected, Ticked
from hootbus.bus.limits import Limits
from hootbus.frames.errors import BrokerStopping, WorkerLost
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.protocol import Command, Flag
from hootbus.schemas import read_json

STOPS = BrokerStopping("the broker stops")
NO_REQUESTS = BrokerStopping("the broker takes no new requests")
NO_WORKERS = BrokerStopping("the broker takes no new workers")


def test_a_broker_with_nothing_to_do_ends_at_once_and_dismisses_its_workers() -> None:
    world = World()
    world.join(b"w")
    world.join_plain(b"p")
    assert world.drain() == [dismissed(b"w", error=STOPS), dismissed(b"p", error=STOPS, plain=True), Stop()]


def test_what_is_open_is_finished_what_is_new_is_refused_and_then_it_stops() -> None:
    world = World()
    world.join(b"w")
    asked, waiting, new = request(b"c", A), request(b"c", B), request(b"d", C)
    world.get(asked)
    world.get(waiting)
    assert world.drain() == []
    assert world.core.state == "draining"
    assert world.get(new) == [refused(new, NO_REQUESTS)]
    answer = reply(b"w", A)
    assert world.get(answer) == [delivered(asked, answer), handed(b"w", waiting)]
    answer = reply(b"w", B)
    assert world.get(answer) == [delivered(waiting, answer), dismissed(b"w", error=STOPS), Stop()]


def test_the_same_request_again_is_merged_also_while_draining() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    assert world.get(request(b"c")) == []


def test_no_new_worker_is_taken_while_draining_dialled_ones_neither() -> None:
    world = World()
    world.get(request(b"c", flags=Flag.WAIT))
    world.drain()
    assert world.get(ready(b"w")) == [dismissed(b"w", READY_ID, NO_WORKERS)]
    assert world.dial(b"\0line") == []
    assert kept(world.core)["workers"] == 0


def test_a_doubled_ready_while_draining_does_not_put_its_worker_out() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    assert world.get(ready(b"w")) == [welcome(b"w")]
    assert kept(world.core)["workers"] == 1


def test_a_worker_that_registers_anew_while_draining_has_lost_what_it_had() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    lost = WorkerLost("the worker went away; whether it carried this out is not known")
    anew = ready(b"w", ready_id=b"R" * 16)
    assert world.get(anew) == [failed(request(b"c"), lost), dismissed(b"w", b"R" * 16, NO_WORKERS), Stop()]


def test_what_is_not_finished_in_time_is_answered_and_its_workers_told() -> None:
    world = World(Limits(drain_timeout_s=10.0))
    world.join(b"w", slots=2)
    out, repeatable, waiting = request(b"c", A), request(b"c", B, flags=Flag.IDEMPOTENT), request(b"c", C)
    for message in (out, repeatable, waiting):
        world.get(message)
    world.drain()
    world.tick(after=9.5)
    assert world.core.wake_at() <= world.now + 0.5
    lost = WorkerLost("the broker stopped while a worker had this; whether it carried it out is not known")
    assert world.tick(after=0.5) == [
        failed(out, lost),
        cancelled(b"w", lost),
        failed(repeatable, STOPS),
        cancelled(b"w", STOPS, B),
        failed(waiting, STOPS),
        dismissed(b"w", error=STOPS),
        Stop(),
    ]


def test_a_client_that_gives_up_lets_the_broker_end() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    assert world.get(cancel(b"c"))[-1] == Stop()


def test_asked_twice_it_drains_once() -> None:
    world = World(Limits(drain_timeout_s=10.0))
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    world.now += 5
    world.drain()
    assert world.tick(after=5.0)[-1] == Stop()


@pytest.mark.parametrize(
    "event",
    [
        Drain(),
        Ticked(),
        ConnectionLost(),
        ServiceConnected(b"\0line", "text", 1),
        Malformed(MalformedMessage("body", "wrong", (b"c",), A)),
        *map(
            Received,
            (
                request(b"c", B),
                request(b"c", B, b"hoot.broker/drain"),
                reply(b"w"),
                partial(b"w"),
                cancel(b"c"),
                goodbye(b"w"),
                goodbye(b"w", 1000),
                goodbye(b"c"),
                heartbeat(b"w"),
                heartbeat(b"x"),
                ready(b"w"),
                ready(b"x"),
            ),
        ),
    ],
)
def test_whatever_comes_after_the_end_stops_it_no_second_time(event: Input) -> None:
    world = World(Limits(drain_timeout_s=1.0))
    world.join(b"w")
    world.get(request(b"c"))
    world.drain()
    assert world.tick(after=1.0)[-1] == Stop()
    for after in (0.0, 5.0):
        assert Stop() not in world.step(event, after=after)
        world.step(Ticked(), after=1.0)
        assert world.core.wake_at() > world.now


def test_a_peer_may_ask_the_broker_to_drain_and_is_answered_before_the_end() -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", A, b"hoot.broker/drain", b"", kind=JSON)
    answer, dismissal, stop = world.get(asked)
    assert isinstance(answer, Send)
    assert (answer.message.command, answer.message.request_id) == (Command.REPLY, A)
    assert read_json(answer.message.body) == {"state": "draining", "inFlight": 0, "queued": 0}
    assert (dismissal, stop) == (dismissed(b"w", error=STOPS), Stop())


def test_a_peer_that_asks_to_drain_is_told_what_there_is_still_to_do() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", A))
    world.get(request(b"c", B))
    answer = sent(world.get(request(b"c", C, b"hoot.broker/drain")))
    assert read_json(answer.body) == {"state": "draining", "inFlight": 1, "queued": 1}
    assert sent(world.get(request(b"c", C, b"hoot.broker/status"))).command is Command.REPLY
