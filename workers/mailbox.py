"""From any thread onto a loop: callbacks in order, and one wake-up for as many as are waiting."""

import asyncio
from collections import deque
from collections.abc import Callable


class Mailbox:
    """Callbacks posted by threads and run on the loop.

    `loop.call_soon_threadsafe` writes to a pipe each time; here a burst of posts costs one such write.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], object]] = deque()
        self._woken = False
        self._closed = False

    def post(self, callback: Callable[[], object]) -> bool:
        """Has the loop call it. False if that may not happen any more."""
        self._waiting.append(callback)
        if self._closed:
            return False
        if self._woken:
            return True
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def close(self) -> None:
        """Once the loop has ended: calls here what it did not come to, and lets `post` say no."""
        self._closed = True
        self._deliver()

    def _deliver(self) -> None:
        # Cleared first: what is posted from here on wakes the loop again, at worst once too often.
        self._woken = False
        waiting = self._waiting
        while waiting:
            try:
                waiting.popleft()()
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not strand those behind it
                self._loop.call_exception_handler({"message": "a posted callback failed", "exception": error})
