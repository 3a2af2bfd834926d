"""The sockets of the bus: their options, and the monitor that sees connections come and go."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import AF_UNIX, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET
from socket import socket as Socket
from subprocess import PIPE

import pytest
import zmq

from hootbus.frames.context import aligned_context
from hootbus.frames.protocol import MESSAGE_BYTES_MAX
from hootbus.frames.sockets import LinkChange, Monitor, dealer, event_socket, router


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context whose sockets are kept until the test is over, and closed then."""
    context = aligned_context()
    made = context.socket
    kept: list[zmq.Socket[bytes]] = []

    def keep(kind: int) -> zmq.Socket[bytes]:
        kept.append(made(kind))
        return kept[-1]

    with monkeypatch.context() as patched:
        patched.setattr(context, "socket", keep)
        yield context
    for socket in kept:
        socket.close(0)
    context.term()


def endpoint_of(socket: zmq.Socket[bytes]) -> str:
    endpoint = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def changes_until(monitor: Monitor, *wanted: LinkChange) -> list[LinkChange]:
    """What the monitor saw, read until it saw all that is wanted."""
    seen: list[LinkChange] = []
    until = time.monotonic() + 20
    while seen[-len(wanted) :] != [*wanted]:
        assert time.monotonic() < until, seen
        monitor.socket.poll(1000)
        seen += monitor.read()
    return seen


def test_every_socket_is_bounded_watched_and_leaves_at_once(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    for socket in (router(context), dealer(context), *(event_socket(context, kind) for kind in (zmq.SUB, zmq.XPUB))):
        assert socket.getsockopt(zmq.LINGER) == 0
        assert socket.getsockopt(zmq.MAXMSGSIZE) == MESSAGE_BYTES_MAX
        assert 0 < int(socket.getsockopt(zmq.HANDSHAKE_IVL)) <= 10_000
        assert socket.getsockopt(zmq.TCP_KEEPALIVE) == 1
        assert 0 < int(socket.getsockopt(zmq.TCP_KEEPALIVE_IDLE)) <= 2
        assert 0 < int(socket.getsockopt(zmq.TCP_MAXRT)) <= 5000
        assert socket.getsockopt(zmq.IPV6) == 1


def test_whoever_may_stop_to_receive_sends_no_heartbeats(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    socket = dealer(context)
    assert 0 < int(socket.getsockopt(zmq.HEARTBEAT_IVL)) < int(socket.getsockopt(zmq.HEARTBEAT_TIMEOUT)) <= 3000
    assert int(socket.getsockopt(zmq.HEARTBEAT_TTL)) > 0
    assert int(dealer(context).getsockopt(zmq.RCVHWM)) == 0
    assert int(router(context).getsockopt(zmq.RCVHWM)) >= 50_000
    for socket in (router(context), *(event_socket(context, kind) for kind in (zmq.SUB, zmq.PUB, zmq.XPUB))):
        assert not socket.getsockopt(zmq.HEARTBEAT_IVL)


def test_what_a_peer_may_do_to_its_connection_does_not_end_the_process(tmp_path: Path) -> None:
    # In processes, as it is by ending them that libzmq says that something is wrong; at once, as they mostly wait.
    full = [("full_pipe", who, how) for who in ("subscriber", "router") for how in ("stays", "breaks")]
    twice = [("twice", transport) for transport in ("ipc", "tcp")]
    programs = []
    for name, *wanted in (*full, *twice):
        folder = tmp_path / "-".join([name, *wanted])
        folder.mkdir()
        command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), str(folder), *wanted]
        programs.append((folder.name, subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True)))
    for name, program in programs:
        said, complaint = program.communicate()
        assert (name, program.returncode, complaint) == (name, 0, "")
        assert int(said) > 0, name


