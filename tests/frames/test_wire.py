"""The door to libzmq, native and fallback, held to the same tests."""

import collections
import gc
import importlib.util
import itertools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISSOCK
from types import ModuleType
from typing import Any, Protocol, Self, cast

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.frames import fallback, wire
from hootbus.frames.buffer import Buffer, Frames
from hootbus.frames.context import address_of, aligned_context
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import parse
from hootbus.frames.protocol import FRAMES_MAX, SIGNATURE

native: ModuleType | None = None
if importlib.util.find_spec("hootbus.frames._native") is not None:
    from hootbus.frames import _native as native

needs_native = pytest.mark.skipif(native is None, reason="the native module is not compiled (no C compiler?)")
DOORS = [pytest.param("native", marks=needs_native), "fallback"]

# Frames of a message that a Wire keeps, and bytes up to which it gives a header as bytes (_native.pyx, fallback.py).
STORED_MAX = 96
HEADER_BYTES = 1024
# Bytes from which the native door sends a frame where it lies, if it cannot change.
LENT = fallback.LENT_BYTES_MIN
ID = bytes(range(16))
PLAIN: Frames = [SIGNATURE, b"\0\x02", b"\0\x02", ID, b"text/upper", b""]
SENT, FULL, UNREACHABLE = wire.SENT, wire.FULL, wire.UNREACHABLE


class Wire(Protocol):
    socket: zmq.Socket[bytes]
    lent: int
    copied: int

    def receive(self) -> Frames | None: ...
    def send(self, frames: Frames) -> int: ...
    def close(self, linger: int | None = None) -> None: ...


class Plant:
    """Sockets of one test, all closed at its end."""

    def __init__(self, door: str, transport: str, folder: str) -> None:
        self.context = aligned_context()
        self._module = native if door == "native" else fallback
        self.door = cast("Callable[[zmq.Socket[bytes]], Wire]", self._module.Wire)  # type: ignore[union-attr]  # skipped where there is none
        self.descriptor_of = cast("Callable[[object], int]", self._module.descriptor_of)  # type: ignore[union-attr]
        self._folder = folder
        self.transport = transport
        self._names = itertools.count()
        self._sockets: list[zmq.Socket[bytes]] = []

    def socket(self, kind: int, **options: int | bytes) -> zmq.Socket[bytes]:
        socket = self.context.socket(kind)
        self._sockets.append(socket)
        socket.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            socket.setsockopt(getattr(zmq, name), value)
        return socket

    def wire(self, kind: int, **options: int | bytes) -> Wire:
        return self.door(self.socket(kind, **options))

    def join(self, bound: Wire, *others: Wire) -> None:
        """Binds the one and connects the others to it, and waits until a message could go each way."""
        bind(bound.socket, self.transport, f"{self._folder}/{next(self._names)}")
        endpoint = bound.socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        for other in others:
            other.socket.connect(endpoint.rstrip(b"\0").decode())

    def pair(self, **options: int | bytes) -> tuple[Wire, Wire]:
        """Two DEALERs joined."""
        near, far = self.wire(zmq.DEALER, **options), self.wire(zmq.DEALER, **options)
        self.join(near, far)
        return near, far

    def star(self, *identities: bytes, **options: int | bytes) -> tuple[Wire, list[Wire]]:
        """A ROUTER that knows a DEALER of each identity."""
        router = self.wire(zmq.ROUTER, ROUTER_MANDATORY=1, **options)
        dealers = [self.wire(zmq.DEALER, ROUTING_ID=identity, **options) for identity in identities]
        self.join(router, *dealers)
        for identity, dealer in zip(identities, dealers, strict=True):
            assert dealer.send([b"hello"]) == SENT
            assert read(router) == [identity, b"hello"]
        return router, dealers

    def on_loan(self) -> int:
        return int(self._module.on_loan())  # type: ignore[union-attr]  # as above

    def until_let_go(self, *held: weakref.ref[object]) -> None:
        """Waits until libzmq has given back all that it had, and these are gone."""
        give_up_at = time.monotonic() + 10
        while self.on_loan() or any(what() is not None for what in held):
            assert time.monotonic() < give_up_at, "something is still held"
            time.sleep(0.001)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for socket in self._sockets:
            socket.close(0)
        self.context.term()


def bind(socket: zmq.Socket[bytes], transport: str, name: str) -> None:
    endpoint = {"tcp": "tcp://127.0.0.1:*", "ipc": f"ipc://{name}", "inproc": f"inproc://{name}"}[transport]
    socket.bind(endpoint)


def next_of(wire: Wire) -> Frames:
    """The next message; waits for it."""
    assert wire.socket.poll(10_000), "no message came"
    frames = wire.receive()
    assert frames is not None
    return frames


def read(wire: Wire) -> list[bytes]:
    return contents(next_of(wire))


