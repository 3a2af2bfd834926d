"""`--log-format json`: one object per line, whatever is in it."""

import json
import logging
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from cli.shell import started, until
from hootbus.bus.cli.json_log import JsonLines
from hootbus.workers import Client, HandlerFailed

TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PROGRAM: Final = """
import logging

from hootbus.workers import Worker

worker = Worker("text")


@worker.method
def fail():
    logging.getLogger("program").warning("about to")
    raise ValueError("two\\nlines")
"""


def line_of(message: str, *arguments: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # as logging has it
    """What is written of a record."""
    record = logging.makeLogRecord({"name": "a.b", "levelname": "INFO", "msg": message, "args": arguments, **more})
    record.created, record.msecs = 1_700_000_000.0, 7.9
    line = JsonLines().format(record)
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_record_is_one_object() -> None:
    assert line_of("%s\nand more", "this") == {
        "ts": "2023-11-14T22:13:20.007Z",
        "level": "info",
        "logger": "a.b",
        "event": "this\nand more",
    }


def test_what_has_a_name_has_its_facts() -> None:
    told = line_of("worker_gone worker=1", event="worker_gone", hoot={"worker": 1, "reason": "drained"})
    assert (told["event"], told["facts"]) == ("worker_gone", {"worker": 1, "reason": "drained"})


def test_an_exception_has_its_traceback() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        assert line_of("failed", exc_info=sys.exc_info())["traceback"].endswith("ValueError: bad")


@pytest.mark.parametrize(
    "odd", ["\udcff", "\u2028", "\x1b[31m", object()], ids=["surrogate", "separator", "escape", "object"]
)
def test_anything_can_be_a_fact(odd: object) -> None:
    assert line_of("x", hoot={"odd": odd})["facts"] == {"odd": odd if isinstance(odd, str) else str(odd)}


def test_broker_supervisor_and_workers_write_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    as_json = ("--log-format", "json")
    with started("broker", "--bus", "tcp://127.0.0.1:0", *as_json, log=tmp_path / "broker.log") as broker:
        bus = broker.line()["bus"]
        worker = ("worker", "-n", "1", "program:worker", *as_json)
        with started(*worker, bus=bus, cwd=tmp_path, log=tmp_path / "worker.log") as supervisor:
            supervisor.line()
            with Client(bus) as client, pytest.raises(HandlerFailed):
                client.call("text/fail", traceparent=TRACEPARENT)
            until(lambda: "fail failed" in supervisor.err, "the log says so")
            assert supervisor.end() == 0
        until(lambda: "worker_gone" in broker.err, "the log says so")
        assert broker.end() == 0
        attached = next(line for line in map(json.loads, broker.err.splitlines()) if line["event"] == "worker_attached")
        assert (attached["logger"], attached["facts"]["service"]) == ("hootbus.broker", "text")
        of_workers = [json.loads(line) for line in supervisor.err.splitlines()]
        assert {line["logger"] for line in of_workers} >= {"hootbus.supervisor", "hootbus.worker"}
        failed = next(line for line in of_workers if line["event"] == "fail failed")
        assert (failed["traceparent"], failed["trace_id"]) == (TRACEPARENT, TRACEPARENT.split("-")[1])
        assert "two\nlines" in failed["traceback"]
        own = next(line for line in of_workers if line["logger"] == "program")
        assert (own["event"], own["trace_id"]) == ("about to", failed["trace_id"])
