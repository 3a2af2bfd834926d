"""Whoever waits, drives: a client's loop runs in the thread of the call that waits, or on the client's own thread.

A thread of its own for the loop costs a lone blocking call two thread switches, a third of its time. So:

- The loop has one seat. Who holds it runs the loop and may touch what lives on it; nobody else may. While the seat is
  free the loop rests: nothing is posted, nothing is left to do.
- A thread that wants to wait for something takes the free seat and runs the loop until its outcome is there (`lead`).
- Whatever is posted is for the own thread, which keeps the seat until the loop may rest again. A leader that sees a
  post gives up the seat and waits as anybody does: it works for nobody else, and no callback of a program's runs on it.
- Who leaves the seat leaves a word for the own thread if something is left to do (`_unfinished`), and then looks
  whether something was posted meanwhile; who posts looks whether the seat is free then. So one of the two rings.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from hootbus.workers.interrupts import INTERRUPT_LATE_S, NO_INTERRUPT, HeldInterrupt

# After a longer rest the loop first takes in what has come meanwhile: what is begun then rests on how things are.
_REST_S: Final = 0.001


class Begin(Protocol):
    """Begins what is waited for, on the loop; `now` if its thread is about to wait for nothing else."""

    def __call__(self, *, now: bool = False) -> None: ...


class Driver:
    """Has a loop run by one thread at a time. Its own thread is in `run`, and has the seat at first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: Callable[[], bool] = lambda: False
        self._posted: deque[Callable[[], object]] = deque()
        self._nudged = False
        self._unfinished = False
        self._ended = False
        self._closed = False
        self._rests_since = math.inf
        # Kept over calls, which mostly take far less.
        self._look_up: asyncio.TimerHandle | None = None
        # The thread that has the seat, and whether it is a leader.
        self._driving: int | None = None
        self._leading = False
        self._seat = threading.Lock()
        self._seat.acquire()
        # Held while the own thread has no reason to look.
        self._bell = threading.Lock()
        self._bell.acquire()

    @property
    def resting(self) -> bool:
        """Whether nobody drives and nothing waits for that."""
        return not (self._seat.locked() or self._posted or self._unfinished)

    def here(self) -> bool:
        """Whether this thread drives the loop, so that it must not wait for it."""
        return self._driving == threading.get_ident()

    def post(self, callback: Callable[[], object]) -> bool:
        """Has the own thread call it. False if that may not happen any more. For any thread."""
        self._posted.append(callback)
        if self._closed:
            return False
        if not self._seat.locked():
            self._ring()
        elif not self._nudged:
            self._nudged = True
            try:
                self._loop.call_soon_threadsafe(self._look)
            except RuntimeError:  # the loop is closed
                return False
        return True

    def lead(self, begin: Begin, done: Callable[[], bool]) -> bool:
        """Begins it and drives until it is done, or until the own thread has to take over. False if it was not begun.

        In the main thread Ctrl-C ends it with KeyboardInterrupt, but never in the midst of a callback.
        """
        if self._seat.locked() or _on_a_loop():
            return False
        if threading.get_ident() != threading.main_thread().ident:
            return self._lead(begin, done, NO_INTERRUPT)
        interrupt = HeldInterrupt(self._loop)
        if not interrupt.hold():
            return False
        try:
            begun = self._lead(begin, done, interrupt)
        finally:
            interrupt.let_go()
        if interrupt.came:
            raise KeyboardInterrupt
        return begun

    def rest(self) -> None:
        """On the loop: it may be idle now, so who drives it should look."""
        if self._loop.is_running():
            self._loop.stop()

    def run(self, idle: Callable[[], bool]) -> None:
        """The own thread: drives when it has to, until `end`. `idle` tells if nothing is left to do; see `rest`."""
        self._idle = idle
        while True:
            self._driving = threading.get_ident()
            self._catch_up()
            self._deliver()
            while not (self._ended or idle()):
                self._loop.run_forever()
            if self._ended:
                # With the seat, so that nobody leads any more.
                return
            self._leave(unfinished=False)
            self._bell.acquire()
            while not self._seat.acquire(blocking=False):
                # A leader has it, and will ring if there is a reason.
                self._bell.acquire()

    def end(self) -> None:
        """Ends the own thread's `run` once it has called what was posted before. For any thread."""
        self.post(self._end)

    def close(self) -> None:
        """Once `run` and the loop have ended: calls here what it did not come to, and lets `post` say no."""
        self._closed = True
        self._deliver()

    def _lead(self, begin: Begin, done: Callable[[], bool], interrupt: HeldInterrupt) -> bool:
        if not self._seat.acquire(blocking=False):
            return False
        self._driving = threading.get_ident()
        self._leading = True
        unfinished = True
        try:
            # What was posted before comes first, also that it keeps its order with what this thread begins now.
            if begun := not (self._posted or self._unfinished):
                self._catch_up()
                begin(now=True)
                while not (done() or self._posted or interrupt.came):
                    if interrupt is not NO_INTERRUPT and self._look_up is None:
                        self._look_up = self._loop.call_later(INTERRUPT_LATE_S, self._looked_up)
                    self._loop.run_forever()
                unfinished = not self._idle()
        finally:
            self._leading = False
            self._leave(unfinished)
        return begun

    def _looked_up(self) -> None:
        """On the loop: a leader looks whether it was interrupted, and sets the next such moment."""
        self._look_up = None
        if self._leading:
            self._loop.stop()

    def _leave(self, unfinished: bool) -> None:
        self._unfinished = unfinished
        self._rests_since = time.monotonic()
        self._driving = None
        self._seat.release()
        if unfinished or self._posted:
            self._ring()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it rings already
            self._bell.release()

    def _catch_up(self) -> None:
        # A nudge that an interrupt has cut short must not keep the next ones from coming.
        self._nudged = False
        if time.monotonic() - self._rests_since > _REST_S:
            self._loop.call_soon(self._loop.stop)
            self._loop.run_forever()

    def _look(self) -> None:
        self._nudged = False
        if self._leading:
            self._loop.stop()
            return
        self._deliver()
        if self._idle():
            self.rest()

    def _deliver(self) -> None:
        posted = self._posted
        while posted:
            try:
                posted.popleft()()
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not strand those behind it
                self._loop.call_exception_handler({"message": "a posted callback failed", "exception": error})

    def _end(self) -> None:
        self._ended = True
        self.rest()


def _on_a_loop() -> bool:
    """Whether this thread runs a loop already: asyncio lets it run no second one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
