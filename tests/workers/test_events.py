"""Events from end to end: publishers, the broker's proxy and subscribers, over real sockets."""

import asyncio
import logging
import threading
from pathlib import Path

import pytest
import zmq

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import parse_address
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadFrame, DeadlineExceeded
from hootbus.frames.event import JOINED, EventHeader, join, read_event, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import Wire
from hootbus.schemas import standard, type_id, write_struct
from hootbus.workers import Publisher, Subscriber

PATIENCE_S = 10.0


def test_an_event_arrives_with_what_was_said_of_it(bus: EmbeddedBroker) -> None:
    with Subscriber("jobs.", address=bus.address) as subscriber, Publisher(bus.address) as publisher:
        publisher.publish("other", 0)
        publisher.publish("jobs.done", {"id": 1}, schema_id=7)
        publisher.publish("jobs.done", b"raw")
        first, second = subscriber.receive(PATIENCE_S), subscriber.receive(PATIENCE_S)
    assert (first.topic, first.sequence, first.json(), first.schema_id) == ("jobs.done", 0, {"id": 1}, 7)
    assert (second.sequence, bytes(second.raw), second.publisher) == (1, b"raw", first.publisher)
    assert (first.missed, second.missed, subscriber.lost) == (0, 0, 0)
    assert 0 < first.time_ns <= second.time_ns


def test_an_events_capnp_body_is_read_in_place(bus: EmbeddedBroker) -> None:
    progress = standard.broadcast.Progress.new_message()
    progress.percent = 0.5
    with Subscriber(address=bus.address) as subscriber, Publisher(bus.address) as publisher:
        publisher.publish("progress", progress)
        assert subscriber.receive(PATIENCE_S).capnp(standard.broadcast.Progress).percent == 0.5


def test_a_written_message_is_published_with_its_type(bus: EmbeddedBroker) -> None:
    written = write_struct(standard.demo.AudioClip, samples=[0.5])
    with Subscriber(address=bus.address) as subscriber, Publisher(bus.address) as publisher:
        publisher.publish("clips", written)
        event = subscriber.receive(PATIENCE_S)
    assert (event.content_type, event.schema_id) == (ContentType.CAPNPROTO, type_id(standard.demo.AudioClip))
    assert event.array("samples").tolist() == [0.5]


def test_a_one_shot_publisher_loses_nothing(bus: EmbeddedBroker) -> None:
    with Subscriber(address=bus.address) as subscriber:
        for number in range(30):
            with Publisher(bus.address) as publisher:
                publisher.publish("once", number)
        assert [subscriber.receive(PATIENCE_S).json() for _ in range(30)] == list(range(30))


def test_a_subscriber_that_is_ready_misses_nothing(bus: EmbeddedBroker) -> None:
    with Publisher(bus.address) as publisher:
        for number in range(30):
            with Subscriber("now", address=bus.address) as subscriber:
                publisher.publish("now", number)
                assert subscriber.receive(PATIENCE_S).json() == number


def test_a_burst_arrives_whole_and_in_order(bus: EmbeddedBroker) -> None:
    count = 20_000
    with Subscriber("burst", address=bus.address) as subscriber, Publisher(bus.address) as publisher:

        def publish() -> None:
            for number in range(count):
                publisher.publish("burst", number.to_bytes(4, "big"))

        thread = threading.Thread(target=publish)
        thread.start()
        sequences = [subscriber.receive(PATIENCE_S).sequence for _ in range(count)]
        thread.join()
        assert sequences == list(range(count))
        assert subscriber.lost == 0


def test_several_threads_share_a_publisher(bus: EmbeddedBroker) -> None:
    with Subscriber("many", address=bus.address) as subscriber, Publisher(bus.address) as publisher:

        def publish() -> None:
            for _ in range(500):
                publisher.publish("many")

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for thread in threads:
            thread.start()
        sequences = [subscriber.receive(PATIENCE_S).sequence for _ in range(2000)]
        for thread in threads:
            thread.join()
        assert sequences == list(range(2000))


def test_the_asyncio_faces(bus: EmbeddedBroker) -> None:
    async def main() -> list[object]:
        async with Subscriber("async", address=bus.address) as subscriber, Publisher(bus.address) as publisher:
            for number in range(3):
                await publisher.apublish("async", number)
            seen = []
            async for event in subscriber:
                seen.append(event.json())
                if len(seen) == 3:
                    break
            with pytest.raises(TimeoutError):
                await subscriber.areceive(0.01)
            return seen

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_loop_over_a_subscriber_gives_its_events(bus: EmbeddedBroker) -> None:
    with Publisher(bus.address) as publisher, Subscriber("loop", address=bus.address) as subscriber:
        publisher.publish("loop", 1)
        publisher.publish("loop", 2)
        for event in subscriber:
            if event.json() == 2:
                break
        with pytest.raises(TimeoutError, match="no event within"):
            subscriber.receive(0.01)
    assert list(subscriber) == [], "it is closed"


