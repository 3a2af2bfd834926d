"""Flow control of streams: each end's account, and what the sessions make of it."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.frames.errors import Overloaded
from hootbus.frames.message import Message
from hootbus.frames.options import U32_MAX, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.workers.calls import reply_of
from hootbus.workers.client_session import ClientSession
from hootbus.workers.flow import Inflow, Outflow
from hootbus.workers.limits import Limits
from hootbus.workers.parts import AsyncParts, BlockingParts
from hootbus.workers.session import (
    Abort,
    Body,
    Call,
    Connected,
    Disconnected,
    Dropped,
    Effect,
    Event,
    Outcome,
    Part,
    Received,
    Resume,
    Send,
    Start,
    Ticked,
)
from hootbus.workers.worker_session import WorkerSession

A = b"a" * 16
BROKER, OTHER = b"broker-instance1", b"broker-instance2"
ITEM = Body(ContentType.RAW_BINARY, b"item")


def item(sequence: int) -> Message:
    return Message((), Command.PARTIAL, ContentType.RAW_BINARY, A, body=b"item", options=Options(sequence=sequence))


def credit(taken: int, more: int) -> Message:
    return Message((), Command.CREDIT, ContentType.EMPTY, A, options=Options(sequence=taken, credit=more))


class Reader:
    """A client's session with one stream, whose broker is there."""

    def __init__(self, window: int = 4, flags: int = 0) -> None:
        self.now = 100.0
        limits = Limits(stream_window=window, credit_interval_s=1.0)
        self.session = ClientSession(new_id=lambda: b"n" * 16, random=lambda: 0.5, now=self.now, limits=limits)
        self.link()
        [sent] = self.session.request(
            Call(request_id=A, service=b"s/m", flags=Flag.PARTIALS | flags, timeout=60.0), self.now
        )
        assert isinstance(sent, Send)
        self.request = sent.message

    def link(self, instance: bytes = BROKER) -> list[Effect]:
        [hello] = self.step(Connected())
        assert isinstance(hello, Send)
        return self.hear(
            Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, hello.message.request_id, body=instance)
        )[1:]

    def step(self, event: Event, after: float = 0.0) -> list[Effect]:
        self.now += after
        return self.session.handle(event, self.now)

    def hear(self, message: Message) -> list[Effect]:
        return self.step(Received(message))

    def come(self, *sequences: int) -> None:
        """These items come, and are passed on."""
        for sequence in sequences:
            assert self.hear(item(sequence)) == [Part(A, item(sequence))]

    def read(self, count: int = 1) -> list[Effect]:
        """So many are read; what follows from all but the last is nothing."""
        for _ in range(count - 1):
            assert self.session.took(A, self.now) == []
        return self.session.took(A, self.now)


class Producer:
    """A worker's session with one request for a stream."""

    def __init__(self, window: int, flags: int = 0) -> None:
        self.now = 100.0
        self.session = WorkerSession(
            b"s", slots=1, registration=bytes, new_id=lambda: b"n" * 16, random=lambda: 0.5, now=self.now
        )
        self.step(Connected())
        self.hear(Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, b"n" * 16, body=BROKER))
        options = Options(flags=Flag.PARTIALS | flags, credit=window)
        [start] = self.hear(Message((), Command.REQUEST, ContentType.EMPTY, A, b"s/m", options=options))
        assert isinstance(start, Start)

    def step(self, event: Event) -> list[Effect]:
        return self.session.handle(event, self.now)

    def hear(self, message: Message) -> list[Effect]:
        return self.step(Received(message))

    def give(self, count: int) -> None:
        for _ in range(count):
            assert self.session.may_send(A, 1)
            self.session.partial(A, ITEM, self.now)


# The reader's end.


def test_a_request_says_how_many_items_are_welcome() -> None:
    assert Reader(4).request.options == Options(60_000, Flag.PARTIALS, credit=4)


def test_more_is_granted_when_half_of_the_window_has_been_read() -> None:
    reader = Reader(4)
    reader.come(0, 1, 2)
    assert reader.read(2) == [Send(credit(2, 4))]
    reader.come(3, 4, 5)
    assert reader.read(2) == [Send(credit(4, 4))]


