"""Every limit of clients and workers: a story that reaches it, what follows, and the counter that says so."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import parse_address
from hootbus.frames.errors import Cancelled, DeadlineExceeded, HootError, Overloaded, SchemaMismatch
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import UNKNOWN_VERSION, Command, ContentType, Flag
from hootbus.schemas import write_error_json
from hootbus.workers import Client, Worker
from hootbus.workers.client_session import ClientSession
from hootbus.workers.connection import Connection
from hootbus.workers.limits import UNCOUNTED, Limits
from hootbus.workers.session import Call, Closed, Connected, Effect, Outcome, Received, Send, Start, Ticked, Waiting
from hootbus.workers.worker_session import WorkerSession

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
NOW = 100.0
AGAIN = Flag.IDEMPOTENT.value
UNKNOWN = SchemaMismatch("unknown", details=UNKNOWN_VERSION)
Reached: TypeAlias = dict[str, int]
Story: TypeAlias = Callable[[], Reached]
# More than a socket keeps of what its peer does not read.
_MESSAGES: Final = 10_001


def ids() -> Callable[[], bytes]:
    """Ids that count."""
    numbers = iter(range(1, 1000))
    return lambda: next(numbers).to_bytes(16, "big")


def client(limits: Limits) -> ClientSession:
    """A session whose broker is there."""
    session = ClientSession(new_id=ids(), random=lambda: 0.5, now=NOW, limits=limits)
    (hello,) = session.handle(Connected(), NOW)
    assert isinstance(hello, Send)
    session.handle(Received(_welcome(hello.message.request_id)), NOW)
    return session


def _welcome(request_id: bytes) -> Message:
    return Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, request_id, body=b"broker", options=NO_OPTIONS)


def call(request_id: bytes = A, flags: int = 0, timeout: float | None = 30.0, *, typed: bool = False) -> Call:
    """A request, of a version that may have to be compared."""
    return Call(
        request_id=request_id,
        service=b"text",
        content_type=ContentType.RAW_BINARY,
        body=b"body",
        flags=flags,
        timeout=timeout,
        fingerprint=7 if typed else 0,
        comparison=(lambda: b"mine") if typed else None,
    )


def reply(request_id: bytes = A, error: HootError | None = None) -> Received:
    """What the broker answers."""
    if error is None:
        return Received(Message((), Command.REPLY, ContentType.EMPTY, request_id, options=NO_OPTIONS))
    body = write_error_json(error.code, error.message, error.details)
    options = Options(status=error.number)
    return Received(Message((), Command.REPLY, ContentType.JSON, request_id, body=body, options=options))


def ends(effects: list[Effect], kind: type[HootError]) -> None:
    """A request ends with an error of this kind."""
    assert [type(each.result) for each in effects if isinstance(each, Outcome)] == [kind]


def _second_is_too_much(limits: Limits) -> Reached:
    session = client(limits)
    session.request(call(A), NOW)
    ends(session.request(call(B), NOW), Overloaded)
    return session.reached


def _second_item_is_too_much(limits: Limits, flags: int) -> Reached:
    session = client(limits)
    session.request(call(A, flags), NOW)
    parts = [
        Message((), Command.PARTIAL, ContentType.EMPTY, A, options=Options(sequence=sequence)) for sequence in (0, 1)
    ]
    session.handle(Received(parts[0]), NOW)
    ends(session.handle(Received(parts[1]), NOW), Overloaded)
    return session.reached


def retries() -> Reached:
    session = client(Limits(retries=1))
    session.request(call(A, AGAIN), NOW)
    assert session.handle(reply(A, Overloaded("not now")), NOW) == []
    session.handle(Ticked(), NOW + 1.0)
    ends(session.handle(reply(A, Overloaded("not now")), NOW + 1.0), Overloaded)
    return session.reached


def patience_s() -> Reached:
    session = ClientSession(new_id=ids(), random=lambda: 0.5, now=NOW, limits=Limits(patience_s=1.0))
    (warning,) = session.handle(Ticked(), NOW + 1.0)
    assert isinstance(warning, Waiting)
    return session.reached


def request_timeout_s() -> Reached:
    session = client(Limits(request_timeout_s=2.0))
    session.request(call(A, timeout=None), NOW)
    session.request(call(B, timeout=1.0), NOW)
    ends(session.handle(Ticked(), NOW + 1.0), DeadlineExceeded)
    assert not any(session.reached.values())
    ends(session.handle(Ticked(), NOW + 2.0), DeadlineExceeded)
    return session.reached


def _question(effects: list[Effect]) -> bytes:
    (effect,) = effects
    assert isinstance(effect, Send)
    return effect.message.request_id


def comparisons() -> Reached:
    session = client(Limits(comparisons=1))
    session.request(call(A, typed=True), NOW)
    session.handle(reply(_question(session.handle(reply(A, UNKNOWN), NOW))), NOW)
    ends(session.handle(reply(A, UNKNOWN), NOW), SchemaMismatch)
    return session.reached


def comparison_timeout_s() -> Reached:
    session = client(Limits(comparison_timeout_s=2.0))
    session.request(call(A, typed=True), NOW)
    session.handle(reply(A, UNKNOWN), NOW)
    ends(session.handle(Ticked(), NOW + 2.0), Overloaded)
    return session.reached


def understood_s() -> Reached:
    session = client(Limits(understood_s=2.0))
    session.handle(reply(_question(session.request(call(A, Flag.ONE_WAY, typed=True), NOW))), NOW)
    session.request(call(B, Flag.ONE_WAY, typed=True), NOW + 1.0)
    assert not any(session.reached.values())
    assert _question(session.request(call(C, Flag.ONE_WAY, typed=True), NOW + 2.0)) != C
    return session.reached


def drain_timeout_s() -> Reached:
    session = WorkerSession(
        b"text", slots=1, registration=lambda request_id: b"", new_id=ids(), random=lambda: 0.5, now=NOW
    )
    (greeting,) = session.handle(Connected(), NOW)
    assert isinstance(greeting, Send)
    session.handle(Received(_welcome(greeting.message.request_id)), NOW)
    request = Message((), Command.REQUEST, ContentType.EMPTY, A, options=NO_OPTIONS)
    assert session.handle(Received(request), NOW) == [Start(request)]
    session.drain(NOW, within=2.0)
    assert session.handle(Ticked(), NOW + 2.0)[-1] == Closed()
    assert isinstance(session._running[A].reason, Cancelled)
    return session.reached


def outbox() -> Reached:
    async def fill() -> Reached:
        session = ClientSession(new_id=ids(), random=lambda: 0.5, now=NOW)
        nobody = parse_address("ipc:///tmp/hoot-nobody-serves-here")
        connection = Connection(
            nobody, session, lambda effect: None, Limits(outbox=0, linger_s=0.0), logging.getLogger("test")
        )
        message = Message((), Command.HEARTBEAT, ContentType.EMPTY, A)
        connection.carry_out([Send(message)] * _MESSAGES, now=True)
        assert not connection.backed_up
        connection.close()
        connection.end()
        return session.reached

    return asyncio.run(fill())


SESSIONS: Final[dict[str, Story]] = {
    "requests": lambda: _second_is_too_much(Limits(requests=1)),
    "request_bytes": lambda: _second_is_too_much(Limits(request_bytes=7)),
    "stream_window": lambda: _second_item_is_too_much(Limits(stream_window=1), Flag.PARTIALS),
    "gather_answers": lambda: _second_item_is_too_much(Limits(gather_answers=1), Flag.PARTIALS | Flag.GATHER),
    "retries": retries,
    "patience_s": patience_s,
    "request_timeout_s": request_timeout_s,
    "comparisons": comparisons,
    "comparison_timeout_s": comparison_timeout_s,
    "understood_s": understood_s,
    "drain_timeout_s": drain_timeout_s,
    "outbox": outbox,
}
WITH_A_BROKER: Final = {"receive_batch", "partials_ahead"}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A running broker."""
    with EmbeddedBroker() as broker:
        yield broker


def test_every_limit_has_its_story() -> None:
    assert SESSIONS.keys() | WITH_A_BROKER == {*Limits.__struct_fields__} - UNCOUNTED


@pytest.mark.parametrize("limit", SESSIONS)
def test_a_limit_that_is_reached_does_what_it_says_and_is_counted(limit: str) -> None:
    counted = SESSIONS[limit]()
    assert {name for name, count in counted.items() if count} == {limit}


def test_a_batch_that_is_full_leaves_others_on_the_loop_their_turn(bus: EmbeddedBroker) -> None:
    with Client(bus.address, limits=Limits(receive_batch=1)) as client:
        client.ping()
        assert client.reached["receive_batch"] > 0


def test_a_generator_waits_for_the_socket(bus: EmbeddedBroker) -> None:
    worker = Worker("count", address=bus.address, limits=Limits(partials_ahead=1))

    @worker.method
    def up() -> Iterator[int]:
        yield from range(200)

    worker.start()
    try:
        with Client(bus.address) as client:
            assert [item.json() for item in client.stream("count/up")] == list(range(200))
        assert worker.stats().reached["partials_ahead"] > 0
    finally:
        worker.stop()
