"""One way to write a value into a body and to read it back: what every way has to offer to be compared."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

from hootbus.frames import Buffer
from hootbus.schemas import load

Value = TypeVar("Value")

# The names under which the ways are compared. The first is ours, and the others are measured against it.
IN_PLACE: Final = "capnp in place"
PYCAPNP: Final = "pycapnp"
PYCAPNP_DATA: Final = "pycapnp, Data"
MSGSPEC_JSON: Final = "msgspec JSON"
STDLIB_JSON: Final = "stdlib json"

# Compiled once for the process; a pycapnp struct is the same object whoever loads its file.
SCHEMA: Final = load(Path(__file__).with_name("messages.capnp"))


class Encoding(msgspec.Struct, Generic[Value], frozen=True):
    """`build` makes a body of a value, `read_all` reads all of it, `read_two` two of its short fields, if it has any.

    A value's arrays are numpy's at both ends, as that is what the programs at both ends work with.
    """

    name: str
    build: Callable[[Value], Buffer]
    read_all: Callable[[Buffer], Value]
    read_two: Callable[[Buffer], tuple[object, object]] | None = None

    def restart(self) -> None:
        """Nothing runs that could be started anew (`rounds.Restartable`)."""
