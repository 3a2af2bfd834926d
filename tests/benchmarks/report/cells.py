"""Results laid out for the eye: blocks of one question and unit, a row for each case, a column for each system.

Tables, the page and the charts read these, so they cannot show different things.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from benchmarks.results import REFERENCE, Case, Report, Result, Settings, ratio

_DIGITS: Final = 3
# From where on a number is said in which unit. Thousands are shorter as they are.
_SCALES: Final = ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k"))


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One case, with what each system did in it; a system that was not asked is not there."""

    case: Case
    by_system: dict[str, Result]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one question in one unit. All ratios are of `reference` to the others."""

    question: str
    unit: str
    reference: str
    systems: list[str]
    rows: list[Row]

    @property
    def peers(self) -> list[str]:
        return [system for system in self.systems if system != self.reference]

    @property
    def better(self) -> str:
        return next(iter(self.rows[0].by_system.values())).better

    @property
    def is_nothing(self) -> bool:
        """Whether all of it is 0, as losses are if there are none."""
        return not any(result.median for row in self.rows for result in row.by_system.values())

    def ratio(self, row: Row, peer: str) -> float | None:
        """How many times better the reference is than this peer; None where one of them was not measured, or is 0."""
        ours, theirs = row.by_system.get(self.reference), row.by_system.get(peer)
        return None if ours is None or theirs is None else ratio(ours, theirs)


def blocks(report: Report, question: str) -> Iterator[Block]:
    """The question's results by unit, everything in the order in which it was first met."""
    results = [result for result in report.results if result.question == question]
    for unit in dict.fromkeys(result.unit for result in results):
        yield _block(question, unit, [result for result in results if result.unit == unit])


def _block(question: str, unit: str, results: list[Result]) -> Block:
    systems = list(dict.fromkeys(result.system for result in results))
    # Where the bus took no part, what is named first is what the others are measured against.
    reference = REFERENCE if REFERENCE in systems else systems[0]
    rows: dict[object, Row] = {}
    for result in results:
        rows.setdefault(result.cell, Row(case=result.case, by_system={})).by_system[result.system] = result
    return Block(question=question, unit=unit, reference=reference, systems=systems, rows=list(rows.values()))


def measured_questions(report: Report) -> Iterable[tuple[str, str]]:
    """Each question with a result, and its sentence."""
    asked = {result.question for result in report.results}
    return [(name, sentence) for name, sentence in report.questions.items() if name in asked]


def number(value: float) -> str:
    """Three digits that count: 0.123, 12.3, 1234, 45.6k, 1.23M."""
    for least, scale, letter in _SCALES:
        if abs(value) >= least:
            return f"{_digits(value / scale)}{letter}"
    return _digits(value)


def times(value: float | None) -> str:
    """A ratio: "2.61×", or a dash for none."""
    return "–" if value is None else f"{_digits(value)}×"


def spread(result: Result) -> str:
    """The least and the most of the rounds, empty if they cannot be told apart."""
    least, most = map(number, result.spread)
    return "" if least == most else f"{least}…{most}"


def case_text(case: Case) -> str:
    """As in "100 bytes, 256 in flight": as a person would say it where the names are units, else as it stands."""
    return ", ".join(
        f"{number(value)} {name}" if isinstance(value, int) else str(value) for name, value in case.items()
    )


def rounds_text(settings: Settings) -> str:
    rounds = "1 round" if settings.rounds == 1 else f"{settings.rounds} rounds"
    return f"{rounds} of {settings.seconds:g} s" + (", quick" if settings.quick else "")


def brief(text: str) -> str:
    """The first line, and the last, which of an error's is the one that names it."""
    lines = text.strip().splitlines() or [""]
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"


def _digits(value: float) -> str:
    if abs(value) >= 10**_DIGITS - 1:
        return f"{value:.0f}"
    text = f"{value:.{_DIGITS}g}"
    # Not 1e-05: what is that small is small enough to be said plainly.
    return f"{value:.6f}".rstrip("0").rstrip(".") if "e" in text else text
