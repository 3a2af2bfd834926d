"""A service's queue: requests in the order of their arrival, also those that were handed out and came back."""

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hootbus.bus.state import Request


class Returned:
    """Requests that came back, in any order, and go out again in that of their arrival."""

    def __init__(self) -> None:
        self.waiting: dict[int, Request] = {}
        # A heap. What was discarded is still in it until the last of them has left.
        self.orders: list[int] = []

    def put(self, request: "Request") -> None:
        """One more."""
        self.waiting[request.order] = request
        heappush(self.orders, request.order)

    def first(self) -> "Request":
        """The one that arrived first, left where it is. There must be one."""
        while self.orders[0] not in self.waiting:
            heappop(self.orders)
        return self.waiting[self.orders[0]]

    def discard(self, request: "Request") -> None:
        """Takes one out, wherever it is."""
        del self.waiting[request.order]
        if not self.waiting:
            self.orders.clear()


class Queue:
    """Requests that wait, in the order of their arrival: one that was handed out and comes back has its old place.

    Those that were in flight at a worker's death, the *struck* ones, come before all others; but no worker may have
    two of them at once, so the others can pass them by.
    """

    def __init__(self) -> None:
        self._arrived: OrderedDict[int, Request] = OrderedDict()
        # All of these arrived before all of those above, as they have been at the head once.
        self._returned = Returned()
        self._struck = Returned()
        # All of them, and those that every worker may take. Counted here, as they are looked at for every request.
        self.waiting = 0
        self.for_any = 0
        self.bytes = 0

    def __len__(self) -> int:
        return self.waiting

    def values(self) -> "Iterator[Request]":
        """All of them; those that came back are in no order."""
        yield from self._struck.waiting.values()
        yield from self._returned.waiting.values()
        yield from self._arrived.values()

    def get(self, order: int) -> "Request | None":
        """The request that arrived as this one, if it waits here."""
        return self._struck.waiting.get(order) or self._returned.waiting.get(order) or self._arrived.get(order)

    def append(self, request: "Request") -> None:
        """At the end: it has just arrived."""
        self._arrived[request.order] = request
        self.waiting += 1
        self.for_any += 1
        self.bytes += request.size

    def put_back(self, request: "Request") -> None:
        """Where it was before it was popped, or further ahead if it has been struck since."""
        (self._struck if request.strikes else self._returned).put(request)
        self.waiting += 1
        self.for_any += not request.strikes
        self.bytes += request.size

    def pop(self, struck: bool) -> "Request | None":
        """Takes the next one, a struck one only if the worker may have it; None if only such wait."""
        if struck and self._struck.waiting:
            request = self._struck.first()
        elif self._returned.waiting:
            request = self._returned.first()
        elif self._arrived:
            _, request = self._arrived.popitem(last=False)
            self.waiting -= 1
            self.for_any -= 1
            self.bytes -= request.size
            return request
        else:
            return None
        self.discard(request)
        return request

    def discard(self, request: "Request") -> None:
        """Takes a request from wherever it is."""
        if request.strikes:
            self._struck.discard(request)
        elif request.order in self._returned.waiting:
            self._returned.discard(request)
        else:
            del self._arrived[request.order]
        self.waiting -= 1
        self.for_any -= not request.strikes
        self.bytes -= request.size