def test_a_window_of_one_item_is_granted_one_by_one() -> None:
    reader = Reader(1)
    for sequence in range(3):
        reader.come(sequence)
        assert reader.read() == [Send(credit(sequence + 1, 1))]


def test_a_producer_that_goes_on_without_being_granted_more_ends_its_stream() -> None:
    reader = Reader(2)
    reader.come(0, 1)
    [outcome, cancel] = reader.hear(item(2))
    assert isinstance(outcome, Outcome)
    assert isinstance(outcome.result, Overloaded)
    assert str(outcome.result) == "overloaded: item 2 of the stream is more than was granted"
    assert isinstance(cancel, Send)
    assert cancel.message.command is Command.CANCEL


def test_items_that_a_second_worker_repeats_count_against_no_window() -> None:
    reader = Reader(4, Flag.IDEMPOTENT)
    reader.come(0, 1, 2, 3)
    for sequence in range(4):
        assert reader.hear(item(sequence)) == []
    assert reader.session.dropped[Dropped.REPEATED_PARTIAL] == 4
    assert reader.read(2) == [Send(credit(2, 4))]
    reader.come(4, 5)


def test_what_was_granted_is_said_again_while_a_stream_is_quiet_and_less_and_less_often() -> None:
    reader = Reader(2)
    reader.come(0)
    assert reader.read() == [Send(credit(1, 2))]
    assert reader.step(Ticked(), after=1.0) == [], "it has come since"
    said = [reader.step(Ticked(), after=1.0) for _ in range(8)]
    again = [Send(credit(1, 2))]
    assert said == [again, [], again, [], [], [], again, []]
    reader.come(1)
    assert reader.session.wake_at() is not None


def test_a_stream_that_goes_on_is_looked_at_as_soon_as_a_new_one() -> None:
    inflow = Inflow(4)
    for _ in range(3):
        assert inflow.is_quiet()
    assert inflow.next_look(100.0, 1.0) == 108.0
    inflow.arrived += 1
    assert not inflow.is_quiet()
    assert inflow.next_look(100.0, 1.0) == 101.0


def test_a_stream_with_unread_items_is_not_quiet() -> None:
    reader = Reader(2)
    reader.come(0)
    reader.read()
    reader.come(1)
    assert [reader.step(Ticked(), after=1.0) for _ in range(4)] == [[]] * 4


def test_what_is_read_while_there_is_no_connection_is_granted_when_there_is_one() -> None:
    reader = Reader(4)
    reader.come(0, 1, 2, 3)
    reader.step(Disconnected())
    assert reader.read(2) == []
    assert reader.link() == [Send(credit(2, 5))], "one more: if items were lost, the next one shows it"


def test_a_stream_that_has_not_begun_is_asked_for_again_or_lost_but_granted_nothing() -> None:
    reader = Reader(4)
    reader.step(Disconnected())
    assert reader.link() == []
    reader = Reader(4, Flag.IDEMPOTENT)
    reader.step(Disconnected())
    assert reader.link() == [Send(reader.request)]


def test_the_end_of_a_stream_is_the_end_of_its_timers() -> None:
    reader = Reader(2)
    reader.come(0)
    reader.read()
    reader.hear(Message((), Command.REPLY, ContentType.EMPTY, A, options=Options(sequence=1)))
    assert reader.read() == []
    assert reader.session.wake_at() is None


def test_a_gather_is_bounded_by_its_workers_and_grants_nothing() -> None:
    reader = Reader(2, Flag.GATHER)
    assert reader.request.options == Options(60_000, Flag.PARTIALS | Flag.GATHER)
    reader.come(0, 1, 2, 3)
    assert reader.read(4) == []
    reader.step(Disconnected())
    assert reader.link() == []


# The producer's end.


def test_a_generator_waits_until_its_client_takes_more() -> None:
    producer = Producer(2)
    producer.give(2)
    assert not producer.session.may_send(A, 1)
    assert producer.hear(credit(1, 2)) == [Resume(A, 1)]
    producer.give(1)
    assert producer.hear(credit(0, 2)) == [], "it has been overtaken"
    assert not producer.session.may_send(A, 1)
    assert producer.hear(credit(1, 2)) == [], "it has come twice"


