"""A client's session, driven by events, judged by its effects."""

from collections.abc import Iterable

from hootbus.bus.answers import disconnect
from hootbus.frames.errors import (
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    Denied,
    HandlerFailed,
    HootError,
    Overloaded,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import write_error, write_error_json
from hootbus.workers.client_session import ClientSession
from hootbus.workers.limits import Limits
from hootbus.workers.link import LinkState
from hootbus.workers.session import (
    Barred,
    Call,
    Closed,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Linked,
    Malformed,
    Outcome,
    Part,
    Received,
    Send,
    Ticked,
    Unsent,
    Waiting,
)

ONE, TWO = b"broker-instance1", b"broker-instance2"
A, B = b"a" * 16, b"b" * 16
TIMEOUT_S = 30.0
HALF = 0.5


class World:
    """A session, a clock, and ids that count."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 100.0
        self.ids = 0
        self.session = ClientSession(
            new_id=self.new_id, random=lambda: HALF, now=self.now, limits=limits, address="ipc:///bus"
        )

    def new_id(self) -> bytes:
        self.ids += 1
        return self.ids.to_bytes(16, "big")

    def step(self, event: Event, after: float = 0.0) -> list[Effect]:
        self.now += after
        return self.session.handle(event, self.now)

    def hear(self, message: Message, after: float = 0.0) -> list[Effect]:
        return self.step(Received(message), after)

    def ask(self, call: Call) -> list[Effect]:
        return self.session.request(call, self.now)

    def link(self, instance: bytes = ONE) -> list[Effect]:
        """Connects and lets the broker answer; what follows the answer."""
        [hello] = self.step(Connected())
        assert isinstance(hello, Send)
        return self.hear(echo(hello.message.request_id, instance))


def echo(request_id: bytes, instance: bytes = ONE) -> Message:
    return Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, request_id, body=instance, options=NO_OPTIONS)


def hello(number: int) -> Send:
    request_id = number.to_bytes(16, "big")
    return Send(Message((), Command.HEARTBEAT, ContentType.EMPTY, request_id, options=NO_OPTIONS))


def call(request_id: bytes = A, *, flags: int = 0, timeout: float | None = TIMEOUT_S, body: bytes = b"hi") -> Call:
    return Call(
        request_id=request_id,
        service=b"text/upper",
        content_type=ContentType.RAW_BINARY,
        body=body,
        flags=flags,
        timeout=timeout,
    )


def request(call: Call, left_ms: int = 30_000) -> Send:
    options = Options(deadline_ms=left_ms, flags=call.flags)
    return Send(
        Message((), Command.REQUEST, call.content_type, call.request_id, call.service, body=call.body, options=options)
    )


def cancel(request_id: bytes = A) -> Send:
    return Send(Message((), Command.CANCEL, ContentType.EMPTY, request_id, options=NO_OPTIONS))


def reply(request_id: bytes = A, *, body: bytes = b"HI", partials: int = 0) -> Message:
    options = Options(sequence=partials)
    return Message((), Command.REPLY, ContentType.RAW_BINARY, request_id, b"text/upper", body=body, options=options)


def refusal(error: HootError, request_id: bytes = A) -> Message:
    body = write_error_json(error.code, error.message, error.details)
    options = Options(status=error.number)
    return Message((), Command.REPLY, ContentType.JSON, request_id, body=body, options=options)


def item(sequence: int, request_id: bytes = A) -> Message:
    options = Options(sequence=sequence)
    return Message((), Command.PARTIAL, ContentType.RAW_BINARY, request_id, body=b"item", options=options)


def shown(effects: Iterable[Effect]) -> list[object]:
    """Effects with errors as their text, as exceptions have no equality."""
    return [
        (effect.request_id, str(effect.result))
        if isinstance(effect, Outcome) and isinstance(effect.result, HootError)
        else effect
        for effect in effects
    ]


def test_a_request_is_held_until_the_broker_has_answered_the_hello() -> None:
    world = World()
    assert world.ask(call()) == []
    assert world.step(Connected()) == [hello(1)]
    assert world.hear(echo((1).to_bytes(16, "big"))) == [Linked(ONE, replaced=False, late=False), request(call())]
    assert world.hear(reply()) == [Outcome(A, reply())]
    assert len(world.session) == 0
    assert world.session.pending_bytes == 0


def test_what_was_held_has_less_time_left() -> None:
    world = World()
    world.ask(call())
    world.now += 10.0
    assert world.link()[1:] == [request(call(), left_ms=20_000)]


def test_a_hello_without_answer_is_repeated_each_second_under_the_same_id() -> None:
    world = World()
    assert world.step(Connected()) == [hello(1)]
    assert world.session.wake_at() == 101.0
    assert world.step(Ticked(), after=0.9) == []
    assert world.step(Ticked(), after=0.1) == [hello(1), Waiting("no broker at ipc:///bus")]
    assert world.step(Ticked(), after=1.0) == [hello(1)], "the warning is given once"
    assert world.hear(echo((1).to_bytes(16, "big"))) == [Linked(ONE, replaced=False, late=True)]
    assert world.session.wake_at() is None


def test_an_answer_to_an_earlier_connections_hello_does_not_count() -> None:
    world = World()
    world.step(Connected())
    world.step(Disconnected())
    world.step(Connected())
    assert world.hear(echo((1).to_bytes(16, "big"))) == []
    assert world.session.link is LinkState.GREETING


def test_a_broker_that_is_missing_is_said_once_per_outage() -> None:
    world = World()
    assert world.session.wake_at() == 101.0
    assert world.step(Ticked(), after=1.0) == [Waiting("no broker at ipc:///bus")]
    assert world.step(Ticked(), after=9.0) == []
    world.link()
    world.step(Disconnected())
    assert world.step(Ticked(), after=1.0) == [Waiting("no broker at ipc:///bus")]


def test_an_error_reply_is_an_error() -> None:
    world = World()
    world.link()
    world.ask(call())
    failed = HandlerFailed("ValueError: no")
    assert shown(world.hear(refusal(failed))) == [(A, "handler_error: ValueError: no")]


def test_a_reply_without_options_is_looked_into_for_an_error() -> None:
    world = World()
    world.link()
    bare = Message((), Command.REPLY, ContentType.JSON, A, body=write_error_json("bad_body", "not that"))
    world.ask(call(A))
    assert shown(world.hear(bare)) == [(A, "bad_body: not that")]
    envelope = write_error(B, "", "denied", "not you")
    world.ask(call(B))
    told = Message((), Command.REPLY, ContentType.CAPNPROTO, B, body=envelope)
    assert shown(world.hear(told)) == [(B, "denied: not you")]
    fine = Message((), Command.REPLY, ContentType.JSON, A, body=b'{"error":null}')
    world.ask(call(A))
    assert world.hear(fine) == [Outcome(A, fine)]


def test_a_second_reply_is_late_and_counted() -> None:
    world = World()
    world.link()
    world.ask(call())
    world.hear(reply())
    assert world.hear(reply()) == []
    assert world.session.dropped[Dropped.LATE_REPLY] == 1


def test_a_deadline_ends_the_request_here_and_at_the_broker() -> None:
    world = World()
    world.link()
    world.ask(call(timeout=2.0))
    assert world.session.wake_at() == 102.0
    effects = world.step(Ticked(), after=2.0)
    assert shown(effects) == [(A, "deadline_exceeded: no reply within 2.0 s"), cancel()]
    assert world.hear(reply()) == []


def test_a_deadline_without_a_broker_says_so_and_tells_nobody() -> None:
    world = World()
    world.ask(call(timeout=0.5))
    text = "deadline_exceeded: no reply within 0.5 s: there was no broker at ipc:///bus"
    assert shown(world.step(Ticked(), after=0.5)) == [(A, text)]


def test_a_cancelled_request_is_cancelled_at_the_broker() -> None:
    world = World()
    world.link()
    world.ask(call())
    effects = world.session.cancel(A, world.now)
    assert shown(effects) == [(A, "cancelled: the caller gave the request up"), cancel()]
    assert world.session.cancel(A, world.now) == []


def test_a_held_request_is_cancelled_in_silence() -> None:
    world = World()
    world.ask(call())
    assert shown(world.session.cancel(A, world.now)) == [(A, "cancelled: the caller gave the request up")]


def test_the_same_broker_gets_only_idempotent_requests_again() -> None:
    world = World()
    world.link(ONE)
    world.ask(call(A))
    world.ask(call(B, flags=Flag.IDEMPOTENT))
    world.step(Disconnected())
    assert world.link(ONE) == [Linked(ONE, replaced=False, late=False), request(call(B, flags=Flag.IDEMPOTENT))]
    assert world.hear(reply(A)) == [Outcome(A, reply(A))], "it kept waiting"


def test_another_broker_never_gets_what_may_not_be_repeated() -> None:
    world = World()
    world.link(ONE)
    world.ask(call(A))
    world.ask(call(B, flags=Flag.IDEMPOTENT))
    world.step(Disconnected())
    assert shown(world.link(TWO)) == [
        Linked(TWO, replaced=True, late=False),
        (A, "worker_lost: the broker was replaced; whether the request was carried out is not known"),
        # It was accepted before: it waits for its service's workers to find the new broker too.
        request(call(B, flags=Flag.IDEMPOTENT | Flag.WAIT)),
    ]


def test_what_was_asked_while_there_was_no_connection_goes_to_any_broker() -> None:
    world = World()
    world.link(ONE)
    world.step(Disconnected())
    assert world.ask(call(A)) == []
    assert world.link(TWO) == [Linked(TWO, replaced=True, late=False), request(call(A))]


def test_a_broker_that_tells_no_instance_is_no_other_broker() -> None:
    world = World()
    world.link(ONE)
    world.ask(call(A))
    world.step(Disconnected())
    assert world.link(b"") == [Linked(ONE, replaced=False, late=False)]


def test_what_still_waited_for_the_socket_was_not_sent() -> None:
    world = World()
    world.link(ONE)
    [sent] = world.ask(call(A))
    assert isinstance(sent, Send)
    world.step(Disconnected())
    assert world.step(Unsent(sent.message)) == []
    assert world.link(TWO) == [Linked(TWO, replaced=True, late=False), request(call(A))]


def test_what_a_connected_socket_never_took_is_overloaded() -> None:
    world = World()
    world.link(ONE)
    [sent] = world.ask(call(A))
    assert isinstance(sent, Send)
    assert shown(world.step(Unsent(sent.message))) == [(A, "overloaded: the socket does not take the request")]


def test_what_cannot_be_sent_at_all_is_a_bad_frame() -> None:
    world = World()
    world.link(ONE)
    [sent] = world.ask(call(A, flags=Flag.IDEMPOTENT))
    assert isinstance(sent, Send)
    told = world.step(Unsent(sent.message, ValueError("released")))
    assert shown(told) == [(A, "bad_frame: the request cannot be sent: ValueError: released")]


def test_an_idempotent_request_is_tried_again_after_a_growing_pause() -> None:
    world = World()
    world.link()
    idempotent = call(flags=Flag.IDEMPOTENT)
    world.ask(idempotent)
    for pause in (0.025, 0.05, 0.1, 0.2):
        assert world.hear(refusal(Overloaded("full"))) == []
        wake_at = world.session.wake_at()
        assert wake_at is not None
        assert wake_at <= world.now + pause
        assert world.step(Ticked(), after=pause * 0.9) == []
        [again] = world.step(Ticked(), after=pause * 0.2)
        assert isinstance(again, Send)
        assert again.message.request_id == A
    assert world.session.retried == 4
    assert shown(world.hear(refusal(Overloaded("full")))) == [(A, "overloaded: full")]


def test_other_requests_and_other_errors_are_outcomes_at_once() -> None:
    world = World()
    world.link()
    world.ask(call(A))
    assert shown(world.hear(refusal(BrokerStopping("bye")))) == [(A, "broker_stopping: bye")]
    world.ask(call(B, flags=Flag.IDEMPOTENT))
    assert shown(world.hear(refusal(WorkerLost("gone"), B))) == [(B, "worker_lost: gone")]


def test_no_retry_begins_after_the_deadline() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.IDEMPOTENT, timeout=0.02))
    assert shown(world.hear(refusal(Overloaded("full")))) == [(A, "overloaded: full")]


def test_a_retry_that_is_due_without_a_connection_waits_for_one() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.IDEMPOTENT, timeout=None))
    world.hear(refusal(BrokerStopping("bye")))
    world.step(Disconnected())
    assert world.step(Ticked(), after=0.1) == []
    linked, again = world.link(TWO)
    assert linked == Linked(TWO, replaced=True, late=False)
    # The next broker may know this client before it knows the workers.
    assert again == request(call(flags=Flag.IDEMPOTENT | Flag.WAIT), left_ms=0)


def test_the_items_of_a_stream_come_in_order_and_end_with_the_reply() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.PARTIALS))
    assert world.hear(item(0)) == [Part(A, item(0))]
    assert world.hear(item(1)) == [Part(A, item(1))]
    assert world.hear(item(1)) == []
    assert world.session.dropped[Dropped.REPEATED_PARTIAL] == 1
    assert world.hear(reply(partials=2)) == [Outcome(A, reply(partials=2))]
    assert world.hear(item(2)) == []
    assert world.session.dropped[Dropped.LATE_PARTIAL] == 1


def test_a_gap_ends_a_stream() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.PARTIALS))
    world.hear(item(0))
    assert shown(world.hear(item(2))) == [(A, "overloaded: partial 1 was lost"), cancel()]


def test_an_item_that_is_missing_at_the_end_is_missed() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.PARTIALS))
    world.hear(item(0))
    assert shown(world.hear(reply(partials=2))) == [(A, "overloaded: partial 1 was lost")]


def test_a_stream_that_another_worker_began_anew_and_ended_sooner_is_no_whole_one() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.PARTIALS | Flag.IDEMPOTENT))
    world.hear(item(0))
    world.hear(item(1))
    assert world.hear(item(0)) == []
    assert shown(world.hear(reply(partials=1))) == [
        (A, "worker_lost: 2 items came, and the worker that ended the stream gave 1")
    ]


def test_a_stream_that_has_begun_is_not_begun_again() -> None:
    world = World()
    world.link(ONE)
    world.ask(call(flags=Flag.PARTIALS | Flag.IDEMPOTENT))
    world.hear(item(0))
    world.step(Disconnected())
    assert shown(world.link(TWO))[1:] == [
        (A, "worker_lost: the broker was replaced; whether the request was carried out is not known")
    ]


def test_items_that_were_not_asked_for_are_dropped() -> None:
    world = World()
    world.link()
    world.ask(call())
    assert world.hear(item(0)) == []
    assert world.hear(reply(partials=1)) == [Outcome(A, reply(partials=1))]


def test_a_one_way_request_has_its_outcome_when_it_is_sent() -> None:
    world = World()
    one_way = call(flags=Flag.ONE_WAY)
    assert world.ask(one_way) == []
    assert world.link()[1:] == [request(one_way), Outcome(A, None)]
    assert len(world.session) == 0


def test_a_ping_ends_with_the_brokers_heartbeat() -> None:
    world = World()
    world.link()
    ping = Call(request_id=A, command=Command.HEARTBEAT, timeout=1.0)
    [sent] = world.ask(ping)
    assert isinstance(sent, Send)
    assert sent.message.command is Command.HEARTBEAT
    assert world.hear(echo(A)) == [Outcome(A, echo(A))]
    world.ask(ping)
    assert shown(world.step(Ticked(), after=1.0)) == [(A, "deadline_exceeded: no reply within 1.0 s")]


def test_bounds_are_answered_with_overloaded() -> None:
    world = World(Limits(requests=1, request_bytes=100))
    world.link()
    world.ask(call(A, body=b"x" * 60))
    assert shown(world.ask(call(B))) == [(B, "overloaded: 1 requests of this client are in flight")]
    world = World(Limits(request_bytes=100))
    world.link()
    world.ask(call(A, body=b"x" * 60))
    assert shown(world.ask(call(B, body=b"x" * 60))) == [
        (B, "overloaded: 60 bytes of this client's requests are in flight")
    ]


def test_what_cannot_be_read_or_is_for_a_worker_is_counted() -> None:
    world = World()
    world.link()
    assert world.step(Malformed()) == []
    assert world.hear(Message((), Command.REQUEST, ContentType.EMPTY, A)) == []
    assert world.hear(Message((), Command.DISCONNECT, ContentType.EMPTY, A)) == []
    assert world.session.dropped[Dropped.BAD_FRAME] == 1
    assert world.session.dropped[Dropped.UNEXPECTED] == 2


def test_closing_cancels_what_is_open() -> None:
    world = World()
    world.link()
    world.ask(call(A))
    assert shown(world.session.close(world.now)) == [(A, "cancelled: the client was closed"), cancel(), Closed()]
    [refused] = world.ask(call(B))
    assert isinstance(refused, Outcome)
    assert isinstance(refused.result, Cancelled)


def test_a_thousand_requests_leave_no_timers() -> None:
    world = World()
    world.link()
    for number in range(1000):
        request_id = number.to_bytes(16, "little")
        world.ask(call(request_id))
        world.hear(reply(request_id))
    assert world.session.timer_entries <= 128


def test_a_request_without_a_deadline_says_none_and_yet_has_an_end() -> None:
    world = World()
    world.link()
    assert world.ask(call(timeout=None)) == [request(call(), left_ms=0)]
    wake_at = world.session.wake_at()
    assert wake_at == world.now + Limits().request_timeout_s


def test_a_moment_left_is_not_said_as_none() -> None:
    world = World()
    world.link()
    assert world.ask(call(timeout=0.0001)) == [request(call(), left_ms=1)]


def test_deadline_errors_are_of_their_class() -> None:
    world = World()
    world.ask(call(timeout=0.1))
    [outcome] = world.step(Ticked(), after=0.1)
    assert isinstance(outcome, Outcome)
    assert isinstance(outcome.result, DeadlineExceeded)


# A broker that says that it ends has answered all it had accepted.

GOODBYE = disconnect((), True, error=BrokerStopping("the broker stops"))
# Less the moment until the client greets again.
LEFT_MS = 29_938


def succeed(world: World) -> list[Effect]:
    """The next broker comes and answers the hello; what follows."""
    assert world.step(Connected()) == []
    [hello] = world.step(Ticked(), after=0.0625)
    assert isinstance(hello, Send)
    return world.hear(echo(hello.message.request_id, TWO))


def test_what_is_open_is_given_to_the_next_broker_once_whether_or_not_it_may_be_repeated() -> None:
    world = World()
    world.link()
    world.ask(call(A))
    world.ask(call(B, flags=Flag.IDEMPOTENT))
    assert world.hear(GOODBYE) == []
    assert world.session.link is not LinkState.UP
    # It waits for its service, as the next broker may know this client before it knows the workers.
    again = [
        request(call(A, flags=Flag.WAIT), left_ms=LEFT_MS),
        request(call(B, flags=Flag.IDEMPOTENT | Flag.WAIT), left_ms=LEFT_MS),
    ]
    assert succeed(world) == [Linked(TWO, True, False), *again]
    assert len(world.session) == 2


def test_what_is_asked_after_it_waits_as_well() -> None:
    world = World()
    world.link()
    world.hear(GOODBYE)
    assert world.ask(call()) == []
    assert succeed(world) == [Linked(TWO, True, False), request(call(), left_ms=LEFT_MS)]


def test_a_stream_that_has_begun_was_accepted_and_is_lost_with_its_broker() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.PARTIALS))
    world.hear(item(0))
    world.hear(GOODBYE)
    [_, outcome] = succeed(world)
    assert "the broker was replaced" in str(outcome)


def test_what_was_refused_and_is_tried_again_waits_for_its_service() -> None:
    world = World()
    world.link()
    world.ask(call(flags=Flag.IDEMPOTENT))
    assert world.hear(refusal(BrokerStopping("bye"))) == []
    world.hear(GOODBYE)
    again = request(call(flags=Flag.IDEMPOTENT | Flag.WAIT), left_ms=LEFT_MS)
    assert succeed(world) == [Linked(TWO, True, False), again]


def test_the_reply_to_what_was_sent_over_an_earlier_connection_may_have_been_lost_with_it() -> None:
    world = World()
    world.link()
    world.ask(call())
    world.step(Disconnected())
    world.link(ONE)
    world.hear(GOODBYE)
    [_, outcome] = succeed(world)
    assert "the broker was replaced" in str(outcome)


def test_a_disconnect_that_says_nothing_of_an_end_changes_nothing() -> None:
    world = World()
    world.link()
    world.ask(call())
    assert world.hear(disconnect((), True)) == []
    assert world.session.link is LinkState.UP
    assert world.session.dropped[Dropped.UNEXPECTED] == 1


def test_who_is_not_let_in_does_not_wait() -> None:
    world = World()
    world.ask(Call(request_id=A, timeout=TIMEOUT_S))
    denied = Denied("the broker wants keys")
    assert world.step(Barred(denied)) == [Outcome(A, denied)]
    assert len(world.session) == 0
    # What is asked next waits for the next attempt.
    assert world.ask(Call(request_id=B, timeout=TIMEOUT_S)) == []
    assert world.step(Barred(denied)) == [Outcome(B, denied)]


def test_who_is_let_in_no_more_does_not_know_of_what_was_sent_unless_it_may_be_repeated() -> None:
    world = World()
    world.link()
    world.ask(Call(request_id=A, timeout=TIMEOUT_S))
    world.ask(Call(request_id=B, timeout=TIMEOUT_S, flags=Flag.IDEMPOTENT))
    world.step(Disconnected())
    first, second = world.step(Barred(Denied("gone")))
    assert isinstance(first, Outcome)
    assert isinstance(first.result, WorkerLost)
    assert "gone; whether the request was carried out is not known" in first.result.message
    assert isinstance(second, Outcome)
    assert isinstance(second.result, Denied)


def test_what_may_be_no_broker_is_waited_for_and_named_when_time_is_up() -> None:
    world = World()
    world.ask(Call(request_id=A, timeout=1.0))
    assert world.step(Barred(Denied("it hangs up"), hopeless=False)) == []
    late = [effect for effect in world.step(Ticked(), after=1.0) if isinstance(effect, Outcome)]
    (outcome,) = late
    assert isinstance(outcome.result, DeadlineExceeded)
    assert outcome.result.message == "no reply within 1.0 s: it hangs up"