def contents(frames: Frames) -> list[bytes]:
    return [bytes(frame) for frame in frames]


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    # pytest's own folders make socket paths that are too long.
    with tempfile.TemporaryDirectory(prefix="hoot", dir="/tmp") as path:
        yield path


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["inproc", "ipc", "tcp"])
def plant(request: pytest.FixtureRequest, door: str, folder: str) -> Iterator[Plant]:
    with Plant(door, request.param, tempfile.mkdtemp(dir=folder)) as plant:
        yield plant


@pytest.fixture
def inproc(door: str, folder: str) -> Iterator[Plant]:
    """For what has nothing to do with the transport, or needs libzmq's pipes to be the only queue."""
    with Plant(door, "inproc", tempfile.mkdtemp(dir=folder)) as plant:
        yield plant


# Whole messages


@pytest.mark.parametrize("count", [1, 2, 7, 8, FRAMES_MAX, STORED_MAX])
def test_a_message_arrives_whole_in_both_directions(plant: Plant, count: int) -> None:
    near, far = plant.pair()
    frames: Frames = [b"frame %d " % number * number for number in range(count)]
    for sender, receiver in ((near, far), (far, near)):
        # Both ends must be up before EAGAIN would mean anything.
        sender.socket.poll(10_000, zmq.POLLOUT)
        assert sender.send(frames) == SENT
        assert read(receiver) == frames
        assert receiver.receive() is None


def test_a_router_sees_its_peers_identities_and_answers_each(plant: Plant) -> None:
    router, dealers = plant.star(b"\x01one", b"\x01two")
    for identity, dealer in zip((b"\x01one", b"\x01two"), dealers, strict=True):
        assert dealer.send([*PLAIN, b"to upper"]) == SENT
        frames = next_of(router)
        assert contents(frames) == [identity, *PLAIN, b"to upper"]
        assert parse(frames, start=1).route == (identity,)
        assert router.send(frames) == SENT
        assert read(dealer) == [*PLAIN, b"to upper"]


