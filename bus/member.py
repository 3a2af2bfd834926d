"""One process of a supervised worker: started, spoken for, and heard by what it says over a socket of its own."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from logging import getLogger
from typing import Final

from hootbus.bus.attach import IDENTITY_VARIABLE
from hootbus.bus.lifeline import Lifeline
from hootbus.bus.notify import (
    ALIVE,
    NOTE_BYTES_MAX,
    READY,
    RECYCLE,
    SOCKET_VARIABLE,
    STOPPING,
    SUPERVISOR_VARIABLE,
    WATCHDOG_PID_VARIABLE,
    WATCHDOG_VARIABLE,
)

_log = getLogger("hootbus.supervisor")

_IDENTITY_BYTES: Final = 16
_US_PER_S: Final = 1e6
# What it says is short and rare; more than this at once is not listened to before the others have had their turn.
_NOTES_AT_ONCE: Final = 64


class Member:
    """A process, from its start to its end.

    `ready` once the broker has taken it in, `stopping` once it has said that it ends, `recycle` why it wants to be
    relieved. `told_to_end` is when it was sent SIGTERM. Raises OSError if the system has no room for another process.
    """

    def __init__(self, number: int, command: Sequence[str], lifeline: Lifeline, watchdog_s: float) -> None:
        self.number = number
        self.identity = bytes([1 + secrets.randbelow(255)]) + secrets.token_bytes(_IDENTITY_BYTES - 1)
        self.started_at = time.monotonic()
        self.ready = self.stopping = False
        self.recycle = ""
        self.told_to_end: float | None = None
        self.killed = self.said_hung = False
        self._watchdog_s = watchdog_s
        self._fed_at: float | None = None
        self._notes, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notes.setblocking(False)
        with theirs:
            # In a process group of its own: Ctrl-C in a terminal comes to the supervisor alone, which decides.
            try:
                self.process = subprocess.Popen(
                    command,
                    env=self._environment(lifeline, theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(*lifeline.descriptors, theirs.fileno()),
                    process_group=0,
                )
            except OSError:
                self._notes.close()
                raise
        _log.info("worker %d started (pid %d)", number, self.process.pid)

    @property
    def pid(self) -> int:
        """Its process's number."""
        return self.process.pid

    def fileno(self) -> int:
        """Readable when it has said something."""
        return self._notes.fileno()

    def listen(self, now: float) -> None:
        """Takes in what it has said."""
        for _ in range(_NOTES_AT_ONCE):
            try:
                note = self._notes.recv(NOTE_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:  # it has ended, and so has its end of the socket
                return
            for line in note.decode(errors="replace").split("\n"):
                self._heard(line, now)

    def healthy(self, now: float) -> bool:
        """Whether its loop goes round, as far as it is watched. One that has never said so may still be starting."""
        return self._fed_at is None or now - self._fed_at <= self._watchdog_s

    def end(self, now: float) -> None:
        """Has it finish what it has, and end."""
        if self.told_to_end is None:
            self.told_to_end = now
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it at once."""
        self.killed = True
        self.process.kill()

    def ended(self) -> int | None:
        """Its exit status, None while it runs. What it has said to the last is taken in then."""
        status = self.process.poll()
        if status is not None:
            self.listen(time.monotonic())
            self._notes.close()
        return status

    def ended_as_asked(self, status: int) -> bool:
        """Whether this exit status was wanted: by us, or by itself in good order."""
        if status == 0:
            return self.told_to_end is not None or self.stopping
        # It was told before it could tell Python what to do with the signal.
        return self.told_to_end is not None and status == -signal.SIGTERM

    def _heard(self, line: str, now: float) -> None:
        if line == ALIVE:
            self._fed_at = now
        elif line == READY:
            self.ready = True
        elif line == STOPPING:
            self.stopping = True
        elif line.startswith(f"{RECYCLE}="):
            self.recycle = line.partition("=")[2] or "it asked"

    def _environment(self, lifeline: Lifeline, notes: int) -> dict[str, str]:
        environment = dict(os.environ)
        # Those of systemd are ours.
        for name in (SOCKET_VARIABLE, WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE):
            environment.pop(name, None)
        environment |= lifeline.environment
        environment |= {IDENTITY_VARIABLE: self.identity.hex(), SUPERVISOR_VARIABLE: str(notes)}
        with suppress(OverflowError):  # nobody watches us, so we need not watch
            environment[WATCHDOG_VARIABLE] = str(int(self._watchdog_s * _US_PER_S))
        return environment
