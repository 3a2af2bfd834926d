"""`hoot publish` and `hoot listen`."""

import base64
import signal
from pathlib import Path

import pytest

from cli.shell import Started, run, run_here, started, until
from hootbus.bus.embedded import EmbeddedBroker


def listening(listener: Started) -> Started:
    until(lambda: "listening" in listener.err, "it listens")
    return listener


def test_what_one_shell_publishes_another_hears(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    bus = hoot_bus.address
    (tmp_path / "done.json").write_text('{"done": true}')
    with started("listen", "jobs.", "--count", "3", bus=bus, log=tmp_path / "log") as listener:
        listening(listener)
        assert run_here("publish", "other.1", "{}", bus=bus) == (0, "", "")
        assert run_here("publish", "jobs.1", f"@{tmp_path / 'done.json'}", bus=bus) == (0, "", "")
        assert run("publish", "jobs.2", "--raw", "-", bus=bus, stdin=b"\xff\x00") == (0, "", "")
        assert run_here("publish", "jobs.3", "--json", bus=bus).json == {"topic": "jobs.3"}
        first, second, third = (listener.line() for _ in range(3))
        assert listener.process.wait(30) == 0
    assert first["topic"] == "jobs.1"
    assert first["body"] == {"done": True}
    assert first["sequence"] == 0
    assert first["content_type"] == "json"
    assert {"time", "publisher"} < first.keys()
    assert base64.b64decode(second["base64"]) == b"\xff\x00"
    assert third["content_type"] == "empty"
    assert "body" not in third


def test_a_broadcast_of_the_standard_schemas_is_shown_as_json(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    bus = hoot_bus.address
    schema = Path(__file__).parents[2] / "schemas" / "broadcast.capnp"
    body = '{"progress": {"jobId": "j", "percent": 50, "message": "half"}}'
    with started("listen", "--count", "1", bus=bus, log=tmp_path / "log") as listener:
        listening(listener)
        assert run_here("publish", "jobs.1", body, "--schema", f"{schema}:Broadcast", bus=bus).status == 0
        assert listener.line()["body"] == {"progress": {"jobId": "j", "percent": 50.0, "message": "half"}}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_the_end_and_no_failure(hoot_bus: EmbeddedBroker, tmp_path: Path, number: signal.Signals) -> None:
    with started("listen", bus=hoot_bus.address, log=tmp_path / "log") as listener:
        assert listening(listener).end(number) == 0
        assert "Traceback" not in listener.err


def test_time_up_is_a_failure_only_if_a_count_was_wanted(hoot_bus: EmbeddedBroker) -> None:
    assert run_here("listen", "--timeout", "0.3", bus=hoot_bus.address).status == 0
    ran = run_here("listen", "--timeout", "0.3", "--count", "1", bus=hoot_bus.address)
    assert ran.status == 1
    assert "0 of 1 events" in ran.err


def test_without_a_broker_publishing_fails_in_time(tmp_path: Path) -> None:
    ran = run_here("publish", "jobs.1", "--timeout", "0.2", bus=f"ipc://{tmp_path}")
    assert ran.status == 1
    assert ran.err.startswith("deadline_exceeded: ")


def test_without_a_broker_listening_fails_in_time(tmp_path: Path) -> None:
    bus = f"ipc://{tmp_path}"
    ran = run_here("listen", "--timeout", "0.2", bus=bus)
    assert ran == (1, "", f"deadline_exceeded: no broker at {bus} within 0.2 s\n")


def test_a_topic_that_cannot_be_is_refused(hoot_bus: EmbeddedBroker) -> None:
    assert run_here("publish", "hoot.echo.mine", bus=hoot_bus.address).status == 1
    assert run_here("publish", "x" * 300, bus=hoot_bus.address).status == 1
