"""When what is due: a heap with one live entry per key, whose stale entries cannot pile up."""

import heapq
from typing import Final

_SLACK: Final = 64


class Deadlines:
    """Moments by key; setting, discarding and taking what is due are O(log n) on average.

    A request with 30 s to go usually ends within a millisecond and leaves its entry behind in the heap. Once those
    outnumber the live ones the heap is made anew, so its size follows what is in flight, not what went through.
    """

    def __init__(self) -> None:
        self._moments: dict[bytes, float] = {}
        self._heap: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        """How many keys have a moment."""
        return len(self._moments)

    @property
    def entries(self) -> int:
        """How many entries are kept, stale ones included."""
        return len(self._heap)

    def set(self, key: bytes, moment: float) -> None:
        """Gives the key a moment, in place of any it had."""
        self._moments[key] = moment
        heapq.heappush(self._heap, (moment, key))
        if len(self._heap) > 2 * len(self._moments) + _SLACK:
            self._heap = [(at, name) for name, at in self._moments.items()]
            heapq.heapify(self._heap)

    def discard(self, key: bytes) -> None:
        """Forgets the key's moment, if it has one."""
        self._moments.pop(key, None)

    def clear(self) -> None:
        """Forgets them all."""
        self._moments.clear()
        self._heap.clear()

    def next(self) -> float | None:
        """The earliest moment, None if there is none."""
        heap = self._heap
        while heap:
            moment, key = heap[0]
            if self._moments.get(key) == moment:
                return moment
            heapq.heappop(heap)
        return None

    def due(self, now: float) -> list[bytes]:
        """Takes out the keys whose moment has come, earliest first."""
        keys = []
        while (moment := self.next()) is not None and moment <= now:
            key = heapq.heappop(self._heap)[1]
            del self._moments[key]
            keys.append(key)
        return keys
