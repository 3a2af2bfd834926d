"""Numbers of events: a publisher counts what it sends, a subscriber finds what is missing.

Both remember the newest topics only; a topic that was forgotten begins anew, and says so.
"""

from collections import OrderedDict
from typing import Final

from hootbus.frames.event import RESTARTED

TOPICS_MAX: Final = 10_000


class Sequences:
    """The next number of each topic of one publisher."""

    def __init__(self, topics_max: int = TOPICS_MAX) -> None:
        self._topics_max = topics_max
        self._next: OrderedDict[bytes, int] = OrderedDict()
        self._forgotten = False

    def next(self, topic: bytes) -> tuple[int, int]:
        """The number of the topic's next event, and its flags: RESTARTED if the topic may have been forgotten."""
        sequence = self._next.get(topic)
        if sequence is not None:
            return sequence, 0
        # Which topics were forgotten is forgotten too; a new one that says so does no harm.
        return 0, RESTARTED if self._forgotten else 0

    def sent(self, topic: bytes, following: int) -> None:
        """The topic's next event is `following`, as those before it have left."""
        self._next[topic] = following
        self._next.move_to_end(topic)
        if len(self._next) > self._topics_max:
            self._next.popitem(last=False)
            self._forgotten = True

    def skip(self, topic: bytes, count: int) -> None:
        """So many events of the topic will never leave: their numbers are used up, which subscribers see as a gap.

        In front of a topic's first event nothing is missing for anybody, so there is nothing to be used up.
        """
        if topic in self._next:
            self._next[topic] += count


class Gaps:
    """What a subscriber has missed, by publisher and topic."""

    def __init__(self, topics_max: int = TOPICS_MAX) -> None:
        self._topics_max = topics_max
        self._expected: OrderedDict[tuple[int, bytes], int] = OrderedDict()

    def __len__(self) -> int:
        """Topics remembered."""
        return len(self._expected)

    def missed(self, publisher: int, topic: bytes, sequence: int, count: int, flags: int) -> int:
        """How many events are missing in front of these `count` ones.

        What came before a topic's first event is not known, so it is not missing; nor is anything before a restart.
        """
        key = publisher, topic
        expected = self._expected.get(key)
        self._expected[key] = sequence + count
        if expected is None:
            if len(self._expected) > self._topics_max:
                self._expected.popitem(last=False)
            return 0
        self._expected.move_to_end(key)
        return max(0, sequence - expected) if not flags & RESTARTED else 0