def test_those_who_are_ahead_go_on_one_by_one_in_their_order() -> None:
    producer = Producer(3)
    answers = []
    for _ in range(3):
        producer.session.partial(A, ITEM, producer.now)
        answers.append(producer.session.may_send(A, 2))
    assert answers == [True, False, False]
    assert producer.hear(credit(1, 3)) == [Resume(A, 1)]
    assert producer.hear(credit(3, 3)) == [Resume(A, 1)]


def test_without_flow_control_nobody_waits() -> None:
    for producer in (Producer(0), Producer(1, Flag.ONE_WAY)):
        producer.give(1000)


def test_who_waits_is_told_to_stop_when_nobody_waits_for_it() -> None:
    producer = Producer(1)
    producer.give(1)
    assert not producer.session.may_send(A, 1)
    [abort] = producer.step(Disconnected())
    assert isinstance(abort, Abort)
    assert producer.session.may_send(A, 1), "so that it finds that it is to stop"
    assert producer.hear(credit(1, 1)) == []
    assert producer.session.dropped[Dropped.UNKNOWN_CREDIT] == 1


def test_credit_for_nothing_is_counted() -> None:
    producer = Producer(1)
    assert producer.hear(credit(1, 1).__replace__(request_id=b"?" * 16)) == []
    assert producer.hear(credit(1, 1).__replace__(options=None)) == []
    assert producer.session.dropped[Dropped.UNKNOWN_CREDIT] == 2


# Both together.


@settings(max_examples=60)
@given(window=st.integers(1, 7), ahead=st.integers(1, 3), length=st.integers(0, 25), data=st.data())
def test_a_stream_arrives_whatever_becomes_of_single_grants(
    window: int, ahead: int, length: int, data: st.DataObject
) -> None:
    inflow, outflow = Inflow(window), Outflow(window)
    # As a thread has it: what it may give now, and what it has given.
    ahead = min(ahead, window)
    permits, on_the_way, grants = ahead, 0, 0
    while inflow.taken < length:
        steps = ["read"] * (inflow.taken < inflow.arrived) + ["arrive"] * (on_the_way > 0)
        steps += ["give"] * (permits > 0 and outflow.sent < length) + ["grant"] * (grants > 0)
        if not steps:
            # All is quiet, as the last grants were lost: the session says the last one again.
            assert inflow.taken == inflow.arrived
            permits += outflow.grant(inflow.granted)
            assert permits > 0
            continue
        match data.draw(st.sampled_from(steps)):
            case "give":
                permits -= 1
                on_the_way += 1
                outflow.sent += 1
                permits += outflow.may_send(ahead)
            case "arrive":
                on_the_way -= 1
                inflow.arrived += 1
                assert inflow.arrived <= inflow.granted
                assert inflow.arrived - inflow.taken <= window
            case "read":
                grants += inflow.take()
            case "grant":
                grants -= 1
                if data.draw(st.booleans()):
                    permits += outflow.grant(inflow.granted)
    assert inflow.taken == length
    assert inflow.more <= window


def test_no_more_is_granted_than_can_be_counted() -> None:
    inflow = Inflow(4)
    inflow.arrived, inflow.taken, inflow.granted = U32_MAX, U32_MAX - 3, U32_MAX - 1
    assert inflow.take()
    assert inflow.granted == U32_MAX


# Who reads them.


def test_items_that_came_before_an_error_are_read_before_it() -> None:
    async def read() -> None:
        parts = AsyncParts(reply_of)
        parts.put(item(0))
        parts.set_exception(Overloaded("too much"))
        first = await parts.get()
        assert first is not None
        assert bytes(first.raw) == b"item"
        with pytest.raises(Overloaded):
            await parts.get()

    asyncio.run(read())
    parts = BlockingParts(reply_of)
    parts.put(item(0))
    parts.set_exception(Overloaded("too much"))
    assert parts.get() is not None
    with pytest.raises(Overloaded):
        parts.get()
