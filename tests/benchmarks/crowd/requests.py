"""A client that costs so little that the broker is what is measured: one socket, frames written once, no loop.

It speaks the wire (docs/protocol.md) and keeps a number of requests in flight, to each service in turn.
"""

import itertools
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.crowd.workers import service_name
from benchmarks.role import Line
from hootbus.frames import (
    NO_OPTIONS,
    SENT,
    Command,
    ContentType,
    Frames,
    Message,
    Wire,
    aligned_context,
    dealer,
    parse_address,
    read_options,
    serialize,
)
from hootbus.workers.connection import new_identity

_PATIENCE_MS: Final = 10_000
_REQUEST_ID: Final = 3
_OPTIONS: Final = 7


def requester(line: Line, *, address: str, services: int) -> None:
    """Serves {"do": "ask", "bytes", "in_flight", "seconds"}: how many were answered, and in how many seconds.

    {"do": "count", "bytes", "in_flight", "requests"}: the same for so many.

    And {"do": "pile", "bytes", "requests"}: sends so many that nobody answers.
    """
    load = _Load(address, services)
    line.ready()
    while True:
        order = line.order()
        body = bytes(order["bytes"])
        if order["do"] == "ask":
            answered, seconds = load.ask(body, order["in_flight"], order["seconds"])
            line.answer(answered=answered, seconds=seconds)
        elif order["do"] == "count":
            load.count(body, order["in_flight"], order["requests"])
            line.answer(answered=order["requests"])
        else:
            load.pile(body, order["requests"])
            line.answer(sent=order["requests"])


class _Load:
    def __init__(self, address: str, services: int) -> None:
        self._wire = Wire(dealer(aligned_context(), new_identity()))
        self._wire.socket.connect(parse_address(address).requests)
        self._ids = itertools.count(1)
        self._services = [service_name(number).encode() for number in range(services)]

    def ask(self, body: bytes, in_flight: int, seconds: float) -> tuple[int, float]:
        """Keeps so many in flight for so long, and waits for the last reply."""
        requests = self._requests(body)
        began = time.perf_counter()
        until = began + seconds
        for _ in range(in_flight):
            self._send(next(requests))
        answered, open_requests = 0, in_flight
        while open_requests:
            self._check(self._receive())
            answered += 1
            if time.perf_counter() < until:
                self._send(next(requests))
            else:
                open_requests -= 1
        return answered, time.perf_counter() - began

    def count(self, body: bytes, in_flight: int, requests: int) -> None:
        """Asks so many, and waits for the last reply."""
        each = self._requests(body)
        for sent in range(requests + in_flight):
            if sent >= in_flight:
                self._check(self._receive())
            if sent < requests:
                self._send(next(each))

    def pile(self, body: bytes, requests: int) -> None:
        for frames in itertools.islice(self._requests(body), requests):
            self._send(frames)

    def _requests(self, body: bytes) -> Iterator[Frames]:
        models = [
            serialize(
                Message((), Command.REQUEST, ContentType.RAW_BINARY, bytes(16), service, body=body, options=NO_OPTIONS)
            )
            for service in self._services
        ]
        for model in itertools.cycle(models):
            frames = model.copy()
            frames[_REQUEST_ID] = next(self._ids).to_bytes(16, "big")
            yield frames

    def _send(self, frames: Frames) -> None:
        if self._wire.send(frames) != SENT:
            raise RuntimeError("the broker takes no more")

    def _receive(self) -> Frames:
        frames = self._wire.receive()
        while frames is None:
            if not self._wire.socket.poll(_PATIENCE_MS):
                raise RuntimeError(f"no reply within {_PATIENCE_MS} ms")
            frames = self._wire.receive()
        return frames

    @staticmethod
    def _check(reply: Frames) -> None:
        # An error is no answer, however fast it came.
        if read_options(reply[_OPTIONS]).status:
            raise RuntimeError(f"answered with an error: {bytes(reply[_OPTIONS - 1])[:200]!r}")
