"""Telling the service manager how this process is: systemd's sd_notify protocol, datagrams of `NAME=VALUE` lines.

A supervisor of ours is told the same words by its processes, over an inherited socket (`SUPERVISOR_VARIABLE`): nobody
else can write to that, and nothing of it is left behind. A manager that does not read is waited for a moment where it
must know, as of READY=1, and not at all for beats and statuses.
"""

import logging
import math
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

_log = logging.getLogger("hootbus.notify")

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
WATCHDOG_VARIABLE: Final = "WATCHDOG_USEC"
WATCHDOG_PID_VARIABLE: Final = "WATCHDOG_PID"
# The descriptor that a supervisor of ours has passed on; it stands in place of systemd's socket.
SUPERVISOR_VARIABLE: Final = "HOOT_SUPERVISOR_FD"
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"
# Ours, which systemd lets pass: the process has done its part and wants another in its place.
RECYCLE: Final = "X_HOOT_RECYCLE"
# As many as a supervisor reads at once; longer ones are cut.
NOTE_BYTES_MAX: Final = 4096

_US_PER_S: Final = 1e6
# How long a manager may take to read what has come before; libsystemd waits for ever.
_WAIT_S: Final = 1.0
# Of a systemd that gives less than a millisecond nothing good can be made.
_WATCHDOG_MIN_S: Final = 0.001


class Notifier:
    """What a process says of itself, in one place; without a manager nobody listens and nothing is sent.

    The watchdog is fed by `feed`, which its loop calls once `now` has reached `due`: a loop that hangs does not.
    """

    def __init__(self, to: socket.socket | None = None, watchdog_s: float = math.inf) -> None:
        self._socket = to
        # At half of the time, as systemd advises: one that is late by that much is still alive.
        self.interval_s = max(_WATCHDOG_MIN_S, watchdog_s) / 2
        self.watched = to is not None and watchdog_s != math.inf
        self.due = -math.inf if self.watched else math.inf
        self.unsent = 0

    def ready(self, status: str) -> None:
        """It serves."""
        self._tell(READY, _status(status), wait_s=_WAIT_S)

    def stopping(self, status: str) -> None:
        """It has begun to end."""
        self._tell(STOPPING, _status(status), wait_s=_WAIT_S)

    def reloading(self, now: float, status: str) -> None:
        """It reads its settings anew, and will be `ready` again. `now` is the monotonic clock's, seconds."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(now * _US_PER_S)}", _status(status), wait_s=_WAIT_S)

    def recycle(self, reason: str) -> None:
        """Another process should take its place."""
        self._tell(f"{RECYCLE}={_line(reason)}")

    def status(self, status: str) -> None:
        """One line for people, in `systemctl status`."""
        self._tell(_status(status))

    def feed(self, now: float) -> None:
        """The loop goes round: feeds the watchdog if it is time to."""
        if now >= self.due:
            self.due = now + self.interval_s
            self._tell(ALIVE)

    def close(self) -> None:
        """Says nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, *lines: str, wait_s: float = 0.0) -> None:
        if self._socket is None:
            return
        try:
            self._socket.settimeout(wait_s)
            self._socket.send("\n".join(lines).encode()[:NOTE_BYTES_MAX])
        except OSError as error:
            # Full, or nobody there any more. A beat that is missed comes again, and nothing here is worth waiting for.
            self.unsent += 1
            _log.debug("the service manager was not told: %s", error)


def take_notifier(environ: MutableMapping[str, str] = os.environ) -> Notifier:
    """The notifier of this process, and the variables taken out: what it starts must not speak in its name."""
    watchdog_s = watchdog_of(environ, os.getpid())
    path, descriptor = environ.pop(SOCKET_VARIABLE, ""), environ.pop(SUPERVISOR_VARIABLE, "")
    for name in (WATCHDOG_VARIABLE, WATCHDOG_PID_VARIABLE):
        environ.pop(name, None)
    try:
        to = socket.socket(fileno=int(descriptor)) if descriptor else _connected(path) if path else None
    except (OSError, ValueError) as error:
        _log.warning("the service manager at %s cannot be told anything: %s", descriptor or path, error)
        return Notifier()
    return Notifier(to, watchdog_s)


def watchdog_of(environ: Mapping[str, str], pid: int) -> float:
    """Seconds after which a process that was silent is taken for hung; infinity if nobody watches this one."""
    given, watched = environ.get(WATCHDOG_VARIABLE, ""), environ.get(WATCHDOG_PID_VARIABLE, "")
    # isdecimal, too, is true of digits that are not ASCII, which int() reads as well.
    if not given.isdecimal() or (watched and watched != str(pid)):
        return math.inf
    return int(given) / _US_PER_S or math.inf


def _connected(path: str) -> socket.socket:
    """A path in the file system, or behind "@" a name in Linux's abstract space."""
    if path[0] not in "/@":
        raise ValueError("neither a path nor an abstract name")
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        to.connect("\0" + path[1:] if path[0] == "@" else path)
    except OSError:
        to.close()
        raise
    return to


def _status(status: str) -> str:
    return f"STATUS={_line(status)}"


def _line(text: str) -> str:
    """A line break in it would be another assignment."""
    return " ".join(text.split())
