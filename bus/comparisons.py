"""What clients have asked the gate: whether a service's workers understand them, and how much of that may be open."""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import structs

from hootbus.bus.judgement import Claim
from hootbus.bus.limits import Limits
from hootbus.bus.tally import Tally
from hootbus.frames.errors import HootError, Overloaded
from hootbus.schemas import Method


class Comparison:
    """A client's question whether a service's workers understand it; `answer` takes what is wrong, or None.

    `client` is its identity, and the same request of it again is one question. It is of no use after `until`.
    """

    def __init__(
        self,
        client: bytes,
        request_id: bytes,
        frame: bytes,
        method: Method,
        nodes: bytes,
        until: float,
        answer: Callable[[HootError | None], None],
    ) -> None:
        self.client: Final = client
        self.request_id: Final = request_id
        self.until: Final = until
        self.frame = frame
        self.service, _, name = frame.partition(b"/")
        self.method = structs.replace(method, name=name.decode(errors="replace"))
        self.claim = Claim((self.method,), nodes)
        self.answer = answer

    def turn_to(self, service: bytes) -> None:
        """It is about the method of this service that needs no name."""
        self.frame = self.service = service
        self.method = structs.replace(self.method, name="")
        self.claim = Claim((self.method,), self.claim.nodes)


class Comparisons:
    """Those without an answer yet. `bytes` is what their schemas hold.

    No client may take all places, and all of them together no more than half the bytes: workers need the rest.
    """

    def __init__(self, limits: Limits, tally: Tally) -> None:
        self._limits = limits
        self._reached = tally.reached
        self._by_client: dict[bytes, dict[bytes, Comparison]] = {}
        self._count = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Comparison]:
        return (comparison for found in self._by_client.values() for comparison in found.values())

    def __contains__(self, comparison: Comparison) -> bool:
        return self.find(comparison.client, comparison.request_id) is comparison

    def find(self, client: bytes, request_id: bytes) -> Comparison | None:
        """What this client has asked by this request."""
        return self._by_client.get(client, {}).get(request_id)

    def of(self, client: bytes) -> tuple[Comparison, ...]:
        """All that this client has asked."""
        return tuple(self._by_client.get(client, {}).values())

    def add(self, comparison: Comparison) -> None:
        """One more, that is not among them. Raises Overloaded."""
        limits, size = self._limits, len(comparison.claim.nodes)
        if self._count >= limits.comparisons:
            self._reached["comparisons"] += 1
            raise Overloaded(f"{self._count} schemas wait to be compared")
        of_client = len(self._by_client.get(comparison.client, {}))
        if of_client >= limits.comparisons_per_client:
            self._reached["comparisons_per_client"] += 1
            raise Overloaded(f"{of_client} schemas of this client wait to be compared")
        if self.bytes + size > limits.held_schema_bytes // 2:
            self._reached["held_schema_bytes"] += 1
            raise Overloaded(f"schemas of {self.bytes} bytes wait to be compared")
        self._by_client.setdefault(comparison.client, {})[comparison.request_id] = comparison
        self._count += 1
        self.bytes += size

    def remove(self, comparison: Comparison) -> None:
        """One of them is answered, or nobody waits for it."""
        of_client = self._by_client[comparison.client]
        del of_client[comparison.request_id]
        if not of_client:
            del self._by_client[comparison.client]
        self._count -= 1
        self.bytes -= len(comparison.claim.nodes)
