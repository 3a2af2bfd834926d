"""Busy subscribers and full publishers: who lets go of what, and that all of it is accounted for."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Hashable
from pathlib import Path

import pytest
import zmq

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import parse_address
from hootbus.frames.context import aligned_context
from hootbus.frames.event import RESTARTED, read_event
from hootbus.frames.protocol import ContentType
from hootbus.frames.sockets import event_socket
from hootbus.frames.wire import Wire
from hootbus.workers import Event, Publisher, Subscriber
from hootbus.workers.backlog import POLICIES, Policy

PATIENCE_S = 10.0
COUNT = 5000


def let_in(subscriber: Subscriber, count: int) -> None:
    """Waits until the subscriber's thread has read so many events."""
    backlog = subscriber._backlog
    assert backlog is not None
    with Waiting() as waiting:
        while len(backlog) + sum(backlog.dropped.values()) < count:
            waiting.step()


class Waiting:
    """Waits without an end of its own: the test's limit is one."""

    def __enter__(self) -> "Waiting":
        self._event = threading.Event()
        return self

    def __exit__(self, *_: object) -> None: ...

    def step(self) -> None:
        self._event.wait(0.005)


@pytest.mark.parametrize(
    ("policy", "seen", "missed"),
    [
        ("drop_newest", [*range(10), COUNT], [*[0] * 10, COUNT - 10]),
        ("drop_oldest", range(COUNT - 9, COUNT + 1), [COUNT - 9, *[0] * 9]),
        ("latest", [COUNT], [COUNT]),
    ],
)
def test_a_busy_subscriber_keeps_what_it_wants(
    bus: EmbeddedBroker, policy: Policy, seen: range | list[int], missed: list[int]
) -> None:
    with (
        Subscriber("busy", address=bus.address, policy=policy, buffer=10) as subscriber,
        Publisher(bus.address) as publisher,
    ):
        for number in range(COUNT):
            publisher.publish("busy", number)
        let_in(subscriber, COUNT)
        events = [subscriber.receive(PATIENCE_S) for _ in range(10)] if policy == "drop_newest" else []
        publisher.publish("busy", COUNT)
        let_in(subscriber, COUNT + 1 - len(events))
        events += [subscriber.receive(PATIENCE_S) for _ in range(len(seen) - len(events))]
        assert [event.json() for event in events] == list(seen)
        assert [event.missed for event in events] == missed
        assert sum(subscriber.dropped.values()) + len(events) == COUNT + 1
        assert subscriber.lost == 0
        with pytest.raises(TimeoutError):
            subscriber.receive(0.01)


def test_the_asyncio_face_of_a_policy(bus: EmbeddedBroker) -> None:
    async def main() -> list[tuple[str, int]]:
        async with (
            Subscriber(address=bus.address, policy="latest") as subscriber,
            Publisher(bus.address) as publisher,
        ):
            for number in range(100):
                await publisher.apublish(f"t.{number % 2}", number)
            found: dict[str, int] = {}
            async for event in subscriber:
                found[event.topic] = event.json()
                if sorted(found.values()) == [98, 99]:
                    break
            with pytest.raises(TimeoutError):
                await subscriber.areceive(0.01)
            return sorted(found.items())

    assert asyncio.run(main()) == [("t.0", 98), ("t.1", 99)]


def test_a_policy_goes_on_with_the_next_broker(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}"
    subscriber = Subscriber("a", address=address, policy="drop_oldest")
    with Publisher(address) as publisher:
        for number in range(2):
            with EmbeddedBroker(address):
                subscriber.ready(PATIENCE_S)
                publisher.ready(PATIENCE_S)
                publisher.publish("a", number)
                assert subscriber.receive(PATIENCE_S).json() == number
    subscriber.close()
    assert list(subscriber) == []


