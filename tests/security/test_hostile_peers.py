"""Peers with a key who claim to be others: real sockets, and no part of ours between them and the broker."""

from collections.abc import Callable
from contextlib import suppress

import pytest
import zmq

from hootbus.frames.address import parse_address
from hootbus.workers import Client
from security.conftest import Guarded
from security.hostile import CANCEL, DISCONNECT, HEARTBEAT, PARTIAL, PATIENCE_MS, REPLY, REQUEST, RID, raw

WORKER, CLIENT, OTHER = b"w" * 16, b"c" * 16, b"o" * 16
Serve = Callable[[], Guarded]


def dropped(client: Client) -> dict[str, int]:
    found: dict[str, int] = client.call("hoot.broker/status", timeout=10).json()["dropped"]
    return {reason: count for reason, count in found.items() if count}


def wait_for(client: Client, reason: str, count: int) -> None:
    """Until so many have been counted."""
    while dropped(client).get(reason, 0) < count:
        pass


def test_a_reply_from_another_identity_answers_nobody(guarded: Guarded, serve: Serve) -> None:
    alice, bob, eve = (guarded.let_in(name) for name in ("alice", "bob", "eve"))
    bus = serve()
    with (
        raw(bus.address, bob, WORKER) as worker,
        raw(bus.address, alice, CLIENT) as client,
        raw(bus.address, eve, OTHER) as attacker,
        Client(bus.address, keys=alice) as watcher,
    ):
        worker.ready(b"text")
        client.say(REQUEST, service=b"text", body=b"secret")
        handed = worker.hear(REQUEST)
        # She knows the very id under which the worker has it, and it is in vain.
        for command in (REPLY, PARTIAL):
            attacker.say(command, handed[3], body=b"forged")
        attacker.say(CANCEL)
        wait_for(watcher, "cancel_unknown", 1)
        assert dropped(watcher) == {"reply_unasked": 1, "partial_unasked": 1, "cancel_unknown": 1}
        worker.say(REPLY, handed[3], body=b"done")
        assert client.hear(REPLY)[6] == b"done"
        assert attacker.heard() == []


def test_who_takes_a_clients_identity_learns_nothing_and_ends_nothing(guarded: Guarded, serve: Serve) -> None:
    alice, bob, eve = (guarded.let_in(name) for name in ("alice", "bob", "eve"))
    bus = serve()
    with (
        raw(bus.address, bob, WORKER) as worker,
        raw(bus.address, alice, CLIENT) as client,
        Client(bus.address, keys=alice) as watcher,
    ):
        worker.ready(b"text")
        client.say(REQUEST, service=b"text", body=b"secret")
        handed = worker.hear(REQUEST)
        with raw(bus.address, eve, CLIENT) as attacker:
            for command in (CANCEL, DISCONNECT, HEARTBEAT, REQUEST):
                attacker.say(command, service=b"text")
            wait_for(watcher, "identity_taken", 1)
            # The broker has cut both, and the owner is back first: with its first word it has what is its own.
            client.come_back()
            worker.say(REPLY, handed[3], body=b"done")
            assert client.hear(REPLY)[6] == b"done"
            assert attacker.heard() == []


def test_who_takes_a_workers_identity_gets_no_request(guarded: Guarded, serve: Serve) -> None:
    alice, bob, eve = (guarded.let_in(name) for name in ("alice", "bob", "eve"))
    bus = serve()
    with (
        raw(bus.address, bob, WORKER) as worker,
        raw(bus.address, alice, CLIENT) as client,
        Client(bus.address, keys=alice) as watcher,
    ):
        worker.ready(b"text")
        client.say(REQUEST, RID, b"text", b"first")
        worker.say(REPLY, worker.hear(REQUEST)[3])
        client.hear(REPLY)
        with raw(bus.address, eve, WORKER) as attacker:
            attacker.ready(b"text")
            wait_for(watcher, "identity_taken", 1)
            client.say(REQUEST, b"2" * 16, b"text", b"second")
            worker.come_back()
            worker.ready(b"text")
            assert worker.hear(REQUEST)[6] == b"second"
            assert attacker.heard() == []


def test_without_a_key_nothing_gets_through_at_all(guarded: Guarded, serve: Serve) -> None:
    alice = guarded.let_in("alice")
    bus = serve()
    with raw(bus.address, None, OTHER) as bare, raw(bus.address, bus.stranger("eve"), CLIENT) as stranger:
        for peer in (bare, stranger):
            # Its handshake may have failed by now, after which libzmq has nowhere to put a message.
            with suppress(zmq.Again):
                peer.say(REQUEST, service=b"hoot.broker/status")
        with Client(bus.address, keys=alice) as client:
            counters = client.call("hoot.broker/status", timeout=10).json()["counters"]
            while not (counters["handshakes_denied"] and counters["handshakes_failed"]):
                counters = client.call("hoot.broker/status", timeout=10).json()["counters"]
            assert dropped(client) == {}
        assert bare.heard() == stranger.heard() == []


def test_a_key_for_each_attempt_fills_no_log(guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    alice = guarded.let_in("alice")
    bus = serve()
    context = zmq.Context()
    peers = [context.socket(zmq.DEALER) for _ in range(40)]
    try:
        for socket in peers:
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = alice.broker
            socket.connect(bus.address)
        with Client(bus.address, keys=alice) as client:
            while client.call("hoot.broker/status", timeout=10).json()["counters"]["handshakes_denied"] < 40:
                pass
    finally:
        context.destroy(0)
    refusals = [record for record in caplog.records if "is refused at requests" in record.message]
    assert len(refusals) == 30


def test_registrations_that_are_refused_fill_no_log(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    alice = guarded.let_in("alice")
    caplog.set_level("INFO", logger="hootbus")
    bus = serve()
    with raw(bus.address, alice, OTHER) as attacker, Client(bus.address, keys=alice) as watcher:
        for _ in range(400):
            attacker.ready(b"No Name")
        wait_for(watcher, "bad_registration", 400)
    refused = [record.message for record in caplog.records if record.message.startswith("worker_refused")]
    assert len(refused) == 300
    assert refused[-1].endswith("(and no more like this for the rest of a minute)")


def test_a_request_without_the_right_is_in_the_log_once(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    alice = guarded.let_in("alice")
    caplog.set_level("INFO", logger="hootbus")
    bus = serve()
    with raw(bus.address, alice, OTHER) as attacker:
        for service in (b"hoot.quarantine/list", b"hoot.broker/drain\nreal"):
            attacker.say(REQUEST, service=service)
            attacker.hear(REPLY)
    denied = [record.message for record in caplog.records if record.message.startswith("request_denied")]
    assert denied == ["request_denied key=alice service=hoot.quarantine/list"]


def test_a_subscription_longer_than_any_topic_costs_its_sender_the_connection(guarded: Guarded, serve: Serve) -> None:
    alice = guarded.let_in("alice")
    bus = serve()
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = alice.public, alice.secret, alice.broker
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    try:
        socket.connect(parse_address(bus.address).subscribe)
        # Of each byte libzmq would keep 46, in the broker.
        socket.setsockopt(zmq.SUBSCRIBE, b"a" * 5000)
        assert monitor.poll(PATIENCE_MS)
    finally:
        context.destroy(0)