def test_a_dealer_has_the_identity_it_was_given(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    assert dealer(context, b"\x01identity").getsockopt(zmq.ROUTING_ID) == b"\x01identity"
    assert dealer(context).getsockopt(zmq.ROUTING_ID) == b""
    assert dealer(context).getsockopt(zmq.IMMEDIATE) == 0
    assert dealer(context, drop_unsent=True).getsockopt(zmq.IMMEDIATE) == 1


def test_a_router_tells_who_is_not_there(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    with pytest.raises(zmq.ZMQError) as refused:
        router(context).send_multipart([b"nobody", b"x"], zmq.DONTWAIT)
    assert refused.value.errno == zmq.EHOSTUNREACH


def test_a_reconnected_peer_takes_over_its_identity(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    broker = router(context)
    broker.bind("tcp://127.0.0.1:*")
    for _ in range(3):
        peer = dealer(context, b"\x01same")
        peer.connect(endpoint_of(broker))
        peer.poll(10_000, zmq.POLLOUT)
        peer.send(b"hello")
        assert broker.recv_multipart() == [b"\x01same", b"hello"]
        broker.send_multipart([b"\x01same", b"welcome"])
        assert peer.recv_multipart() == [b"welcome"]


def test_a_look_at_the_connections_loses_no_change_and_tells_them_apart(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    broker = router(context)
    monitor = Monitor(broker)
    broker.bind("tcp://127.0.0.1:*")
    numbers: set[int] = set()
    for _ in range(2):
        peer = dealer(context)
        peer.connect(endpoint_of(broker))
        while not monitor.connections():
            monitor.socket.poll(10_000)
        assert len(monitor.connections()) == 1
        numbers |= set(monitor.connections().values())
        peer.close(0)
        while monitor.connections():
            monitor.socket.poll(10_000)
        # The socket has nothing more to tell, but somebody has still to hear of it.
        assert not monitor.socket.poll(0)
        assert monitor.pending
        assert LinkChange.DOWN in monitor.read()
        assert not monitor.pending
    assert numbers == {0, 1}
    monitor.close()


def test_a_monitor_sees_the_link_come_up_go_down_and_come_up_again(
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    broker, peer = router(context), dealer(context)
    broker.bind("tcp://127.0.0.1:*")
    endpoint = endpoint_of(broker)
    monitor = Monitor(peer)
    assert monitor.read() == []
    peer.connect(endpoint)
    assert changes_until(monitor, LinkChange.UP) == [LinkChange.UP]
    assert monitor.read() == []
    broker.close(0)
    assert changes_until(monitor, LinkChange.DOWN) == [LinkChange.DOWN]
    again = router(context)
    while True:
        try:
            again.bind(endpoint)
        except zmq.ZMQError as error:  # the old socket's descriptor is closed in libzmq's own time
            assert error.errno == zmq.EADDRINUSE
            time.sleep(0.01)
        else:
            break
    assert LinkChange.UP in changes_until(monitor, LinkChange.UP)
    monitor.close()


def test_a_broker_sees_its_peers_come_and_go(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    broker, peer = router(context), dealer(context)
    monitor = Monitor(broker)
    broker.bind("tcp://127.0.0.1:*")
    peer.connect(endpoint_of(broker))
    changes_until(monitor, LinkChange.UP)
    peer.close(0)
    changes_until(monitor, LinkChange.DOWN)
    monitor.close()


def test_a_peer_without_keys_is_refused_by_a_broker_that_wants_them(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    broker, stranger = router(context), dealer(context)
    _, secret = zmq.curve_keypair()
    broker.setsockopt(zmq.CURVE_SERVER, 1)
    broker.setsockopt(zmq.CURVE_SECRETKEY, secret)
    broker.bind("tcp://127.0.0.1:*")
    monitor = Monitor(stranger)
    stranger.connect(endpoint_of(broker))
    # Whichever end sees it first hangs up, and the other tries again.
    seen = changes_until(monitor, LinkChange.MISMATCHED, LinkChange.DOWN)
    assert set(seen) <= {LinkChange.CUT, LinkChange.MISMATCHED, LinkChange.DOWN}
    monitor.close()


def test_a_socket_of_the_wrong_kind_goes_down_without_ever_being_up(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    broker, stranger = router(context), event_socket(context, zmq.SUB)
    broker.bind("tcp://127.0.0.1:*")
    monitor = Monitor(stranger)
    stranger.connect(endpoint_of(broker))
    assert changes_until(monitor, LinkChange.DOWN) == [LinkChange.DOWN]
    monitor.close()


def test_a_closed_monitor_lets_its_socket_and_context_end(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    own = aligned_context()
    peer = dealer(own)
    monitor = Monitor(peer)
    monitor.close()
    peer.close(0)
    own.term()


def send_buffers() -> list[int]:
    """Of the Unix sockets that this process has."""
    sizes = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            duplicate = os.dup(int(descriptor))
        except OSError:  # it was the listing's own
            continue
        try:
            with Socket(fileno=duplicate) as opened:
                if opened.family == AF_UNIX and opened.type == SOCK_STREAM:
                    sizes.append(opened.getsockopt(SOL_SOCKET, SO_SNDBUF))
        except OSError:  # no socket, which closes nothing
            os.close(duplicate)
    return sizes


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="the sockets of a process are found in /proc, on Linux")
def test_an_ipc_connection_gets_room_for_a_large_body(context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path) -> None:
    before = send_buffers()
    broker, peer = router(context), dealer(context)
    monitors = Monitor(broker), Monitor(peer)
    broker.bind(f"ipc://{tmp_path}/s")
    peer.connect(f"ipc://{tmp_path}/s")
    for monitor in monitors:
        changes_until(monitor, LinkChange.UP)
    with Socket(AF_UNIX, SOCK_STREAM) as plain:
        usual = plain.getsockopt(SOL_SOCKET, SO_SNDBUF)
        plain.setsockopt(SOL_SOCKET, SO_SNDBUF, 512 * 1024)
        # As much as the system allows.
        wide = plain.getsockopt(SOL_SOCKET, SO_SNDBUF)
    if wide > usual:
        assert send_buffers().count(wide) >= before.count(wide) + 2
    for monitor in monitors:
        monitor.close()