def test_messages_keep_their_order_and_their_borders(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    sent = [[b"%d" % number] * (1 + number % 9) for number in range(300)]
    for frames in sent:
        assert far.send([*frames]) == SENT
    assert [read(near) for _ in sent] == sent


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("size", [0, 1, 33, 34, 8191, 8192, 8193, LENT - 1, LENT, LENT + 1, 16 * 1024 * 1024])
def test_a_body_of_any_size_arrives(plant: Plant, size: int, kind: Callable[[bytes], Buffer]) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert far.send([*PLAIN, kind(body)]) == SENT
    received = next_of(near)[6]
    assert len(received) == size
    assert bytes(received) == body


@pytest.mark.parametrize(
    "kind", [bytearray, memoryview, lambda body: array("B", body), lambda body: np.frombuffer(body)]
)
def test_any_contiguous_buffer_can_be_sent(inproc: Plant, kind: Callable[[bytes], Any]) -> None:
    near, far = inproc.pair()
    assert far.send([b"", kind(b"12345678" * 3)]) == SENT
    assert read(near) == [b"", b"12345678" * 3]


@pytest.mark.parametrize("kind", [bytearray, lambda body: np.frombuffer(body, np.uint8).copy()])
def test_a_buffer_may_be_changed_once_it_was_sent(plant: Plant, kind: Callable[[bytes], Any]) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    body = memoryview(kind(b"before" * 50_000))
    for view in (body.obj, body):
        body[:] = b"before" * 50_000
        assert far.send([*PLAIN, view]) == SENT
        body[:] = b"after " * 50_000
        assert read(near)[6] == b"before" * 50_000
    assert (far.lent, far.copied) == (0, 2)


# What is lent


@pytest.fixture
def lending(folder: str) -> Iterator[Plant]:
    """The door that lends, over inproc, where libzmq hands the message itself over: it can be seen where it lies."""
    if native is None:
        pytest.skip("the native module is not compiled (no C compiler?)")
    with Plant("native", "inproc", tempfile.mkdtemp(dir=folder)) as plant:
        yield plant


@pytest.mark.parametrize(
    ("what", "frame", "counted"),
    [
        ("bytes", bytes(LENT), (1, 0)),
        ("too few", bytes(LENT - 1), (0, 0)),
        ("a view of bytes", memoryview(bytes(LENT)), (1, 0)),
        ("words of it", memoryview(bytes(LENT + 100))[16:], (1, 0)),
        ("from within a word", memoryview(bytes(LENT + 100))[17:], (0, 1)),
        ("too few of it", memoryview(bytes(LENT))[8:], (0, 0)),
        ("wide items", memoryview(bytes(LENT)).cast("d", (LENT // 64, 8)), (1, 0)),
        ("what only this view may not write", memoryview(bytearray(LENT)).toreadonly(), (1, 0)),
        ("an array that may not be written", np.broadcast_to(np.zeros(LENT // 8), (1, LENT // 8)), (1, 0)),
        ("what may be written", memoryview(bytearray(LENT)), (0, 1)),
        ("an array", np.zeros(LENT // 8), (0, 1)),
    ],
)
def test_what_is_large_and_read_only_is_lent_and_what_else_is_large_is_copied(
    lending: Plant, what: str, frame: Buffer, counted: tuple[int, int]
) -> None:
    near, far = lending.pair()
    assert far.send([*PLAIN, frame]) == SENT
    assert (far.lent, far.copied) == counted
    assert read(near)[6] == memoryview(frame).tobytes()


def test_what_was_lent_is_received_where_it_lies_and_read_only(lending: Plant) -> None:
    near, far = lending.pair()
    whole = bytes(2 * LENT)
    for sent in (whole, memoryview(whole), memoryview(whole)[LENT:]):
        assert far.send([*PLAIN, sent]) == SENT
        received = next_of(near)[6]
        assert address_of(received) == address_of(sent)
        assert memoryview(received).readonly


def test_what_lies_within_a_word_is_received_at_one(lending: Plant) -> None:
    near, far = lending.pair()
    for begins in range(1, 8):
        assert far.send([*PLAIN, memoryview(bytes(2 * LENT))[begins:]]) == SENT
        assert address_of(next_of(near)[6]) % 8 == 0


def test_a_view_may_be_released_and_its_memory_dropped_once_it_was_sent(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    for number in range(20):
        with memoryview(b"%03d" % number * LENT) as view:
            assert far.send([*PLAIN, view]) == SENT
    assert [read(near)[6] for _ in range(20)] == [b"%03d" % number * LENT for number in range(20)]


def lent_array() -> tuple[memoryview, weakref.ref[object]]:
    """What can be lent, and whether it is still held."""
    array = np.arange(LENT, dtype=np.uint16)
    return array.data.cast("B").toreadonly(), weakref.ref(array)


def test_what_was_lent_is_let_go_when_it_was_delivered(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    view, held = lent_array()
    expected = bytes(view)
    assert far.send([*PLAIN, view, b"", view]) == SENT
    del view
    frames = next_of(near)
    assert (bytes(frames[6]), bytes(frames[8])) == (expected, expected)
    # Over inproc the receiver has the memory itself.
    del frames
    plant.until_let_go(held)


def test_what_was_lent_to_several_is_let_go_with_the_last(lending: Plant) -> None:
    publisher = lending.wire(zmq.XPUB)
    subscribers = [lending.wire(zmq.SUB, SUBSCRIBE=b"") for _ in range(3)]
    lending.join(publisher, *subscribers)
    for _ in subscribers:
        publisher.socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        assert read(publisher) == [b"\x01"]
    view, held = lent_array()
    assert publisher.send([b"topic", bytes(48), view]) == SENT
    del view
    frames = [next_of(subscriber)[2] for subscriber in subscribers]
    assert len({address_of(frame) for frame in frames}) == 1
    while frames:
        assert (lending.on_loan(), held() is None) == (1, False)
        frames.pop()
    lending.until_let_go(held)


def test_what_was_refused_is_let_go_at_once(inproc: Plant) -> None:
    router, _ = inproc.star(b"full", SNDHWM=1, RCVHWM=1)
    while router.send([b"full", b"x"]) == SENT:
        pass
    alone = inproc.wire(zmq.DEALER, IMMEDIATE=1)
    for sender, peer, outcome in ((router, b"full", FULL), (router, b"nobody", UNREACHABLE), (alone, b"", FULL)):
        view, held = lent_array()
        assert sender.send([peer, view, view]) == outcome
        del view
        assert held() is None


def test_what_was_lent_for_a_message_that_could_not_be_made_is_let_go_at_once(inproc: Plant) -> None:
    _, far = inproc.pair()
    view, held = lent_array()
    with pytest.raises(TypeError):
        far.send([*PLAIN, view, b"", 42])
    del view
    assert held() is None


@pytest.mark.parametrize("end", ["its socket", "its context"])
@pytest.mark.parametrize("peer", ["never there", "not reading"])
def test_what_was_queued_is_let_go_with(plant: Plant, end: str, peer: str) -> None:
    near, far = plant.pair()
    if peer == "never there":
        far = plant.wire(zmq.DEALER)
        far.socket.connect("ipc:///nonexistent/peer")
    view, held = lent_array()
    # One frame each: libzmq aborts when a connection ends in the middle of a longer message (its issue 3442).
    for _ in range(20):
        assert far.send([view]) == SENT
    del view
    if peer == "never there":
        assert plant.on_loan() == far.lent
    if end == "its socket":
        far.close(0)
        near.close(0)
    else:
        plant.close()
    plant.until_let_go(held)


@pytest.mark.parametrize("use", ["send", "receive", "close", "drop"])
def test_what_was_given_back_is_let_go_with_the_next_use_of_any_wire(lending: Plant, use: str) -> None:
    near, far = lending.pair()
    others = [lending.wire(zmq.DEALER)]
    uses: dict[str, Callable[[], object]] = {
        "send": lambda: others[0].send([b"x"]),
        "receive": lambda: others[0].receive(),
        "close": lambda: others[0].close(),
        "drop": others.clear,
    }
    view, held = lent_array()
    assert far.send([view]) == SENT
    del view
    # The receiver drops it at once, and libzmq gives it back.
    next_of(near)
    assert held() is not None
    uses[use]()
    assert held() is None


def test_whoever_is_told_that_something_was_let_go_may_send_and_receive(lending: Plant) -> None:
    near, far = lending.pair()
    told: list[Any] = []
    array = np.zeros(LENT)
    weakref.finalize(array, lambda: told.extend([far.send([b"gone", bytes(LENT)]), near.receive()]))
    assert far.send([*PLAIN, array.data.toreadonly()]) == SENT
    del array
    frames: Frames | None = next_of(near)
    del frames
    assert near.receive() is None
    assert told[0] == SENT
    assert contents(told[1]) == [b"gone", bytes(LENT)]


def test_a_message_that_is_changed_by_whoever_is_told_is_sent_as_it_is_then(lending: Plant) -> None:
    near, far = lending.pair()
    message: Frames = [b"one", b"two", b"three"]
    array = np.zeros(LENT)
    weakref.finalize(array, lambda: message.pop())
    assert far.send([array.data.toreadonly()]) == SENT
    del array
    next_of(near)
    assert far.send(message) == SENT
    assert read(near) == [b"one", b"two"]


def test_many_threads_lend_at_once(folder: str, door: str) -> None:
    with Plant(door, "ipc", tempfile.mkdtemp(dir=folder)) as plant:
        pairs = [plant.pair() for _ in range(6)]
        arrived: list[bool] = []

        def exchange(near: Wire, far: Wire, number: int) -> None:
            far.socket.poll(10_000, zmq.POLLOUT)
            for turn in range(60):
                body = (b"%d of %d;" % (turn, number)) * (LENT // 4)
                assert far.send([*PLAIN, body]) == SENT
                arrived.append(bytes(next_of(near)[6]) == body)

        threads = [threading.Thread(target=exchange, args=(*pair, number)) for number, pair in enumerate(pairs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert arrived == [True] * 360
        plant.until_let_go()


ENDS_WITH_FRAMES_ON_THEIR_WAY = """
import sys, zmq
from hootbus.frames.context import aligned_context
from hootbus.frames.wire import Wire

contexts = [aligned_context() for _ in range(3)]
senders, receivers = ([Wire(context.socket(zmq.DEALER)) for context in contexts] for _ in range(2))
for number, (sender, receiver) in enumerate(zip(senders, receivers)):
    sender.socket.linger = receiver.socket.linger = 0
    receiver.socket.bind(f"ipc://{sys.argv[2]}/{number}")
    sender.socket.connect(f"ipc://{sys.argv[2]}/{number}")
    sender.socket.poll(10_000, zmq.POLLOUT)
for sender in senders:
    for _ in range(200):
        sender.send([bytes(200_000)])
if sys.argv[1] == "closed":
    for sender in senders:
        sender.close(0)
"""


@pytest.mark.parametrize("sockets", ["open", "closed"])
def test_a_process_may_end_with_frames_on_their_way(door: str, folder: str, sockets: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_WITH_FRAMES_ON_THEIR_WAY, sockets, tempfile.mkdtemp(dir=folder)],
        env=os.environ | {"HOOT_NATIVE": "1" if door == "native" else "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


# What a frame is given as


def held(frame: Buffer) -> bool:
    """Whether this is a view of the received frame itself."""
    return not isinstance(frame, bytes)


def test_headers_are_bytes_and_what_is_large_is_held(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    assert far.send([b"\x01hop", b"", *PLAIN, b"body", b"options", b"attachment", b""]) == SENT
    assert [held(frame) for frame in next_of(near)] == [*[False] * 8, True, False, True, True]


def test_an_identity_equal_to_the_signature_does_not_shift_the_body(plant: Plant) -> None:
    router, (dealer,) = plant.star(SIGNATURE)
    assert dealer.send([*PLAIN, b"body", b""]) == SENT
    frames = next_of(router)
    assert [held(frame) for frame in frames] == [*[False] * 7, True, False]
    assert parse(frames, start=1).body is frames[7]


def test_a_message_without_signature_is_bytes_up_to_the_size_of_a_header(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    assert far.send([bytes(size) for size in (0, HEADER_BYTES, HEADER_BYTES + 1, 100_000, 6)]) == SENT
    assert [held(frame) for frame in next_of(near)] == [False, False, True, True, False]


@pytest.mark.parametrize(("sender", "receiver"), [("XPUB", "SUB"), ("PUB", "SUB"), ("XPUB", "XSUB")])
def test_of_an_event_the_body_is_held(plant: Plant, sender: str, receiver: str) -> None:
    publisher, subscriber = plant.wire(getattr(zmq, sender)), plant.wire(getattr(zmq, receiver))
    plant.join(subscriber, publisher)
    if receiver == "SUB":
        subscriber.socket.setsockopt(zmq.SUBSCRIBE, b"")
    else:
        assert subscriber.send([b"\x01"]) == SENT
    # A PUB cannot tell when it has a subscriber.
    while not subscriber.socket.poll(20):
        assert publisher.send([b"topic", bytes(48), b"body"]) == SENT
    frames = next_of(subscriber)
    assert contents(frames) == [b"topic", bytes(48), b"body"]
    assert [held(frame) for frame in frames] == [False, False, True]


@needs_native
def test_what_was_received_whole_goes_on_without_a_copy(folder: str) -> None:
    """Over inproc libzmq hands the message itself over, so that it can be seen where it lies."""
    with Plant("native", "inproc", tempfile.mkdtemp(dir=folder)) as plant:
        near, far = plant.pair()
        near.send([b"HOOT01", *[b""] * 5, b"b" * 5000])
        body = next_of(far)[6]
        for again in (body, memoryview(body), memoryview(body).toreadonly().cast("I").cast("B")):
            far.send([b"HOOT01", *[b""] * 5, again])
            assert next_of(near)[6].address == body.address
        far.send([b"HOOT01", *[b""] * 5, memoryview(body)[8:]])
        part = next_of(near)[6]
        assert part.address != body.address + 8
        assert bytes(part) == b"b" * 4992


def test_a_body_outlives_its_socket_and_its_context(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    sizes = (3, 33, 34, 5_000, 70_000)
    for size in sizes:
        assert far.send([*PLAIN, b"x" * size, b"", b"y" * size]) == SENT
    kept = [next_of(near) for _ in sizes]
    views = [np.frombuffer(memoryview(frames[6]), np.uint8) for frames in kept]
    attachments = [frames[8] for frames in kept]
    plant.close()
    del kept
    gc.collect()
    assert [view.tobytes() for view in views] == [b"x" * size for size in sizes]
    assert contents(attachments) == [b"y" * size for size in sizes]


def test_a_body_can_not_be_written(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    assert far.send([*PLAIN, b"as it came", b"", b"attached"]) == SENT
    frames = next_of(near)
    for frame in (frames[6], frames[8]):
        view = memoryview(frame)
        assert view.readonly
        assert (view.format, view.itemsize, view.ndim, view.contiguous) == ("B", 1, 1, True)
        with pytest.raises(TypeError):
            view[0] = 0
        assert not np.frombuffer(view, np.uint8).flags.writeable
        with pytest.raises(TypeError), Path("/dev/zero").open("rb", buffering=0) as zeros:
            zeros.readinto(view)
    assert (bytes(frames[6]), bytes(frames[8])) == (b"as it came", b"attached")


def test_every_held_frame_is_aligned_to_a_word(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    sizes = [*range(200), 1000, 1001, 4095, 8191, 8192, 8193, 70_001]
    misaligned = []
    for size in sizes:
        # A header of odd size in front, so that a shared receive batch would put the body anywhere.
        assert far.send([*PLAIN[:5], bytes(size % 7), bytes(size), b"", bytes(size)]) == SENT
    for size in sizes:
        frames = next_of(near)
        misaligned += [size for frame in (frames[6], frames[8]) if address_of(frame) % 8]
    assert misaligned == []


# Any number of frames, any size of headers


@pytest.mark.parametrize("count", [*range(1, 12), 80, 81, 82, 95, 96, 97, 98, 200])
def test_any_number_of_frames_is_received_and_a_surplus_is_let_go(plant: Plant, count: int) -> None:
    near, far = plant.pair()
    raw = far.socket
    raw.send_multipart([*PLAIN, *[b"x"] * 200][:count])
    raw.send_multipart([b"the next"])
    frames = next_of(near)
    assert contents(frames) == [*PLAIN, *[b"x"] * 200][:count][:STORED_MAX]
    if 7 <= count <= FRAMES_MAX:
        assert parse([*frames[:7], b"", *frames[8:72]]).body is frames[6]
    elif count > FRAMES_MAX:
        with pytest.raises(MalformedMessage):
            parse([*frames[:7], b"", *frames[8:]])
    assert read(near) == [b"the next"]


def test_no_frames_and_too_many_can_not_be_sent(inproc: Plant) -> None:
    near, far = inproc.pair()
    for count in (0, STORED_MAX + 1, 200):
        with pytest.raises(ValueError, match=f"a message of {count} frames; 1 to {STORED_MAX} can be sent"):
            far.send([b"x"] * count)
    assert far.send([b"after"]) == SENT
    assert read(near) == [b"after"]


@pytest.mark.parametrize("size", [HEADER_BYTES, HEADER_BYTES + 1, 100_000])
@pytest.mark.parametrize(
    ("at", "field"),
    [
        (0, "signature"),
        (1, "command"),
        (2, "content type"),
        (3, "request id"),
        (4, "service"),
        (5, "traceparent"),
        (7, "options"),
    ],
)
def test_a_huge_header_is_received_and_refused_by_name(inproc: Plant, at: int, field: str, size: int) -> None:
    near, far = inproc.pair()
    frames: Frames = [*PLAIN, b"body", b""]
    frames[at] = bytes(size)
    assert far.send(frames) == SENT
    with pytest.raises(MalformedMessage) as refused:
        parse(next_of(near))
    assert refused.value.field == field


def test_huge_return_addresses_are_refused(inproc: Plant) -> None:
    near, far = inproc.pair()
    assert far.send([bytes(100_000), *PLAIN, b"body"]) == SENT
    with pytest.raises(MalformedMessage, match="return addresses"):
        parse(next_of(near))


def test_a_held_frame_tells_over_which_connection_it_came(plant: Plant) -> None:
    near = plant.wire(zmq.ROUTER)
    peers = [plant.wire(zmq.DEALER) for _ in range(2)]
    plant.join(near, *peers)
    told = []
    for peer in (*peers, *peers):
        assert peer.send([*PLAIN, b""]) == SENT
        frames = next_of(near)
        told.append(plant.descriptor_of(frames[-1]))
        # Those that are bytes do not.
        assert plant.descriptor_of(frames[0]) == -1
    if plant.transport == "inproc":
        assert set(told) == {-1}
    else:
        assert told[:2] == told[2:]
        assert told[0] != told[1]
        assert all(S_ISSOCK(os.fstat(descriptor).st_mode) for descriptor in told)


# Refused sends


def test_nobody_there_is_full_and_nothing_was_sent(inproc: Plant) -> None:
    alone = inproc.wire(zmq.DEALER, IMMEDIATE=1)
    for _ in range(3):
        assert alone.send([*PLAIN, b"lost?"]) == FULL
    other = inproc.wire(zmq.DEALER)
    inproc.join(other, alone)
    assert alone.send([b"clean"]) == SENT
    assert read(other) == [b"clean"]
    assert other.receive() is None


def test_a_full_pipe_takes_nothing_of_the_message_it_refuses(inproc: Plant) -> None:
    near, far = inproc.pair(SNDHWM=5, RCVHWM=5)
    sent = []
    for number in itertools.count():
        frames: Frames = [b"%d" % number, *PLAIN, b"body"]
        if far.send(frames) == FULL:
            break
        sent.append(frames)
    assert len(sent) == 10
    assert far.send([b"refused", b"again"]) == FULL
    assert [read(near) for _ in sent] == sent
    assert near.receive() is None
    # libzmq looks for freed room when it is asked for events, and else only every millisecond or so.
    assert far.socket.poll(10_000, zmq.POLLOUT)
    assert far.send([b"clean"]) == SENT
    assert read(near) == [b"clean"]


def test_a_full_peer_of_a_router_does_not_stop_the_others(inproc: Plant) -> None:
    router, (slow, quick) = inproc.star(b"slow", b"quick", SNDHWM=5, RCVHWM=5)
    sent = 0
    while router.send([b"slow", b"%d" % sent, b"body"]) == SENT:
        sent += 1
    assert sent == 10
    assert router.send([b"quick", b"a", b"b"]) == SENT
    assert router.send([b"slow", b"refused", b"body"]) == FULL
    assert router.send([b"quick", b"c", b"d"]) == SENT
    assert [read(quick), read(quick)] == [[b"a", b"b"], [b"c", b"d"]]
    assert [read(slow) for _ in range(sent)] == [[b"%d" % number, b"body"] for number in range(sent)]
    assert slow.receive() is None


def test_an_unknown_peer_of_a_router_is_unreachable_and_the_next_send_is_clean(plant: Plant) -> None:
    router, (known,) = plant.star(b"known")
    for _ in range(3):
        assert router.send([b"nobody", *PLAIN, b"body"]) == UNREACHABLE
        assert router.send([b"known", *PLAIN, b"body"]) == SENT
        assert read(known) == [*PLAIN, b"body"]
    assert known.receive() is None


def test_a_peer_that_left_becomes_unreachable(plant: Plant) -> None:
    router, (here, gone) = plant.star(b"here", b"gone")
    gone.close(0)
    # libzmq takes messages for it until it has noticed; the bound is on the count, not on the time.
    for _ in range(100_000):
        if router.send([b"gone", b"x"]) != SENT:
            break
        router.socket.poll(1)
    assert router.send([b"gone", b"x"]) == UNREACHABLE
    assert router.send([b"here", b"y"]) == SENT
    assert read(here) == [b"y"]


@pytest.mark.parametrize(
    ("what", "frame", "error"),
    [
        ("a number", 42, TypeError),
        ("text", "text", TypeError),
        ("None", None, TypeError),
        ("a list", [b"x"], TypeError),
        ("every second byte", memoryview(bytes(8))[::2], BufferError),
        ("columns first", np.asfortranarray(np.zeros((3, 4))), (BufferError, ValueError)),
        ("released", None, ValueError),
    ],
)
@pytest.mark.parametrize("at", [0, 3, 7])
def test_what_is_no_buffer_raises_before_anything_was_sent(
    inproc: Plant, what: str, frame: object, error: type[Exception], at: int
) -> None:
    if what == "released":
        view = memoryview(b"x")
        view.release()
        frame = view
    near, far = inproc.pair()
    frames: Frames = [*PLAIN, b"body", b""]
    frames[at] = frame
    for _ in range(3):
        with pytest.raises(error):
            far.send(frames)
    assert near.receive() is None
    assert far.send([b"clean"]) == SENT
    assert read(near) == [b"clean"]


def test_frames_come_in_a_list(inproc: Plant) -> None:
    _, far = inproc.pair()
    with pytest.raises(TypeError):
        far.send(None)  # type: ignore[arg-type]  # what is tested


# The end


def test_nothing_there_is_none(plant: Plant) -> None:
    near, _ = plant.pair()
    assert near.receive() is None
    assert near.receive() is None


def test_a_closed_wire_raises(plant: Plant) -> None:
    near, _ = plant.pair()
    near.close(0)
    near.close()
    assert near.socket.closed
    for use in (near.receive, lambda: near.send([b"x"])):
        with pytest.raises(zmq.ZMQError) as refused:
            use()
        assert refused.value.errno == zmq.ENOTSOCK


def test_a_terminated_context_raises_as_pyzmq_does(inproc: Plant) -> None:
    near, far = inproc.pair()
    ending = threading.Thread(target=inproc.context.term)
    ending.start()
    with pytest.raises(zmq.ContextTerminated):
        collections.deque(iter(near.receive, "for ever"), maxlen=0)
    with pytest.raises(zmq.ContextTerminated):
        far.send([b"x"])
    near.close(0)
    far.close(0)
    ending.join()


def test_signals_neither_hide_a_message_nor_tear_one_apart(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)
    rung = itertools.count()
    before = signal.signal(signal.SIGALRM, lambda *_: next(rung))
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while next(rung) < 300:
            assert far.send([*PLAIN, b"body", b"", b"attachment"]) == SENT
            while (frames := near.receive()) is None:
                pass
            assert contents(frames) == [*PLAIN, b"body", b"", b"attachment"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# Memory


def test_a_received_body_can_go_to_two_peers(plant: Plant) -> None:
    router, (one, two) = plant.star(b"one", b"two")
    large = b"samples " * 10_000
    assert one.send([*PLAIN, large, b"", b"attached"]) == SENT
    frames = next_of(router)
    for name in (b"one", b"two", b"one"):
        assert router.send([name, *frames[1:]]) == SENT
    body = frames[7]
    del frames
    for peer in (one, two, one):
        assert read(peer) == [*PLAIN, large, b"", b"attached"]
    assert bytes(body) == large


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from /proc")


def grown_by(work: Callable[[], None], times: int) -> tuple[int, int]:
    """Blocks of Python's allocator and resident bytes that `times` rounds leave behind, after some to warm up."""
    for _ in range(times // 10):
        work()
    gc.collect()
    blocks, resident = sys.getallocatedblocks(), resident_bytes()
    for _ in range(times):
        work()
    gc.collect()
    return sys.getallocatedblocks() - blocks, resident_bytes() - resident


BLOCKS_MAX = 1000
# What leaked would be gigabytes.
GROWTH_MAX = 40 * 1024 * 1024


@needs_proc
def test_200_000_frames_leave_no_memory_behind(inproc: Plant) -> None:
    near, far = inproc.pair()
    body = bytes(8000)

    def there_and_back() -> None:
        assert far.send([*PLAIN, body, b"", body]) == SENT
        frames = near.receive()
        assert frames is not None
        assert near.send(frames) == SENT
        assert far.receive() is not None

    blocks, resident = grown_by(there_and_back, 12_000)
    assert blocks < BLOCKS_MAX
    assert resident < GROWTH_MAX


@needs_proc
def test_lent_frames_leave_no_memory_behind(plant: Plant) -> None:
    near, far = plant.pair()
    far.socket.poll(10_000, zmq.POLLOUT)

    def there_and_back() -> None:
        assert far.send([*PLAIN, bytes(2 * LENT), b"", memoryview(bytes(2 * LENT))]) == SENT
        assert near.send(next_of(near)) == SENT
        assert len(next_of(far)) == 9

    blocks, resident = grown_by(there_and_back, 1_000)
    assert far.lent + far.copied == 2_200
    assert blocks < BLOCKS_MAX
    assert resident < GROWTH_MAX


@needs_proc
@pytest.mark.parametrize("size", [8000, LENT])
def test_refused_messages_leave_no_memory_behind(inproc: Plant, size: int) -> None:
    router, _ = inproc.star(b"full", SNDHWM=1, RCVHWM=1)
    near, far = inproc.pair()
    assert far.send([*PLAIN, bytes(8000)]) == SENT
    shared = next_of(near)[6]
    while router.send([b"full", b"x"]) == SENT:
        pass
    body = bytes(size)

    def refused() -> None:
        assert router.send([b"full", body, shared]) == FULL
        assert router.send([b"nobody", body, shared]) == UNREACHABLE
        with pytest.raises(TypeError):
            router.send([b"full", body, shared, 42])
        far.socket.send_multipart([body[:8000]] * 120)
        assert len(near.receive() or ()) == STORED_MAX

    blocks, resident = grown_by(refused, 2_000)
    assert blocks < BLOCKS_MAX
    assert resident < GROWTH_MAX


# The two doors


@needs_native
def test_a_frame_says_its_size_and_refuses_to_be_pickled(folder: str) -> None:
    with Plant("native", "inproc", tempfile.mkdtemp(dir=folder)) as plant:
        near, far = plant.pair()
        assert far.send([*PLAIN, b"12345", b"", b""]) == SENT
        body, _, empty = next_of(near)[6:]
    assert (len(body), repr(body), bool(body)) == (5, "<Frame of 5 bytes>", True)
    assert (len(empty), bytes(empty), bool(empty)) == (0, b"", False)
    assert body.address == address_of(body)
    with pytest.raises(TypeError, match="memory of this process"):
        pickle.dumps(body)


@needs_native
def test_both_doors_have_the_same_numbers() -> None:
    assert native is not None
    numbers = [(door.SENT, door.FULL, door.UNREACHABLE, door.LENT_BYTES_MIN) for door in (native, fallback)]
    assert numbers == [(0, 1, 2, 64 * 1024)] * 2


frame = st.one_of(
    st.just(SIGNATURE),
    st.binary(max_size=40),
    st.integers(HEADER_BYTES - 2, HEADER_BYTES + 2).map(bytes),
)


@needs_native
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.ROUTER, zmq.SUB])
def test_both_doors_give_the_same_frames(kind: int, folder: str) -> None:
    with (
        Plant("native", "inproc", tempfile.mkdtemp(dir=folder)) as one,
        Plant("fallback", "inproc", tempfile.mkdtemp(dir=folder)) as other,
    ):
        compare_doors(kind, one, other)


def compare_doors(kind: int, *plants: Plant) -> None:
    links: list[tuple[zmq.Socket[bytes], Wire]] = []
    for plant in plants:
        receiver = plant.wire(kind)
        sender = plant.wire(zmq.XPUB) if kind == zmq.SUB else plant.wire(zmq.DEALER, ROUTING_ID=SIGNATURE)
        plant.join(receiver, sender)
        if kind == zmq.SUB:
            receiver.socket.setsockopt(zmq.SUBSCRIBE, b"")
            while not sender.socket.poll(20):
                receiver.socket.poll(0)  # a socket does its part only while it is used
            assert read(sender) == [b"\x01"]
        links.append((sender.socket, receiver))

    @settings(max_examples=200)
    @given(st.lists(frame, min_size=1, max_size=20))
    def same(frames: list[bytes]) -> None:
        received = []
        for sender, receiver in links:
            sender.send_multipart(frames)
            received.append(next_of(receiver))
        assert contents(received[0]) == contents(received[1])
        assert [held(frame) for frame in received[0]] == [held(frame) for frame in received[1]]

    same()


@pytest.mark.parametrize(("asked", "native_door"), [("0", False), ("1", native is not None), ("", native is not None)])
def test_the_environment_can_ask_for_the_fallback(asked: str, native_door: bool) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from hootbus.frames import NATIVE, Wire; print(NATIVE, Wire.__module__)"],
        env=os.environ | {"HOOT_NATIVE": asked},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    module = "_native" if native_door else "fallback"
    assert said == f"{native_door} hootbus.frames.{module}\n"


@pytest.mark.parametrize("missing", ["_native", "_joined"])
def test_where_one_native_module_is_missing_both_fall_back(missing: str) -> None:
    program = f"""
import sys
sys.modules["hootbus.frames.{missing}"] = None  # as if it were not there
from hootbus.frames.wire import NATIVE, Run, Wire
print(NATIVE, Run.__module__, Wire.__module__)
"""
    said = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"HOOT_NATIVE": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == "False hootbus.frames.event hootbus.frames.fallback\n"


def test_here_the_native_door_is_used_where_it_was_compiled() -> None:
    assert (native is not None and os.environ.get("HOOT_NATIVE") != "0") == wire.NATIVE
