"""`hoot call`, against a bus in the test's own process."""

import base64
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.shell import refused, run, run_here, started, until
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Request, Worker

SCHEMA = """\
@0xb7c35dd6b5a8a9f1;
struct Point { x @0 :Int32; label @1 :Text; inner @2 :Inner; }
struct Inner { data @0 :Data; }
"""


@pytest.fixture
def worker() -> Worker:
    return Worker("text")


@pytest.fixture
def bus(hoot_bus: EmbeddedBroker, worker: Worker) -> str:

    @worker.method
    def upper(request: Request) -> dict[str, str]:
        return {"text": request.json()["text"].upper()}

    @worker.method
    def count(request: Request) -> Iterator[dict[str, int]]:
        for number in range(request.json()["to"]):
            yield {"number": number}

    @worker.method
    def same(request: Request) -> Request:
        return request

    @worker.method
    def fail(request: Request) -> None:
        raise ValueError("no such luck")

    @worker.method
    def paint(request: Request) -> None:
        raise ValueError("\x1b[31mred\x07")

    @worker.method
    def slow(request: Request) -> None:
        assert request.cancelled.wait(20)

    @worker.method
    def endless(request: Request) -> Iterator[int]:
        yield 1
        assert request.cancelled.wait(20)

    hoot_bus.worker(worker)
    return hoot_bus.address


def test_json_goes_in_and_json_comes_out(bus: str) -> None:
    ran = run("call", "text/upper", '{"text": "hi"}', bus=bus)
    assert ran == (0, '{"text":"HI"}\n', "")


def test_the_body_comes_from_stdin(bus: str) -> None:
    assert run("call", "text/upper", "-", bus=bus, stdin=b'{"text": "hi"}').json == {"text": "HI"}


@pytest.mark.parametrize("schema", [False, True])
def test_the_body_comes_from_a_file(bus: str, tmp_path: Path, schema: bool) -> None:
    # In this process each id is taken once.
    (tmp_path / "point.capnp").write_text(SCHEMA.replace("@0xb7c3", f"@0xb7c{4 + schema}"))
    (tmp_path / "point.json").write_text('{"x": 3, "label": "@ not a file"}')
    options = ("--schema", f"{tmp_path / 'point.capnp'}:Point") if schema else ()
    body = {"x": 3, "label": "@ not a file"}
    assert run_here("call", "text/same", f"@{tmp_path / 'point.json'}", *options, bus=bus).json == body
    assert run_here("call", "text/same", "@-", *options, bus=bus, stdin=json.dumps(body).encode()).json == body


def test_a_file_that_is_not_there_is_wrong_usage(bus: str, tmp_path: Path) -> None:
    said = refused("call", "text/same", f"@{tmp_path / 'point.json'}")
    assert said.startswith("the body's file cannot be read: [Errno 2] No such file or directory: ")


def test_the_bus_is_named_before_the_command_or_behind_it(bus: str) -> None:
    wrong = "ipc:///nowhere/at/all"
    arguments = ("text/upper", '{"text": "hi"}')
    assert run_here("--bus", bus, "call", *arguments, bus=wrong).status == 0
    assert run_here("call", "--bus", bus, *arguments, bus=wrong).status == 0
    assert run_here("--bus", wrong, "call", "--bus", bus, *arguments).status == 0


def test_no_body_is_an_empty_one_and_its_reply_prints_nothing(bus: str) -> None:
    assert run_here("call", "text/same", bus=bus) == (0, "", "")
    assert run_here("call", "text/same", "--json", bus=bus).json is None


@pytest.mark.parametrize("body", ["5", '{"a": {"b": [true, null, 1.5]}}'])
def test_any_json_is_a_body(bus: str, body: str) -> None:
    assert run_here("call", "text/same", body, bus=bus).json == json.loads(body)


def test_raw_bytes_come_back_as_they_are(bus: str, tmp_path: Path) -> None:
    file = tmp_path / "bytes"
    file.write_bytes(bytes(range(256)))
    ran = run("call", "text/same", "--raw", str(file), bus=bus)
    assert ran.out.encode(errors="surrogateescape") == bytes(range(256))
    shown = run("call", "text/same", "--raw", str(file), "--json", bus=bus).json
    assert base64.b64decode(shown["base64"]) == bytes(range(256))


def test_json_travels_as_capnp_where_a_schema_is_named(bus: str, tmp_path: Path) -> None:
    file = tmp_path / "point.capnp"
    file.write_text(SCHEMA)
    point = {"x": -7, "label": "here", "inner": {"data": [0, 255]}}
    ran = run_here("call", "text/same", json.dumps(point), "--schema", f"{file}:Point", bus=bus)
    assert ran.json == point


