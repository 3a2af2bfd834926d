"""What commands print: tables for eyes, aligned lines for pipes, JSON for programs. All of it on stdout."""

import sys
from collections.abc import Sequence
from typing import Final

import click
import msgspec

_INDENT: Final = 2


def print_json(value: object) -> None:
    """One JSON document: indented on a terminal, on one line in a pipe."""
    text = msgspec.json.encode(value)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=_INDENT)
    click.echo(text)


def print_json_line(value: object) -> None:
    """One line of a sequence; whoever reads along gets it at once."""
    click.echo(msgspec.json.encode(value))


def print_ready(**facts: object) -> None:
    """The line that says that a process serves, for scripts and supervisors to wait for."""
    print_json_line({"ready": True, **facts})


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Rows under their columns; numbers are set to the right. `empty` is said on stderr if there are none."""
    if not rows:
        click.echo(empty, err=True)
        return
    numeric = [all(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))]
    shown = [[_shown(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, shown, numeric)
        return
    widths = [max(map(len, cells)) for cells in zip(columns, *shown, strict=True)]
    for line in ([column.upper() for column in columns], *shown):
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Names and values, one per line."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        label = f"{name:<{width}}"
        click.echo(f"{click.style(label, dim=True)}  {_shown(value)}")


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left")
    for row in rows:
        # As Text, since a service's name may look like rich's own markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def printable(text: str) -> str:
    """The text without what a terminal would obey: a peer's names and errors say what a peer likes."""
    return "".join(char if char.isprintable() else "?" for char in text)
