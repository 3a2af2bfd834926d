"""What is done to a bus, drawn from a seed: which fault, to whom, for how long, and after how many outcomes.

The plan is the same for the same seed. What it meets is not, as real processes run beside each other.
"""

import random
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

_OUTCOMES: Final = (20, 400)
# Mostly too short to be noticed; who is away for longer than some 4 s is found to be.
_HANG_S: Final = (0.05, 6.0, 0.05)


class Fault(StrEnum):
    """What may happen to a process or its connection."""

    KILL_WORKER = "kill worker"
    HANG_WORKER = "hang worker"
    DRAIN_WORKER = "drain worker"
    CUT_WORKER = "half-open worker"
    KILL_CLIENT = "kill client"
    HANG_CLIENT = "hang client"
    CUT_CLIENT = "half-open client"
    KILL_BROKER = "kill broker"
    HANG_BROKER = "hang broker"
    DRAIN_BROKER = "drain broker"


# These need a connection that goes through a proxy, which ipc has not.
_OVER_TCP: Final = frozenset({Fault.CUT_WORKER, Fault.CUT_CLIENT})


class Planned(msgspec.Struct, frozen=True):
    """One fault, once there were so many further outcomes. `victim` is a number to choose one by."""

    fault: Fault
    after: int
    victim: int
    seconds: float
    directions: tuple[str, ...]

    def __str__(self) -> str:
        facts = {"hang": f" for {self.seconds:.2f} s", "half": f" ({' and '.join(self.directions)})"}
        return self.fault + facts.get(self.fault[:4], "")


def plan(seed: int, *, tcp: bool) -> Iterator[Planned]:
    """Faults without end."""
    chance = random.Random(seed)
    faults = [fault for fault in Fault if tcp or fault not in _OVER_TCP]
    while True:
        yield Planned(
            chance.choice(faults),
            chance.randint(*_OUTCOMES),
            chance.randrange(1 << 16),
            chance.triangular(*_HANG_S),
            chance.choice([("up",), ("down",), ("up", "down")]),
        )