def test_a_key_that_fails_is_raised_where_events_are_read(bus: EmbeddedBroker) -> None:
    def key(event: Event) -> Hashable:
        return str(event.json()["key"])

    with (
        Subscriber("a", address=bus.address, policy="latest", key=key) as subscriber,
        Publisher(bus.address) as publisher,
    ):
        publisher.publish("a", {"key": 1})
        publisher.publish("a", {})
        assert subscriber.receive(PATIENCE_S).json() == {"key": 1}
        for _ in range(2):
            with pytest.raises(KeyError):
                subscriber.receive(PATIENCE_S)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Subscriber(replay=-1), "from 0 to"),
        (lambda: Subscriber(policy="newest"), "'drop_newest', 'drop_oldest', 'latest'"),  # type: ignore[arg-type]  # so
        (lambda: Subscriber(policy="drop_oldest", key=repr), "goes with the policy 'latest'"),
        (lambda: Subscriber(policy="latest", buffer=0), "at least one event"),
        (lambda: Publisher(full="wait"), "can 'block' or 'drop'"),  # type: ignore[arg-type]  # so
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_program_that_keeps_pace_is_woken_as_often_as_it_takes(bus: EmbeddedBroker) -> None:
    """A pipe has room for 65 536 bytes, and a backlog may be emptied far more often without ever being found empty."""
    with Subscriber("a", address=bus.address, policy="drop_oldest") as subscriber:
        reader = subscriber._reader
        assert reader is not None
        for number in range(70_000):
            reader.put([Event("a", ContentType.EMPTY, b"", 0, number, 0, 7)])
            assert subscriber.receive(PATIENCE_S).sequence == number
        with pytest.raises(TimeoutError):
            subscriber.receive(0.01)


def test_without_a_policy_nothing_is_dropped_here(bus: EmbeddedBroker) -> None:
    with Subscriber(address=bus.address) as subscriber:
        assert subscriber.dropped == {}
    for policy in POLICIES:
        with Subscriber(address=bus.address, policy=policy) as subscriber:
            assert subscriber.dropped == {"newest": 0, "oldest": 0, "replaced": 0}


class SlowBroker:
    """An XSUB with room for two messages, which reads only when it is told to."""

    def __init__(self, address: str) -> None:
        self._context = aligned_context()
        self.socket = event_socket(self._context, zmq.XSUB)
        self.socket.setsockopt(zmq.RCVHWM, 2)
        self.socket.bind(parse_address(address).publish)
        self.socket.send(b"\x01")
        self._wire = Wire(self.socket)

    def __enter__(self) -> "SlowBroker":
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close(0)
        self._context.term()

    def read(self) -> list[int]:
        """The sequences of what has come."""
        found: list[int] = []
        while (frames := self._wire.receive()) is not None:
            _, header, _ = read_event(frames)
            assert not header.flags & RESTARTED
            found += range(header.sequence, header.sequence + header.count)
        return found

    def take_in(self, publisher: Publisher) -> None:
        """Until the publisher is ready: a socket takes in what its peers do only when it is asked for something."""
        ready = threading.Thread(target=publisher.ready)
        ready.start()
        while ready.is_alive():
            self.socket.poll(10)


def test_a_publisher_that_may_drop_never_waits_and_what_it_drops_is_a_gap(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}"
    with Publisher(address, full="drop") as publisher:
        publisher.publish("a", 0)
        asyncio.run(publisher.apublish("a", 0))
        assert publisher.dropped == 2, "there is no broker"
        with SlowBroker(address) as broker:
            broker.take_in(publisher)
            asked = 0
            before = publisher.dropped
            while publisher.dropped == before or asked % 1000:
                publisher.publish("a", bytes(2000))
                asked += 1
            seen: list[int] = []
            # Once there is room again, what comes shows what was dropped in front of it.
            while len(seen) + publisher.dropped - before < asked or seen[-1] + 1 < asked:
                broker.socket.poll(10)
                seen += broker.read()
                if len(seen) + publisher.dropped - before >= asked and seen[-1] + 1 < asked:
                    publisher.publish("a", bytes(2000))
                    asked += 1
            assert seen == sorted(set(seen))
            gaps = [(one, other) for one, other in itertools.pairwise(seen) if other != one + 1]
            assert gaps, "what was dropped is missing"
            assert sum(other - one - 1 for one, other in gaps) == publisher.dropped - before
            assert seen[0] == 0, "in front of the first event nothing is missing for anybody"
