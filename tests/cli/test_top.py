"""`hoot top` as one runs it: in a pipe, as JSON, and on a terminal with a key to end it."""

import os
import pty
import select
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from cli.shell import TIMEOUT_S, environment, run_here, started
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.processes import hoot
from hootbus.workers import Worker


@pytest.fixture
def bus(hoot_bus: EmbeddedBroker) -> str:
    worker = Worker("text")

    @worker.method
    def upper(text: str) -> str:
        return text.upper()

    hoot_bus.worker(worker)
    return hoot_bus.address


def test_once_in_a_pipe_is_one_block(bus: str) -> None:
    ran = run_here("top", "--once", "--interval", "0.01", bus=bus)
    assert ran.status == 0
    assert ran.out.startswith("serving, up ")
    assert ran.out.count("SERVICE") == 2
    assert "\ntext " in ran.out


def test_as_json_it_is_a_line_each_interval_until_it_is_told_to_end(
    bus: str, hoot_bus: EmbeddedBroker, tmp_path: Path
) -> None:
    with started("top", "--json", "--interval", "0.05", bus=bus, log=tmp_path / "log") as top:
        assert top.line()["services"][0]["name"] == "text"
        client = hoot_bus.client()
        client.call("text/upper", "a")
        line: dict[str, Any] = {"requests_per_s": 0.0}
        while not line["requests_per_s"]:
            line = top.line()
        assert line["services"][0]["took"]["p95_ms"] > 0
        assert top.end(signal.SIGTERM) == 0


def test_on_a_terminal_it_waits_for_a_broker_that_has_gone_until_a_key_ends_it(tmp_path: Path) -> None:
    with started("broker", "--bus", "tcp://127.0.0.1:0", log=tmp_path / "log") as broker:
        bus = broker.line()["bus"]
        terminal = Terminal(bus, "--timeout", "0.2")
        try:
            terminal.read_until(b"serving, up")
            broker.end(signal.SIGKILL)
            terminal.read_until(b"no broker answers at")
            with started("broker", "--bus", bus, log=tmp_path / "log2"):
                terminal.read_until(b"serving, up")
                terminal.press(b"xQ")
                assert terminal.end() == 0
        finally:
            terminal.close()


def test_without_a_broker_it_says_what_to_do() -> None:
    ran = run_here("top", "--timeout", "0.1", bus="ipc:///tmp/nobody")
    assert ran.status == 1
    assert "start one with `hoot broker`" in ran.err


class Terminal:
    """`hoot top` on a terminal of its own."""

    def __init__(self, bus: str, *options: str) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (30, 110))
        self._before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            hoot("top", "--interval", "0.05", *options),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(bus, {"TERM": "xterm"}),
        )

    def read_until(self, text: bytes) -> None:
        said = b""
        until = time.monotonic() + TIMEOUT_S
        while text not in said:
            assert select.select([self._ours], [], [], max(0.0, until - time.monotonic()))[0], said
            said += os.read(self._ours, 65536)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def end(self) -> int:
        """Once it has been told to: the exit status."""
        self.read_until(b"\x1b[?1049l")
        status = self.process.wait(TIMEOUT_S)
        # As it was before: keys are shown, lines are lines.
        assert termios.tcgetattr(self._theirs) == self._before
        return status

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


def test_on_a_terminal_it_draws_until_it_is_interrupted(bus: str) -> None:
    terminal = Terminal(bus)
    try:
        terminal.read_until(b"w1")
        # As Ctrl-C does on the terminal that a process was started on, which this is not.
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    finally:
        terminal.close()
