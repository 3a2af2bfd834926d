"""A thread that reads while the program is busy, for subscribers that choose what is let go."""

import os
import select
import threading
from collections.abc import Callable
from typing import Final

from hootbus.frames.buffer import Frames
from hootbus.frames.errors import Denied
from hootbus.workers.backlog import Backlog
from hootbus.workers.event import Event
from hootbus.workers.subscription import Subscription, milliseconds, readable

_WAKE: Final = b"\0"
_WAKE_BYTES: Final = 1


class Reader:
    """Hands each message that comes to `decode`, and puts the events that it makes of it into the backlog.

    The subscription is the thread's from `start` to `stop`; it may be started again. Whoever waits for an event waits
    for `descriptor`, and looks before that.
    """

    def __init__(self, subscription: Subscription, backlog: Backlog, decode: Callable[[Frames], list[Event]]) -> None:
        self._subscription = subscription
        self._backlog = backlog
        self._decode = decode
        self._lock = threading.Lock()
        # What the program's key function has raised, which is the end; and that it is not let in (any more).
        self._error: Exception | None = None
        self._denied: Denied | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        # Whether there is a word in the pipe.
        self._awake = False
        self.descriptor, self._wake = os.pipe()
        self._stop_asked, self._stop = os.pipe()

    def start(self) -> None:
        """Begins to read."""
        self._thread = threading.Thread(target=self._run, name="hootbus-subscriber", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, soon, if there is one; what it has read stays."""
        if self._thread is not None:
            self._stopping = True
            os.write(self._stop, _WAKE)
            self._thread.join()
            os.read(self._stop_asked, _WAKE_BYTES)
            self._stopping = False
            self._thread = None

    def close(self) -> None:
        """Ends it for good."""
        self.stop()
        for descriptor in (self.descriptor, self._wake, self._stop_asked, self._stop):
            os.close(descriptor)

    def put(self, events: list[Event]) -> None:
        """Puts events into the backlog."""
        with self._lock:
            for event in events:
                self._backlog.put(event)
            if events:
                self._wake_up()

    def take(self) -> Event | None:
        """The event that waits longest.

        Once nothing waits it raises what the program's key function has raised, and Denied once for each attempt to
        connect that was refused.
        """
        with self._lock:
            event = self._backlog.take()
            if event is None:
                if self._error is not None:
                    raise self._error
                if self._awake:
                    self._awake = False
                    os.read(self.descriptor, _WAKE_BYTES)
                if self._denied is not None:
                    denied, self._denied = self._denied, None
                    raise denied
            return event

    def poll(self, seconds: float) -> None:
        """Waits until something waits, at most so many seconds."""
        happened = select.poll()
        happened.register(self.descriptor, select.POLLIN)
        happened.poll(milliseconds(seconds))

    async def wait(self, seconds: float) -> None:
        """As `poll`, for asyncio programs."""
        await readable(self.descriptor, seconds)

    def _wake_up(self) -> None:
        # Once until it was found that nothing waits any more: the pipe has room for so many words only.
        if not self._awake:
            self._awake = True
            os.write(self._wake, _WAKE)

    def _check(self) -> None:
        try:
            self._subscription.check()
        except Denied as denied:
            with self._lock:
                self._denied = denied
                self._wake_up()

    def _run(self) -> None:
        happened = select.poll()
        happened.register(self._subscription.descriptor, select.POLLIN)
        happened.register(self._subscription.watch_descriptor, select.POLLIN)
        happened.register(self._stop_asked, select.POLLIN)
        try:
            while not self._stopping:
                if (frames := self._subscription.receive()) is not None:
                    self.put(self._decode(frames))
                else:
                    happened.poll(milliseconds(self._subscription.pause_s()))
                    self._check()
        except Exception as error:  # noqa: BLE001  # of the program's key function: it belongs to whoever reads
            with self._lock:
                self._error = error
                self._wake_up()
