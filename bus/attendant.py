"""Who stands beside a worker on its loop: tells the service manager that it lives, and asks for its relief in time."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hootbus.bus.notify import Notifier
from hootbus.bus.recycling import INTERVAL_S, Recycling, resident_bytes
from hootbus.workers import Worker

_log: Final = logging.getLogger("hootbus.worker")


class Attendant:
    """Looks at a worker at intervals, from `begin` on.

    One that has a supervisor goes on until that has put another in its place: nothing of the service is missed then.
    One that is alone stops itself; it takes nothing new then, and finishes what it has.
    """

    def __init__(
        self,
        worker: Worker,
        notifier: Notifier,
        recycling: Recycling,
        *,
        supervised: bool,
        resident: Callable[[], int] = resident_bytes,
    ) -> None:
        self._worker = worker
        self._notifier = notifier
        self._recycling = recycling
        self._supervised = supervised
        self._resident = resident
        self._asked = False

    def begin(self) -> None:
        """On the worker's loop, once the broker has taken it in."""
        self._notifier.ready(f"attached as {self._worker.service}")
        if self._recycling or self._notifier.watched:
            self._look()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._notifier.feed(loop.time())
        if self._recycling:
            self._judge()
        # A loop that hangs comes here no more: that is what the watchdog is for.
        loop.call_later(min(INTERVAL_S, self._notifier.interval_s), self._look)

    def _judge(self) -> None:
        reason = self._recycling.reason(self._worker.stats().requests, self._resident())
        if not reason:
            return
        first, self._asked = not self._asked, True
        if first:
            _log.info("%s is to be recycled: %s", self._worker.name, reason)
        if self._supervised:
            # Each time, as a note may be lost on its way.
            self._notifier.recycle(reason)
        elif first:
            self._notifier.stopping(f"recycling: {reason}")
            self._worker.stop()
