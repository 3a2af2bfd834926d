"""`hoot demo`: the main job on real input, and what it looks like."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hootbus.bus.cli.output import print_json
from hootbus.bus.cli.settings import Failed, interruptible, json_option, reporting, setting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from hootbus.bus.demo.show import Report, Screen
    from hootbus.bus.demo.wav import Clip

_SECONDS: Final = 4.0
# As JSON a second of audio is a megabyte.
_SECONDS_MAX: Final = 30.0

_EPILOG: Final = """\b
Examples:
  hoot demo
  hoot demo --audio song.wav
  hoot demo --json | jq .bodies
\b
On an ipc address of its own, which is removed afterwards: one broker process,
two worker processes, a subscriber and a client. Audio goes to the workers as
Cap'n Proto, is read where the network put it, and what is heard in it comes
back: peak, loudness, spectral centroid, tempo. Exit status 1 if anything was
lost, copied, or differs from the same request as JSON.
"""


@click.command(epilog=_EPILOG)
@setting(
    "--seconds",
    type=click.FloatRange(1.0, _SECONDS_MAX),
    default=_SECONDS,
    show_default=True,
    metavar="S",
    help="How long the two pieces are that it makes; of --audio, the first 30 are used.",
)
@setting(
    "--audio",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.wav",
    help="Use this file instead: 16-bit or 32-bit float, mono or stereo.",
)
@json_option
def demo(seconds: float, audio: Path | None, json: bool) -> None:
    """See the whole thing at work, in some seconds."""
    from hootbus.bus.demo.show import DemoFailed, run
    from hootbus.bus.demo.wav import BadAudio
    from hootbus.bus.processes import ProcessFailed

    # As Ctrl-C, so that every process is ended and the folder removed.
    interruptible()
    with reporting(json):
        try:
            clips = [_shortened(_read(audio))] if audio is not None else _made(seconds)
            with _screen(json) as screen:
                report = run(clips, screen)
        except BadAudio as error:
            raise Failed("bad_audio", str(error), as_json=json) from None
        except (DemoFailed, ProcessFailed, TimeoutError) as error:
            raise Failed("demo_failed", str(error), as_json=json) from None
    if json:
        print_json(report)
    else:
        _print(report)
    if not report.ok:
        raise Failed("demo_failed", "not everything came out as it should", as_json=json)


def _read(path: Path) -> "Clip":
    from hootbus.bus.demo.wav import read_wav

    return read_wav(path)


def _shortened(clip: "Clip") -> "Clip":
    import msgspec

    return msgspec.structs.replace(clip, samples=clip.samples[: int(_SECONDS_MAX * clip.sample_rate)])


def _made(seconds: float) -> "list[Clip]":
    """The demo's own pieces, by way of the two kinds of WAV file that are read."""
    from hootbus.bus.demo.pieces import pieces
    from hootbus.bus.demo.wav import read_wav, write_wav

    clips = []
    with tempfile.TemporaryDirectory(prefix="hoot") as folder:
        for number, clip in enumerate(pieces(seconds)):
            path = Path(folder) / clip.title
            write_wav(path, clip, channels=1 + number % 2, as_float=bool(number % 2))
            clips.append(read_wav(path))
    return clips


class _Quiet:
    """For --json: the report says it all."""

    def say(self, text: str) -> None:
        """Says nothing."""

    def progress(self, title: str, percent: float, who: str) -> None:
        """Shows nothing."""

    def result(self, text: str, who: str) -> None:
        """Shows nothing."""


class _Lines:
    """For pipes: a line for each thing."""

    def say(self, text: str) -> None:
        """A line about what is done."""
        click.echo(text)

    def progress(self, title: str, percent: float, who: str) -> None:
        """An event."""
        click.echo(f"  event  {title}: {percent:.0f} % ({who})")

    def result(self, text: str, who: str) -> None:
        """An event."""
        click.echo(f"  event  {text} ({who})")


class _Live:
    """For a terminal: lines, and bars that move below them."""

    def __init__(self, console: "Console", bars: "Progress") -> None:
        self._console = console
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def say(self, text: str) -> None:
        """A line about what is done."""
        self._tasks.clear()
        self._console.print(text, style="bold", markup=False, highlight=False)

    def progress(self, title: str, percent: float, who: str) -> None:
        """An event: a bar moves."""
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(title, total=100.0)
        self._bars.update(self._tasks[title], completed=percent, description=f"{title} ({who})")

    def result(self, text: str, who: str) -> None:
        """An event."""
        self._console.print(f"  event  {text} ({who})", style="cyan", markup=False, highlight=False)


@contextmanager
def _screen(json: bool) -> "Iterator[Screen]":
    import sys

    if json:
        yield _Quiet()
    elif not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
    else:
        from rich.console import Console
        from rich.progress import Progress

        console = Console()
        with Progress(console=console, transient=True) as bars:
            yield _Live(console, bars)


def _print(report: "Report") -> None:
    from hootbus.bus.cli.output import print_facts, print_table

    click.echo("")
    rows = [
        (
            piece.title,
            f"{piece.features.peak:.3f}",
            f"{piece.features.rms:.3f}",
            f"{piece.features.centroidHz:.0f} Hz",
            f"{piece.features.tempoBpm:.1f} BPM" if piece.features.tempoBpm else "no beat",
            f"{piece.capnp_ms:.1f} ms",
            f"{piece.json_ms:.1f} ms",
            "yes" if piece.same_as_json else "NO",
        )
        for piece in report.pieces
    ]
    columns = ("piece", "peak", "rms", "centroid", "tempo", "capnp", "json", "same")
    print_table(columns, rows, empty="")
    slices, events, bodies = report.slices, report.events, report.bodies
    print_facts(
        [
            ("slices", f"{slices.requests} requests in {slices.seconds:.2f} s, {slices.per_second:.0f} per second"),
            ("events", f"{events.progress} of progress, {events.results} results, {events.lost} lost"),
            ("bodies", f"{bodies.in_place} of {bodies.sent} read in place, {bodies.copied} copied"),
        ]
    )
