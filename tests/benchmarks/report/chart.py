"""One chart a question, as SVG: lines where something grows, else bars, or dots where a bar's length would say nothing.

The same results give the same bytes, so that a commit shows what has changed: no date, no random names, and text is
text. The ground is white, as a reader's page may be dark. Colours are those of Okabe and Ito, which the colour-blind
can tell apart (jfly.uni-koeln.de/color), and each system has a marker besides.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any, Final, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.report.cells import Block, Row, case_text, number
from benchmarks.results import Result

# Their names are a type of their own for matplotlib.
_SETTINGS: Final[dict[Any, object]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hootbus",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.6,
}
_NO_METADATA: Final = {"Date": None, "Creator": None}


class Look(NamedTuple):
    """A system's colour and marker, the same in all charts. A variant of it is not drawn solid."""

    colour: str
    marker: str
    line: str = "-"

    @property
    def is_solid(self) -> bool:
        return self.line == "-"

    @property
    def filling(self) -> str:
        return self.colour if self.is_solid else "white"


# The palette's yellow is left out: it cannot be read on white.
_LOOKS: Final = {
    "hootbus ipc": Look("#0072B2", "o"),
    "hootbus tcp": Look("#56B4E9", "s"),
    "plain pyzmq": Look("#000000", "x"),
    "nats": Look("#E69F00", "^"),
    "zenoh": Look("#009E73", "D"),
    "redis": Look("#D55E00", "v"),
    "grpc": Look("#CC79A7", "P"),
    "pycapnp rpc": Look("#8C6D1F", "*"),
}
_VARIANT_LINES: Final = ("--", ":", "-.")
# For what is compared only once: encodings, and a control.
_OTHER_LOOKS: Final = (
    Look("#0072B2", "o"),
    Look("#009E73", "D"),
    Look("#56B4E9", "s"),
    Look("#E69F00", "^"),
    Look("#D55E00", "v"),
    Look("#CC79A7", "P"),
    Look("#7F7F7F", "X"),
)

_WIDTH_IN: Final = 10.0
_PANEL_HEIGHT_IN: Final = 2.9
_LEGEND_HEIGHT_IN: Final = 0.6
_PANELS_BESIDE: Final = 3
_LEGEND_COLUMNS: Final = 5
# From there on a linear axis shows the large ones only.
_LOGARITHMIC_FROM: Final = 30
# Fewer cases than this of a number are no line.
_LINE_POINTS_MIN: Final = 3
_BARS_WIDTH: Final = 0.8
# Of a line of a title, and of a label: where there are few of those, they have room.
_TITLE_CHARACTERS: Final = 34
_LABEL_CHARACTERS: Final = 7
_ROOMY_LABELS: Final = 3
_ROOMY_LABEL_CHARACTERS: Final = 18
_UPRIGHT_TICKS_MAX: Final = 4


class Panel(NamedTuple):
    """What is drawn between two axes: rows that differ in one thing alone, `key`."""

    block: Block
    title: str
    key: str
    rows: list[Row]
    lines: bool


