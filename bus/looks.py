"""Looking at the broker's core from other threads: they ask, and its own loop looks for them."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from hootbus.bus.core import Core

T = TypeVar("T")
# Of a loop that does not come to answer nobody needs to ask any more.
_ASKED_MAX: Final = 64


class Looks:
    """Those that were asked for. The loop takes them one after the other; those it cannot take are cancelled.

    `asked` are those that wait, for the loop to see at a glance.
    """

    def __init__(self) -> None:
        self.asked: deque[Callable[[Core | None, float], None]] = deque()
        self._ending = threading.Lock()
        self._ended = False

    def ask(self, at: Callable[[Core, float], T]) -> Future[T]:
        """From any thread: whose result comes from the loop, or what `at` has raised there."""
        future: Future[T] = Future()

        def look(core: Core | None, now: float) -> None:
            # Who asked may have given up by now.
            if core is None or not future.set_running_or_notify_cancel():
                future.cancel()
                return
            try:
                future.set_result(at(core, now))
            except Exception as error:  # noqa: BLE001  # it belongs to who asked: the broker has others to serve
                future.set_exception(error)

        with self._ending:
            if self._ended or len(self.asked) >= _ASKED_MAX:
                future.cancel()
            else:
                self.asked.append(look)
        return future

    def answer(self, core: Core, now: float) -> None:
        """On the loop: looks for all who have asked."""
        while self.asked:
            self.asked.popleft()(core, now)

    def end(self) -> None:
        """Nobody looks any more."""
        with self._ending:
            self._ended = True
        while self.asked:
            self.asked.popleft()(None, 0.0)
