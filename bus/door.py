"""The door of an ipc bus: closed while so many files are open that a further connection might be one too many.

libzmq ends its whole process when it cannot take a connection over ipc for want of a descriptor (measured; over tcp it
tries again). So some are kept free: before these are reached the sockets' files are put aside, and whoever wants to
connect finds no broker, and waits as for one that is not there yet. Those that are connected notice nothing.
"""

import logging
import math
import os
from collections.abc import Callable
from typing import Final

from hootbus.frames.sockets import BACKLOG

_log = logging.getLogger("hootbus.broker")

# Kept free is a quarter of all, within these bounds, and not more than half. So many may connect between two looks.
_FREE_MIN: Final = 256
_FREE_MAX: Final = 2048
# Of them so many may already wait in the kernel, at each of the three sockets, when the door is closed.
_WAITING_SHARE: Final = 8
_WAITING_MAX: Final = 1024
# How soon to look again: before so many can have connected, which is more than a machine manages; and at a closed door.
_CONNECTS_PER_S: Final = 20_000
_LOOK_MIN_S: Final = 0.001
_LOOK_MAX_S: Final = 1.0
_CLOSED_S: Final = 0.05
# What a broker has open itself, and some for others: with less it does not begin.
DESCRIPTORS_MIN: Final = 128


class Door:
    """Says when to look at the open descriptors, and whether the door is to be open. `limit` is all there may be.

    `waiting` is how many connections the kernel may keep at one socket that libzmq has not taken yet.
    """

    def __init__(self, limit: int) -> None:
        self._free = min(max(limit // 4, _FREE_MIN), _FREE_MAX, limit // 2)
        self._most = limit - self._free
        self.waiting = min(self._free // _WAITING_SHARE, _WAITING_MAX)
        self.open = True
        self.look_at = -math.inf

    def judge(self, descriptors: int, now: float) -> bool:
        """Whether the door is to be moved, with so many open descriptors. Then `look_at` is when to look again."""
        left = self._most - descriptors
        # Not at every connection that comes and goes.
        wanted = left > (0 if self.open else self._free // 4)
        moved = wanted is not self.open
        self.open = wanted
        soon = min(_LOOK_MAX_S, max(_LOOK_MIN_S, left / _CONNECTS_PER_S))
        self.look_at = now + (soon if wanted else _CLOSED_S)
        return moved


class Doorkeeper:
    """The door's shell: counts what this process has open, and moves the door as the rules say.

    `move` opens and closes it. A bus on tcp has none: there libzmq waits for a descriptor by itself.
    """

    def __init__(self, move: Callable[[bool], None] | None, limit: int) -> None:
        self._move = move
        self._door = Door(limit)
        # How many connections the kernel may keep at one socket.
        self.waiting = BACKLOG if move is None else self._door.waiting
        # When `look` has something to do. An attribute, as it is asked several times for each request.
        self.look_at = math.inf if move is None else self._door.look_at

    def look(self, now: float) -> bool:
        """Whether the door has just been closed."""
        assert self._move is not None, "there is no door"
        try:
            descriptors = len(os.listdir("/dev/fd"))
        except OSError as error:
            _log.warning("cannot count open files (%s): with too many connections the broker ends", error.strerror)
            self.look_at = math.inf
            return False
        is_moved = self._door.judge(descriptors, now)
        self.look_at = self._door.look_at
        if not is_moved:
            return False
        self._move(self._door.open)
        if self._door.open:
            _log.info("there is room for connections again")
            return False
        _log.warning("%d files are open: nobody is let in until there are fewer; raise `ulimit -n`", descriptors)
        return True
