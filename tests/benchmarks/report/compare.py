"""This run against the last one that was committed. It tells and never fails: machines differ, and so do their days."""

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.text import Text

from benchmarks.report.cells import case_text, number, rounds_text, times
from benchmarks.results import Report, Result, ratio, read

# Less than this is what two runs of the same code differ by.
NOTICED: Final = 0.10
# The facts of a machine that must be the same for its numbers to be.
_SAME_MACHINE: Final = ("cores", "processor")


class Change(msgspec.Struct, frozen=True):
    """A result and the one in its place in the run before; `ratio` above 1 is better, as everywhere."""

    now: Result
    before: Result
    ratio: float

    @property
    def is_worse(self) -> bool:
        return self.ratio < 1 - NOTICED

    @property
    def is_better(self) -> bool:
        return self.ratio > 1 / (1 - NOTICED)


def against(report: Report, path: Path) -> list[Change]:
    """Each result that was there before too, in this report's order."""
    return changes(report, read(path))


def changes(report: Report, before: Report) -> list[Change]:
    known = {(result.system, *result.cell): result for result in before.results}
    found = []
    for now in report.results:
        then = known.get((now.system, *now.cell))
        against_then = None if then is None else ratio(now, then)
        if then is not None and against_then is not None:
            found.append(Change(now, then, against_then))
    return found


def show(report: Report, path: Path, console: Console) -> None:
    """A line for each question and system, and below it one for each result that changed by more than 10 %."""
    before = read(path)
    found = changes(report, before)
    console.print()
    console.print(Text(f"Against the committed results of {before.started}", style="bold"), soft_wrap=True)
    for warning in _differences(report, before):
        console.print(Text(warning, style="yellow"), soft_wrap=True)
    for line in _lines(found):
        console.print(line, soft_wrap=True)
    worse = sum(change.is_worse for change in found)
    console.print(
        Text(f"{len(found)} results compared, {worse} worse by more than {NOTICED:.0%}", style="dim"), soft_wrap=True
    )


def _differences(report: Report, before: Report) -> Iterator[str]:
    """Why the two runs may not be comparable."""
    for fact in _SAME_MACHINE:
        now, then = report.machine.get(fact, "unknown"), before.machine.get(fact, "unknown")
        if now != then:
            yield f"another machine: {fact} {now}, not {then}"
    if report.settings != before.settings:
        yield f"measured otherwise: {rounds_text(report.settings)}, not {rounds_text(before.settings)}"


def _lines(found: Iterable[Change]) -> Iterator[Text]:
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in found:
        groups.setdefault((change.now.question, change.now.system), []).append(change)
    for (question, system), same in groups.items():
        mean = statistics.geometric_mean(change.ratio for change in same)
        yield Text(f"{question:10} {system:16} {times(mean):>7} in the mean of {len(same)}")
        for change in same:
            if change.is_worse or change.is_better:
                yield _line(change)


def _line(change: Change) -> Text:
    mark, style = ("worse", "red") if change.is_worse else ("better", "green")
    now, before = number(change.now.median), number(change.before.median)
    what = f"{case_text(change.now.case)}: {before} → {now} {change.now.unit}"
    return Text(f"    {mark:6} {times(change.ratio):>7}  {what}", style=style)
