"""What the clients and workers of a story say to each other."""

from typing import Final

import msgspec

# Where the worker writes down what it does. One file for all workers of a bus.
BOOK_VARIABLE: Final = "CHAOS_BOOK"


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
