"""A request to every worker of a service: a part for each, answers as they come, one closing reply."""

import pytest

from bus_world.inspect import kept
from bus_world.world import (
    B,
    World,
    cancel,
    cancelled,
    delivered,
    failed,
    goodbye,
    handed,
    heartbeat,
    obituary,
    refused,
    reply,
    request,
)
from hootbus.bus import answers
from hootbus.bus.effects import Send
from hootbus.bus.limits import Limits
from hootbus.frames.errors import (
    BadFrame,
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    HootError,
    Overloaded,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType, Flag

GATHER = Flag.PARTIALS | Flag.GATHER
LOST = WorkerLost("the worker went away; whether it carried this out is not known")
NEVER_HAD = WorkerLost("the worker went away before it had this")


def gather(identity: bytes = b"c", flags: int = 0, **said: object) -> Message:
    return request(identity, flags=GATHER | flags, **said)  # type: ignore[arg-type]  # as `request` takes them


def asked_of(identity: bytes, asked: Message, *, flags: int = 0, plain: bool = False, deadline_ms: int = 0) -> Send:
    """The part as its worker gets it, which is not told that there are others."""
    options = asked.options
    assert options is not None
    said = asked.__replace__(options=options.__replace__(flags=flags))
    return handed(identity, said, plain=plain, deadline_ms=deadline_ms or 3_600_000)


def answer(asked: Message, number: int, sequence: int, worker_reply: Message) -> Send:
    """A worker's reply as the client gets it."""
    said = worker_reply.options
    flags = Flag.PLAIN if said is None else 0
    options = Options(0, flags, said.status if said is not None else 0, 0, sequence, number)
    return Send(
        worker_reply.__replace__(
            route=asked.route, command=Command.PARTIAL, request_id=asked.request_id, options=options
        )
    )


def failure(asked: Message, number: int, sequence: int, error: HootError) -> Send:
    """An error instead of a worker's reply."""
    kind, body = answers.error_body(asked.request_id, asked.content_type, error)
    options = Options(status=error.number, sequence=sequence, credit=number)
    return Send(Message(asked.route, Command.PARTIAL, kind, asked.request_id, asked.service, b"", body, options))


def closing(asked: Message, count: int) -> Send:
    options = Options(sequence=count)
    return Send(
        Message(asked.route, Command.REPLY, ContentType.EMPTY, asked.request_id, asked.service, options=options)
    )


def nothing_is_left(world: World) -> bool:
    left = kept(world.core)
    return not (left["open"] or left["queued"] or left["held bytes"] or left["clients"])


def test_every_worker_is_asked_and_its_reply_passed_on_as_it_comes() -> None:
    world = World()
    world.join(b"v")
    world.join(b"w")
    asked = gather(flags=Flag.IDEMPOTENT)
    assert world.get(asked) == [
        asked_of(b"v", asked, flags=Flag.IDEMPOTENT),
        asked_of(b"w", asked, flags=Flag.IDEMPOTENT),
    ]
    assert world.get(reply(b"w")) == [answer(asked, 2, 0, reply(b"w"))]
    assert world.get(reply(b"v")) == [answer(asked, 1, 1, reply(b"v")), closing(asked, 2)]
    assert nothing_is_left(world)
    assert world.core.tally.gathers == 1


def test_a_busy_worker_gets_its_part_before_what_waits_for_any() -> None:
    world = World()
    world.join(b"w")
    first, waiting, asked = request(b"c"), request(b"c", B), gather(b"d")
    world.get(first)
    assert world.get(waiting) == []
    assert world.get(asked) == []
    assert world.get(reply(b"w")) == [delivered(first, reply(b"w")), asked_of(b"w", asked)]
    assert world.get(reply(b"w")) == [answer(asked, 1, 0, reply(b"w")), closing(asked, 1), handed(b"w", waiting)]


def test_gathers_wait_for_a_worker_in_their_order() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    one, two = gather(b"d"), gather(b"e", request_id=B)
    world.get(one)
    world.get(two)
    assert world.get(reply(b"w"))[1:] == [asked_of(b"w", one)]
    assert world.get(reply(b"w"))[2:] == [asked_of(b"w", two)]


def test_a_worker_that_comes_later_is_not_asked() -> None:
    world = World()
    world.join(b"v")
    asked = gather()
    world.get(asked)
    assert world.join(b"w") == []
    assert world.get(reply(b"v")) == [answer(asked, 1, 0, reply(b"v")), closing(asked, 1)]


def test_only_those_who_have_the_method_take_part() -> None:
    world = World()
    world.join(b"v", methods=["up"])
    world.join(b"w", methods=["up", "down"])
    asked = gather(service=b"text/down")
    assert world.get(asked) == [asked_of(b"w", asked)]
    unknown = gather(b"d", service=b"text/left")
    assert len(world.get(unknown)) == 1, "v is free, and will say so; w is busy"


def test_a_plain_worker_takes_part_and_its_client_is_told_that_it_is_one() -> None:
    world = World()
    world.join_plain(b"w")
    asked = gather()
    assert world.get(asked) == [asked_of(b"w", asked, plain=True)]
    said = reply(b"w", plain=True)
    assert world.get(said) == [answer(asked, 1, 0, said), closing(asked, 1)]


def test_who_cannot_take_it_is_an_answer() -> None:
    world = World()
    world.join_plain(b"v")
    world.join(b"w")
    asked = gather(attachments=(b"file",))
    error = UnsupportedContentType("the worker takes no attachments")
    assert world.get(asked) == [failure(asked, 1, 0, error), asked_of(b"w", asked)]
    assert world.get(reply(b"w")) == [answer(asked, 2, 1, reply(b"w")), closing(asked, 2)]


def test_a_lost_workers_part_is_not_tried_elsewhere() -> None:
    world = World()
    for name in (b"u", b"v", b"w"):
        world.join(name)
    asked = gather(flags=Flag.IDEMPOTENT)
    world.get(asked)
    world.get(reply(b"u"))
    assert world.dies(b"v") == [failure(asked, 2, 1, LOST)]
    assert world.dies(b"w") == [failure(asked, 3, 2, LOST), closing(asked, 3)]
    assert world.errors() == {"worker_lost": 2}


def test_what_waits_for_a_lost_worker_was_never_tried() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c", flags=Flag.IDEMPOTENT))
    asked = gather(b"d")
    world.get(asked)
    assert world.dies(b"w") == [failure(asked, 1, 0, NEVER_HAD), closing(asked, 1)]


def test_a_worker_that_drains_is_not_asked_and_does_not_keep_what_waits_for_it() -> None:
    world = World()
    world.join(b"w")
    world.get(request(b"c"))
    asked = gather(b"d")
    world.get(asked)
    assert world.get(goodbye(b"w", 5000)) == [failure(asked, 1, 0, NEVER_HAD), closing(asked, 1)]
    error = UnknownService("no worker of 'text' takes requests any more")
    assert world.get(asked) == [refused(asked, error)]


def test_a_worker_that_is_about_to_be_let_go_is_not_asked() -> None:
    world = World()
    world.join(b"v", slots=2)
    world.join(b"w", slots=2)
    # It has something, so that it is not let go at once.
    world.get(request(b"d", B))
    world.get(obituary(b"v"))
    asked = gather()
    assert world.get(asked) == [asked_of(b"w", asked)]
    assert world.get(reply(b"w")) == [answer(asked, 2, 0, reply(b"w")), closing(asked, 1)]


def test_a_part_that_could_not_be_sent_waits_until_its_worker_has_room() -> None:
    world = World()
    world.join(b"w")
    asked = gather()
    (part,) = world.get(asked)
    assert isinstance(part, Send)
    assert world.full(part.message) == []
    assert world.get(heartbeat(b"w")) == [asked_of(b"w", asked)]
    assert world.get(reply(b"w")) == [answer(asked, 1, 0, reply(b"w")), closing(asked, 1)]


def test_time_up_ends_all_of_it() -> None:
    world = World()
    world.join(b"v")
    world.join(b"w")
    world.get(request(b"c"))
    asked = gather(b"d", deadline_ms=1000)
    world.get(asked)
    error = DeadlineExceeded("the time given is over")
    assert world.tick(after=1.0) == [failed(asked, error), cancelled(b"w", error)]
    assert world.get(reply(b"w")) == []
    assert world.dropped() == {"reply_late": 1}


def test_a_client_that_gives_up_or_goes_is_told_and_its_workers_are_too() -> None:
    world = World()
    world.join(b"v")
    world.join(b"w")
    error = Cancelled("cancelled by the client")
    for ended in (cancel(b"c"), goodbye(b"c")):
        asked = gather()
        world.get(asked)
        assert world.get(ended) == [failed(asked, error), cancelled(b"v", error), cancelled(b"w", error)]
        world.get(reply(b"v"))
        world.get(reply(b"w"))
    assert nothing_is_left(world)


def test_an_answer_that_its_client_does_not_take_ends_the_gather() -> None:
    world = World()
    world.join(b"v")
    world.join(b"w")
    asked = gather()
    world.get(asked)
    (passed,) = world.get(reply(b"v"))
    assert isinstance(passed, Send)
    error = Overloaded("the client did not take the parts fast enough")
    assert world.full(passed.message) == [failed(asked, error), cancelled(b"w", error)]


def test_the_same_gather_again_is_merged() -> None:
    world = World()
    world.join(b"w")
    asked = gather()
    world.get(asked)
    again = asked.__replace__(route=(b"c", b"elsewhere"))
    assert world.get(again) == []
    assert world.get(reply(b"w")) == [answer(again, 1, 0, reply(b"w")), closing(again, 1)]


def test_a_broker_that_drains_finishes_a_gather_but_begins_none() -> None:
    world = World()
    world.join(b"w")
    asked = gather()
    world.get(asked)
    world.drain()
    late = gather(b"d")
    assert world.get(late) == [refused(late, BrokerStopping("the broker takes no new requests"))]
    assert world.get(reply(b"w"))[:2] == [answer(asked, 1, 0, reply(b"w")), closing(asked, 1)]


def test_a_broker_that_runs_out_of_time_for_it_says_that_it_may_have_been_done() -> None:
    world = World(Limits(drain_timeout_s=2.0))
    world.join(b"w")
    asked = gather()
    world.get(asked)
    world.drain()
    effects = world.tick(after=2.0)
    error = WorkerLost("the broker stopped while a worker had this; whether it carried it out is not known")
    assert effects[0] == failed(asked, error)


@pytest.mark.parametrize("flags", [0, Flag.WAIT])
def test_without_a_worker_there_is_nobody_to_ask_however_long_one_would_wait(flags: int) -> None:
    world = World()
    asked = gather(flags=flags)
    assert world.get(asked) == [refused(asked, UnknownService("no worker offers 'text'"))]
    assert nothing_is_left(world)


@pytest.mark.parametrize("flags", [Flag.GATHER, GATHER | Flag.ONE_WAY])
def test_a_gather_whose_answers_nobody_takes_is_no_gather(flags: int) -> None:
    world = World()
    world.join(b"w")
    asked = request(b"c", flags=flags)
    error = BadFrame("options: a gather takes partial replies and is not one-way")
    assert world.get(asked) == ([] if flags & Flag.ONE_WAY else [refused(asked, error)])
    assert world.errors() == {"bad_frame": 1}


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(gather_workers=1), "'text' has more workers than a gather may be for"),
        (Limits(requests=2), "too many requests without an outcome"),
        (Limits(requests_per_client=2), "too many requests without an outcome"),
        (Limits(held_bytes=3), "the broker holds as many bytes as it may"),
    ],
    ids=["workers", "requests", "of one client", "bytes"],
)
def test_a_gather_over_a_bound_is_refused_as_a_whole(limits: Limits, why: str) -> None:
    world = World(limits)
    world.join(b"v")
    world.join(b"w")
    asked = gather()
    assert world.get(asked) == [refused(asked, Overloaded(why))]
    assert nothing_is_left(world)
    assert world.core.tally.reached["gather_workers"] == (limits.gather_workers == 1)


def test_parts_count_as_requests_of_their_client() -> None:
    world = World(Limits(requests_per_client=3))
    world.join(b"v", slots=2)
    world.join(b"w", slots=2)
    world.get(gather())
    more = request(b"c", B)
    assert world.get(more) == [refused(more, Overloaded("too many requests without an outcome"))]
    other = request(b"d", B)
    assert world.get(other) == [handed(b"v", other)]


def test_a_workers_status_and_type_are_passed_on() -> None:
    world = World()
    world.join(b"w")
    asked = gather()
    world.get(asked)
    (passed, _) = world.get(reply(b"w").__replace__(options=Options(status=13, schema_id=7)))
    assert isinstance(passed, Send)
    assert passed.message.options == Options(status=13, schema_id=7, sequence=0, credit=1)
