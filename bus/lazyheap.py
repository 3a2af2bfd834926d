"""A heap whose entries may go stale: they are dropped when they surface, or all at once when they are too many."""

import heapq
from typing import Final, Generic, Protocol, TypeVar


class Ticketed(Protocol):
    """What can be in a heap: an item that names its one live entry, 0 for none."""

    ticket: int


T = TypeVar("T", bound=Ticketed)

_SLACK: Final = 64


class LazyHeap(Generic[T]):
    """Items by key, smallest first, ties in the order they were pushed.

    An item is in one heap at the most. Pushing it again replaces its entry; setting its `ticket` to 0 takes it out.
    Every operation is O(log n) on average. Entries are at most twice as many as have ever been live at once, and a few.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, T]] = []
        self._pushed = 0
        self._compact_at = _SLACK

    def __len__(self) -> int:
        """How many entries are kept, stale ones included."""
        return len(self._entries)

    def push(self, key: float, item: T) -> None:
        """Puts the item in, or under another key."""
        self._pushed += 1
        item.ticket = self._pushed
        heapq.heappush(self._entries, (key, self._pushed, item))
        if len(self._entries) > self._compact_at:
            # Once stale ones may be half of all, so that the cost is spread over as many pushes.
            self._entries = [entry for entry in self._entries if entry[2].ticket == entry[1]]
            heapq.heapify(self._entries)
            self._compact_at = 2 * len(self._entries) + _SLACK

    def first(self) -> tuple[float, T] | None:
        """The smallest key with its item, left where it is."""
        entries = self._entries
        while entries:
            key, ticket, item = entries[0]
            if item.ticket == ticket:
                return key, item
            heapq.heappop(entries)
        return None

    def pop(self) -> T | None:
        """Takes out the item with the smallest key."""
        entries = self._entries
        while entries:
            _, ticket, item = heapq.heappop(entries)
            if item.ticket == ticket:
                item.ticket = 0
                return item
        return None