def test_without_a_broker_they_wait_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = f"ipc://{tmp_path}"
    with Publisher(address) as publisher:
        with pytest.raises(DeadlineExceeded, match="no broker at"):
            publisher.publish("a", timeout=0.05)
        with pytest.raises(DeadlineExceeded, match="no broker at"):
            asyncio.run(publisher.apublish("a", timeout=0.05))
    subscriber = Subscriber(address=address)
    with pytest.raises(TimeoutError), caplog.at_level(logging.WARNING, "hootbus"):
        subscriber.ready(1.2)
    subscriber.close()
    assert [record.getMessage() for record in caplog.records] == [f"waiting for a broker at {address}"]


def test_they_go_on_with_the_next_broker(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}"
    subscriber = Subscriber("a", address=address)
    with Publisher(address) as publisher:
        for number in range(2):
            with EmbeddedBroker(address):
                subscriber.ready(PATIENCE_S)
                publisher.ready(PATIENCE_S)
                publisher.publish("a", number)
                assert subscriber.receive(PATIENCE_S).json() == number
    subscriber.close()


def test_what_cannot_be_published_is_refused(bus: EmbeddedBroker) -> None:
    with Publisher(bus.address) as publisher:
        for topic in ("", "x" * 256, "hoot.echo.mine"):
            with pytest.raises(BadFrame):
                publisher.publish(topic)
        with pytest.raises(TypeError):
            publisher.publish("a", object())
    with pytest.raises(RuntimeError, match="closed"):
        publisher.publish("a")


def test_gaps_joined_events_and_malformed_ones_are_told_apart(bus: EmbeddedBroker) -> None:
    context = aligned_context()
    wire = Wire(event_socket(context, zmq.XPUB))
    wire.socket.connect(parse_address(bus.address).publish)
    assert wire.socket.poll(int(PATIENCE_S * 1000))
    raw = ContentType.RAW_BINARY
    with Subscriber("x", address=bus.address) as subscriber:
        wire.send([b"x", write_event_header(EventHeader(raw, sequence=5)), b"five"])
        joined = EventHeader(raw, flags=JOINED, count=2, sequence=8)
        wire.send([b"x", write_event_header(joined), join([b"eight", b"nine"])])
        wire.send([b"x", b"no header", b""])
        wire.send([b"x", write_event_header(EventHeader(raw, flags=JOINED, count=2, sequence=10)), b"not joined"])
        wire.send([b"x", write_event_header(EventHeader(raw, sequence=12)), b"twelve"])
        events = [subscriber.receive(PATIENCE_S) for _ in range(4)]
        assert [(event.sequence, bytes(event.raw), event.missed) for event in events] == [
            (5, b"five", 0),
            (8, b"eight", 2),
            (9, b"nine", 0),
            (12, b"twelve", 0),
        ]
        assert (subscriber.lost, subscriber.malformed) == (2, 2)
    wire.close(0)
    context.term()


def test_what_meets_a_full_socket_waits_its_turn_and_is_joined(tmp_path: Path) -> None:
    """A broker that reads nothing for a while, played by an XSUB of two messages' room."""
    address = parse_address(f"ipc://{tmp_path}")
    context = aligned_context()
    socket = event_socket(context, zmq.XSUB)
    socket.setsockopt(zmq.RCVHWM, 2)
    socket.bind(address.publish)
    socket.send(b"\x01")
    wire = Wire(socket)
    count = 3000
    with Publisher(address.text) as publisher:
        ready = threading.Thread(target=publisher.ready)
        ready.start()
        while ready.is_alive():
            # A socket takes in what its peers do only when it is asked for something.
            socket.poll(10)
        for number in range(count):
            publisher.publish("full", number.to_bytes(200, "big"))
        sequences: list[int] = []
        joined = 0
        while len(sequences) < count:
            assert socket.poll(int(PATIENCE_S * 1000))
            while (frames := wire.receive()) is not None:
                _, header, _ = read_event(frames)
                sequences += range(header.sequence, header.sequence + header.count)
                joined += header.count > 1
        assert sequences == list(range(count))
        assert joined > 0
    wire.close(0)
    context.term()


def test_what_comes_too_early_and_too_much_is_lost_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hootbus.workers.subscriber._EARLY_MAX", 2)
    subscriber = Subscriber("x", address=f"ipc://{tmp_path}")
    raw = ContentType.RAW_BINARY
    joined = EventHeader(raw, flags=JOINED, count=3, sequence=3)
    early = [
        *[[b"x", write_event_header(EventHeader(raw, sequence=number)), b""] for number in range(3)],
        [b"x", write_event_header(joined), join([b""] * 3)],
        [b"x", b"no header", b""],
    ]
    for frames in early:
        subscriber._early(frames)
    assert (subscriber.lost, subscriber.malformed) == (4, 1)
    (last,) = subscriber._events_of([b"x", write_event_header(EventHeader(raw, sequence=7)), b""])
    assert (last.missed, subscriber.lost, subscriber.malformed) == (1, 5, 1), "the sixth was lost behind them"
    subscriber.close()
