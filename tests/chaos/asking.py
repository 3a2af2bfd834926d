"""A client's process: callers that never pause, and a book in which each request stands before it is asked.

A role of `benchmarks.role`: it asks until it is told to stop, and has an outcome for everything then.
"""

import asyncio
import random
from contextlib import aclosing
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.role import Line
from chaos.ledger import CUT, GIVEN_UP, OK, WRONG, Book
from chaos.messages import Asked, Done
from hootbus.workers import AsyncClient, HootError, Overloaded

# After an error, so that a bus without workers is not asked a million times.
_BREATH_S: Final = 0.01
_GIVE_UP_S: Final = 0.002


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a client asks. The shares are of all its requests; what is left is carried out once, as a call."""

    callers: int = 16
    idempotent: float = 0.5
    streams: float = 0.1
    given_up: float = 0.0
    # Whether streams, too, may be idempotent.
    repeat_streams: bool = True
    # Waits for a worker where there is none.
    patient: bool = False
    timeout_s: float = 20.0
    reply_bytes: int = 0
    items: int = 20


def ask(line: Line, *, address: str, name: str, book: str, seed: int, manner: dict[str, float]) -> None:
    """Asks as soon as it is told to, and until it is told to stop."""
    asker = _Asker(name, Book(Path(book)), random.Random(seed), msgspec.convert(manner, Manner))
    asyncio.run(asker.serve(line, address))


class _Asker:
    def __init__(self, name: str, book: Book, chance: random.Random, manner: Manner) -> None:
        self._name = name
        self._book = book
        self._chance = chance
        self._manner = manner
        self._asked = 0
        self._stopped = False

    async def serve(self, line: Line, address: str) -> None:
        async with AsyncClient(address) as bus:
            line.ready()
            await line.aorder()
            async with asyncio.TaskGroup() as callers:
                for _ in range(self._manner.callers):
                    callers.create_task(self._ask_on(bus))
                await line.aorder()
                self._stopped = True
        line.answer(asked=self._asked, dropped=bus.dropped)

    async def _ask_on(self, bus: AsyncClient) -> None:
        while not self._stopped:
            self._asked += 1
            number = f"{self._name}.{self._asked}"
            kind = self._chance.random()
            idempotent = self._chance.random() < self._manner.idempotent
            if kind < self._manner.streams:
                idempotent = idempotent and self._manner.repeat_streams
            self._book.asked(number, idempotent=idempotent)
            code = await self._outcome(bus, number, kind, idempotent)
            self._book.came(number, code)
            if code != OK:
                await asyncio.sleep(_BREATH_S)

    async def _outcome(self, bus: AsyncClient, number: str, kind: float, idempotent: bool) -> str:
        try:
            if kind < self._manner.streams:
                try:
                    return await self._stream(bus, number, idempotent)
                except Overloaded:
                    return CUT
            if kind < self._manner.streams + self._manner.given_up:
                async with asyncio.timeout(self._chance.random() * _GIVE_UP_S):
                    return await self._call(bus, number, idempotent)
            return await self._call(bus, number, idempotent)
        except HootError as error:
            return error.code
        except TimeoutError:
            return GIVEN_UP

    async def _call(self, bus: AsyncClient, number: str, idempotent: bool) -> str:
        manner = self._manner
        reply = await bus.call(
            "ledger/do",
            msgspec.to_builtins(Asked(number, reply_bytes=manner.reply_bytes)),
            idempotent=idempotent,
            wait=manner.patient,
            timeout=manner.timeout_s,
        )
        done = msgspec.convert(reply.json(), Done)
        return OK if done == Done(number, padding="x" * manner.reply_bytes) else WRONG

    async def _stream(self, bus: AsyncClient, number: str, idempotent: bool) -> str:
        manner = self._manner
        items = bus.stream(
            "ledger/count",
            msgspec.to_builtins(Asked(number, items=manner.items)),
            idempotent=idempotent,
            wait=manner.patient,
            timeout=manner.timeout_s,
        )
        async with aclosing(items):
            found = [msgspec.convert(item.json(), Done) async for item in items]
        return OK if found == [Done(number, at) for at in range(manner.items)] else WRONG
