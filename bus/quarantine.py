"""Requests that took down the workers which tried them: kept for people to look at, to try once more, or to drop.

They are no longer anybody's: their clients were told. Whoever has one tried again is the one who gets the reply.
"""

from collections import OrderedDict

from hootbus.bus.limits import Limits
from hootbus.bus.state import Isolated, Request
from hootbus.bus.tally import Tally
from hootbus.frames.message import Message


class Quarantine:
    """All of them, the oldest first; of more than there may be, that is forgotten. `bytes` is what they hold.

    A client's request under the same key is refused for as long as it is here.
    """

    def __init__(self, limits: Limits, tally: Tally) -> None:
        self._limits = limits
        self._tally = tally
        self._entries: OrderedDict[str, Isolated] = OrderedDict()
        self._by_key: dict[tuple[bytes, bytes], Isolated] = {}
        self._numbers = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def all(self) -> list[Isolated]:
        """The oldest first."""
        return list(self._entries.values())

    def find(self, entry_id: str) -> Isolated | None:
        """The one of this name."""
        return self._entries.get(entry_id)

    def holds(self, message: Message) -> bool:
        """Whether this is a request that is here, sent again by its client."""
        return bool(self._by_key) and (message.route[0], message.request_id) in self._by_key

    def add(self, request: Request, now: float) -> None:
        """A request that has struck as often as it may."""
        message = request.message
        assert message is not None, "what may be tried again is held"
        self._tally.quarantined += 1
        self._tally.reached["strikes"] += 1
        key = request.client.identity, request.request_id
        self._numbers += 1
        entry = Isolated(self._numbers, key, request.service.name, message, request.strikes, now)
        if self.bytes + entry.size > self._limits.quarantined_bytes:
            self._tally.reached["quarantined_bytes"] += 1
            entry.message = None
        else:
            self.bytes += entry.size
        self._entries[entry.id] = self._by_key[key] = entry
        while len(self._entries) > self._limits.quarantined:
            self._tally.reached["quarantined"] += 1
            self.remove(next(iter(self._entries.values())))

    def remove(self, entry: Isolated) -> None:
        """It is fine after all, or nobody wants it any more. Nothing, if it has gone before."""
        if self._entries.pop(entry.id, None) is None:
            return
        del self._by_key[entry.key]
        if entry.message is not None:
            self.bytes -= entry.size
