"""Flow control of a streamed reply, as each end keeps account of it.

Who reads grants items, by a number that is absolute: "all before this one". So a grant that is lost, late, doubled or
repeated to another worker does no harm. Who sends never goes beyond what was granted. Neither end knows a clock or a
message here.
"""

from collections import deque
from typing import Final

from hootbus.frames.options import U32_MAX

# Between one look at a quiet stream and the next the time doubles, up to so many times the first.
_PATIENCE: Final = 64


class Inflow:
    """The reader's end: what has arrived, how much of it was read, and how far items are granted.

    `window` items may be on their way or unread. The producer is granted more when half of them have been read; at
    once, so that a reader that keeps up is never waited for. `grants` is False where the number of items is bounded
    anyway.
    """

    def __init__(self, window: int, *, grants: bool = True) -> None:
        self._window = window
        self._step = max(1, window // 2)
        self._grants = grants
        self.arrived = 0
        self.taken = 0
        self.granted = window
        # When the session looks next whether the producer may be waiting, None for never so far.
        self.look_at: float | None = None
        self._seen = 0
        self._quiet_looks = 1

    @property
    def more(self) -> int:
        """How many items are welcome after those that were taken."""
        return self.granted - self.taken

    def take(self) -> bool:
        """One item was read; whether it is time to grant more."""
        if self.taken >= self.arrived:
            return False
        self.taken += 1
        if not self._grants or self.taken + self._window - self.granted < self._step:
            return False
        self.granted = min(self.taken + self._window, U32_MAX)
        return True

    def probe(self) -> bool:
        """The connection broke. Whether a grant is to be repeated: items may have been lost, and with them the end.

        One more is granted than would be: a producer that stands where it had to stop shows by its next item that
        there is a gap. Before the first item the request itself is repeated, or lost.
        """
        if not self._grants or not self.arrived:
            return False
        self.granted = min(max(self.granted, self.taken + self._window) + 1, U32_MAX)
        return True

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last look and all is read: the last grant may have been lost."""
        quiet = self.arrived == self._seen and self.taken == self.arrived
        self._seen = self.arrived
        self._quiet_looks = min(2 * self._quiet_looks, _PATIENCE) if quiet else 1
        return quiet

    def next_look(self, now: float, interval: float) -> float:
        """When to look again: later each time that it was quiet, as most such streams have just nothing to say."""
        self.look_at = now + interval * self._quiet_looks
        return self.look_at


class Outflow:
    """The producer's end: what was sent, how far items are granted, and what waits for more.

    `granted` is 0 for a client that knows no flow control.
    """

    def __init__(self, granted: int) -> None:
        self._granted = granted or U32_MAX
        self.sent = 0
        # How far it must be granted, for each that waits; they come in this order.
        self._wanted: deque[int] = deque()

    def may_send(self, ahead: int) -> bool:
        """Whether `ahead` more items may go out. If not, whoever asks waits until `grant` counts it."""
        wanted = self.sent + ahead
        if wanted <= self._granted:
            return True
        self._wanted.append(wanted)
        return False

    def grant(self, granted: int) -> int:
        """Items before this one may go out; how many of those that wait may go on now."""
        self._granted = max(self._granted, granted)
        released = 0
        while self._wanted and self._wanted[0] <= self._granted:
            self._wanted.popleft()
            released += 1
        return released
