"""The report on a terminal: tables with the ratios first, one line a row and no frames where the output is piped."""

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.report.cells import Block, Row, blocks, brief, measured_questions, number, rounds_text, spread, times
from benchmarks.report.goals import State, goals
from benchmarks.results import Report, Result

# What a system's column and the case's take on a screen; wider blocks are shown as several tables.
_COLUMN_WIDTH: Final = 17
_CASE_WIDTH: Final = 14
# In a pipe nothing is cut or wrapped.
_PIPE_WIDTH: Final = 2000
_STYLES: Final = {State.MET: "green", State.MISSED: "red", State.UNKNOWN: "dim"}


def show(report: Report, console: Console) -> None:
    """Prints everything that was found, also of a run that was interrupted."""
    for question, sentence in measured_questions(report):
        console.print()
        console.print(Text(sentence, style="bold"), soft_wrap=True)
        for block in blocks(report, question):
            _show_block(block, console)
    _show_goals(report, console)
    _show_remarks(report, console)


def _show_block(block: Block, console: Console) -> None:
    console.print(Text(heading(block), style="dim"), soft_wrap=True)
    if block.is_nothing:
        return
    for systems in _pages(block, console):
        table = _table(console)
        for name in block.rows[0].case:
            table.add_column(name, justify="right", no_wrap=True)
        for system in systems:
            table.add_column(system, justify="right", no_wrap=True)
        for row in block.rows:
            table.add_row(*map(str, row.case.values()), *(_cell(block, row, system, console) for system in systems))
        _print(table, console)


def heading(block: Block) -> str:
    """What the numbers are, and what the ratios are of."""
    what = f"{block.unit}, {block.better} is better"
    if block.is_nothing:
        return f"{what}: 0 in all cases"
    return f"{what}; ×: how many times better {block.reference} is" if block.peers else what


def _pages(block: Block, console: Console) -> Iterator[list[str]]:
    """The systems of each table, as many as fit beside each other, the reference always first."""
    room = len(block.peers)
    if console.is_terminal:
        room = max(1, (console.width - _CASE_WIDTH * len(block.rows[0].case)) // _COLUMN_WIDTH - 1)
    for at in range(0, max(1, len(block.peers)), max(1, room)):
        yield [block.reference, *block.peers[at : at + room]]


def _cell(block: Block, row: Row, system: str, console: Console) -> Text:
    result = row.by_system.get(system)
    if result is None:
        return Text("–", style="dim")
    cell = Text()
    if system != block.reference:
        against = block.ratio(row, system)
        cell.append(times(against), style=_ratio_style(against))
        cell.append("  ")
    cell.append(number(result.median))
    return _with_spread(cell, result, console)


def _with_spread(cell: Text, result: Result, console: Console) -> Text:
    width = spread(result)
    if width:
        cell.append(f"\n{width}" if console.is_terminal else f" ({width})", style="dim")
    return cell


def _ratio_style(against: float | None) -> str:
    if against is None:
        return "dim"
    return "bold green" if against >= 1 else "bold red"


def _show_goals(report: Report, console: Console) -> None:
    table = _table(console)
    for name in ("goal", "at least / at most", "measured", ""):
        table.add_column(name)
    for goal in goals(report):
        table.add_row(goal.work, goal.bound, goal.measured, Text(goal.state.value, style=_STYLES[goal.state]))
    console.print()
    console.print(Text("Goals", style="bold"))
    _print(table, console)


def _show_remarks(report: Report, console: Console) -> None:
    lines = [f"{system}: {note}" for system, note in report.notes.items()]
    lines += [f"not measured: {skipped.system}: {brief(skipped.why)}" for skipped in report.skipped]
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    rounds = f"each cell: the median of {rounds_text(report.settings)}, and min…max"
    for line in ("", *lines, f"{rounds}; {machine}"):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _table(console: Console) -> Table:
    if console.is_terminal:
        return Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    return Table(box=None, pad_edge=False)


def _print(table: Table, console: Console) -> None:
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=_PIPE_WIDTH, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        console.print(Text(line.rstrip()), soft_wrap=True)
