"""The last replies to idempotent requests, for clients that ask again because theirs did not arrive.

A connection that breaks takes with it what was under way, and a client then sends its request once more, under the
same id. To carry it out twice is allowed, as it is idempotent, but is work for nothing, and may give another reply than
the one that got lost.

What says that nothing was done, or that nobody knows, is not kept: there a retry is to be a new try. Nor are the
replies of plain workers, in which the broker could not tell an error.
"""

from collections import OrderedDict
from typing import Final

from hootbus.bus.limits import Limits
from hootbus.bus.tally import Tally
from hootbus.frames.errors import (
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    Overloaded,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag

_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value
_TRIED_ANEW: Final = frozenset(
    {
        kind.number
        for kind in (
            BrokerStopping,
            Cancelled,
            DeadlineExceeded,
            Overloaded,
            SchemaMismatch,
            UnknownMethod,
            UnknownService,
            UnsupportedContentType,
            WorkerLost,
        )
    }
)


class Outcome:
    """A reply as it was sent, what it was the reply to, and until when it is kept."""

    def __init__(self, target: bytes, reply: Message, until: float) -> None:
        self.target: Final = target
        self.reply: Final = reply
        self.until: Final = until


class Outcomes:
    """Replies by their client's identity and request id, the oldest first; `bytes` is what they hold."""

    def __init__(self, limits: Limits, tally: Tally) -> None:
        self._limits = limits
        self._tally = tally
        self._kept: OrderedDict[tuple[bytes, bytes], Outcome] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, target: bytes, reply: Message, now: float) -> None:
        """What a worker has answered to an idempotent request for `target` of a peer of ours.

        Not a stream's end: what came before it would be missing.
        """
        options = reply.options
        if options is None or options.sequence or options.status in _TRIED_ANEW:
            return
        limits, size = self._limits, reply.size
        if not limits.outcomes:
            return
        if size > limits.outcome_bytes:
            self._tally.reached["outcome_bytes"] += 1
            return
        key = reply.route[0], reply.request_id
        if key in self._kept:
            self._forget(key)
        while len(self._kept) >= limits.outcomes:
            self._evict("outcomes")
        while self.bytes + size > limits.outcome_bytes:
            self._evict("outcome_bytes")
        self._kept[key] = Outcome(target, reply, now + limits.outcome_age_s)
        self.bytes += size

    def find(self, message: Message, now: float) -> Message | None:
        """The reply to this request if it has been answered before, addressed to where it comes from now."""
        options = message.options
        if options is None or options.flags & (_IDEMPOTENT | _ONE_WAY) != _IDEMPOTENT:
            return None
        kept = self._kept.get((message.route[0], message.request_id))
        # Whoever uses an id again for something else has not asked for that.
        if kept is None or kept.target != message.service or kept.until <= now:
            return None
        return kept.reply.__replace__(route=message.route)

    def expire(self, now: float) -> None:
        """Forgets what is too old."""
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._evict("outcome_age_s")

    def _evict(self, limit: str) -> None:
        self._tally.reached[limit] += 1
        self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[bytes, bytes]) -> None:
        self.bytes -= self._kept.pop(key).reply.size
