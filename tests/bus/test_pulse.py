"""Connections whose other end hangs: what counts as that, and what the kernel says of it."""

import socket

import pytest

from hootbus.bus import pulse
from hootbus.bus.pulse import Pulse
from hootbus.frames.sockets import BACKLOG

LOOKS = 15
ALICE, BOB = b"\x01alice", b"\x01bob"


def looks(watched: Pulse, connections: dict[int, int], owed: list[int], descriptor: int = 7) -> list[int]:
    """The looks at which it was found to hang, by their numbers, while it owes this at one after the other."""
    found = []
    for number, bytes_owed in enumerate(owed):
        now = watched.look_at
        if descriptor in watched.look(connections, lambda _, owes=bytes_owed: owes, now):  # type: ignore[misc]
            found.append(number)
    return found


def test_who_owes_no_less_at_fifteen_looks_hangs_and_is_told_of_once() -> None:
    watched = Pulse()
    assert watched.heard(ALICE, 7, {7: 0}, 0.0) is None
    assert looks(watched, {7: 0}, [0] * 50) == []
    assert looks(watched, {7: 0}, [10] * 5 + [20] * 30) == [LOOKS]
    assert len(watched) == 0


@pytest.mark.parametrize("owed", [[*[10] * (LOOKS - 1), 9], [*[10] * LOOKS, 0], [2, 1]])
def test_who_owes_less_once_is_alive(owed: list[int]) -> None:
    watched = Pulse()
    watched.heard(ALICE, 7, {7: 0}, 0.0)
    assert looks(watched, {7: 0}, owed * 5) == []


def test_it_is_looked_at_more_often_while_something_is_owed_and_never_if_there_is_nobody() -> None:
    watched = Pulse()
    assert watched.look_at == float("inf")
    watched.heard(ALICE, 7, {7: 0}, 100.0)
    assert watched.look_at == 100.5
    watched.look({7: 0}, lambda _: 0, 200.0)
    assert watched.look_at == 200.5
    watched.look({7: 0}, lambda _: 1, 300.0)
    assert watched.look_at == 300.2
    watched.look({}, lambda _: 1, 400.0)
    assert watched.look_at == float("inf")


def test_a_descriptor_that_another_connection_has_now_is_not_watched_any_more() -> None:
    watched = Pulse()
    watched.heard(ALICE, 7, {7: 0}, 0.0)
    assert looks(watched, {7: 1}, [10] * 50) == []
    assert len(watched) == 0


def test_a_connection_of_which_nothing_is_known_is_not_watched() -> None:
    watched = Pulse()
    assert watched.heard(ALICE, 7, {}, 0.0) is None
    assert watched.heard(ALICE, -1, {7: 0}, 0.0) is None
    assert len(watched) == 0


def test_the_former_connection_of_a_peer_is_told_while_it_is_open() -> None:
    watched = Pulse()
    watched.heard(ALICE, 7, {7: 0}, 0.0)
    assert watched.heard(ALICE, 7, {7: 0, 8: 1}, 0.0) is None
    assert watched.heard(ALICE, 8, {7: 0, 8: 1}, 0.0) == 7
    # The next one has the same descriptor; it is not told to be cut.
    assert watched.heard(ALICE, 8, {8: 2}, 0.0) is None
    # It has ended, or is somebody else's.
    assert watched.heard(ALICE, 9, {9: 3}, 0.0) is None
    assert watched.heard(ALICE, 10, {9: 4, 10: 5}, 0.0) is None
    assert len(watched) == 1


def test_a_connection_over_which_another_identity_speaks_is_its_own() -> None:
    watched = Pulse()
    connections = {7: 0, 8: 1}
    watched.heard(ALICE, 7, connections, 0.0)
    watched.heard(BOB, 8, connections, 0.0)
    watched.heard(BOB, 7, connections, 0.0)
    assert len(watched) == 1
    assert watched.heard(ALICE, 8, connections, 0.0) is None
    assert len(watched) == 2


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="asks Linux")
def test_over_ipc_is_owed_what_was_not_taken() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert pulse.unread_bytes(near.fileno()) == 0
        near.send(b"x")
        owed = pulse.unread_bytes(near.fileno())
        near.send(b"x")
        assert 0 < owed < pulse.unread_bytes(near.fileno())
        far.recv(100)
        assert pulse.unread_bytes(near.fileno()) == 0
        gone = near.fileno()
    assert pulse.unread_bytes(gone) == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="asks Linux")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_over_tcp_is_owed_a_sign_of_life(family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "QUIET_MS", 50)
    listening = socket.create_server(("", 0), family=family, backlog=BACKLOG)
    with listening, socket.socket(family) as far:
        far.connect(listening.getsockname())
        near, _ = listening.accept()
        with near:
            while not pulse.silent_ms(near.fileno()):
                pass
            far.send(b"x")
            # It lies in the kernel unread, and is a sign of life all the same.
            while pulse.silent_ms(near.fileno()):
                pass
            # It is still a socket that is open, and was not closed by being asked.
            assert near.recv(10) == b"x"
            gone = near.fileno()
    assert pulse.silent_ms(gone) == 0
