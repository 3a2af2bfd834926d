"""Events through the proxy and the bare feed, over real sockets."""

import os
import threading
from collections.abc import Iterator

import pytest
import zmq

from hootbus.bus.guard import CannotServe
from hootbus.bus.hootenanny import BareEventFeed
from hootbus.bus.proxy import PUBLISH_INSIDE, EventProxy
from hootbus.frames.address import BusAddress, parse_address
from hootbus.frames.context import aligned_context
from hootbus.frames.event import JOINED, EventHeader, join, write_event_header
from hootbus.frames.protocol import ContentType
from hootbus.schemas import standard, type_id, write_capnp

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]
BROADCAST = type_id(standard.broadcast.Broadcast)


class Events:
    """A proxy, and peers of it. `feed` serves the bare events where it was asked for."""

    def __init__(self, folder: str, address: BusAddress) -> None:
        self.context = aligned_context()
        self.address = address
        self.feed_at = f"ipc://{os.path.join(folder, 'bare')}"
        self.proxy = EventProxy(self.context)
        self.proxy.bind(address)
        self.proxy.start()
        self.feed: BareEventFeed | None = None
        self.sockets: list[Socket] = []

    def start_feed(self) -> None:
        self.feed = BareEventFeed(self.context, self.feed_at)
        self.feed.start()

    def socket(self, kind: int, endpoint: str) -> Socket:
        made = self.context.socket(kind)
        made.linger = 0
        made.rcvtimeo = 10_000
        self.sockets.append(made)
        made.connect(endpoint)
        return made

    def publisher(self, endpoint: str = "") -> Socket:
        """One that the proxy's subscription has reached."""
        made = self.socket(zmq.XPUB, endpoint or self.address.publish)
        assert made.recv() == b"\x01"
        return made

    def subscriber(self, topic: bytes, through: Socket) -> Socket:
        """One whose subscription holds: what is published under it has come back."""
        made = self.socket(zmq.SUB, self.address.subscribe)
        made.subscribe(topic)
        self._until_heard(made, through, [topic, b"probe", b""])
        return made

    def bare_subscriber(self, through: Socket) -> Socket:
        made = self.socket(zmq.SUB, self.feed_at)
        made.subscribe(b"")
        probe = write_event_header(EventHeader(ContentType.CAPNPROTO, schema_id=BROADCAST))
        self._until_heard(made, through, [b"probe", probe, b"probe"])
        return made

    @staticmethod
    def _until_heard(subscriber: Socket, through: Socket, probe: list[bytes]) -> None:
        for _ in range(1000):
            through.send_multipart(probe)
            if subscriber.poll(10):
                break
        else:
            pytest.fail("the subscription never held")
        # Every probe has left; what comes behind this one is behind them all.
        through.send_multipart([*probe[:2], b"last"])
        while subscriber.recv_multipart()[-1] != b"last":
            pass

    def close(self) -> None:
        for socket in self.sockets:
            socket.close(0)
        self.proxy.close()
        self.context.term()
        self.proxy.join()
        if self.feed is not None:
            self.feed.join()


@pytest.fixture
def events(folder: str) -> Iterator[Events]:
    made = Events(folder, parse_address(f"ipc://{folder}"))
    yield made
    made.close()


def test_an_event_goes_from_any_publisher_to_who_subscribed_to_its_topic(events: Events) -> None:
    one, two = events.publisher(), events.publisher(PUBLISH_INSIDE)
    jobs, everything = events.subscriber(b"jobs.", one), events.subscriber(b"", one)
    one.send_multipart([b"jobs.done", b"header", b"1"])
    one.send_multipart([b"other", b"header", b"2"])
    assert jobs.recv_multipart() == [b"jobs.done", b"header", b"1"]
    assert [everything.recv_multipart()[2] for _ in range(2)] == [b"1", b"2"]
    two.send_multipart([b"jobs.begun", b"header", b"3"])
    assert jobs.recv_multipart() == [b"jobs.begun", b"header", b"3"]


