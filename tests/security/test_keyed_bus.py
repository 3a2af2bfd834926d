"""A bus with keys, from its users' side: the right key, the wrong one, none, and one that is taken away."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from hootbus.frames.keys import NO_KEYS, Keys
from hootbus.workers import AsyncClient, Client, DeadlineExceeded, Denied, Publisher, Subscriber, Worker
from security.conftest import Guarded

Serve = Callable[[], Guarded]
PATIENCE_S = 10.0


def echo(keys: Keys) -> Worker:
    worker = Worker("text", keys=keys)
    worker.add_method(lambda request: request.json(), name="echo")
    return worker


def until_denied(action: Callable[[], object]) -> Denied:
    """Again and again until it is refused: the broker reads its files in a moment of its own."""
    while True:
        try:
            action()
        except Denied as error:
            return error


def test_with_the_right_keys_all_goes_as_without(guarded: Guarded, serve: Serve) -> None:
    alice, bob = guarded.let_in("alice"), guarded.let_in("bob")
    bus = serve()
    with echo(bob).running(bus.address), Client(bus.address, keys=alice) as client:
        assert client.call("text/echo", {"a": 1}).json() == {"a": 1}
        with (
            Subscriber("a.", address=bus.address, keys=alice) as subscriber,
            Publisher(bus.address, keys=bob) as publisher,
        ):
            publisher.publish("a.b", {"x": 1})
            assert subscriber.receive(PATIENCE_S).json() == {"x": 1}


@pytest.mark.parametrize("who", ["stranger", "nobody"])
def test_who_is_not_let_in_is_told_at_once(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture, who: str
) -> None:
    bus = serve()
    keys = bus.stranger("eve") if who == "stranger" else NO_KEYS
    words = "does not let this key in" if who == "stranger" else "wants keys"
    with Client(bus.address, keys=keys) as client, pytest.raises(Denied, match=words):
        client.call("text/echo")
    with pytest.raises(Denied, match=words), Publisher(bus.address, keys=keys) as publisher:
        publisher.publish("a.b")
    with pytest.raises(Denied, match=words), Subscriber(address=bus.address, keys=keys):
        pass
    with pytest.raises(Denied, match=words):
        echo(keys).start(bus.address)
    logs = {record.name for record in caplog.records if words in record.message}
    assert {"hootbus.client", "hootbus.publisher", "hootbus.subscriber", "hootbus.worker"} <= logs


def test_a_wrong_broker_key_is_said_on_both_sides(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    alice, eve = guarded.let_in("alice"), guarded.stranger("eve")
    bus = serve()
    wrong = Keys(alice.public, alice.secret, eve.public)
    with (
        Client(bus.address, keys=wrong) as client,
        pytest.raises(DeadlineExceeded, match="HOOT_BROKER_KEY is not its public key"),
    ):
        client.call("text/echo", timeout=0.5)
    said = [record.message for record in caplog.records]
    assert "a peer connects with another broker key than this broker's" in said
    assert any("HOOT_BROKER_KEY is not its public key" in line for line in said)


def test_keys_for_a_bus_without_any_are_said(hoot_bus: object, guarded: Guarded) -> None:
    with (
        Client(hoot_bus.address, keys=guarded.stranger("eve")) as client,  # type: ignore[attr-defined]  # the fixture's
        pytest.raises(Denied, match="the broker has no keys"),
    ):
        client.call("hoot.broker/status")


def test_asyncio_programs_have_keys_too_and_are_told(guarded: Guarded, serve: Serve) -> None:
    alice = guarded.let_in("alice")
    bus = serve()
    eve = bus.stranger("eve")

    async def ask() -> None:
        async with AsyncClient(bus.address, keys=alice) as client:
            assert (await client.call("hoot.broker/status")).json()["state"] == "serving"
        async with AsyncClient(bus.address, keys=eve) as client:
            with pytest.raises(Denied):
                await client.call("hoot.broker/status")
        async with Publisher(bus.address, keys=eve) as publisher:
            with pytest.raises(Denied):
                await publisher.apublish("a.b")
        with pytest.raises(Denied):
            await Subscriber(address=bus.address, keys=eve).__aenter__()

    asyncio.run(ask())


def test_the_environments_keys_are_taken(guarded: Guarded, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.let_in("alice")
    bus = serve()
    monkeypatch.setenv("HOOT_KEY", str(bus.folder / "alice" / "alice.key_secret"))
    monkeypatch.setenv("HOOT_BROKER_KEY", str(bus.folder / "own" / "broker.key"))
    with Client(bus.address) as client:
        assert client.call("hoot.broker/status").json()["state"] == "serving"


def test_a_key_is_let_in_while_the_broker_serves_and_its_client_gets_through_by_itself(
    guarded: Guarded, serve: Serve
) -> None:
    bus = serve()
    alice = bus.stranger("alice")
    with Client(bus.address, keys=alice) as client:
        with pytest.raises(Denied):
            client.call("hoot.broker/status")
        (bus.allow / "alice.key").write_bytes((bus.folder / "alice" / "alice.key").read_bytes())
        # Without a word to the broker: it looks at its files.
        while True:
            try:
                assert client.call("hoot.broker/status").json()["state"] == "serving"
                break
            except Denied:
                pass


def test_a_revoked_key_loses_its_workers_its_requests_and_its_events(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = guarded.let_in("alice"), guarded.let_in("bob")
    bus = serve()
    caplog.set_level(logging.WARNING, logger="hootbus")
    worker = echo(bob)
    worker.start(bus.address)
    publisher = Publisher(bus.address, keys=alice)
    listener = Subscriber("a.", address=bus.address, keys=alice)
    spy = Subscriber("a.", address=bus.address, keys=bob)
    with Client(bus.address, keys=alice) as client, Client(bus.address, keys=bob) as revoked, publisher, listener, spy:
        waiting = revoked.submit("nowhere/yet", wait=True, timeout=PATIENCE_S)
        # It is at the broker, as this came behind it.
        revoked.call("hoot.broker/status")
        bus.shut_out("bob")
        assert isinstance(waiting.exception(PATIENCE_S), Denied)
        with pytest.raises(Denied):
            revoked.call("text/echo", 1, timeout=PATIENCE_S)
        with pytest.raises(Denied):
            # If it were stopped before it has heard that, it would end in peace.
            worker._ended.result(PATIENCE_S)
        with pytest.raises(Denied):
            worker.stop()
        with pytest.raises(Denied):
            spy.receive(PATIENCE_S)
        # Who may stay was cut as well, and is back.
        listener.ready(PATIENCE_S)
        publisher.publish("a.secret", 1)
        assert listener.receive(PATIENCE_S).json() == 1
        with pytest.raises(Denied):
            spy.receive(PATIENCE_S)
        assert client.call("hoot.broker/workers").json()["workers"] == []


def test_rights_that_change_hold_from_then_on(guarded: Guarded, serve: Serve) -> None:
    alice = guarded.let_in("alice")
    bus = serve()
    with Client(bus.address, keys=alice) as client:
        with pytest.raises(Denied, match="lacks the right 'admin'"):
            client.call("hoot.broker/drain")
        bus.give("[alice]\ncall = []\nadmin = true\n")
        assert "'call'" in until_denied(lambda: client.call("text/echo", wait=True, timeout=0.2)).message
        assert client.call("hoot.broker/drain").json()["state"] == "draining"


def test_a_broken_file_changes_nothing_and_is_said_loudly(
    guarded: Guarded, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    alice = guarded.let_in("alice")
    guarded.rights.write_text("[alice]\ncall = []\n")
    bus = serve()
    with Client(bus.address, keys=alice) as client:
        bus.give("[alice]\ncall = perhaps\n")
        while not any(record.levelname == "ERROR" and "rights.toml" in record.message for record in caplog.records):
            client.ping()
        with pytest.raises(Denied):
            client.call("text/echo")
