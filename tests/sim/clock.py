"""Virtual time: what is to happen, in order, and nothing else that passes."""

import heapq
from collections.abc import Callable
from typing import TypeAlias

Action: TypeAlias = Callable[[], None]


class Clock:
    """A heap of actions by moment; those of the same moment run in the order they were set."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.steps = 0
        # How long everything has slept.
        self.slept = 0.0
        self._heap: list[tuple[float, int, Action]] = []
        self._set = 0

    def at(self, moment: float, action: Action) -> None:
        """Runs the action then, or at once if that is past."""
        self._set += 1
        heapq.heappush(self._heap, (max(moment, self.now), self._set, action))

    def after(self, delay: float, action: Action) -> None:
        """Runs the action so many seconds from now."""
        self.at(self.now + delay, action)

    def sleep(self, seconds: float) -> None:
        """Time passes, and nobody is awake: all that was due in it happens right after it."""
        self.now += seconds
        self.slept += seconds

    @property
    def behind(self) -> bool:
        """Whether something that was due before now is yet to happen."""
        return bool(self._heap) and self._heap[0][0] < self.now

    def run(self, until: float, then: Action, enough: Callable[[], bool] = lambda: False) -> None:
        """Runs what is due up to that moment, and `then` after each step; stops early once it is `enough`."""
        heap = self._heap
        while heap and heap[0][0] <= until and not enough():
            moment, _, action = heapq.heappop(heap)
            self.now = max(self.now, moment)
            self.steps += 1
            action()
            then()
        if not enough():
            self.now = max(self.now, until)


class Alarm:
    """An actor's timer, as the shells have it: moved only to come earlier, and mostly a little late."""

    def __init__(self, clock: Clock, late: Callable[[], float], ring: Action) -> None:
        self._clock = clock
        self._late = late
        self._ring = ring
        self._moment: float | None = None

    def set(self, moment: float | None) -> None:
        """Rings no later than that, but for lateness."""
        if moment is None or (self._moment is not None and self._moment <= moment):
            return
        self._moment = moment
        self._clock.at(moment + self._late(), lambda: self._due(moment))

    def _due(self, moment: float) -> None:
        if self._moment == moment:
            self._moment = None
            self._ring()
