"""What the broker does with a stream's credit: it passes it on, and remembers it for the next worker."""

import pytest

from bus_world.world import (
    EMPTY,
    PARTING_S,
    A,
    World,
    cancelled,
    delivered,
    failed,
    handed,
    obituary,
    partial,
    ready,
    reply,
    request,
    welcome,
)
from hootbus.bus import answers
from hootbus.bus.effects import Effect, Send
from hootbus.frames.errors import Cancelled, Overloaded
from hootbus.frames.message import Message
from hootbus.frames.options import U32_MAX, Options
from hootbus.frames.protocol import Command, Flag

NEW_ID = b"new id 000000001"


def stream(window: int = 4, flags: int = 0, identity: bytes = b"c") -> Message:
    """A REQUEST whose client takes so many items at first."""
    asked = request(identity, flags=Flag.PARTIALS | flags)
    assert asked.options is not None
    return asked.__replace__(options=asked.options.__replace__(credit=window))


def credit(identity: bytes, taken: int, more: int) -> Message:
    """A client's CREDIT."""
    return Message((identity,), Command.CREDIT, EMPTY, A, options=Options(sequence=taken, credit=more))


def granted(identity: bytes, taken: int, more: int, wire_id: bytes = A) -> Send:
    """As the worker gets it."""
    return Send(answers.credit((identity,), wire_id, taken, more))


def handed_with(identity: bytes, asked: Message, limit: int, deadline_ms: int = 3_600_000) -> Send:
    """The REQUEST as a worker gets it that may send the items before `limit`."""
    message = handed(identity, asked, deadline_ms=deadline_ms).message
    assert message.options is not None
    return Send(message.__replace__(options=message.options.__replace__(credit=limit)))


def test_a_worker_is_told_how_many_items_its_client_takes() -> None:
    world = World()
    world.join(b"w")
    asked = stream(4)
    assert world.get(asked) == [handed_with(b"w", asked, 4)]
    assert world.get(partial(b"w")) == [delivered(asked, partial(b"w"))]
    assert world.get(credit(b"c", 2, 4)) == [granted(b"w", 2, 4)]
    assert world.get(reply(b"w")) == [delivered(asked, reply(b"w"))]
    assert world.get(credit(b"c", 4, 4)) == []
    assert world.dropped() == {"credit_unknown": 1}


def test_credit_goes_to_the_worker_under_the_id_it_knows() -> None:
    world = World()
    world.join(b"w", slots=2)
    world.get(stream(4, identity=b"other"))
    world.get(stream(4))
    assert world.get(credit(b"c", 1, 4)) == [granted(b"w", 1, 4, NEW_ID)]


def test_the_next_worker_is_told_what_was_granted_to_the_lost_one() -> None:
    world = World()
    world.join(b"w", slots=2)
    asked = stream(4, Flag.IDEMPOTENT)
    world.get(asked)
    world.get(credit(b"c", 6, 4))
    assert world.get(credit(b"c", 2, 4)) == [], "it has been overtaken"
    world.get(ready(b"v"))
    lost = world.get(obituary(b"w")) + world.tick(after=PARTING_S)
    assert lost == [handed_with(b"v", asked, 10, 3_599_875)]
    assert world.dropped() == {"credit_late": 1}


def test_what_is_granted_while_nobody_has_the_request_is_not_lost() -> None:
    world = World()
    world.join(b"w")
    asked = stream(4, Flag.IDEMPOTENT)
    world.get(asked)
    world.dies(b"w")
    assert world.get(credit(b"c", 3, 4)) == []
    assert world.get(ready(b"v")) == [welcome(b"v"), handed_with(b"v", asked, 7, 3_599_875)]


def test_a_grant_that_is_repeated_goes_on_as_the_first_one_may_have_been_lost() -> None:
    world = World()
    world.join(b"w")
    world.get(stream(4))
    assert world.get(credit(b"c", 2, 4)) == [granted(b"w", 2, 4)]
    assert world.full(granted(b"w", 2, 4).message) == []
    assert world.get(credit(b"c", 2, 4)) == [granted(b"w", 2, 4)]
    assert world.dropped() == {"worker_full": 1}


def test_no_more_is_granted_than_can_be_counted() -> None:
    world = World()
    world.join(b"w")
    asked = stream(4, Flag.IDEMPOTENT)
    world.get(asked)
    world.get(credit(b"c", U32_MAX, U32_MAX))
    world.dies(b"w")
    assert world.get(ready(b"v"))[1:] == [handed_with(b"v", asked, U32_MAX, 3_599_875)]


@pytest.mark.parametrize(
    "message",
    [
        credit(b"stranger", 1, 4),
        credit(b"c", 1, 4).__replace__(request_id=b"?" * 16),
        credit(b"c", 1, 4).__replace__(options=None),
    ],
    ids=["another's", "unknown", "plain"],
)
def test_credit_for_what_its_sender_has_not_asked_is_dropped(message: Message) -> None:
    world = World()
    world.join(b"w")
    world.get(stream(4))
    assert world.get(message) == []
    assert world.dropped() == {"credit_unknown": 1}


def test_a_client_without_flow_control_grants_nothing_later() -> None:
    world = World()
    world.join(b"w")
    asked = stream(0)
    assert world.get(asked) == [handed_with(b"w", asked, 0)]
    assert world.get(credit(b"c", 1, 4)) == []
    assert world.dropped() == {"credit_unknown": 1}


def test_a_plain_worker_is_told_of_no_credit() -> None:
    world = World()
    world.join_plain(b"w")
    asked = stream(4)
    assert world.get(asked) == [handed(b"w", asked, plain=True)]
    assert world.get(credit(b"c", 2, 4)) == []


def test_a_worker_that_goes_is_granted_nothing_more() -> None:
    world = World()
    world.join(b"w")
    world.get(stream(4))
    world.get(obituary(b"w"))
    assert world.get(credit(b"c", 2, 4)) == []


def ends(world: World, asked: Message) -> list[Effect]:
    return world.get(Message(asked.route, Command.CANCEL, EMPTY, A, options=Options()))


def test_a_stream_that_its_reader_leaves_is_called_off() -> None:
    world = World()
    world.join(b"w")
    asked = stream(4)
    world.get(asked)
    error = Cancelled("cancelled by the client")
    assert ends(world, asked) == [failed(asked, error), cancelled(b"w", error)]
    assert world.get(partial(b"w")) == []
    assert world.get(credit(b"c", 2, 4)) == []
    assert world.dropped() == {"partial_late": 1, "credit_unknown": 1}


def test_an_item_that_a_clients_pipe_does_not_take_ends_its_stream() -> None:
    world = World()
    world.join(b"w")
    asked = stream(4)
    world.get(asked)
    error = Overloaded("the client did not take the parts fast enough")
    assert world.full(delivered(asked, partial(b"w")).message) == [failed(asked, error), cancelled(b"w", error)]
