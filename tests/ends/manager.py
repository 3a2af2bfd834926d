"""A service manager's end of its socket."""

import socket
from contextlib import suppress

from hootbus.bus.notify import NOTE_BYTES_MAX


class Manager:
    """The manager's end."""

    def __init__(self, name: str | bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(10.0)

    def heard(self) -> list[str]:
        """The next note's lines."""
        return self.socket.recv(NOTE_BYTES_MAX).decode().split("\n")

    def until(self, line: str) -> list[str]:
        """The note that has it; what comes before is let go."""
        while line not in (note := self.heard()):
            pass
        return note

    def drain(self) -> None:
        """Forgets what has come."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.socket.recv(NOTE_BYTES_MAX)
        self.socket.settimeout(10.0)

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(NOTE_BYTES_MAX)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10.0)
        return False
