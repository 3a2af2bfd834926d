"""Several processes of one worker: started, restarted when they die, and taken along when the supervisor ends.

The processes are new interpreters, not forks: a ZeroMQ context does not survive a fork.
"""

import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import Final

import msgspec
import zmq

from hootbus.bus.attach import IDENTITY_VARIABLE
from hootbus.bus.lifeline import CANNOT_BEGIN, Lifeline
from hootbus.frames.address import BusAddress
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import WorkerLost
from hootbus.frames.message import Message, serialize
from hootbus.frames.options import Options
from hootbus.frames.protocol import REQUEST_ID_BYTES, Command, ContentType, Flag
from hootbus.frames.sockets import dealer
from hootbus.frames.wire import Wire

_log = getLogger("hootbus.supervisor")

_IDENTITY_BYTES: Final = 16
# How long a broker may take to be told of a death, and the message to leave.
_TELL_MS: Final = 1000
_LINGER_MS: Final = 500
# Beyond the time the workers have to drain: for stop hooks and the interpreter's own end.
_GRACE_S: Final = 5.0
_IDLE_S: Final = 60.0


class Backoff(msgspec.Struct):
    """How long to wait before a process that ended is started again: doubling, bounded, forgotten once one lived."""

    first_s: float = 0.1
    most_s: float = 10.0
    settled_after_s: float = 10.0
    failures: int = 0

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived this long."""
        if lived_s >= self.settled_after_s:
            self.failures = 0
        delay = self.first_s * 2.0 ** min(self.failures, 16)
        self.failures += 1
        return min(self.most_s, delay)


class Child(msgspec.Struct, eq=False):
    """One place among the supervised: the process in it, or when the next one is due."""

    number: int
    backoff: Backoff
    start_at: float
    process: "subprocess.Popen[bytes] | None" = None
    identity: bytes = b""
    started_at: float = 0.0


class Supervisor:
    """Keeps `count` processes of `command` running until SIGTERM or SIGINT.

    Each gets its routing id from here, so that the broker can be told at once which worker has died. A first process
    that cannot begin at all (a module that is not there) ends everything: `run` then returns 1.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        bus: BusAddress,
        *,
        drain_timeout_s: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._command = command
        self._bus = bus
        self._drain_timeout_s = drain_timeout_s
        backoff = backoff or Backoff()
        self._children = [Child(number, msgspec.structs.replace(backoff), 0.0) for number in range(1, count + 1)]
        self._stopping = False
        # What the signals' handlers note for the loop, which alone looks after the children: a handler that signalled
        # them would miss the one that is being started at that moment.
        self._stop_asked = False
        self._kill_asked = False
        self._kill_at = float("inf")
        self._status = 0

    def run(self) -> int:
        """Returns the exit status once every process has ended. For the main thread, as it takes the signals."""
        with Lifeline() as lifeline, self._signals() as wake:
            try:
                self._supervise(lifeline, wake)
            finally:
                self._kill()
        return self._status

    def _supervise(self, lifeline: Lifeline, wake: int) -> None:
        while True:
            if self._stop_asked and not self._stopping:
                self._stop()
            if self._kill_asked:
                self._kill_at = 0.0
            self._reap()
            now = time.monotonic()
            running = [child for child in self._children if child.process is not None]
            if self._stopping:
                if not running:
                    return
                if now >= self._kill_at:
                    self._kill()
                due = self._kill_at
            else:
                for child in self._children:
                    if child.process is None and now >= child.start_at:
                        self._start(child, lifeline)
                due = min((child.start_at for child in self._children if child.process is None), default=now + _IDLE_S)
            # A child's end is a signal, too, and wakes.
            select.select([wake], [], [], min(_IDLE_S, max(0.0, due - now)))
            with suppress(BlockingIOError):
                os.read(wake, 512)

    def _start(self, child: Child, lifeline: Lifeline) -> None:
        child.identity = bytes([1 + secrets.randbelow(255)]) + secrets.token_bytes(_IDENTITY_BYTES - 1)
        environment = {**os.environ, **lifeline.environment, IDENTITY_VARIABLE: child.identity.hex()}
        # In a process group of its own: Ctrl-C in a terminal comes to the supervisor alone, which decides.
        child.process = subprocess.Popen(
            self._command,
            env=environment,
            stdin=subprocess.DEVNULL,
            pass_fds=lifeline.descriptors,
            process_group=0,
        )
        child.started_at = time.monotonic()
        _log.info("worker %d started (pid %d)", child.number, child.process.pid)

    def _reap(self) -> None:
        for child in self._children:
            if child.process is None or (status := child.process.poll()) is None:
                continue
            pid, child.process = child.process.pid, None
            # One that ended by itself has said goodbye; one that could not begin, or not before we stopped it, was
            # never there.
            if status not in (0, CANNOT_BEGIN) and not (self._stopping and status == -signal.SIGTERM):
                tell_gone(self._bus, child.identity)
            if self._stopping:
                continue
            if status == CANNOT_BEGIN and child.backoff.failures == 0:
                self._status = 1
                self._stop()
                continue
            now = time.monotonic()
            delay_s = child.backoff.after(now - child.started_at)
            child.start_at = now + delay_s
            _log.warning("worker %d (pid %d) %s; again in %.1f s", child.number, pid, ending(status), delay_s)

    def _stop(self) -> None:
        """Has every process drain; those that take longer than they have time for are killed."""
        self._stopping = True
        self._kill_at = time.monotonic() + self._drain_timeout_s + _GRACE_S
        self._signal(signal.SIGTERM)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        for child in self._children:
            if child.process is not None:
                child.process.wait()

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None:
                child.process.send_signal(number)

    @contextmanager
    def _signals(self) -> Iterator[int]:
        """SIGTERM and SIGINT stop; every signal, SIGCHLD among them, makes the descriptor readable."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        handlers: dict[signal.Signals, Callable[[int, object], None]] = {
            signal.SIGTERM: self._terminated,
            signal.SIGINT: self._interrupted,
            signal.SIGCHLD: lambda number, frame: None,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _terminated(self, number: int, frame: object) -> None:
        self._stop_asked = True

    def _interrupted(self, number: int, frame: object) -> None:
        self._kill_asked = self._stop_asked or self._stopping
        self._stop_asked = True


def tell_gone(bus: BusAddress, identity: bytes) -> bool:
    """Tells the broker that the worker with this identity is dead, in its name. False if there is no broker to tell."""
    context = aligned_context()
    wire = Wire(dealer(context, identity, drop_unsent=True))
    try:
        wire.socket.connect(bus.requests)
        if not wire.socket.poll(_TELL_MS, zmq.POLLOUT):
            return False
        goodbye = Message(
            (),
            Command.DISCONNECT,
            ContentType.EMPTY,
            secrets.token_bytes(REQUEST_ID_BYTES),
            options=Options(flags=Flag.WORKER, status=WorkerLost.number),
        )
        wire.send(serialize(goodbye))
        return True
    finally:
        wire.close(_LINGER_MS)
        context.term()


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
