"""The ledger's pages on streams and gathers: what clients have granted, and who has answered."""

from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag
from sim.violation import Violation


class Streamed:
    """One request of which PARTIALs are owed, as the messages through the broker show it."""

    def __init__(self, request: Message) -> None:
        options = request.options
        assert options is not None
        self._gather = bool(options.flags & Flag.GATHER)
        # Items before this one; 0 for who knows no flow control.
        self._granted = 0 if self._gather else options.credit
        # Of a gather: who was handed it, by routing id, and who has answered, by number.
        self._asked: set[bytes] = set()
        self._answered: set[int] = set()

    def granted(self, message: Message) -> None:
        """The client's CREDIT."""
        options = message.options
        if options is not None and self._granted:
            self._granted = max(self._granted, options.sequence + options.credit)

    def handed(self, who: bytes, message: Message) -> None:
        """To a worker."""
        options = message.options
        if not self._gather:
            if options is not None and options.credit > self._granted:
                raise Violation(f"a worker is granted {options.credit} items of {self._granted}: {message}")
            return
        if options is not None and options.flags & (Flag.GATHER | Flag.PARTIALS):
            raise Violation(f"a worker is shown that it is one of many: {message}")
        if who in self._asked:
            raise Violation(f"{who[:4].hex()} gets its part of a gather a second time: {message}")
        self._asked.add(who)

    def taken_back(self, who: bytes) -> None:
        """It never left for that worker."""
        self._asked.discard(who)

    def part(self, message: Message) -> None:
        """To the client."""
        options = message.options
        assert options is not None
        if not self._gather:
            if self._granted and options.sequence >= self._granted:
                raise Violation(f"item {options.sequence} of a stream, of which {self._granted} are granted: {message}")
            return
        if options.sequence != len(self._answered) or options.credit in self._answered or not options.credit:
            raise Violation(f"answer {len(self._answered)} to a gather, after {sorted(self._answered)}: {message}")
        self._answered.add(options.credit)

    def closed(self, message: Message) -> None:
        """The REPLY."""
        options = message.options
        if self._gather and options is not None and not options.status and options.sequence != len(self._answered):
            raise Violation(f"a gather of {len(self._answered)} answers is closed with {options.sequence}: {message}")
