"""What `hoot top` shows: drawn for a terminal, or as a block of lines for a pipe."""

from typing import Final

import click
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hootbus.bus.cli.inspect import duration
from hootbus.bus.cli.output import print_table, printable
from hootbus.bus.cli.rates import Percentiles, Rates, ServiceRates, WorkerRates

_SERVICES: Final = ("service", "workers", "busy", "queued", "req/s", "err/s", "wait 50%", "95%", "reply 50%", "95%")
_WORKERS: Final = ("id", "service", "state", "busy", "done/s", "pid", "name")
# Lines that are no rows: the head, and around those of two tables their headings, captions and empty ones.
_FURNITURE: Final = 14
_ROWS_MIN: Final = 3
_MS_PER_S: Final = 1000.0
_FEW: Final = 10.0


def draw(found: Rates | None, bus: str, height: int) -> RenderableType:
    """For a terminal of so many lines: the busiest services and workers, as far as there is room."""
    if found is None:
        return Text(f"no broker answers at {bus}", style="bold")
    room = max(2 * _ROWS_MIN, height - _FURNITURE)
    # What one of the tables does not need the other may have.
    for_services = min(len(found.services), max(room // 2, room - len(found.workers)))
    services = _table(_SERVICES, [_service(each) for each in found.services], for_services)
    workers = _table(_WORKERS, [_worker(each) for each in found.workers], room - for_services)
    head = [Text(line) for line in _head(found)]
    head[0] = Text(f"{bus}  ", style="bold").append(head[0])
    return Group(*head, services, workers)


def print_block(found: Rates | None) -> None:
    """For a pipe: all of it, an empty line behind."""
    assert found is not None, "where no broker answers the command fails"
    for line in _head(found):
        click.echo(line)
    if found.services:
        print_table(_SERVICES, [_service(each) for each in found.services], empty="")
    if found.workers:
        print_table(_WORKERS, [_worker(each) for each in found.workers], empty="")
    click.echo("")


def _head(found: Rates) -> list[str]:
    return [
        f"{found.state}, up {duration(found.uptime_s)}",
        f"requests {_rate(found.requests_per_s)}/s  replies {_rate(found.replies_per_s)}/s  "
        f"errors {_rate(found.errors_per_s)}/s  in flight {found.in_flight}  queued {found.queued}  "
        f"held {_bytes(found.held_bytes)}",
        f"broker's errors: {_counts(found.errors)}",
        f"dropped: {_counts(found.dropped)}",
    ]


def _service(service: ServiceRates) -> tuple[str, ...]:
    return (
        printable(service.name),
        str(service.workers),
        f"{service.in_flight}/{service.slots}",
        str(service.queued),
        _rate(service.requests_per_s),
        _rate(service.errors_per_s),
        *_percentiles(service.waited),
        *_percentiles(service.took),
    )


def _worker(worker: WorkerRates) -> tuple[str, ...]:
    return (
        worker.id or "-",
        printable(worker.service),
        worker.state,
        f"{worker.in_flight}/{worker.slots}",
        _rate(worker.done_per_s),
        str(worker.pid or "-"),
        printable(worker.name) or "-",
    )


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]], most: int) -> Table:
    left = len(rows) - most
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, caption=f"and {left} more" if left > 0 else None, caption_justify="left"
    )
    for column in columns:
        text = column in {"service", "id", "state", "name"}
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    for row in rows[:most]:
        # As Text, since a service's name may look like rich's own markup.
        table.add_row(*map(Text, row))
    return table


def _rate(per_s: float) -> str:
    return f"{per_s:.1f}" if per_s < _FEW else f"{per_s:.0f}"


def _percentiles(found: Percentiles) -> tuple[str, str]:
    return _time(found.p50_ms), _time(found.p95_ms)


def _time(ms: float | None) -> str:
    if ms is None:
        return "-"
    if ms < _MS_PER_S:
        return f"{ms:.2f} ms" if ms < _FEW else f"{ms:.0f} ms"
    return f"{ms / _MS_PER_S:.1f} s"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counted.items()) or "none"