def draw(blocks: Sequence[Block], path: Path) -> bool:
    """Writes a question's chart; False, and no file, if there is nothing in it that a table would not show better."""
    panels = [panel for block in blocks if _is_worth_it(block) for panel in _panels(block)]
    if not panels:
        return False
    systems = list(dict.fromkeys(system for panel in panels for system in panel.block.systems))
    looks = _looks(systems)
    beside = min(_PANELS_BESIDE, len(panels))
    below = -(-len(panels) // beside)
    with matplotlib.rc_context(_SETTINGS):
        height = below * _PANEL_HEIGHT_IN + _LEGEND_HEIGHT_IN
        figure = Figure(figsize=(_WIDTH_IN, height), layout="constrained", facecolor="white")
        grid = list(figure.subplots(below, beside, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            (_draw_lines if panel.lines else _draw_cases)(axes, panel, looks)
            _dress(axes, panel)
        for unused in grid[len(panels) :]:
            unused.set_visible(False)
        _add_legend(figure, looks)
        figure.savefig(path, format="svg", metadata=_NO_METADATA)
    return True


def _is_worth_it(block: Block) -> bool:
    return not block.is_nothing and (len(block.systems) > 1 or len(block.rows) >= _LINE_POINTS_MIN)


def _looks(systems: Sequence[str]) -> dict[str, Look]:
    """Known systems look as they always do, their variants like them, and others take what is left."""
    looks: dict[str, Look] = {}
    lines = {name: iter(_VARIANT_LINES) for name in _LOOKS}
    known = {_LOOKS[system] for system in systems if system in _LOOKS}
    others = itertools.cycle([look for look in _OTHER_LOOKS if look not in known])
    for system in systems:
        family = next((name for name in _LOOKS if f"{system} ".startswith(f"{name} ")), None)
        if family is None:
            looks[system] = next(others)
        elif family == system:
            looks[system] = _LOOKS[system]
        else:
            looks[system] = _LOOKS[family]._replace(line=next(lines[family], ":"))
    return looks


def _panels(block: Block) -> list[Panel]:
    """A panel for each combination of all that is not on its axis."""
    key, lines = _axis_of(block)
    panels: dict[str, list[Row]] = {}
    for row in block.rows:
        rest = {name: value for name, value in row.case.items() if name != key}
        panels.setdefault(case_text(rest), []).append(row)
    return [Panel(block, rest, key, rows, lines) for rest, rows in panels.items()]


def _axis_of(block: Block) -> tuple[str, bool]:
    """What goes on the axis: the number with the most values, as a line; without one, what was named last, as bars."""
    values = {name: {row.case[name] for row in block.rows} for name in block.rows[0].case}
    numbers = [name for name, found in values.items() if all(isinstance(value, int) for value in found)]
    longest = max(numbers, key=lambda name: len(values[name]), default="")
    if longest and len(values[longest]) >= _LINE_POINTS_MIN:
        return longest, True
    return list(values)[-1], False


def _draw_lines(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    for system in panel.block.systems:
        found = [(row.case[panel.key], row.by_system[system]) for row in panel.rows if system in row.by_system]
        look = looks[system]
        axes.errorbar(
            [at for at, _ in found],
            [result.median for _, result in found],
            yerr=_errors([result for _, result in found]),
            color=look.colour,
            marker=look.marker,
            markerfacecolor=look.filling,
            markersize=5,
            linestyle=look.line,
            linewidth=2.2 if system == panel.block.reference else 1.2,
            elinewidth=0.8,
            capsize=2,
        )
    ticks = sorted({row.case[panel.key] for row in panel.rows}, key=float)
    axes.set_xscale("log")
    crowded = len(ticks) > _UPRIGHT_TICKS_MAX
    axes.set_xticks(ticks, [number(float(tick)) for tick in ticks], rotation=45 if crowded else 0)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(panel.key)


def _draw_cases(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    """Bars; on a logarithmic axis, which has no 0 for a bar to begin at, dots."""
    systems = [system for system in panel.block.systems if any(system in row.by_system for row in panel.rows)]
    width = _BARS_WIDTH / len(systems)
    for place, system in enumerate(systems):
        found = [(at, row.by_system[system]) for at, row in enumerate(panel.rows) if system in row.by_system]
        places = [at - _BARS_WIDTH / 2 + (place + 0.5) * width for at, _ in found]
        medians, errors = [result.median for _, result in found], _errors([result for _, result in found])
        look = looks[system]
        if _is_logarithmic(panel):
            dots: dict[str, Any] = {
                "color": look.colour,
                "marker": look.marker,
                "markerfacecolor": look.filling,
                "markersize": 6,
            }
            axes.errorbar(places, medians, errors, linestyle="", capsize=2, **dots)
        else:
            bars: dict[str, Any] = {
                "color": look.filling,
                "edgecolor": look.colour,
                "hatch": "" if look.is_solid else "////",
            }
            axes.bar(places, medians, width * 0.92, yerr=errors, error_kw={"elinewidth": 0.8}, **bars)
    characters = _LABEL_CHARACTERS if len(panel.rows) > _ROOMY_LABELS else _ROOMY_LABEL_CHARACTERS
    texts = (case_text({panel.key: row.case[panel.key]}) for row in panel.rows)
    names = [fill(text, characters, break_long_words=False) for text in texts]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")


def _errors(results: Sequence[Result]) -> list[list[float]]:
    """How far below and above the medians the rounds went."""
    return [
        [result.median - result.spread[0] for result in results],
        [result.spread[1] - result.median for result in results],
    ]


def _dress(axes: Axes, panel: Panel) -> None:
    if _is_logarithmic(panel):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_ylabel("higher is better" if panel.block.better == "more" else "lower is better", color="#555555")
    title = "\n".join(fill(line, _TITLE_CHARACTERS) for line in (panel.title, panel.block.unit) if line)
    axes.set_title(title, fontsize=10, fontweight="bold")


def _is_logarithmic(panel: Panel) -> bool:
    medians = [result.median for row in panel.rows for result in row.by_system.values()]
    return min(medians) > 0 and max(medians) >= _LOGARITHMIC_FROM * min(medians)


def _add_legend(figure: Figure, looks: dict[str, Look]) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            markerfacecolor=look.filling,
            markersize=6,
            linestyle=look.line,
            linewidth=2,
            label=system,
        )
        for system, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=_LEGEND_COLUMNS, frameon=False)
