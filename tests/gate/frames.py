"""Frames per request and event, by role: what libzmq is asked to carry."""

from collections import Counter, defaultdict
from typing import Final

from gate.counts import Counts, Measured, quiet_steps
from gate.quiet import quiet
from gate.traffic import EVENTS, REQUESTS, Traffic
from gate.wire_spy import watched
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.buffer import Frames

_STEPS: Final = 20


def _count(traffic: Traffic) -> Counts:
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    steps: defaultdict[str, list[Counter[str]]] = defaultdict(list)

    def witness(thread: str, way: str, frames: Frames, _: int) -> None:
        if role := traffic.role(thread):
            seen[role][way] += len(frames)

    def between() -> None:
        quiet()
        for role in seen:
            steps[role].append(seen[role].copy())
            seen[role].clear()

    with watched(witness), EmbeddedBroker() as bus:
        traffic.run(bus, _STEPS, between)
    # The first step has what came while they got to know each other.
    return {role: quiet_steps(counters[1:], traffic.per_step) for role, counters in steps.items()}


def measure() -> Measured:
    """One at a time and many: the events that go together may not cost more frames."""
    return {f"frames {traffic.name}": _count(traffic) for traffic in (*REQUESTS[1:], *EVENTS)}
