"""The broker's shell, with real sockets: it begins, serves and ends, and leaves nothing behind."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from bus_world.serving import PATIENCE_S, Serving, descriptors
from hootbus.bus.broker import Broker
from hootbus.bus.dialout import DialOut
from hootbus.bus.guard import CannotServe
from hootbus.bus.limits import Limits
from hootbus.frames.address import parse_address
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import Registration, read_error_json, read_json, write_registration

Context = zmq.Context[zmq.Socket[bytes]]
Serve = Callable[..., Serving]
A, B, READY = b"a" * 16, b"b" * 16, b"r" * 16


class Peer:
    """A DEALER that speaks in messages."""

    def __init__(self, context: Context, serving: Serving, identity: bytes = b"") -> None:
        self.socket = context.socket(zmq.DEALER)
        if identity:
            self.socket.routing_id = identity
        self.socket.connect(serving.address.requests)

    def send(
        self, command: Command, request_id: bytes, service: bytes = b"", body: bytes = b"", flags: int = 0
    ) -> None:
        kind = ContentType.CAPNPROTO if command is Command.READY else ContentType.RAW_BINARY
        message = Message((), command, kind, request_id, service, b"", body, Options(flags=flags))
        self.socket.send_multipart(serialize(message))

    def get(self) -> Message:
        """The next message that is no heartbeat of a broker to its worker."""
        while True:
            message = parse(self.socket.recv_multipart())
            if message.request_id != bytes(16) or message.command is not Command.HEARTBEAT:
                return message

    def register(self, service: bytes = b"text", slots: int = 1) -> None:
        body = write_registration(READY, Registration(worker_id=bytes(16), name="w", slots=slots))
        self.send(Command.READY, READY, service, body, flags=Flag.WORKER)
        assert self.get().request_id == READY

    def hello(self) -> bytes:
        """The name of the broker that answers."""
        self.send(Command.HEARTBEAT, B)
        echo = self.get()
        assert (echo.command, echo.request_id, echo.options) == (Command.HEARTBEAT, B, NO_OPTIONS)
        return bytes(echo.body)


def test_a_request_and_its_reply_go_through_the_broker(serve: Serve, context: Context) -> None:
    serving = serve()
    worker, client = Peer(context, serving), Peer(context, serving)
    worker.register()
    client.send(Command.REQUEST, A, b"text/upper", b"hi")
    asked = worker.get()
    assert (asked.command, asked.service, asked.body) == (Command.REQUEST, b"text/upper", b"hi")
    worker.send(Command.REPLY, asked.request_id, b"text", b"HI")
    answer = client.get()
    assert (answer.command, answer.request_id, answer.body) == (Command.REPLY, A, b"HI")


def test_port_0_becomes_a_port_with_all_three_endpoints(serve: Serve, context: Context) -> None:
    serving = serve("tcp://127.0.0.1:0")
    address = serving.address
    assert address.port
    assert address.text == f"tcp://127.0.0.1:{address.port}"
    assert serving.broker.address == address
    assert len(Peer(context, serving).hello()) == 16
    with context.socket(zmq.XPUB) as publisher:
        publisher.connect(address.publish)
        assert publisher.recv() == b"\x01"


def test_two_brokers_have_two_names(serve: Serve, context: Context) -> None:
    first, second = serve("tcp://127.0.0.1:0"), serve("tcp://127.0.0.1:0")
    assert Peer(context, first).hello() != Peer(context, second).hello()


def test_a_second_broker_on_the_same_ipc_address_is_refused_and_the_first_serves_on(
    serve: Serve, context: Context, folder: str
) -> None:
    serving = serve()
    with pytest.raises(CannotServe, match=rf"a broker already serves ipc://{folder} \(pid {os.getpid()}\)"):
        Broker(parse_address(f"ipc://{folder}")).run()
    assert Peer(context, serving).hello()


@pytest.mark.parametrize("offset", [0, 2, 3])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_taken_port_is_said_whichever_of_the_three_it_is(offset: int, host: str) -> None:
    with socket.socket() as holder:
        # Room for the three behind it.
        for port in range(20_000, 60_000, 7):
            try:
                holder.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        holder.listen()
        taken = holder.getsockname()[1]
        address = parse_address(f"tcp://{host}:{taken - offset}")
        with pytest.raises(CannotServe, match=f"cannot serve {address.text}: .*in use"):
            Broker(address).run()


def test_an_address_that_others_reach_is_not_served_unasked(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="--insecure"):
        Broker(parse_address("tcp://0.0.0.0:0")).run()
    with pytest.raises(CannotServe, match="--insecure"):
        Broker(parse_address(f"ipc://{tmp_path}"), hootenanny_events="tcp://0.0.0.0:5581").run()


def test_asked_for_it_is(serve: Serve, context: Context) -> None:
    serving = serve("tcp://0.0.0.0:0", insecure=True)
    peer = context.socket(zmq.DEALER)
    peer.connect(f"tcp://127.0.0.1:{serving.address.port}")
    peer.send_multipart(serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, A)))
    assert parse(peer.recv_multipart()).request_id == A


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"connect": (DialOut("text", "nowhere"),)}, "cannot connect to text at nowhere"),
        ({"hootenanny_events": "nowhere"}, "cannot serve the Hootenanny events at nowhere"),
    ],
)
def test_a_setting_that_cannot_be_carried_out_ends_it_before_it_begins(
    folder: str, settings: dict[str, object], why: str
) -> None:
    broker = Broker(parse_address(f"ipc://{folder}"), **settings)  # type: ignore[arg-type]  # Broker's own keywords
    with pytest.raises(CannotServe, match=why):
        broker.run()
    assert os.listdir(folder) == ["broker.lock"]


# Ending


def test_stop_from_another_thread_ends_it_now(serve: Serve, context: Context) -> None:
    serving = serve()
    worker, client = Peer(context, serving), Peer(context, serving)
    worker.register()
    client.send(Command.REQUEST, A, b"text")
    worker.get()
    serving.broker.stop()
    serving.join()


def test_drain_from_another_thread_finishes_what_is_open(serve: Serve, context: Context) -> None:
    serving = serve()
    worker, client = Peer(context, serving), Peer(context, serving)
    worker.register()
    client.send(Command.REQUEST, A, b"text")
    asked = worker.get()
    serving.broker.drain()
    serving.broker.drain()
    refusal = None
    while refusal is None:
        # Until the drain has begun the worker's queue takes it; there is nobody to see the moment from outside.
        client.send(Command.REQUEST, B, b"hoot.broker/status")
        state = read_json(client.get().body)["state"]
        if state == "draining":
            client.send(Command.REQUEST, B, b"text")
            refusal = read_error_json(client.get().body)
    assert refusal.code == "broker_stopping"
    worker.send(Command.REPLY, asked.request_id, b"text", b"done")
    assert client.get().body == b"done"
    dismissal = worker.get()
    assert dismissal.command is Command.DISCONNECT
    serving.join()


def test_it_may_be_asked_to_end_before_it_has_begun(folder: str) -> None:
    for ask in (Broker.drain, Broker.stop):
        broker = Broker(parse_address(f"ipc://{folder}"), limits=Limits(heartbeat_interval_s=3600.0))
        ask(broker)
        broker.run()


def test_it_may_be_asked_to_end_after_it_has(folder: str) -> None:
    broker = Broker(parse_address(f"ipc://{folder}"))
    broker.stop()
    broker.run()
    # The numbers of its pipe are others' now, who must not find a byte of it.
    with ExitStack() as stack:
        ends = [stack.enter_context(end) for _ in range(8) for end in socket.socketpair()]
        broker.stop()
        broker.drain()
        for end in ends:
            end.setblocking(False)
            with pytest.raises(BlockingIOError):
                end.recv(1)


def test_it_runs_once(folder: str) -> None:
    broker = Broker(parse_address(f"ipc://{folder}"))
    broker.stop()
    broker.run()
    with pytest.raises(RuntimeError, match="once"):
        broker.run()


def test_being_woken_often_and_from_everywhere_neither_ends_it_nor_keeps_it_busy(
    serve: Serve, context: Context
) -> None:
    serving = serve()
    peer = Peer(context, serving)
    # More bytes than the pipe holds, while its own messages keep the broker awake.

    def wake() -> None:
        for _ in range(50_000):
            serving.broker._wishes.wake()

    wakers = [threading.Thread(target=wake) for _ in range(2)]
    for waker in wakers:
        waker.start()
    for _ in range(200):
        assert peer.hello()
    for waker in wakers:
        waker.join()
    # A byte that is left would end every wait at once, for ever.
    while select.select([serving.broker._wishes.reader], [], [], 0)[0]:
        assert peer.hello()


def test_a_drain_seen_before_its_wake_up_is_taken_all_the_same(
    serve: Serve, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve()
    monkeypatch.setattr(serving.broker._wishes, "wake", lambda: None)
    peer = Peer(context, serving)
    peer.hello()
    serving.broker.drain()
    # The message wakes it, and it finds what was asked for without a byte in the pipe.
    peer.send(Command.HEARTBEAT, A)
    serving.join()


def test_nothing_is_left_open_when_it_has_ended(folder: str, context: Context) -> None:
    def life(address: str, **settings: object) -> None:
        serving = Serving(Broker(parse_address(address), **settings))  # type: ignore[arg-type]  # Broker's own keywords
        worker = Peer(context, serving)
        worker.register()
        worker.send(Command.REQUEST, A, b"text")
        worker.get()
        serving.broker.stop()
        serving.join()
        worker.socket.close(0)

    def refused() -> None:
        for address in ("tcp://0.0.0.0:0", f"ipc://{folder}"):
            with pytest.raises(CannotServe):
                Broker(parse_address(address), connect=(DialOut("x", "nowhere"),)).run()

    bare = {"hootenanny_events": f"ipc://{folder}/bare", "connect": (DialOut("x", f"ipc://{folder}/dialled"),)}
    # The first life of each loads what stays loaded, and the test's own context opens what it has.
    life(f"ipc://{folder}", **bare)
    refused()
    gc.collect()
    files, threads = len(descriptors()), set(threading.enumerate())
    for _ in range(3):
        life(f"ipc://{folder}", **bare)
        life("tcp://127.0.0.1:0")
        refused()
        assert set(threading.enumerate()) == threads
    assert len(descriptors()) <= files, descriptors()


def test_a_signal_in_the_main_thread_drains_it(folder: str) -> None:
    code = (
        "import signal\n"
        "from hootbus.bus.broker import Broker\n"
        "from hootbus.frames.address import parse_address\n"
        f"broker = Broker(parse_address('ipc://{folder}'))\n"
        "signal.signal(signal.SIGTERM, lambda number, frame: broker.drain())\n"
        "broker.run(lambda address: print('ready', flush=True))\n"
        "print('ended')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE_S)[0] == "ended\n"
    assert process.returncode == 0


# What comes from peers


def test_garbage_is_counted_and_the_broker_serves_on(serve: Serve, context: Context) -> None:
    serving = serve()
    peer = Peer(context, serving)
    for count in (1, 2, 7, 95, 200):
        peer.socket.send_multipart([b"junk"] * count)
    peer.socket.send_multipart([b"HOOT01", *[b"x" * 70_000] * 6])
    peer.send(Command.REQUEST, A, b"hoot.broker/status")
    status = read_json(peer.get().body)
    assert status["dropped"]["bad_frame"] == 6
    assert status["dropped"]["bad_frame.signature"] == 5


def test_a_worker_whose_connection_ends_is_lost_and_its_client_told(serve: Serve, context: Context) -> None:
    serving = serve()
    worker, client = Peer(context, serving), Peer(context, serving)
    worker.register()
    client.send(Command.REQUEST, A, b"text")
    worker.get()
    worker.socket.close(0)
    answer = client.get()
    assert answer.options is not None
    told = read_error_json(answer.body)
    assert told is not None
    assert told.code == "worker_lost"


def test_a_reply_finds_a_client_that_came_back_under_its_identity(serve: Serve, context: Context) -> None:
    serving = serve()
    worker, client = Peer(context, serving), Peer(context, serving, b"client-identity1")
    worker.register()
    client.send(Command.REQUEST, A, b"text")
    asked = worker.get()
    client.socket.close(0)
    client = Peer(context, serving, b"client-identity1")
    client.hello()
    worker.send(Command.REPLY, asked.request_id, b"text", b"done")
    assert client.get().body == b"done"


def test_a_peers_text_begins_no_line_of_its_own_in_the_log(
    serve: Serve, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hootbus.broker")
    serving = serve()
    peer = Peer(context, serving)
    peer.send(Command.READY, READY, b"x\nbroker stopped")
    assert peer.get().command is Command.DISCONNECT
    (line,) = [record.getMessage() for record in caplog.records if record.msg.startswith("%s")]
    assert "\n" not in line
    assert "worker_refused" in line


# Services that bind and wait


def test_a_dialled_service_takes_requests_once_it_is_there_and_is_lost_when_it_goes(
    serve: Serve, context: Context, folder: str
) -> None:
    endpoint = f"ipc://{os.path.join(folder, 'service')}"
    serving = serve(connect=(DialOut("text", endpoint),))
    client = Peer(context, serving)
    client.send(Command.REQUEST, A, b"text", b"hi", flags=Flag.WAIT)
    service = context.socket(zmq.ROUTER)
    service.bind(endpoint)
    while True:
        identity, *frames = service.recv_multipart()
        asked = parse(frames)
        if asked.command is Command.REQUEST:
            break
    assert (asked.options, asked.body) == (None, b"hi")
    service.send_multipart(serialize(Message((identity,), Command.REPLY, ContentType.RAW_BINARY, A, body=b"HI")))
    assert client.get().body == b"HI"
    client.send(Command.REQUEST, B, b"text")
    while parse(service.recv_multipart()[1:]).command is not Command.REQUEST:
        pass
    service.close(0)
    told = read_error_json(client.get().body)
    assert told is not None
    assert told.code == "worker_lost"


def test_an_echo_is_published_where_the_asker_subscribed(serve: Serve, context: Context) -> None:
    serving = serve()
    subscriber = context.socket(zmq.SUB)
    subscriber.subscribe(b"hoot.echo.1")
    subscriber.connect(serving.address.subscribe)
    peer = Peer(context, serving)
    for _ in range(1000):
        body = b'{"topic":"hoot.echo.1"}'
        message = Message((), Command.REQUEST, ContentType.JSON, A, b"hoot.events/echo", b"", body)
        peer.socket.send_multipart(serialize(message))
        assert read_json(peer.get().body) == {"topic": "hoot.echo.1"}
        if subscriber.poll(10):
            break
    assert subscriber.recv_multipart()[0] == b"hoot.echo.1"