def test_a_stream_is_a_line_per_item(bus: str) -> None:
    items = [{"number": number} for number in range(3)]
    assert run_here("call", "text/count", '{"to": 3}', "--stream", bus=bus).lines == items
    assert run_here("call", "text/count", '{"to": 3}', bus=bus).json == items


def test_a_gather_is_a_line_per_worker(bus: str, hoot_bus: EmbeddedBroker) -> None:
    second = Worker("text")

    @second.method
    def fail(request: Request) -> str:
        return "as luck would have it"

    hoot_bus.worker(second)
    ran = run_here("call", "text/fail", "--gather", bus=bus)
    failed = '{"error":{"code":"handler_error","message":"ValueError: no such luck"}}'
    assert (ran.status, sorted(ran.out.splitlines())) == (1, [f"w1 {failed}", 'w2 "as luck would have it"'])
    ran = run_here("call", "text/fail", "--gather", "--json", bus=bus)
    assert sorted(ran.lines, key=lambda line: str(line["worker"])) == [
        {"worker": "w1", **json.loads(failed)},
        {"worker": "w2", "content_type": "json", "body": "as luck would have it"},
    ]
    ran = run_here("call", "text/same", "1", "--gather", bus=bus)
    assert (ran.status, ran.out) == (0, "w1 1\n")
    ran = run_here("call", "nobody/here", "--gather", bus=bus)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("unknown_service: ")


@pytest.mark.parametrize(
    ("target", "code"),
    [("nobody/here", "unknown_service"), ("text/nothing", "unknown_method"), ("text/fail", "handler_error")],
)
def test_an_error_is_its_code_and_text_on_stderr(bus: str, target: str, code: str) -> None:
    ran = run_here("call", target, bus=bus)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"{code}: ")
    assert json.loads(run_here("call", target, "--json", bus=bus).err)["error"]["code"] == code


def test_an_error_that_a_terminal_would_obey_is_shown_without_that(bus: str) -> None:
    # The text is the handler's, and so is anybody's.
    ran = run_here("call", "text/paint", bus=bus)
    assert ran.err == "handler_error: ValueError: ?[31mred?\n"
    message = json.loads(run_here("call", "text/paint", "--json", bus=bus).err)["error"]["message"]
    assert message == "ValueError: \x1b[31mred\x07"


def test_the_deadline_is_kept(bus: str) -> None:
    ran = run_here("call", "text/slow", "--timeout", "0.2", bus=bus)
    assert ran.status == 1
    assert ran.err.startswith("deadline_exceeded: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [("text/slow",), ("text/endless", "--stream")])
def test_a_signal_cancels_the_request_in_its_handler(
    bus: str, worker: Worker, tmp_path: Path, arguments: tuple[str, ...], number: signal.Signals
) -> None:
    with started("call", *arguments, bus=bus, log=tmp_path / "log") as call:
        until(lambda: worker.stats().running, "the handler runs")
        assert call.end(number) == 1
        assert "Traceback" not in call.err
    until(lambda: not worker.stats().running, "the handler has ended")
    assert worker.stats().cancelled == 1


def test_who_waits_in_vain_is_told_that_nobody_came(bus: str) -> None:
    ran = run_here("call", "nobody/here", "--wait", "--timeout", "0.2", bus=bus)
    assert ran.err.endswith("; no worker offers 'nobody/here'\n")
    ran = run_here("call", "text/slow", "--wait", "--timeout", "0.2", bus=bus)
    assert "no worker" not in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("text/same", "{"),
        ("text/same", "\udcff"),
        ("text/same", "--timeout", "0"),
        ("text/same", "--timeout", "inf"),
        ("text/same", "--timeout", "nan"),
        ("text/same", "--raw", "/no/such/file"),
        ("text/same", "{}", "--raw", "/dev/null"),
        ("text/same", "{}", "--schema", "point.capnp"),
        ("text/same", "{}", "--schema", "/no/such.capnp:Point"),
        ("text/same", "--nonsense"),
        ("text/same", "--gather", "--stream"),
        ("text/same", "--gather", "--wait"),
    ],
)
def test_wrong_usage_is_status_2_and_reaches_nobody(arguments: tuple[str, ...]) -> None:
    assert refused("call", "--bus", "ipc:///nowhere/at/all", *arguments)


def test_without_a_broker_it_fails_in_time(tmp_path: Path) -> None:
    ran = run("call", "text/upper", "--timeout", "0.2", bus=f"ipc://{tmp_path}")
    assert ran.status == 1
    assert "no broker" in ran.err
