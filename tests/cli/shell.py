"""`hoot` as a shell runs it: real processes, waited for by what they say, and every one of them ended."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from click.testing import CliRunner

from hootbus.bus.cli.app import hoot as root
from hootbus.bus.processes import bare_environment, hoot

TIMEOUT_S = 30.0


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  # JSON is any of six types
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(
    *arguments: str,
    bus: str | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ran:
    """One command, from start to end."""
    done = subprocess.run(
        hoot(*arguments),
        input=stdin,
        capture_output=True,
        env=environment(bus, env),
        cwd=cwd,
        timeout=TIMEOUT_S,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode())
    assert "Traceback" not in ran.err
    return ran


def run_here(*arguments: str, bus: str | None = None, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """As `run`, in this process: much quicker, and enough wherever the process itself is not what is tested."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    wanted = environment(bus, env)
    without: dict[str, str | None] = dict.fromkeys(name for name in os.environ if name not in wanted)
    try:
        done = CliRunner().invoke(root, arguments, input=stdin, env=without | wanted, prog_name="hoot")
    finally:
        for number, handler in signals.items():
            signal.signal(number, handler)
    if not isinstance(done.exception, SystemExit | None):
        raise done.exception
    return Ran(done.exit_code, done.stdout_bytes.decode(errors="surrogateescape"), done.stderr)


def refused(*arguments: str) -> str:
    """What is said of a command line that is wrong usage: exit status 2. In this process, as nothing is begun."""
    with pytest.raises(click.UsageError) as caught:
        root.main(list(arguments), standalone_mode=False)
    assert caught.value.exit_code == 2
    return caught.value.format_message()


def environment(bus: str | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return bare_environment() | ({"HOOT_BUS": bus} if bus else {}) | dict(more or {})


class Started:
    """A command that goes on until it is told to end."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log
        self._unread = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def err(self) -> str:
        return self._log.read_text()

    def line(self) -> Any:  # noqa: ANN401  # as above
        """The next line of its stdout, which is JSON."""
        assert self.process.stdout is not None
        until = time.monotonic() + TIMEOUT_S
        while b"\n" not in self._unread:
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            assert readable, f"said nothing; its log:\n{self.err}"
            read = os.read(self.process.stdout.fileno(), 65536)
            assert read, f"ended; its log:\n{self.err}"
            self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Sends the signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


@contextmanager
def started(
    *arguments: str, log: Path, bus: str | None = None, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Started]:
    """A command in the background, which has ended behind the block."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            hoot(*arguments),
            env=environment(bus, env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield Started(process, log)
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until it holds."""
    give_up_at = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < give_up_at, f"waited in vain until {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether the process is there and is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends between opening and reading
        return False
    return state != "Z"
