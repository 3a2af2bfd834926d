"""The processes of a measurement: started, waited for until they serve, asked, and ended whatever happens.

Each is a new interpreter, not a fork: a ZeroMQ context does not survive one. On the way out they are asked to end, then
made to; should we be killed ourselves, their lifeline ends them.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from benchmarks.role import EXECUTE, Role, name_of
from hootbus.bus.lifeline import Lifeline
from hootbus.bus.processes import bare_environment

READY_S: Final = 30.0
ANSWER_S: Final = 60.0
_END_S: Final = 3.0
_POLL_S: Final = 0.01
_WATCH_S: Final = 0.5
_READ_BYTES: Final = 1 << 16
_SBIN: Final = ("/usr/local/sbin", "/usr/sbin")
_LOG_CHARACTERS: Final = 1500
_TESTS: Final = Path(__file__).resolve().parents[1]
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class ProcessFailed(Exception):
    """A process ended, or did not answer in time; the text says which, and what it said last."""


class Child:
    """One process that runs a role of ours, or a program."""

    def __init__(
        self, name: str, command: list[str], *, lifeline: Lifeline, folder: Path, watch: Callable[[], None]
    ) -> None:
        self.name = name
        self._watch = watch
        self._log: IO[bytes] = (folder / f"{name.replace(':', '.')}.{time.monotonic_ns()}.log").open("w+b")
        self._unread = b""
        self._process = subprocess.Popen(
            command,
            env=bare_environment() | lifeline.environment | {"PYTHONPATH": str(_TESTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            pass_fds=lifeline.descriptors,
            # Ctrl-C is for us: we end them in order.
            process_group=0,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tell(self, **order: Any) -> None:  # noqa: ANN401  (whatever JSON can say)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._process.wait()
            raise ProcessFailed(self.said(f"ended with status {self._process.returncode}")) from None

    def answer(self, timeout: float = ANSWER_S) -> dict[str, Any]:
        """Its next answer. Raises ProcessFailed if none comes in time, or if one of its group fails."""
        until = time.monotonic() + timeout
        while not self.has_answered(min(_WATCH_S, until - time.monotonic())):
            self._watch()
            if time.monotonic() >= until:
                raise ProcessFailed(self.said(f"gave no answer within {timeout:.0f} s"))
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def has_answered(self, within: float = 0.0) -> bool:
        """Whether an answer is there to be taken. Raises ProcessFailed if it has ended instead."""
        assert self._process.stdout is not None
        if b"\n" not in self._unread and select.select([self._process.stdout], [], [], max(0.0, within))[0]:
            # Not the file's own read, whose buffer select cannot see.
            read = os.read(self._process.stdout.fileno(), _READ_BYTES)
            if not read:
                self._process.wait()
                raise ProcessFailed(self.said(f"ended with status {self._process.returncode}"))
            self._unread += read
        return b"\n" in self._unread

    def ask(self, timeout: float = ANSWER_S, **order: Any) -> dict[str, Any]:  # noqa: ANN401  (whatever JSON can say)
        self.tell(**order)
        return self.answer(timeout)

    def check(self) -> None:
        """Raises ProcessFailed if it has ended, other than in order."""
        if self._process.poll():
            raise ProcessFailed(self.said(f"ended with status {self._process.returncode}"))

    def said(self, what: str) -> str:
        """What became of it, with the last that it wrote to its log."""
        self._log.flush()
        last = Path(self._log.name).read_bytes().decode(errors="replace").strip()[-_LOG_CHARACTERS:]
        return f"{self.name} {what}" + (f":\n{last}" if last else "")

    def terminate(self) -> None:
        if self.alive:
            self._process.send_signal(signal.SIGTERM)

    def end(self, within: float) -> None:
        """Waits for it, kills it if that takes too long, and lets go of what it holds."""
        try:
            self._process.wait(max(0.0, within))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()


class Processes:
    """Children that end together, with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._lifeline = self._stack.enter_context(Lifeline())
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._stack:
            self.end(tuple(self._children))

    def end(self, children: Iterable[Child]) -> None:
        """Ends these, all at the same time."""
        children = tuple(children)
        for child in children:
            child.terminate()
        until = time.monotonic() + _END_S
        for child in children:
            child.end(until - time.monotonic())
            self._children.remove(child)

    @property
    def children(self) -> tuple[Child, ...]:
        """Those that have not been ended."""
        return tuple(self._children)

    def check(self) -> None:
        """Raises ProcessFailed if one of them has ended by itself."""
        for child in self._children:
            child.check()

    def start(self, role: Role, **options: Any) -> Child:  # noqa: ANN401  (whatever JSON can say)
        """Starts a function of ours as a process of its own; it is ready when it says so (see `ready`)."""
        return self._start(name_of(role), name_of(role), json.dumps(options))

    def program(self, *command: str) -> Child:
        """Starts a program. It says nothing: ask its socket whether it serves."""
        name, *arguments = command
        return self._start(Path(name).name, EXECUTE, find_program(name) or name, *arguments)

    def _start(self, name: str, *arguments: str) -> Child:
        # -P: a file of the current folder must not stand in for a module.
        command = [sys.executable, "-P", "-m", "benchmarks.role", *arguments]
        child = Child(name, command, lifeline=self._lifeline, folder=self.folder, watch=self.check)
        self._children.append(child)
        return child


def find_program(name: str) -> str | None:
    """Where a program is. Debian puts servers where only root's PATH looks."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN)))


def ready(*children: Child) -> None:
    """Waits until all of them have said that they are."""
    for child in children:
        child.answer(READY_S)


def serves(child: Child, connect: Callable[[], socket.socket]) -> None:
    """Waits until the program takes connections."""
    until = time.monotonic() + READY_S
    while True:
        try:
            connect().close()
            return
        except OSError as error:
            if not child.alive or time.monotonic() > until:
                raise ProcessFailed(child.said(f"does not serve ({error})")) from None
        time.sleep(_POLL_S)


def tcp(port: int) -> Callable[[], socket.socket]:
    return lambda: socket.create_connection(("127.0.0.1", port))


def unix(path: Path) -> Callable[[], socket.socket]:
    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return connection

    return connect


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process (proc(5), /proc/pid/stat)."""
    # The second field is the command's name, which may hold anything but ends with the last parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now (proc(5), /proc/pid/statm)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
