"""Connections that no honest peer makes, on each of the broker's three endpoints: it serves all others as ever."""

import contextlib
import random
import select
import socket
import struct
from typing import Final

import pytest
import zmq

from conformance.notation import event_header
from fuzz.messages import IDS, message
from fuzz.served import GREETING, MEBIBYTE, PATIENCE_MS, Served, fence, receive

SILENT: Final = 1_000
ENDPOINTS: Final = ("requests", "subscribe", "publish")
# The shortest handshake that is one. The broker sends no heartbeats (frames.sockets): who is quiet stays, as one may.
SHAKEN: Final = GREETING + b"\x04\x06\x05READY"
# Half a greeting, one without a handshake, and what other protocols begin with.
OPENINGS: Final = [
    GREETING[:1], GREETING[:10], GREETING[:11], GREETING[:63], GREETING, GREETING + b"\x04",
    SHAKEN, GREETING + b"\x06\xff\xff\xff\xff\xff\xff\xff\xff",
    GREETING.replace(b"NULL\0", b"PLAIN"), GREETING.replace(b"\x03", b"\x63"),
    b"\0" * 64, b"\xff" * 200, GREETING + b"\x04\x19\x05READY\x0bSocket-Type\xff\xff\xff\xff",
]  # fmt: skip
# To libzmq a first byte that is not 0xFF is the length of an identity as ZMTP 1.0 sends it, for the rest of which it
# waits without a limit of time; so these last until the other end goes.
ANCIENT: Final = [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n"]


def ended(connections: list[socket.socket]) -> None:
    """Waits until the other end has closed them all."""
    waiting = {connection.fileno(): connection for connection in connections}
    poller = select.poll()
    for number in waiting:
        poller.register(number, select.POLLIN)
    while waiting:
        ready = poller.poll(PATIENCE_MS)
        assert ready, f"{len(waiting)} connections are still open"
        for number, _ in ready:
            with contextlib.suppress(ConnectionError):
                if waiting[number].recv(65536):
                    continue
            poller.unregister(number)
            del waiting[number]


def test_a_thousand_connections_that_say_nothing_and_some_that_begin_to_are_ended(served: Served) -> None:
    lost = served.status()["counters"]["disconnects"]
    with served.grows_at_most(32 * MEBIBYTE):
        connections = [served.raw() for _ in range(SILENT)]
        for name in ENDPOINTS:
            for opening in OPENINGS:
                connection = served.raw(getattr(served.bus, name))
                connection.sendall(opening)
                if opening is not SHAKEN:
                    connections.append(connection)
            for opening in ANCIENT:
                served.raw(getattr(served.bus, name)).sendall(opening)
        served.serves_well()
        ended(connections)
    served.until(lambda status: status["counters"]["disconnects"] >= lost + SILENT, "not each of them is counted")


def test_connections_that_come_and_go_at_once_give_everything_back(served: Served) -> None:
    peers = []
    for number in range(300):
        peer = served.peer()
        peer.send_multipart(message("REQUEST", "RAW", IDS[0], b"nobody", b"x"))
        peers.append(peer)
        if number % 3:
            peers.pop(0).close()
    for peer in peers:
        peer.close()
    raw = [served.raw() for _ in range(100)]
    for connection in raw:
        # Gone with a reset, in the middle of a word.
        connection.sendall(GREETING[:20])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    served.serves_well()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_frame_that_is_announced_over_the_limit_ends_the_connection(served: Served, endpoint: str) -> None:
    kind = {"requests": "DEALER", "subscribe": "SUB", "publish": "PUB"}[endpoint]
    lost = served.status()["counters"]["disconnects"]
    with served.grows_at_most(16 * MEBIBYTE):
        connections = []
        for size in (256 * MEBIBYTE + 1, 1 << 40, (1 << 64) - 1):
            connection = served.raw_peer(kind, getattr(served.bus, endpoint))
            # A long frame, then its size, then the first of its bytes.
            connection.sendall(b"\x02" + struct.pack(">Q", size) + b"x")
            connections.append(connection)
        ended(connections)
        served.serves_well()
    if endpoint == "requests":
        served.until(lambda status: status["counters"]["disconnects"] >= lost + 3, "not counted")


def test_large_frames_that_are_announced_and_never_come_take_no_memory(served: Served) -> None:
    with served.grows_at_most(32 * MEBIBYTE):
        for _ in range(20):
            served.raw_peer("DEALER").sendall(b"\x02" + struct.pack(">Q", 200 * MEBIBYTE) + b"x")
        served.serves_well()


def test_a_body_near_the_limit_of_a_frame_is_no_trouble(served: Served) -> None:
    peer = served.peer()
    for size in (0, 1, 32 * MEBIBYTE):
        peer.send_multipart(message("REQUEST", "RAW", IDS[0], b"nobody", bytes(size)))
        assert b'"unknown_service"' in receive(peer)[6]
    fence(peer)


def zmtp(frames: list[bytes]) -> bytes:
    """A message as it is on a TCP connection; all of its frames are short."""
    last = len(frames) - 1
    return b"".join(bytes([index != last, len(frame)]) + frame for index, frame in enumerate(frames))


def test_a_peer_that_sends_without_ever_reading_loses_its_answers_and_nobody_elses(served: Served) -> None:
    full = served.dropped()["client_full"]
    peer = served.raw_peer("DEALER")
    asked = zmtp(message("REQUEST", "JSON", IDS[0], b"nobody", b"{}")) * 500
    with served.grows_at_most(64 * MEBIBYTE):
        # The system's buffers and the pipe's 10 000 messages fill, then its answers are dropped, and counted.
        while served.dropped()["client_full"] < full + 1_000:
            peer.sendall(asked)
        served.serves_well()
        for _ in range(40):
            peer.sendall(asked)
        served.serves_well()


def test_a_worker_that_never_reads_does_not_hold_up_the_others(served: Served) -> None:
    deaf = served.raw_peer("DEALER")
    for _ in range(3):
        deaf.sendall(zmtp(message("READY", "EMPTY", IDS[0], b"deaf", b"")))
    served.until(lambda status: status["workers"] >= 1, "it is no worker")
    client = served.peer()
    client.send_multipart(message("REQUEST", "RAW", IDS[0], b"deaf", b"x"))
    served.serves_well()
    deaf.close()
    assert b'"worker_lost"' in receive(client)[6]
    fence(client)


def events(served: Served) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """A publisher and a subscriber that hear of each other."""
    publisher = served.peer(zmq.XPUB, served.bus.publish, XPUB_NODROP=1, SNDTIMEO=PATIENCE_MS)
    subscriber = served.peer(zmq.SUB, served.bus.subscribe, SUBSCRIBE=b"heard", RCVHWM=0)
    assert receive(publisher) == [b"\x01"]
    # Its subscription has reached the proxy once something comes through.
    while not subscriber.poll(10):
        publisher.send_multipart([b"heard.first", event_header(), b""])
    return publisher, subscriber


def heard(publisher: "zmq.Socket[bytes]", subscriber: "zmq.Socket[bytes]") -> None:
    """The subscriber hears of it."""
    last = [b"heard.last", event_header(sequence=1), b"last"]
    publisher.send_multipart(last)
    while receive(subscriber) != last:
        pass


def test_a_subscriber_that_never_reads_loses_events_and_nobody_elses(served: Served) -> None:
    publisher, subscriber = events(served)
    deaf = served.raw_peer("SUB", served.bus.subscribe)
    deaf.sendall(b"\0\x01\x01")
    body = bytes(2_000)
    with served.grows_at_most(72 * MEBIBYTE):
        # 120 MB; a pipe holds 10 000 events of them.
        for _ in range(60_000):
            publisher.send_multipart([b"not for the subscriber", event_header(), body])
        heard(publisher, subscriber)
    served.serves_well()


def test_publishers_of_garbage_are_no_trouble_to_others(served: Served) -> None:
    publisher, subscriber = events(served)
    chance = random.Random(3)
    with served.grows_at_most(16 * MEBIBYTE):
        for kind in (zmq.PUB, zmq.XPUB, zmq.XPUB):
            garbage = served.peer(kind, served.bus.publish)
            if kind == zmq.XPUB:
                assert receive(garbage) == [b"\x01"]
            for count in range(201):
                garbage.send_multipart([chance.randbytes(chance.randrange(60)) for _ in range(count)] or [b""])
                garbage.send_multipart(
                    [b"jobs", event_header(type=1, schema=0x8AF79A093100AB5C, flags=1, count=9), b"x"]
                )
                garbage.send_multipart([b"jobs", chance.randbytes(48), chance.randbytes(20)])
        heard(publisher, subscriber)


def test_subscribers_can_unsubscribe_nobody_but_themselves(served: Served) -> None:
    publisher, subscriber = events(served)
    garbage = served.peer(zmq.XSUB, served.bus.subscribe)
    for _ in range(100):
        for topic in (b"", b"heard", b"heard.last", b"\xff" * 200):
            garbage.send(b"\x01" + topic)
            garbage.send(b"\x00" + topic)
            garbage.send(b"\x00" + topic)
    heard(publisher, subscriber)
    garbage.close()
    heard(publisher, subscriber)


def test_what_a_subscriber_sends_reaches_no_publisher(served: Served) -> None:
    publisher, subscriber = events(served)
    garbage = served.peer(zmq.XSUB, served.bus.subscribe)
    garbage.send_multipart([b"garbage", b"for publishers"])
    garbage.send_multipart([b"heard.forged", event_header(), b"forged"])
    # What it publishes comes back only to those whose subscription came behind the garbage on the same way.
    garbage.send(b"\x01")
    while not garbage.poll(10):
        publisher.send_multipart([b"heard", event_header(), b""])
    heard(publisher, subscriber)
    assert not publisher.poll(0)


def test_a_name_of_the_wrong_kind_of_socket_is_refused(served: Served) -> None:
    kinds = {"requests": b"PUB", "subscribe": b"DEALER", "publish": b"ROUTER"}
    connections = []
    for name, kind in kinds.items():
        connection = served.raw(getattr(served.bus, name))
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        connection.sendall(GREETING + b"\x04" + bytes([len(ready)]) + ready)
        connections.append(connection)
    ended(connections)
