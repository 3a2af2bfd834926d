"""A client's session and the broker's word that a version is unknown: it asks for a comparison, and goes on."""

import pytest

from hootbus.frames.errors import Cancelled, HootError, Overloaded, SchemaMismatch
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import COMPARE, UNKNOWN_VERSION, Command, ContentType, Flag
from hootbus.schemas import write_error_json
from hootbus.workers.client_session import ClientSession
from hootbus.workers.limits import Limits
from hootbus.workers.session import (
    Call,
    Closed,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Outcome,
    Received,
    Send,
    Ticked,
)

A, B = b"a" * 16, b"b" * 16
UNKNOWN = SchemaMismatch("unknown", details=UNKNOWN_VERSION)
DIFFERENT = SchemaMismatch("Clip.rate: was Int32, is Text")


class World:
    """A session that is linked, a clock, and ids that count."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 100.0
        self.ids = 0
        self.session = ClientSession(new_id=self.new_id, random=lambda: 0.5, now=self.now, limits=limits)
        self.link()

    def new_id(self) -> bytes:
        self.ids += 1
        return self.ids.to_bytes(16, "big")

    def link(self) -> list[Effect]:
        (hello,) = self.session.handle(Connected(), self.now)
        assert isinstance(hello, Send)
        return self.hear(
            Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, hello.message.request_id, body=b"i" * 16)
        )

    def hear(self, message: Message) -> list[Effect]:
        return self.session.handle(Received(message), self.now)

    def ask(self, request_id: bytes = A, flags: int = 0, timeout: float = 30.0) -> list[Effect]:
        call = Call(
            request_id=request_id,
            service=b"audio/play",
            content_type=ContentType.CAPNPROTO,
            schema_id=5,
            fingerprint=7,
            comparison=lambda: b"mine",
            flags=flags,
            timeout=timeout,
        )
        return self.session.request(call, self.now)


def reply(request_id: bytes, error: HootError | None = None) -> Message:
    if error is None:
        return Message((), Command.REPLY, ContentType.RAW_BINARY, request_id, body=b"done", options=NO_OPTIONS)
    body = write_error_json(error.code, error.message, error.details)
    return Message((), Command.REPLY, ContentType.JSON, request_id, body=body, options=Options(status=error.number))


def sent(effects: list[Effect]) -> list[tuple[bytes, bytes]]:
    """Of requests: the service frame and the id."""
    messages = [effect.message for effect in effects if isinstance(effect, Send)]
    assert all(message.command is Command.REQUEST for message in messages)
    return [(message.service, message.request_id) for message in messages]


def question(effects: list[Effect]) -> bytes:
    """The id of the question to the broker, the only thing to be sent."""
    ((service, request_id),) = sent(effects)
    assert service == COMPARE
    return request_id


def outcomes(effects: list[Effect]) -> list[tuple[bytes, str]]:
    found = []
    for effect in effects:
        if isinstance(effect, Outcome):
            found.append((effect.request_id, str(effect.result) if isinstance(effect.result, HootError) else "ok"))
    return found


def test_a_request_states_its_version() -> None:
    (effect,) = World().ask()
    assert isinstance(effect, Send)
    assert effect.message.options == Options(30_000, 0, 0, 5, fingerprint=7)


def test_what_is_understood_is_sent_again_under_the_same_id() -> None:
    world = World()
    world.ask()
    asked = question(world.hear(reply(A, UNKNOWN)))
    assert len(world.session) == 1
    assert sent(world.hear(reply(asked))) == [(b"audio/play", A)]
    assert outcomes(world.hear(reply(A))) == [(A, "ok")]


def test_several_of_one_version_share_a_question_and_its_answer() -> None:
    world = World()
    world.ask(A)
    world.ask(B)
    asked = question(world.hear(reply(A, UNKNOWN)))
    assert world.hear(reply(B, UNKNOWN)) == []
    assert outcomes(world.hear(reply(asked, DIFFERENT))) == [(A, str(DIFFERENT)), (B, str(DIFFERENT))]
    assert len(world.session) == 0


def test_the_refusal_a_second_time_is_let_go() -> None:
    world = World()
    world.ask()
    world.hear(reply(A, UNKNOWN))
    assert world.hear(reply(A, UNKNOWN)) == []
    assert world.session.dropped[Dropped.LATE_REPLY] == 1


def test_a_service_whose_versions_never_rest_is_given_up() -> None:
    world = World(Limits(comparisons=2))
    world.ask()
    for _ in range(2):
        world.hear(reply(question(world.hear(reply(A, UNKNOWN)))))
    assert outcomes(world.hear(reply(A, UNKNOWN))) == [(A, str(UNKNOWN))]


def test_a_one_way_request_asks_first_and_then_once_in_a_while_or_connection() -> None:
    world = World(Limits(understood_s=5.0))
    asked = question(world.ask(A, Flag.ONE_WAY))
    effects = world.hear(reply(asked))
    assert (sent(effects), outcomes(effects)) == ([(b"audio/play", A)], [(A, "ok")])
    assert sent(world.ask(B, Flag.ONE_WAY)) == [(b"audio/play", B)]
    # A worker of another version may have come, and its broker does not say so to one-way requests.
    world.now += 5.0
    asked = question(world.ask(A, Flag.ONE_WAY))
    assert sent(world.hear(reply(asked))) == [(b"audio/play", A)]
    world.session.handle(Disconnected(), world.now)
    world.link()
    question(world.ask(A, Flag.ONE_WAY))


def test_a_one_way_request_that_is_not_understood_fails_where_it_was_made() -> None:
    world = World()
    asked = question(world.ask(A, Flag.ONE_WAY))
    assert outcomes(world.hear(reply(asked, DIFFERENT))) == [(A, str(DIFFERENT))]


def test_the_question_is_asked_again_of_a_broker_that_comes_back() -> None:
    world = World()
    world.ask()
    asked = question(world.hear(reply(A, UNKNOWN)))
    world.session.handle(Disconnected(), world.now)
    assert sent(world.link()) == [(COMPARE, asked)]


def test_a_request_keeps_its_own_deadline_and_the_question_has_another() -> None:
    world = World(Limits(comparison_timeout_s=5.0))
    world.ask(A, timeout=2.0)
    world.ask(B)
    asked = question(world.hear(reply(A, UNKNOWN)))
    world.hear(reply(B, UNKNOWN))
    world.now += 3.0
    assert outcomes(world.session.handle(Ticked(), world.now)) == [(A, "deadline_exceeded: no reply within 2.0 s")]
    world.now += 3.0
    late = Overloaded("the schemas were not compared within 5.0 s")
    assert outcomes(world.session.handle(Ticked(), world.now)) == [(B, str(late))]
    assert world.hear(reply(asked)) == []
    assert world.session.wake_at() is None


@pytest.mark.parametrize("closes", [False, True])
def test_who_gives_up_meanwhile_has_one_outcome(closes: bool) -> None:
    world = World()
    world.ask()
    asked = question(world.hear(reply(A, UNKNOWN)))
    effects = world.session.close(world.now) if closes else world.session.cancel(A, world.now)
    assert [request_id for request_id, _ in outcomes(effects)] == [A]
    assert Closed() in effects or not closes
    assert isinstance(next(effect.result for effect in effects if isinstance(effect, Outcome)), Cancelled)
    assert sent(world.hear(reply(asked))) == []


def test_who_gives_up_leaves_the_question_and_the_others_wait_on() -> None:
    world = World()
    world.ask(A)
    world.ask(B)
    asked = question(world.hear(reply(A, UNKNOWN)))
    world.hear(reply(B, UNKNOWN))
    world.session.cancel(A, world.now)
    # Its caller may use the id for something else, which has nothing to do with that question.
    world.ask(A, timeout=5.0)
    assert outcomes(world.hear(reply(asked, DIFFERENT))) == [(B, str(DIFFERENT))]
    assert outcomes(world.hear(reply(A))) == [(A, "ok")]
    assert world.session.wake_at() is None
