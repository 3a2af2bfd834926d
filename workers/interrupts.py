"""Ctrl-C, held back while the main thread runs a loop: it must end the waiting, never a callback half-way."""

# The signal module's own functions dress each handler up as an enum, and that took a tenth of a small call's time.
import _signal  # type: ignore[import-not-found]  # CPython's own, under `signal`; typeshed does not have it
import asyncio
import signal
from contextlib import suppress
from types import FrameType
from typing import Final

# Whose handlers programs let raise: sys.exit on SIGTERM, a time limit on SIGALRM. An exception out of the midst of a
# callback would be lost in the loop, or leave the session half-way.
_MAY_RAISE: Final = (signal.SIGTERM.value, signal.SIGALRM.value, signal.SIGHUP.value)
_SIGINT: Final = signal.SIGINT.value

# A Ctrl-C that comes just before a thread goes to sleep does not wake it: CPython looks for signals before it enters
# the system, and what comes between the two is only seen on the way out. So nobody sleeps for longer than that.
INTERRUPT_LATE_S: Final = 1.0


class HeldInterrupt:
    """KeyboardInterrupt as a word to who runs the loop: stops it and tells that it `came`. For the main thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._held = False
        self.came = False

    def hold(self) -> bool:
        """False, with nothing changed, if a handler of the program's own might raise in the midst of a callback."""
        for number in _MAY_RAISE:
            if callable(_signal.getsignal(number)):
                return False
        handler = _signal.getsignal(_SIGINT)
        if handler is signal.default_int_handler:
            self._held = True
            _signal.signal(_SIGINT, self._note)
            return True
        return not callable(handler)

    def let_go(self) -> None:
        """Ctrl-C is as it was before."""
        if self._held:
            _signal.signal(_SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop was closed at this very moment
                self._loop.call_soon_threadsafe(self._loop.stop)


# For threads that no signal handler ever runs in.
NO_INTERRUPT: Final = HeldInterrupt(None)
