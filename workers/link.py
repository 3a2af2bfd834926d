"""Whether there is a broker, and which: the part of a session that clients and workers share.

A link is DOWN without a connection, GREETING until the broker has answered the hello (a client's HEARTBEAT, a
worker's READY), and UP from then on. It only keeps account; what is sent and when is the session's.
"""

from collections.abc import Callable
from enum import Enum

from hootbus.workers.limits import Limits, backoff, none_reached
from hootbus.workers.session import Linked


class LinkState(Enum):
    """How far the link is."""

    DOWN = "down"
    GREETING = "greeting"
    UP = "up"


class Link:
    """One peer's view of the broker behind its address.

    `instance` is the broker's id as last told, b"" while unknown. `greeting` is the id of this connection's hello; it
    is repeated under the same id, so that an answer to an earlier connection's is not taken for this one's.
    """

    def __init__(self, limits: Limits, new_id: Callable[[], bytes], random: Callable[[], float], now: float) -> None:
        self._limits = limits
        # How often each of the limits held something back: of the whole session, with its connection and handlers.
        self.reached = none_reached()
        self._new_id = new_id
        self._random = random
        self.state = LinkState.DOWN
        self.instance = b""
        self.greeting = b""
        self._refusals = 0
        self._greet_at: float | None = None
        self._warn_at: float | None = now + limits.patience_s
        self._warned = False

    def connected(self, now: float) -> bool:
        """The connection is up. True if the hello is to be sent now (and not when a backoff is over)."""
        self._lost(now)
        return self._begin(now, self._pause())

    def disconnected(self, now: float) -> None:
        """The connection is down."""
        self.state = LinkState.DOWN
        self._greet_at = None
        self._lost(now)

    def again(self, now: float) -> bool:
        """The broker does not know this peer (any more): begin anew, over the same connection."""
        self._lost(now)
        return self._begin(now, self._pause())

    def refused(self, now: float) -> None:
        """The broker would not have this peer for now: begin anew after a growing pause."""
        self._refusals += 1
        self._lost(now)
        self._begin(now, self._pause())

    def answered(self, instance: bytes) -> Linked:
        """The broker answered the hello."""
        # A foreign broker tells no instance; what is not known is no change.
        replaced = bool(self.instance and instance and instance != self.instance)
        self.instance = instance or self.instance
        self.state = LinkState.UP
        self._refusals = 0
        self._greet_at = self._warn_at = None
        late, self._warned = self._warned, False
        return Linked(self.instance, replaced, late)

    def greeting_due(self, now: float) -> bool:
        """Whether the hello is to be sent (again) now; counts as sent then."""
        if self._greet_at is None or now < self._greet_at:
            return False
        self._greet_at = now + self._limits.greeting_interval_s
        return True

    def warning_due(self, now: float) -> bool:
        """Whether it is time to say, once per outage, that there is no broker."""
        if self._warn_at is None or now < self._warn_at:
            return False
        self._warn_at = None
        self._warned = True
        self.reached["patience_s"] += 1
        return True

    def wake_at(self) -> float | None:
        """When `greeting_due` or `warning_due` will next be true."""
        moments = [moment for moment in (self._greet_at, self._warn_at) if moment is not None]
        return min(moments, default=None)

    def _begin(self, now: float, pause: float) -> bool:
        self.state = LinkState.GREETING
        self.greeting = self._new_id()
        self._greet_at = now + pause
        return self.greeting_due(now)

    def _pause(self) -> float:
        return backoff(self._refusals - 1, self._random(), self._limits) if self._refusals else 0.0

    def _lost(self, now: float) -> None:
        """An outage begins, unless one is under way."""
        if self._warn_at is None and not self._warned:
            self._warn_at = now + self._limits.patience_s