def test_a_publisher_that_comes_before_all_subscribers_is_told_it_may_publish(events: Events) -> None:
    publisher = events.publisher()
    late = events.subscriber(b"", publisher)
    publisher.send_multipart([b"a", b"b", b"c"])
    assert late.recv_multipart() == [b"a", b"b", b"c"]


def test_what_a_subscriber_sends_reaches_no_publisher(events: Events) -> None:
    publisher = events.publisher()
    hostile = events.socket(zmq.XSUB, events.address.subscribe)
    for message in (b"\x01jobs.", b"\x00jobs.", b"any message", b""):
        hostile.send(message)
    # What it subscribed to works, so that all of it has come.
    hostile.send(b"\x01")
    for _ in range(1000):
        publisher.send_multipart([b"jobs.", b"probe", b""])
        if hostile.poll(10):
            break
    assert hostile.recv_multipart() == [b"jobs.", b"probe", b""]
    assert not publisher.poll(0)


def test_the_proxy_and_the_feed_end_with_the_context(events: Events) -> None:
    events.start_feed()
    names = {thread.name for thread in threading.enumerate()}
    assert {"hoot-events", "hoot-bare-events"} <= names
    events.close()
    left = {thread.name for thread in threading.enumerate()}
    assert not {"hoot-events", "hoot-bare-events"} & left


def test_a_proxy_that_never_began_leaves_no_socket(folder: str) -> None:
    context = aligned_context()
    proxy = EventProxy(context)
    proxy.bind(parse_address(f"ipc://{folder}"))
    proxy.close()
    context.term()
    proxy.join()


def test_a_taken_endpoint_leaves_the_other_one_free_to_be_tried_again(folder: str) -> None:
    first = parse_address(f"ipc://{folder}")
    context = aligned_context()
    with context.socket(zmq.PUB) as holder:
        port = holder.bind_to_random_port("tcp://127.0.0.1")
        proxy = EventProxy(context)
        taken = BusAddress("", "", f"tcp://127.0.0.1:{port}", first.publish)
        for _ in range(2):
            with pytest.raises(zmq.ZMQError, match="in use"):
                proxy.bind(taken)
        proxy.bind(first)
        proxy.close()
    context.term()


def broadcast(message: str) -> bytes:
    body = standard.broadcast.Broadcast.new_message()
    body.init("log").message = message
    return write_capnp(body)


def test_the_bare_feed_gives_broadcasts_alone_one_frame_each(events: Events) -> None:
    events.start_feed()
    publisher = events.publisher(PUBLISH_INSIDE)
    bare = events.bare_subscriber(publisher)
    capnp, json = ContentType.CAPNPROTO, ContentType.JSON
    bodies = [broadcast(text) for text in ("one", "two", "three")]

    def publish(header: EventHeader | bytes, body: bytes) -> None:
        raw = header if isinstance(header, bytes) else write_event_header(header)
        publisher.send_multipart([b"log", raw, body])

    publish(EventHeader(json, schema_id=BROADCAST), b"{}")
    publish(EventHeader(capnp, schema_id=BROADCAST + 1), b"another type")
    publish(b"no header", b"x")
    publisher.send_multipart([b"two", b"frames"])
    publish(EventHeader(capnp, JOINED, 2, schema_id=BROADCAST), b"not joined at all")
    publish(EventHeader(capnp, schema_id=BROADCAST), bodies[0])
    publish(EventHeader(capnp, JOINED, 2, schema_id=BROADCAST), join([bodies[1], bodies[2]]))
    assert [bare.recv_multipart() for _ in range(3)] == [[body] for body in bodies]


def test_a_feed_that_cannot_be_bound_says_so_and_leaves_no_socket(folder: str) -> None:
    context = aligned_context()
    for endpoint in ("nowhere", f"ipc://{folder}/missing/x"):
        with pytest.raises(CannotServe, match="cannot serve the Hootenanny events"):
            BareEventFeed(context, endpoint)
    context.term()
