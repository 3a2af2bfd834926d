"""The broker inside a test's own process, and the fixture that gives it."""

import asyncio
import threading
from pathlib import Path

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.guard import CannotServe
from hootbus.frames.address import parse_address
from hootbus.workers import Request, Worker

pytest_plugins = ["pytester"]


def shouting() -> Worker:
    worker = Worker("text")

    @worker.method
    def upper(request: Request) -> dict[str, str]:
        return {"text": request.json()["text"].upper()}

    return worker


def test_a_request_goes_through_the_fixtures_bus(hoot_bus: EmbeddedBroker) -> None:
    hoot_bus.worker(shouting())
    assert hoot_bus.client().call("text/upper", {"text": "hi"}).json() == {"text": "HI"}


def test_an_asyncio_client_of_the_fixtures_bus(hoot_bus: EmbeddedBroker) -> None:
    async def ask() -> object:
        async with hoot_bus.async_client() as client:
            return (await client.call("text/upper", {"text": "hi"})).json()

    hoot_bus.worker(shouting())
    assert asyncio.run(ask()) == {"text": "HI"}


def test_what_is_published_reaches_a_subscriber(hoot_bus: EmbeddedBroker) -> None:
    subscriber = hoot_bus.subscriber("jobs.")
    publisher = hoot_bus.publisher()
    publisher.publish("other.1", {"lost": True})
    publisher.publish("jobs.1", {"done": True})
    event = next(iter(subscriber))
    assert (event.topic, event.json()) == ("jobs.1", {"done": True})


def test_each_embedded_broker_has_a_short_folder_of_its_own() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as two:
        assert one.address != two.address
        folders = [parse_address(bus.address).directory for bus in (one, two)]
        assert all(folder is not None and Path(folder).is_dir() for folder in folders)
    assert not any(folder is not None and Path(folder).exists() for folder in folders)


def test_a_temporary_folder_that_is_too_deep_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedBroker() as bus:
        assert bus.client().ping() > 0
    assert not any(deep.iterdir())


def test_a_broker_that_cannot_serve_says_so_where_it_was_begun() -> None:
    with (
        EmbeddedBroker() as first,
        pytest.raises(CannotServe, match="already serves"),
        EmbeddedBroker(first.address),
    ):
        pass


def test_nothing_is_left_of_it() -> None:
    before = threading.active_count()
    with EmbeddedBroker() as bus:
        bus.worker(shouting())
        bus.client()
        bus.publisher()
        bus.subscriber()
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_the_plugin_offers_the_fixture_and_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_light():
            assert "zmq" not in sys.modules
            assert "capnp" not in sys.modules

        def test_bus(hoot_bus):
            assert hoot_bus.client().call("hoot.broker/status").json()["state"] == "serving"
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
