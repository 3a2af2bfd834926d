"""Bad input gets an error where its sender can be told, is counted by reason, and costs the broker nothing."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus_world.inspect import kept
from bus_world.world import (
    CAPNPROTO,
    JSON,
    OURS,
    A,
    World,
    cancel,
    goodbye,
    partial,
    ready,
    reply,
    request,
)
from hootbus.bus.effects import Effect, Send
from hootbus.bus.inputs import Malformed, Received
from hootbus.frames.errors import BadFrame
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.protocol import Command, ContentType
from hootbus.schemas import read_error, read_error_json, write_ping

GOOD = serialize(request(b"c", route=(b"", b"via"), kind=JSON))
SIGNATURE, COMMAND, TYPE, ID, SERVICE, TRACE, OPTIONS = 3, 4, 5, 6, 7, 8, 10


def broken(at: int, frame: bytes) -> list[bytes]:
    return [*GOOD[:at], frame, *GOOD[at + 1 :]]


def feed(world: World, frames: list[bytes]) -> list[Effect]:
    """As the shell does."""
    try:
        message = parse(frames, 1)
    except MalformedMessage as error:
        return world.step(Malformed(error))
    return world.step(Received(message))


@pytest.mark.parametrize(
    ("frames", "field"),
    [
        (broken(TYPE, b"\0\x09"), "content_type"),
        (broken(SERVICE, bytes(256)), "service"),
        (broken(TRACE, bytes(513)), "traceparent"),
        (broken(OPTIONS, b"x"), "options"),
        ([*GOOD, *[b""] * 65], "attachments"),
        ([GOOD[0], *[b""] * 9, *GOOD[SIGNATURE:]], "return_addresses"),
        ([GOOD[0], bytes(256), *GOOD[SIGNATURE:]], "return_addresses"),
    ],
)
def test_the_sender_of_a_bad_request_with_a_readable_id_is_told(frames: list[bytes], field: str) -> None:
    world = World()
    (answer,) = feed(world, frames)
    assert isinstance(answer, Send)
    message = answer.message
    assert (message.route[0], message.command, message.request_id) == (b"c", Command.REPLY, A)
    assert message.options is None
    told = read_error_json(message.body)
    assert told is not None
    assert told.code == "bad_frame"
    assert told.message.startswith(field.replace("_", " "))
    assert world.core.tally.malformed == {field.replace("_", " "): 1}
    assert world.dropped() == {"bad_frame": 1}


@pytest.mark.parametrize(
    "frames",
    [
        [b"c"],
        [b"c", b""],
        [b"c", *[b"junk"] * 200],
        GOOD[: SIGNATURE + 1],
        GOOD[: SIGNATURE + 3],
        broken(SIGNATURE, b"HOOT02"),
        broken(COMMAND, b"\0\0"),
        broken(COMMAND, b"\0\x09"),
        broken(COMMAND, b"\x02"),
        broken(ID, b"short"),
        broken(ID, bytes(17)),
        [*broken(COMMAND, b"\0\x03")[:OPTIONS], b"x"],
    ],
)
def test_what_nobody_can_be_told_of_is_only_counted(frames: list[bytes]) -> None:
    world = World()
    assert feed(world, frames) == []
    assert world.dropped() == {"bad_frame": 1}
    assert sum(world.core.tally.malformed.values()) == 1


def test_the_error_comes_in_the_form_of_the_request() -> None:
    world = World()
    frames = broken(TRACE, bytes(513))
    frames[TYPE] = b"\0\x01"
    (answer,) = feed(world, frames)
    assert isinstance(answer, Send)
    assert answer.message.content_type is CAPNPROTO
    told = read_error(answer.message.body)
    assert told is not None
    assert told.code == BadFrame.code


def test_what_is_counted_by_field_has_few_names_whatever_comes() -> None:
    world = World()
    chance = random.Random(1)
    for _ in range(3000):
        frames = list(GOOD)
        frames[chance.randrange(1, len(frames))] = chance.randbytes(chance.choice((0, 1, 2, 6, 16, 40, 300, 600)))
        feed(world, frames)
    assert len(world.core.tally.malformed) <= 12


BODIES = [
    ready(b"w", methods=("upper", "lower")).body,
    write_ping(A),
    request(b"c", kind=CAPNPROTO).body,
]


@given(
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_a_body_that_is_not_what_it_claims_never_raises(
    body: bytes, changes: list[tuple[int, int]], length: int, plain: bool
) -> None:
    mutated = bytearray(bytes(body)[: length if length % 3 == 0 else None])
    for at, byte in changes:
        if mutated:
            mutated[at % len(mutated)] = byte
    hostile = bytes(mutated)
    world = World()
    registration = ready(b"w")
    options = None if plain else registration.options
    answered = world.get(registration.__replace__(body=hostile, options=options))
    assert plain or len(answered) == 1
    assert len(world.get(request(b"c", A, b"", hostile, kind=CAPNPROTO, plain=plain))) == 1
    assert len(world.get(request(b"c", A, b"hoot.broker/status", hostile, kind=CAPNPROTO, plain=plain))) == 1
    assert 1 <= len(world.get(request(b"c", A, b"hoot.events/echo", hostile, kind=CAPNPROTO, plain=plain))) <= 2


@pytest.mark.parametrize("command", list(Command))
@pytest.mark.parametrize("kind", list(ContentType))
@pytest.mark.parametrize("plain", [True, False])
def test_any_command_from_a_stranger_costs_nothing_that_stays(command: Command, kind: ContentType, plain: bool) -> None:
    world = World()
    options = None if plain else OURS
    world.get(Message((b"s",), command, kind, A, b"text", b"", b"\xff" * 24, options))
    left = kept(world.core)
    if command is Command.READY and plain:
        assert left.pop("workers") == left.pop("services") == 1
    assert set(left.values()) == {0}


def test_a_worker_that_answers_nonsense_harms_nobody() -> None:
    world = World()
    world.join(b"w")
    for message in (reply(b"w"), partial(b"w"), cancel(b"w"), reply(b"w", bytes(16)), goodbye(b"c")):
        assert world.get(message) == []
    assert sum(world.dropped().values()) == 4
    assert kept(world.core)["workers"] == 1
