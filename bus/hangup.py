"""What SIGHUP means: that somebody wants a reload, or that the terminal is gone from which this was started."""

import os


class Terminal:
    """The controlling terminal that this process began with, if any."""

    def __init__(self) -> None:
        self._had = _is_there()

    def is_gone(self) -> bool:
        """Whether there was one and it has hung up: who started this in it wants it to end, not to reload."""
        return self._had and not _is_there()


def _is_there() -> bool:
    try:
        # Of a terminal that has hung up, and where there was none, this cannot be opened.
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
