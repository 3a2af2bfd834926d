"""What a run of the benchmarks found: what questions give, tables and charts read, and JSON keeps."""

import statistics
from pathlib import Path
from typing import Final, Literal

import msgspec

REFERENCE: Final = "hootbus ipc"

Case = dict[str, str | int]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One cell: what one system did in one case of one question, once per round."""

    question: str
    # The same keys, in the same order, for all results of one question.
    case: Case
    system: str
    unit: str
    better: Literal["more", "less"]
    samples: list[float]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError(f"{self.question} {self.case} of {self.system} has no samples")

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.samples), max(self.samples)

    @property
    def cell(self) -> tuple[str, str, tuple[tuple[str, str | int], ...]]:
        """What results of several systems have in common if they may be compared."""
        return self.question, self.unit, tuple(self.case.items())


class Skipped(msgspec.Struct, frozen=True):
    """A system, or a part of what it was to be asked, that was not measured, and why."""

    system: str
    why: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How much was measured: rounds of each cell, and seconds of each round."""

    rounds: int
    seconds: float
    quick: bool = False


class Report(msgspec.Struct, kw_only=True):
    """One run. It explains itself: what was asked, of whom, on which machine."""

    started: str
    machine: dict[str, str]
    settings: Settings
    # Question -> the sentence it answers, in the order in which they were asked.
    questions: dict[str, str]
    # System -> what a reader must know to compare it fairly, such as that it has no broker.
    notes: dict[str, str]
    results: list[Result] = []
    skipped: list[Skipped] = []


def ratio(ours: Result, theirs: Result) -> float | None:
    """How many times better ours is, by medians: above 1 we are better, whatever the unit. None if one of them is 0."""
    if ours.cell != theirs.cell:
        raise ValueError(f"{ours.cell} is not compared with {theirs.cell}")
    if not ours.median or not theirs.median:
        return None
    return ours.median / theirs.median if ours.better == "more" else theirs.median / ours.median


def read(path: Path) -> Report:
    return msgspec.json.decode(path.read_bytes(), type=Report)


def write(report: Report, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
