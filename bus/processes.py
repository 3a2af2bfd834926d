"""`hoot` commands as processes of their own: started, waited for until they serve, and ended."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import IO, Any, Final, Self

from hootbus.bus.lifeline import Lifeline

_READY_S: Final = 30.0
_END_S: Final = 15.0
_READ_BYTES: Final = 65536
# Our own settings are for us: what a child is to do, its arguments say. This one is about how it does it.
_PASSED_ON: Final = "HOOT_NATIVE"


class ProcessFailed(Exception):
    """A process did not come to serve, or did not end; the text says which, and what it said last."""


def hoot(*arguments: str) -> list[str]:
    """The command line that runs `hoot` with this interpreter, wherever the script is."""
    # -P: a file of the current folder must not stand in for a module of the standard library.
    return [sys.executable, "-P", "-m", "hootbus.bus.cli", *arguments]


def bare_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without settings of ours."""
    return {name: value for name, value in environ.items() if not name.startswith("HOOT_") or name == _PASSED_ON}


class HootProcess:
    """`hoot broker` or `hoot worker` in a process that ends with the block, or with us if we are killed."""

    def __init__(self, *arguments: str, lifeline: Lifeline, log: IO[bytes]) -> None:
        self._arguments = arguments
        self._log = log
        self._unread = b""
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            hoot(*arguments),
            env=bare_environment() | lifeline.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=lifeline.descriptors,
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def ready(self, timeout: float = _READY_S) -> dict[str, Any]:
        """The facts of its next ready line. Raises ProcessFailed if none comes."""
        until = time.monotonic() + timeout
        while b"\n" not in self._unread:
            self._read(until)
        line, _, self._unread = self._unread.partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def end(self) -> int:
        """Asks it to drain, waits, and returns its exit status; kills it if it takes too long, and raises then."""
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ProcessFailed(self._said(f"did not end within {_END_S:.0f} s")) from None
        finally:
            self.process.stdout.close()

    def _read(self, until: float) -> None:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
        if not readable:
            raise ProcessFailed(self._said("was not ready in time"))
        # Not the file's own read, whose buffer select cannot see.
        read = os.read(self.process.stdout.fileno(), _READ_BYTES)
        if not read:
            self.process.wait()
            raise ProcessFailed(self._said(f"ended with status {self.process.returncode}"))
        self._unread += read

    def _said(self, what: str) -> str:
        self._log.flush()
        with open(self._log.name, "rb") as log:
            last = log.read()[-2000:].decode(errors="replace").strip()
        return f"hoot {' '.join(self._arguments)} {what}" + (f":\n{last}" if last else "")
