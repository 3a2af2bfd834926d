"""A worker that writes down whatever it carries out, before it does: `hoot worker chaos.worker:worker`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from chaos.ledger import Book
from hootbus.workers import Worker

# Where it writes. One file for all workers of a bus.
BOOK_VARIABLE: Final = "CHAOS_BOOK"
# Long enough that a death finds some of them at work.
_WORK_S: Final = 0.001

worker = Worker("ledger")


class Asked(msgspec.Struct, frozen=True):
    """A request: its number in the ledger, how large the reply is to be, and how many items a stream has."""

    number: str
    reply_bytes: int = 0
    items: int = 0


class Done(msgspec.Struct, frozen=True):
    """A reply, or an item of one."""

    number: str
    at: int = 0
    padding: str = ""


@worker.on_start
def open_book() -> None:
    global _book
    _book = Book(Path(os.environ[BOOK_VARIABLE]))


@worker.method
async def do(asked: Asked) -> Done:
    _book.did(asked.number)
    await asyncio.sleep(_WORK_S)
    return Done(asked.number, padding="x" * asked.reply_bytes)


@worker.method
async def count(asked: Asked) -> AsyncIterator[Done]:
    _book.did(asked.number)
    for at in range(asked.items):
        await asyncio.sleep(0)
        yield Done(asked.number, at)


@worker.method
async def pid() -> int:
    return os.getpid()
