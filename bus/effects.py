"""What the broker's shell is to do: the results of `Core.handle`, in order."""

from typing import TypeAlias

import msgspec

from hootbus.bus.judgement import Case
from hootbus.frames.message import Message


class Send(msgspec.Struct, frozen=True, gc=False):
    """Send the message to the peer its route begins with; report Undeliverable if it does not leave."""

    message: Message


class Publish(msgspec.Struct, frozen=True):
    """Broadcast an empty event under this topic."""

    topic: bytes


class Note(msgspec.Struct, frozen=True):
    """Something an operator would want to read: an event's name and its facts."""

    event: str
    facts: dict[str, str | int | float]


class Judge(msgspec.Struct, frozen=True):
    """Have the case judged, outside of this process; report Judged. There is one at a time."""

    case: Case


class Expel(msgspec.Struct, frozen=True):
    """Cut these connections, and keep the key (b"" for none) out for a while: who was there before it is back first."""

    principal: bytes
    connections: tuple[int, ...]


class Stop(msgspec.Struct, frozen=True):
    """Nothing is left to do: the broker may end."""


Effect: TypeAlias = Send | Publish | Note | Judge | Expel | Stop
