"""When what is due: for requests that have half a minute and end within a millisecond.

Shared by the broker's core and the peers' sessions. It keeps account only; time is an argument.
"""

import heapq
from typing import Final, Generic, TypeVar

K = TypeVar("K")

# Slices of an eighth of a second: some hundred for a usual timeout.
_SLICES_PER_S: Final = 8.0
_SLACK: Final = 64
_NEVER: Final = -1


class Deadlines(Generic[K]):
    """Moments by key. Setting and discarding cost two looks into dictionaries.

    Keys lie in slices of time, unordered; only those of a slice that has begun are put in order. Nearly all requests
    have ended by then, where in one heap each would leave an entry behind to be taken out later (which was a sixth of
    a client's time per request). A key has one moment at a time; whoever discards it says which.
    """

    def __init__(self) -> None:
        self._slices: dict[int, dict[K, float]] = {}
        # A heap of the slices' numbers; of those that became empty some are still in it.
        self._numbers: list[int] = []
        # Slices up to this number have begun: what is in them is here, in a heap, and those still live by key.
        self._begun = _NEVER
        self._newest = _NEVER
        self._near: list[tuple[float, int, K]] = []
        self._near_live: dict[K, float] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many keys have a moment."""
        return sum(map(len, self._slices.values())) + len(self._near_live)

    @property
    def entries(self) -> int:
        """How many entries are kept, stale ones included."""
        return sum(map(len, self._slices.values())) + len(self._numbers) + len(self._near)

    def set(self, key: K, moment: float) -> None:
        """Gives a key that has none a moment, in seconds from 0 on."""
        number = int(moment * _SLICES_PER_S)
        if number <= self._begun:
            self._put_near(key, moment)
            return
        keys = self._slices.get(number)
        if keys is None:
            keys = self._new_slice(number)
        keys[key] = moment

    def discard(self, key: K, moment: float) -> None:
        """Forgets the key, whose moment this was; nothing if it was due already."""
        number = int(moment * _SLICES_PER_S)
        if number <= self._begun:
            self._near_live.pop(key, None)
            return
        keys = self._slices.get(number)
        if keys is not None:
            keys.pop(key, None)
            # The newest one stays: the next request is likely to need it.
            if not keys and number != self._newest:
                del self._slices[number]

    def holds(self, key: K, moment: float) -> bool:
        """Whether the key has this moment."""
        return (
            self._near_live.get(key) == moment or self._slices.get(int(moment * _SLICES_PER_S), {}).get(key) == moment
        )

    def clear(self) -> None:
        """Forgets them all."""
        self._slices.clear()
        self._numbers.clear()
        self._near.clear()
        self._near_live.clear()

    def next(self) -> float | None:
        """When to ask `due` again, None for never: the earliest moment, or before it the beginning of its slice."""
        near = self._near
        while near and self._near_live.get(near[0][2]) != near[0][0]:
            heapq.heappop(near)
        if near:
            return near[0][0]
        numbers = self._numbers
        while numbers and not self._slices.get(numbers[0]):
            self._slices.pop(heapq.heappop(numbers), None)
        return numbers[0] / _SLICES_PER_S if numbers else None

    def due(self, now: float) -> list[K]:
        """Takes out the keys whose moment has come, earliest first."""
        self._begin_slices(now)
        keys = []
        near = self._near
        while near and near[0][0] <= now:
            moment, _, key = heapq.heappop(near)
            if self._near_live.get(key) == moment:
                del self._near_live[key]
                keys.append(key)
        return keys

    def _new_slice(self, number: int) -> dict[K, float]:
        if not self._slices.get(self._newest):
            self._slices.pop(self._newest, None)
        self._newest = number
        keys: dict[K, float] = {}
        self._slices[number] = keys
        heapq.heappush(self._numbers, number)
        if len(self._numbers) > 2 * len(self._slices) + _SLACK:
            self._numbers = list(self._slices)
            heapq.heapify(self._numbers)
        return keys

    def _begin_slices(self, now: float) -> None:
        number = int(now * _SLICES_PER_S)
        while self._numbers and self._numbers[0] <= number:
            for key, moment in self._slices.pop(heapq.heappop(self._numbers), {}).items():
                self._put_near(key, moment)
        self._begun = max(self._begun, number)

    def _put_near(self, key: K, moment: float) -> None:
        self._count += 1
        self._near_live[key] = moment
        heapq.heappush(self._near, (moment, self._count, key))
