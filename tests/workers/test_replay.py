"""What was published before a subscriber came: from a recorder, without a gap or a double at the seam."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import zmq

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.recorder import Recorder
from hootbus.bus.recording import RecordingLimits
from hootbus.frames.address import parse_address
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadBody, UnknownService
from hootbus.frames.event import EventHeader, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.frames.replay import read_replay, write_replays
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import Wire
from hootbus.schemas import standard, write_struct
from hootbus.workers import AsyncClient, Event, Publisher, Reply, Subscriber

PATIENCE_S = 20.0


@pytest.fixture
def recorder(bus: EmbeddedBroker) -> Iterator[Recorder]:
    """One that keeps ten events of each topic."""
    made = Recorder(parse_address(bus.address), limits=RecordingLimits(events_per_topic=10))
    with made.worker.running(timeout=PATIENCE_S):
        yield made


def recorded(bus: EmbeddedBroker, count: int) -> None:
    """Returns once the recorder has so many events: no subscriber from then on will see them live."""
    client = bus.client()
    while client.call("hoot.recorder/status").json()["recorded"] < count:
        pass


def shown(event: Event) -> tuple[object, ...]:
    """All that there is of an event."""
    said = (event.topic, event.sequence, event.time_ns, event.publisher, event.content_type, event.schema_id)
    return (*said, bytes(event.raw))


def test_what_an_attempt_brought_that_ended_early_is_not_given_out_twice() -> None:
    event = (b"a", write_event_header(EventHeader(ContentType.EMPTY, publisher=7)), b"")
    [body] = write_replays([event])
    subscriber = Subscriber(address="ipc:///nowhere/at/all", replay=1)
    for _ in range(2):
        subscriber._question()
        subscriber._take_replayed(Reply(ContentType.RAW_BINARY, body))
    subscriber._join_seam()
    assert [event.topic for event in subscriber._events] == ["a"]
    subscriber.close()


def test_a_replayed_event_is_what_a_live_subscriber_saw(bus: EmbeddedBroker, recorder: Recorder) -> None:
    clip = write_struct(standard.demo.AudioClip, samples=[0.5] * 1000)
    with Subscriber(address=bus.address) as live, Publisher(bus.address) as publisher:
        for number in range(3):
            publisher.publish("jobs.done", {"id": number})
        publisher.publish("clips", clip)
        publisher.publish("nothing")
        seen = [live.receive(PATIENCE_S) for _ in range(5)]
        with Subscriber(address=bus.address, replay=2) as late:
            publisher.publish("jobs.done", "now")
            found = [late.receive(PATIENCE_S) for _ in range(5)]
    assert [shown(event) for event in found[:-1]] == [shown(seen[at]) for at in (3, 1, 2, 4)]
    assert found[0].array("samples").tolist() == [0.5] * 1000
    assert [(event.replayed, event.missed) for event in found] == [(True, 0)] * 4 + [(False, 0)]
    assert (found[-1].json(), found[-1].sequence, late.lost) == ("now", 3, 0)


def test_the_latest_of_each_topic_comes_first(bus: EmbeddedBroker, recorder: Recorder) -> None:
    with Publisher(bus.address) as publisher:
        for number in range(5):
            publisher.publish("state.a", number)
            publisher.publish("state.b", -number)
            publisher.publish("other", number)
        recorded(bus, 15)
        with Subscriber("state.", address=bus.address, latest=True) as subscriber:
            publisher.publish("state.a", 5)
            found = [subscriber.receive(PATIENCE_S) for _ in range(3)]
    assert [(event.topic, event.json(), event.replayed) for event in found] == [
        ("state.a", 4, True),
        ("state.b", -4, True),
        ("state.a", 5, False),
    ]


def test_the_asyncio_face(bus: EmbeddedBroker, recorder: Recorder) -> None:
    async def main() -> list[object]:
        async with Publisher(bus.address) as publisher:
            for number in range(3):
                await publisher.apublish("a", number)
            await asyncio.to_thread(recorded, bus, 3)
            async with Subscriber("a", address=bus.address, replay=2) as subscriber:
                await publisher.apublish("a", 3)
                return [(await subscriber.areceive(PATIENCE_S)).json() for _ in range(3)]

    assert asyncio.run(main()) == [1, 2, 3]


def test_without_a_recorder_it_is_said_what_to_start(bus: EmbeddedBroker) -> None:
    async def main() -> None:
        async with Subscriber(address=bus.address, replay=1):
            pass

    with pytest.raises(UnknownService, match="start one with `hoot recorder`"):
        asyncio.run(main())
    subscriber = Subscriber("a", address=bus.address, latest=True)
    with pytest.raises(UnknownService, match="keeps events to replay"):
        subscriber.ready(PATIENCE_S)
    # Once there is one it may be asked again, and what came in between is there.
    with Publisher(bus.address) as publisher:
        publisher.publish("a", 1)
        with Recorder(parse_address(bus.address), limits=RecordingLimits()).worker.running(timeout=PATIENCE_S):
            subscriber.ready(PATIENCE_S)
            publisher.publish("a", 2)
            # The first one came live while there was nobody to ask, and is not lost for that.
            assert [subscriber.receive(PATIENCE_S).json() for _ in range(2)] == [1, 2]
    subscriber.close()


def test_late_joiners_in_a_flood_have_all_from_where_they_begin(bus: EmbeddedBroker, recorder: Recorder) -> None:
    ended = threading.Event()
    with Publisher(bus.address) as publisher:

        def flood() -> None:
            number = 0
            while not ended.is_set():
                publisher.publish(f"flood.{number % 3}", number.to_bytes(8, "big"))
                number += 1
            for topic in range(3):
                publisher.publish(f"flood.{topic}", {"end": number})

        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            subscribers = []
            for policy in (None, "drop_oldest"):
                subscriber = Subscriber("flood.", address=bus.address, replay=5, policy=policy, buffer=1_000_000)
                subscriber.ready(PATIENCE_S)
                subscribers.append(subscriber)
        finally:
            ended.set()
            flooding.join()
        for subscriber in subscribers:
            balances(subscriber)
            subscriber.close()


def balances(subscriber: Subscriber) -> None:
    """Of each topic what was seen and missed is all between the first that was seen and the last there is."""
    first: dict[str, int] = {}
    accounted: dict[str, int] = {}
    ends: dict[str, int] = {}
    was_live: set[str] = set()
    while len(ends) < 3:
        event = subscriber.receive(PATIENCE_S)
        first.setdefault(event.topic, event.sequence)
        accounted[event.topic] = accounted.get(event.topic, 0) + 1 + event.missed
        assert event.sequence == first[event.topic] + accounted[event.topic] - 1, "in order, and no double"
        assert not (event.replayed and event.topic in was_live)
        if not event.replayed:
            was_live.add(event.topic)
        if event.content_type is ContentType.JSON:
            ends[event.topic] = event.sequence
    assert sum(accounted.values()) == sum(ends[topic] - first[topic] + 1 for topic in ends)


def test_other_clients_ask_in_json_or_capnp(bus: EmbeddedBroker, recorder: Recorder) -> None:
    with Publisher(bus.address) as publisher:
        for number in range(12):
            publisher.publish("a", number)
        publisher.publish("b")
        recorded(bus, 13)
        client = bus.client()
        typed = write_struct(standard.recorder.ReplayRequest, topics=["a"], count=3)
        for question, count in (({"topics": ["a"], "count": 3}, 3), (typed, 3), ({"topics": ["b"]}, 1), (None, 11)):
            parts = client.stream("hoot.recorder/replay", question)
            assert sum(len(read_replay(part.raw)) for part in parts) == count
        for wrong in ({"topics": "a"}, {"count": -1}, {"topics": ["x" * 256]}, b"raw"):
            with pytest.raises(BadBody):
                list(client.stream("hoot.recorder/replay", wrong))
        status = client.call("hoot.recorder/status").json()
        assert {name: status[name] for name in ("topics", "events", "recorded", "lost", "malformed", "replays")} == {
            "topics": 2,
            "events": 11,
            "recorded": 13,
            "lost": 0,
            "malformed": 0,
            "replays": 4,
        }
        assert status["evicted"] == {"topics": 0, "events_per_topic": 2, "bytes": 0}
        told = client.call("hoot.recorder/status", write_struct(standard.broker.EchoRequest)).capnp(
            standard.recorder.RecorderStatus
        )
        assert (told.events, {each.name: each.value for each in told.evicted}) == (11, status["evicted"])


def test_what_is_no_event_and_what_did_not_come_are_counted(bus: EmbeddedBroker, recorder: Recorder) -> None:
    context = aligned_context()
    wire = Wire(event_socket(context, zmq.XPUB))
    wire.socket.connect(parse_address(bus.address).publish)
    assert wire.socket.poll(int(PATIENCE_S * 1000))
    for header in (b"none", *(write_event_header(EventHeader(ContentType.EMPTY, sequence=at)) for at in (0, 4))):
        wire.send([b"x", header, b""])
    recorded(bus, 2)
    status = bus.client().call("hoot.recorder/status").json()
    assert (status["malformed"], status["lost"]) == (1, 3)
    wire.close(0)
    context.term()


async def replay_of(address: str) -> int:
    """How many messages a recorder gives out."""
    async with AsyncClient(address) as client:
        return sum([len(read_replay(part.raw)) async for part in client.stream("hoot.recorder/replay")])


def test_several_replays_at_once_each_have_all(bus: EmbeddedBroker, recorder: Recorder) -> None:
    async def main() -> list[int]:
        async with Publisher(bus.address) as publisher:
            for number in range(10):
                await publisher.apublish("a", number)
        await asyncio.to_thread(recorded, bus, 10)
        return await asyncio.gather(*(replay_of(bus.address) for _ in range(12)))

    assert asyncio.run(main()) == [10] * 12
