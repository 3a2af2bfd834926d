"""A worker's session, driven by events, judged by its effects."""

from collections.abc import Iterable

from hootbus.frames.errors import (
    BrokerStopping,
    Denied,
    HandlerFailed,
    HootError,
    Overloaded,
)
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType, Flag
from hootbus.schemas import read_error, write_error, write_error_json
from hootbus.workers.limits import Limits
from hootbus.workers.link import LinkState
from hootbus.workers.session import (
    Abort,
    Barred,
    Body,
    Closed,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Linked,
    Received,
    Refused,
    Send,
    Start,
    Ticked,
    Unsent,
    Waiting,
)
from hootbus.workers.worker_session import WorkerSession

ONE, TWO = b"broker-instance1", b"broker-instance2"
A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
WORKER = Options(flags=Flag.WORKER)
DONE = Body(ContentType.RAW_BINARY, b"done")


class World:
    """A session of two slots, a clock, and ids that count."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 100.0
        self.ids = 0
        self.session = WorkerSession(
            b"text",
            slots=2,
            registration=lambda request_id: b"I am " + request_id,
            schema=lambda: b"nodes",
            new_id=self.new_id,
            random=lambda: 0.5,
            now=self.now,
            limits=limits,
            address="ipc:///bus",
        )

    def new_id(self) -> bytes:
        self.ids += 1
        return number(self.ids)

    def step(self, event: Event, after: float = 0.0) -> list[Effect]:
        self.now += after
        return self.session.handle(event, self.now)

    def hear(self, message: Message, after: float = 0.0) -> list[Effect]:
        return self.step(Received(message), after)

    def finish(self, request_id: bytes = A, result: Body | HootError = DONE) -> list[Effect]:
        return self.session.finish(request_id, result, self.now)

    def attach(self, instance: bytes = ONE) -> list[Effect]:
        [sent] = self.step(Connected())
        assert isinstance(sent, Send)
        return self.hear(welcome(sent.message.request_id, instance))


def number(value: int) -> bytes:
    return value.to_bytes(16, "big")


def ready(value: int) -> Send:
    body = b"I am " + number(value)
    return Send(Message((), Command.READY, ContentType.CAPNPROTO, number(value), b"text", body=body, options=WORKER))


def welcome(request_id: bytes, instance: bytes = ONE) -> Message:
    return Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, request_id, body=instance, options=NO_OPTIONS)


def heartbeat(value: int) -> Send:
    return Send(Message((), Command.HEARTBEAT, ContentType.EMPTY, number(value), options=WORKER))


def request(request_id: bytes = A, *, deadline_ms: int = 5000, flags: int = 0) -> Message:
    options = Options(deadline_ms=deadline_ms, flags=flags)
    return Message((), Command.REQUEST, ContentType.JSON, request_id, b"text/upper", body=b"{}", options=options)


def reply(request_id: bytes = A, body: Body = DONE, *, sequence: int = 0, status: int = 0) -> Send:
    options = Options(status=status, sequence=sequence)
    return Send(
        Message((), Command.REPLY, body.content_type, request_id, b"text/upper", body=body.buffer, options=options)
    )


def failed(error: HootError, request_id: bytes = A, *, sequence: int = 0) -> Send:
    body = Body(ContentType.JSON, write_error_json(error.code, error.message, error.details))
    return reply(request_id, body, sequence=sequence, status=error.number)


def disconnect(request_id: bytes = bytes(16), error: HootError | None = None) -> Message:
    if error is None:
        return Message((), Command.DISCONNECT, ContentType.EMPTY, request_id, options=NO_OPTIONS)
    body = write_error(request_id, "", error.code, error.message)
    return Message((), Command.DISCONNECT, ContentType.CAPNPROTO, request_id, body=body, options=NO_OPTIONS)


def leave(value: int, deadline_ms: int) -> Send:
    options = Options(deadline_ms=deadline_ms, flags=Flag.WORKER)
    return Send(Message((), Command.DISCONNECT, ContentType.EMPTY, number(value), b"text", options=options))


def shown(effects: Iterable[Effect]) -> list[object]:
    """Effects with errors as their text, as exceptions have no equality."""
    texts: list[object] = []
    for effect in effects:
        if isinstance(effect, Abort):
            texts.append((effect.request_id, str(effect.reason)))
        elif isinstance(effect, Refused):
            texts.append(str(effect.error))
        else:
            texts.append(effect)
    return texts


def test_a_worker_is_attached_when_the_broker_answers_its_ready() -> None:
    world = World()
    assert world.step(Connected()) == [ready(1)]
    assert world.hear(welcome(number(1))) == [Linked(ONE, replaced=False, late=False)]
    assert world.step(Ticked(), after=1.0) == [heartbeat(1)]
    assert world.session.wake_at() == world.now + 1.0


def test_a_ready_without_answer_is_repeated_under_the_same_id() -> None:
    world = World()
    world.step(Connected())
    assert world.step(Ticked(), after=1.0) == [ready(1), Waiting("no broker takes this worker at ipc:///bus")]
    assert world.step(Ticked(), after=1.0) == [ready(1)]


def test_a_refusal_for_now_is_tried_again_after_a_growing_pause() -> None:
    world = World()
    world.step(Connected())
    assert world.hear(disconnect(number(1), Overloaded("full"))) == []
    assert world.session.wake_at() == world.now + 0.025
    assert world.step(Ticked(), after=0.025) == [ready(2)]
    assert world.hear(disconnect(number(2), BrokerStopping("bye"))) == []
    assert world.step(Ticked(), after=0.025) == []
    assert world.step(Ticked(), after=0.025) == [ready(3)]


def test_any_other_refusal_ends_the_worker() -> None:
    world = World()
    world.step(Connected())
    assert shown(world.hear(disconnect(number(1), Denied("not you")))) == ["denied: not you", Closed()]
    assert world.step(Ticked(), after=9.0) == []
    assert world.session.wake_at() is None


def test_a_request_is_run_and_its_result_sent() -> None:
    world = World()
    world.attach()
    assert world.hear(request()) == [Start(request())]
    assert world.finish() == [reply()]
    assert len(world.session) == 0


def test_a_handlers_error_is_a_reply_with_its_status() -> None:
    world = World()
    world.attach()
    world.hear(request())
    error = HandlerFailed("ValueError: no")
    assert world.finish(A, error) == [failed(error)]


def test_a_capnp_request_gets_a_capnp_error() -> None:
    world = World()
    world.attach()
    asked = Message((), Command.REQUEST, ContentType.CAPNPROTO, A, b"text", options=NO_OPTIONS)
    world.hear(asked)
    [sent] = world.finish(A, HandlerFailed("no"))
    assert isinstance(sent, Send)
    assert sent.message.content_type is ContentType.CAPNPROTO
    told = read_error(bytes(sent.message.body))
    assert told is not None
    assert (told.code, told.message) == ("handler_error", "no")


def test_more_than_its_slots_is_overloaded() -> None:
    world = World()
    world.attach()
    world.hear(request(A))
    world.hear(request(B))
    assert world.hear(request(C)) == [failed(Overloaded("all 2 slots of this worker are taken"), C)]
    assert world.session.surplus == 1
    world.finish(A)
    assert world.hear(request(C)) == [Start(request(C))]


def test_the_same_request_is_not_run_twice_at_once() -> None:
    world = World()
    world.attach()
    world.hear(request())
    assert world.hear(request()) == []
    assert world.session.dropped[Dropped.REPEATED_REQUEST] == 1


def test_a_cancelled_request_owes_its_reply_all_the_same() -> None:
    world = World()
    world.attach()
    world.hear(request())
    cancel = Message((), Command.CANCEL, ContentType.EMPTY, A, options=Options(status=8))
    assert shown(world.hear(cancel)) == [(A, "cancelled: cancelled")]
    assert world.hear(cancel) == [], "once is enough"
    [sent] = world.finish()
    assert isinstance(sent, Send)
    assert sent.message.options == Options(status=8)
    assert world.session.dropped[Dropped.LATE_RESULT] == 1


def test_a_cancel_for_nothing_is_counted() -> None:
    world = World()
    world.attach()
    assert world.hear(Message((), Command.CANCEL, ContentType.EMPTY, A, options=NO_OPTIONS)) == []
    assert world.session.dropped[Dropped.UNKNOWN_CANCEL] == 1


def test_a_deadline_holds_at_the_worker_too() -> None:
    world = World(Limits(heartbeat_interval_s=100.0))
    world.attach()
    world.hear(request(deadline_ms=250))
    assert world.session.wake_at() == world.now + 0.25
    text = "deadline_exceeded: the time given for the request is over"
    assert shown(world.step(Ticked(), after=0.25)) == [(A, text)]
    [sent] = world.finish()
    assert isinstance(sent, Send)
    assert sent.message.options == Options(status=7)


def test_items_are_numbered_and_the_reply_says_how_many() -> None:
    world = World()
    world.attach()
    world.hear(request(flags=Flag.PARTIALS))
    for sequence in (0, 1):
        [sent] = world.session.partial(A, DONE, world.now)
        assert isinstance(sent, Send)
        assert sent.message.command is Command.PARTIAL
        assert sent.message.options == Options(sequence=sequence)
    assert world.finish(A, Body(ContentType.EMPTY)) == [reply(A, Body(ContentType.EMPTY), sequence=2)]


def test_a_one_way_requests_reply_carries_nothing() -> None:
    world = World()
    world.attach()
    world.hear(request(flags=Flag.ONE_WAY))
    assert world.finish() == [reply(A, Body(ContentType.EMPTY))]


def test_attachments_never_go_to_a_plain_client() -> None:
    world = World()
    world.attach()
    plain = Message((), Command.REQUEST, ContentType.JSON, A, b"text", body=b"{}")
    world.hear(plain)
    [sent] = world.finish(A, Body(ContentType.JSON, b"{}", 0, (b"more",)))
    assert isinstance(sent, Send)
    assert sent.message.options is None
    assert sent.message.attachments == ()
    assert b"unsupported_content_type" in bytes(sent.message.body)


def test_a_lost_connection_aborts_everything_and_its_results_are_dropped() -> None:
    world = World()
    world.attach()
    world.hear(request(A))
    assert shown(world.step(Disconnected())) == [(A, "worker_lost: broker lost")]
    assert len(world.session) == 1, "the handler still has its slot"
    assert world.finish(A) == []
    assert world.session.dropped[Dropped.LATE_RESULT] == 1
    assert world.step(Connected()) == [ready(2)]


def test_a_request_that_still_stops_is_not_run_beside_itself() -> None:
    world = World()
    world.attach()
    world.hear(request(A))
    world.step(Disconnected())
    world.attach()
    assert world.hear(request(A)) == [failed(Overloaded("all 2 slots of this worker are taken"))]
    world.finish(A)
    assert world.hear(request(A)) == [Start(request(A))]


def test_a_request_before_the_welcome_is_dropped() -> None:
    world = World()
    world.step(Connected())
    assert world.hear(request()) == []
    assert world.session.dropped[Dropped.UNREGISTERED_REQUEST] == 1


def test_a_broker_that_forgot_the_worker_is_told_again() -> None:
    world = World()
    world.attach()
    world.hear(request())
    text = "worker_lost: the broker does not know this worker"
    assert shown(world.hear(disconnect(number(1)))) == [(A, text), ready(2)]


def test_another_broker_behind_the_same_connection_is_noticed() -> None:
    world = World()
    world.attach(ONE)
    assert world.hear(welcome(bytes(16), ONE)) == []
    assert world.hear(welcome(bytes(16), TWO)) == [ready(2)]
    assert world.hear(welcome(number(2), TWO)) == [Linked(TWO, replaced=True, late=False)]


def test_a_broker_that_stops_ends_what_runs_and_is_asked_again() -> None:
    world = World()
    world.attach()
    world.hear(request())
    assert shown(world.hear(disconnect(error=BrokerStopping("going down")))) == [(A, "worker_lost: going down")]
    assert world.session.link is LinkState.GREETING
    assert world.step(Ticked(), after=0.025) == [ready(2)]


def test_a_draining_worker_finishes_and_leaves_when_it_may() -> None:
    world = World()
    world.attach()
    world.hear(request())
    assert world.session.drain(world.now, 30.0) == [leave(2, 30_000)]
    assert world.session.drain(world.now, 30.0) == []
    assert world.step(Ticked(), after=1.0) == [heartbeat(1), leave(2, 29_000)]
    assert world.finish() == [reply()]
    assert world.hear(disconnect(number(2))) == [Closed()]
    assert world.step(Connected()) == []


def test_a_drain_that_takes_too_long_is_a_stop() -> None:
    world = World(Limits(heartbeat_interval_s=100.0))
    world.attach()
    world.hear(request())
    world.session.drain(world.now, 0.5)
    assert shown(world.step(Ticked(), after=0.5)) == [leave(3, 0), (A, "cancelled: the worker is stopping"), Closed()]
    assert world.finish() == []


def test_a_worker_that_is_not_attached_leaves_at_once() -> None:
    world = World()
    assert world.session.drain(world.now, 30.0) == [Closed()]
    assert world.session.stop(world.now) == []


def test_a_draining_worker_whose_broker_goes_away_has_ended() -> None:
    world = World()
    world.attach()
    world.session.drain(world.now, 30.0)
    assert world.step(Disconnected()) == [Closed()]


def test_stop_is_now() -> None:
    world = World()
    world.attach()
    world.hear(request())
    assert shown(world.session.stop(world.now)) == [leave(2, 0), (A, "cancelled: the worker is stopping"), Closed()]


def test_a_reply_that_cannot_be_sent_is_told_as_a_failure_once() -> None:
    world = World()
    world.attach()
    world.hear(request())
    [sent] = world.finish(result=Body(ContentType.JSON, b"1", 2**64))
    assert isinstance(sent, Send)
    error = OverflowError("too large")
    told = failed(HandlerFailed("the reply cannot be sent: OverflowError: too large"))
    assert world.step(Unsent(sent.message, error)) == [told]
    assert world.step(Unsent(told.message, error)) == [], "there it is the socket's fault"


def test_an_item_that_cannot_be_sent_ends_its_handler() -> None:
    world = World()
    world.attach()
    world.hear(request(flags=Flag.PARTIALS))
    [sent] = world.session.partial(A, DONE, world.now)
    assert isinstance(sent, Send)
    why = HandlerFailed("the reply cannot be sent: ValueError: released")
    assert shown(world.step(Unsent(sent.message, ValueError("released")))) == shown([Abort(A, why)])
    assert world.finish() == [failed(why, sequence=1)]
    assert world.step(Unsent(sent.message, ValueError("released"))) == [], "its closing reply is on its way"


def test_an_error_that_cannot_be_told_frees_its_slot_all_the_same() -> None:
    world = World()
    world.attach()
    for number in (0, 2**16):
        world.hear(request())
        error = HandlerFailed("no")
        error.number = number
        assert world.finish(result=error) == [failed(HandlerFailed("its outcome cannot be told: ValueError"))]
    world.hear(request())
    error = HandlerFailed(None)  # type: ignore[arg-type]  # a program's mistake
    assert world.finish(result=error) == [failed(HandlerFailed("its outcome cannot be told: AttributeError"))]


def test_its_schema_is_told_at_once_also_before_it_is_in_and_with_all_slots_taken() -> None:
    question = Message((), Command.REQUEST, ContentType.EMPTY, C, WORKER_SCHEMA, options=NO_OPTIONS)
    answer = Message((), Command.REPLY, ContentType.CAPNPROTO, C, WORKER_SCHEMA, body=b"nodes", options=NO_OPTIONS)
    world = World()
    world.step(Connected())
    assert world.hear(question) == [Send(answer)]
    assert len(world.session) == 0


def test_a_worker_that_is_not_let_in_gives_up_and_waits_for_what_may_be_no_broker() -> None:
    denied = Denied("the broker does not let this key in")
    world = World()
    assert world.step(Barred(denied, hopeless=False)) == []
    assert world.step(Barred(denied)) == [Refused(denied), Closed()]
