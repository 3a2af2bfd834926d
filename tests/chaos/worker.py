"""A worker that writes down whatever it carries out, before it does: `hoot worker chaos.worker:worker`."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from chaos.ledger import Book
from chaos.messages import BOOK_VARIABLE, Asked, Done
from hootbus.workers import Worker

# Long enough that a death finds some of them at work.
_WORK_S: Final = 0.001
_BOOK: Final = Book(Path(os.environ[BOOK_VARIABLE]))

worker = Worker("ledger")


@worker.method
async def do(asked: Asked) -> Done:
    _BOOK.did(asked.number)
    await asyncio.sleep(_WORK_S)
    return Done(asked.number, padding="x" * asked.reply_bytes)


@worker.method
async def count(asked: Asked) -> AsyncIterator[Done]:
    _BOOK.did(asked.number)
    for at in range(asked.items):
        await asyncio.sleep(0)
        yield Done(asked.number, at)


@worker.method
async def pid() -> int:
    return os.getpid()
