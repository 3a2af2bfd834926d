"""Where the broker's cases are heard: the judge's process, with a thread in front that waits for it.

The broker's loop only hands cases over; it never waits for a pipe, and never looks into what a peer has sent.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO, Final

import msgspec

from hootbus.bus.judge import LENGTH
from hootbus.bus.judgement import Case, Finding, Verdict

# A verdict has names and reasons in it, all bounded: far less than this.
_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
_CHUNK_BYTES: Final = 1024 * 1024
_MS_PER_S: Final = 1000
# A case may take so much of the processor's time, and so many times as much by the clock: what else the machine has to
# do, as when it starts and all its workers come at once, is not the case's fault.
_PATIENCE: Final = 3
_START_S: Final = 60.0
# One that dies over a case may have been killed for other reasons; who dies twice was killed by the case.
_TRIES: Final = 2


class Court:
    """Judges cases, one after the other, in a process that is started for the first and ends with `close`.

    A case may take `seconds` of the processor's time. `report` gets each verdict, on the court's own thread.
    """

    def __init__(self, seconds: float, report: Callable[[Verdict], None]) -> None:
        self._seconds = seconds
        self._report = report
        self._cases: SimpleQueue[Case | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        # Whoever closes it kills the judge, whatever the thread is waiting for.
        self._lock = threading.Lock()
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The judge's process, None while there is none."""
        child = self._child
        return child.pid if child is not None else None

    def judge(self, case: Case) -> None:
        """Has it judged, some time later."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hootbus-court", daemon=True)
            self._thread.start()
        self._cases.put(case)

    def close(self) -> None:
        """Ends the judge, whatever he is at. Nothing is reported any more once this has returned."""
        self._closed = True
        self._cases.put(None)
        with self._lock:
            if self._child is not None:
                # The thread sees its pipe end. It alone may close pipes, as it may be waiting for one.
                self._child.kill()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (case := self._cases.get()) is not None:
            verdict = self._verdict(msgspec.msgpack.encode(case))
            if not self._closed:
                self._report(verdict)
        self._end_child()

    def _verdict(self, case: bytes) -> Verdict:
        problem = ""
        for _ in range(_TRIES):
            if self._closed:
                break
            try:
                return msgspec.msgpack.decode(self._ask(self._judge(), case), type=Verdict)
            except TimeoutError:
                self._end_child()
                return Verdict(Finding.UNHEARD, ("the machine has no time for it",))
            except (OSError, EOFError, msgspec.DecodeError) as error:
                if self._end_child() == -signal.SIGXCPU:
                    return Verdict(Finding.TOO_LONG, (f"it takes longer than {self._seconds:g} s",))
                problem = str(error) or "the judge has died over it"
        return Verdict(Finding.UNJUDGED, (problem,))

    def _judge(self) -> subprocess.Popen[bytes]:
        """The judge, a new one if there is none (any more)."""
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end_child()
        child = subprocess.Popen(
            # -P: a file of the current folder must not stand in for a module of the standard library.
            [sys.executable, "-P", "-m", "hootbus.bus.judge", str(self._seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for the broker, which ends the judge.
            start_new_session=True,
        )
        with self._lock:
            self._child = child
            if self._closed:
                child.kill()
        assert child.stdout is not None
        _read(child.stdout, LENGTH.size, time.monotonic() + _START_S)
        return child

    def _ask(self, child: subprocess.Popen[bytes], case: bytes) -> bytes:
        assert child.stdin is not None
        assert child.stdout is not None
        until = time.monotonic() + self._seconds * _PATIENCE
        _write(child.stdin, LENGTH.pack(len(case)), until)
        _write(child.stdin, case, until)
        (size,) = LENGTH.unpack(_read(child.stdout, LENGTH.size, until))
        if size > _ANSWER_BYTES_MAX:
            raise EOFError(f"a verdict of {size} bytes")
        return _read(child.stdout, size, until)

    def _end_child(self) -> int | None:
        """Ends the judge, if there is one; the status with which it ended."""
        with self._lock:
            child, self._child = self._child, None
        if child is None:
            return None
        # One that is dying already dies of what it was dying of.
        child.kill()
        status = child.wait()
        # Not flushed, as `Popen.__exit__` would: nobody reads it any more.
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            pipe.close()
        return status


def _write(pipe: IO[bytes], what: bytes, until: float) -> None:
    view = memoryview(what)
    os.set_blocking(pipe.fileno(), False)
    while view:
        _wait(pipe, select.POLLOUT, until)
        written = os.write(pipe.fileno(), view[:_CHUNK_BYTES])
        view = view[written:]


def _read(pipe: IO[bytes], size: int, until: float) -> bytes:
    found = bytearray()
    while len(found) < size:
        _wait(pipe, select.POLLIN, until)
        some = os.read(pipe.fileno(), min(size - len(found), _CHUNK_BYTES))
        if not some:
            raise EOFError
        found += some
    return bytes(found)


def _wait(pipe: IO[bytes], what: int, until: float) -> None:
    poller = select.poll()
    poller.register(pipe, what)
    if not poller.poll(max(0.0, until - time.monotonic()) * _MS_PER_S):
        raise TimeoutError
