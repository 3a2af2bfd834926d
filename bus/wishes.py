"""What other threads and signal handlers ask of a broker, and the pipe that wakes its loop for that."""

import os
from collections.abc import Callable
from typing import Final

from hootbus.bus.inputs import Input
from hootbus.bus.looks import Looks

# Whoever wakes the broker says so in its own list; the bytes in the pipe only end the wait.
_WAKE_BYTES: Final = 4096


class Wishes:
    """Asked for anywhere, at any time; seen to by the loop. They may come before there is a pipe."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        self.looks = Looks()
        self.reload = False
        self.reload_hooks: list[Callable[[], None]] = []
        self.stop = False
        self.reader = self._writer = -1

    def open(self) -> None:
        """Makes the pipe. The loop waits for its `reader`."""
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)

    def take_in(self, happened: Input) -> None:
        """Has the core told."""
        self.inputs.append(happened)
        self.wake()

    def wake(self) -> None:
        """Has the loop look."""
        try:
            os.write(self._writer, b"\0")
        except OSError:
            # Full: it will wake in any case. Not open: it has ended, or has yet to begin and looks before it waits.
            return

    def woken(self) -> None:
        """Empties the pipe."""
        os.read(self.reader, _WAKE_BYTES)

    def close(self) -> None:
        """The loop has ended."""
        # The number may soon be another file's: a late `stop` must not write into that.
        writer, self._writer = self._writer, -1
        os.close(writer)
        os.close(self.reader)
