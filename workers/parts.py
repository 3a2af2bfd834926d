"""The items of one streamed reply, or a gather's answers, on their way to who reads them. Bounded by the session."""

import asyncio
import queue
from collections import deque
from collections.abc import Callable

from hootbus.frames.errors import HootError
from hootbus.frames.message import Message
from hootbus.workers.content import Reply
from hootbus.workers.interrupts import INTERRUPT_LATE_S


class AsyncParts:
    """For a task of the same loop. `read` makes an item of a PARTIAL."""

    def __init__(self, read: Callable[[Message], Reply]) -> None:
        self._read = read
        self._items: deque[Reply] = deque()
        self._error: HootError | None = None
        self._ended = False
        self._arrived = asyncio.Event()

    def done(self) -> bool:
        """Whether its outcome is there; items may still be unread."""
        return self._ended

    def put(self, message: Message) -> None:
        """One more."""
        self._items.append(self._read(message))
        self._arrived.set()

    def set_result(self, closing: Reply | None, /) -> None:
        """The end. A closing reply with a body is from a handler that is no generator: it is the only item."""
        self._ended = True
        if closing is not None and closing.size + len(closing.attachments):
            self._items.append(closing)
        self._arrived.set()

    def set_exception(self, error: HootError, /) -> None:
        """The end, by an error."""
        self._ended = True
        self._error = error
        self._arrived.set()

    async def get(self) -> Reply | None:
        """The next item, None at the end. Raises the stream's error once the items before it were read."""
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._ended:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()


class BlockingParts:
    """For another thread. `read` makes an item of a PARTIAL."""

    def __init__(self, read: Callable[[Message], Reply]) -> None:
        self._read = read
        self._items: queue.SimpleQueue[Reply | HootError | None] = queue.SimpleQueue()
        self._ended = False

    def done(self) -> bool:
        """Whether its outcome is there; items may still be unread."""
        return self._ended

    def put(self, message: Message) -> None:
        """One more."""
        self._items.put(self._read(message))

    def set_result(self, closing: Reply | None, /) -> None:
        """The end. A closing reply with a body is from a handler that is no generator: it is the only item."""
        self._ended = True
        if closing is not None and closing.size + len(closing.attachments):
            self._items.put(closing)
        self._items.put(None)

    def set_exception(self, error: HootError, /) -> None:
        """The end, by an error."""
        self._ended = True
        self._items.put(error)

    def get(self) -> Reply | None:
        """The next item, None at the end. Raises the stream's error once the items before it were read."""
        while True:
            try:
                item = self._items.get(timeout=INTERRUPT_LATE_S)
                break
            except queue.Empty:
                continue
        if isinstance(item, HootError):
            raise item
        return item
