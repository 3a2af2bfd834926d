"""docs/benchmarks.md: what was measured, where, with what, and what it says of the goals; with a chart a question."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.report.cells import Block, Row, blocks, brief, measured_questions, number, rounds_text, spread, times
from benchmarks.report.goals import goals
from benchmarks.report.table import heading
from benchmarks.results import REFERENCE, Report
from benchmarks.results import write as write_results

PAGE: Final = "benchmarks.md"
CHARTS: Final = "benchmarks"
RESULTS: Final = "results.json"

_INTRODUCTION: Final = f"""\
# Benchmarks

hootbus beside its peers, in one run on one machine, with Python at both ends. `make bench` measures it on yours; this
page is what such a run has written.

A ratio says how many times better {REFERENCE} is than the system in whose column it stands: above 1 it is better,
whether the unit counts up or down. Beside it stands the median of all rounds, below it the least and the most. Rounds
alternate between systems, so that what the machine does besides falls on all of them alike. Where {REFERENCE} takes no
part, the first column is what the others are compared with.
"""
_REPEAT: Final = """\
## How to repeat it

```console
$ make bench-peers
$ make bench
$ make bench ARGS=--write
```

The first installs the peers; without them their columns are left out, and the run says so. The second prints these
tables, and how they compare with the ones that are committed. The third also writes this page, its charts and
[results.json](benchmarks/results.json). `make bench ARGS=--quick` is a first look, `ARGS=--help` explains the rest.
"""
_NO_CHARTS: Final = "The charts are left out, as matplotlib is not installed here (`make bench-peers` installs it).\n"


def write(report: Report, folder: Path) -> None:
    """Writes the page into this folder, and the charts and results into one beside it."""
    charts = folder / CHARTS
    charts.mkdir(parents=True, exist_ok=True)
    write_results(report, charts / RESULTS)
    drawn = _draw_charts(report, charts)
    (folder / PAGE).write_text("\n".join(_sections(report, drawn)), encoding="utf-8")


def _draw_charts(report: Report, charts: Path) -> set[str] | None:
    """The questions that have one now; None if there is nothing to draw with. Charts of earlier runs do not stay."""
    for old in charts.glob("*.svg"):
        old.unlink()
    try:
        from benchmarks.report.chart import draw
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        print("no charts: matplotlib is not installed (`make bench-peers` installs it)", file=sys.stderr)
        return None
    return {
        question
        for question, _ in measured_questions(report)
        if draw(list(blocks(report, question)), charts / f"{question}.svg")
    }


def _sections(report: Report, drawn: set[str] | None) -> Iterator[str]:
    yield _INTRODUCTION
    if drawn is None:
        yield _NO_CHARTS
    yield _goals(report)
    for question, sentence in measured_questions(report):
        yield f"## {sentence}\n"
        if drawn and question in drawn:
            yield f"![{sentence}]({CHARTS}/{question}.svg)\n"
        for block in blocks(report, question):
            yield f"{_capital(heading(block))}.\n"
            if not block.is_nothing:
                yield _table(_header(block), (_cells(block, row) for row in block.rows))
    yield _remarks(report)
    yield _machine(report)
    yield _REPEAT


def _goals(report: Report) -> str:
    rows = ((goal.work, goal.bound, goal.measured or "–", f"**{goal.state}**") for goal in goals(report))
    return "## Goals\n\n" + _table(("work", "goal", "measured", ""), rows)


def _header(block: Block) -> list[str]:
    return [*block.rows[0].case, block.reference, *block.peers]


def _cells(block: Block, row: Row) -> list[str]:
    peers = [_cell(block, row, system) for system in block.peers]
    return [*map(str, row.case.values()), _cell(block, row, block.reference), *peers]


def _cell(block: Block, row: Row, system: str) -> str:
    result = row.by_system.get(system)
    if result is None:
        return "–"
    against = "" if system == block.reference else f"**{times(block.ratio(row, system))}** "
    width = spread(result)
    return f"{against}{number(result.median)}" + (f"<br><sub>{width}</sub>" if width else "")


def _remarks(report: Report) -> str:
    lines = ["## What to know of the systems\n"]
    lines += [f"- **{system}**: {note}." for system, note in report.notes.items()]
    lines += [f"- Not measured: **{skipped.system}**: {brief(skipped.why).rstrip('.')}." for skipped in report.skipped]
    return "\n".join(lines) + "\n"


def _machine(report: Report) -> str:
    facts = {"measured": report.started, "each cell": rounds_text(report.settings), **report.machine}
    return "## Where it was measured\n\n" + _table(("", ""), facts.items())


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_one_line(cell) for cell in line) + " |" for line in lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").rstrip(".")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
