"""The goals that the bus has set itself, each judged by what was measured.

A ratio is judged on ipc, which is what a bus on one machine is for; that of tcp, which most peers use, is told too.
"""

import operator
from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from benchmarks.messages.encoding import IN_PLACE
from benchmarks.questions import bodies, events, growth, latency, memory, requests
from benchmarks.report.cells import number
from benchmarks.results import REFERENCE, Case, Report

NATS: Final = "nats"
PLAIN: Final = "plain pyzmq"
ZENOH: Final = "zenoh"
TCP: Final = "hootbus tcp"

_US_PER_MS: Final = 1000
_COMPARES: Final[dict[str, Callable[[float, float], bool]]] = {"≥": operator.ge, "≤": operator.le}


class State(StrEnum):
    """How a goal stands."""

    MET = "met"
    MISSED = "not met"
    UNKNOWN = "not measured"


class Goal(msgspec.Struct, frozen=True):
    """What was to be reached, what was, and so whether it is."""

    work: str
    bound: str
    measured: str
    state: State


class Cell(NamedTuple):
    """Where in the results a number is to be found."""

    question: str
    unit: str
    case: Case


_REQUESTS: Final = Cell(requests.NAME, "requests/s", {"bytes": 100, "in flight": 256})
_LATENCY: Final = Cell(latency.NAME, "µs", {"bytes": 100, "percentile": "p50"})
_LATENCY_LARGE: Final = Cell(latency.NAME, "µs", {"bytes": 1_000_000, "percentile": "p50"})
_EVENTS: Final = Cell(events.NAME, "events/s", {"publishers → subscribers": "1 → 1", "bytes": 100})
_GROWTH: Final = tuple(Cell(growth.NAME, "requests/s", {"services": count}) for count in (1, 1000))
_READ: Final[Case] = {"message": bodies.MILLION, "step": bodies.READ_ALL}
_BUILD: Final[Case] = {"message": bodies.MILLION, "step": bodies.BUILD}
_LEFT_BEHIND: Final = Cell(memory.NAME, "MiB", {"for": memory.DONE})


def goals(report: Report) -> list[Goal]:
    """All of them, also those of which nothing is known."""
    medians = Medians(report)
    return [
        _against(medians, "requests of 100 B, 256 in flight", _REQUESTS, NATS, "≥", 2.5),
        _against(medians, "requests of 100 B, 256 in flight", _REQUESTS, PLAIN, "≥", 5),
        _against(medians, "one request of 100 B at a time, p50", _LATENCY, NATS, "≤", 0.8),
        _against(medians, "one request of 1 MB at a time, p50", _LATENCY_LARGE, NATS, "≤", 0.25),
        _against(medians, "events of 100 B, one publisher to one subscriber", _EVENTS, NATS, "≥", 2),
        _against(medians, "events of 100 B, one publisher to one subscriber", _EVENTS, ZENOH, "≥", 1),
        _array(medians, "a received message's 1 M float32 as an array", _READ, 20, 0),
        _array(medians, "1 M float32 into a message", _BUILD, _US_PER_MS, 1),
        _growth(medians),
        _left_behind(medians),
    ]


class Medians:
    """The medians of a report, to be looked up."""

    def __init__(self, report: Report) -> None:
        self._known = {(result.system, *result.cell): result.median for result in report.results}

    def of(self, system: str, cell: Cell) -> float | None:
        return self._known.get((system, cell.question, cell.unit, tuple(cell.case.items())))

    def quotient(self, one: str, other: str, cell: Cell) -> float | None:
        """The one's median over the other's, whichever is better."""
        above, below = self.of(one, cell), self.of(other, cell)
        return None if above is None or not below else above / below


def _against(medians: Medians, work: str, cell: Cell, peer: str, compare: str, bound: float) -> Goal:
    quotient = medians.quotient(REFERENCE, peer, cell)
    over_tcp = medians.quotient(TCP, peer, cell)
    measured = "" if quotient is None else f"{number(quotient)} ×"
    if quotient is not None and over_tcp is not None:
        measured += f" (tcp: {number(over_tcp)} ×)"
    return Goal(work, f"{compare} {bound:g} × {peer}", measured, _state(quotient, compare, bound))


def _array(medians: Medians, work: str, case: Case, us: float, copies: int) -> Goal:
    taken = medians.of(IN_PLACE, Cell(bodies.NAME, "µs", case))
    copied = medians.of(IN_PLACE, Cell(bodies.NAME, bodies.COPIED, case))
    bound = f"≤ {us:g} µs, {copies} copies" if copies != 1 else f"≤ {us:g} µs, one copy"
    if taken is None or copied is None:
        return Goal(work, bound, "", State.UNKNOWN)
    within = taken <= us and copied <= copies * bodies.MILLION_BYTES
    measured = f"{number(taken)} µs, {number(copied)} bytes copied"
    return Goal(work, bound, measured, State.MET if within else State.MISSED)


def _growth(medians: Medians) -> Goal:
    one, many = (medians.of(REFERENCE, cell) for cell in _GROWTH)
    kept = None if not one or many is None else many / one
    measured = "" if kept is None else f"{number(kept)} ×"
    one, many = (medians.of(growth.CONTROL, cell) for cell in _GROWTH)
    if kept is not None and one and many is not None:
        measured += f" ({growth.CONTROL}, which has no rules: {number(many / one)} ×)"
    work = "requests/s with 1000 services of a worker each, against 1 of 1"
    return Goal(work, "≥ 0.8 ×", measured, _state(kept, "≥", 0.8))


def _left_behind(medians: Medians) -> Goal:
    left = medians.of(REFERENCE, _LEFT_BEHIND)
    measured = "" if left is None else f"{number(left)} MiB"
    # What an allocator holds back differs by some hundred KiB from one look to the next.
    return Goal("memory of the broker, for each million requests done", "≤ 1 MiB", measured, _state(left, "≤", 1))


def _state(value: float | None, compare: str, bound: float) -> State:
    if value is None:
        return State.UNKNOWN
    return State.MET if _COMPARES[compare](value, bound) else State.MISSED
