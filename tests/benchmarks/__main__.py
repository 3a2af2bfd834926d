"""`make bench`: hootbus and its peers side by side, in one run on this machine."""

import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Peer
from benchmarks.questions import BY_NAME, Question
from benchmarks.report import compare, page, table
from benchmarks.results import Report, Settings, write

_ROOT: Final = Path(__file__).resolve().parents[2]
_DOCS: Final = _ROOT / "docs"
_COMMITTED: Final = _DOCS / "benchmarks" / "results.json"
_INTERRUPTED: Final = 130


@click.command(help=__doc__)
@click.option("--only", default="", metavar="QUESTIONS", help=f"With commas between: {', '.join(BY_NAME)}.")
@click.option("--peers", default="", metavar="SYSTEMS", help="By the beginnings of their names: hootbus,nats.")
@click.option("--rounds", type=click.IntRange(1), help="Rounds of each case.  [default: 3, with --quick 1]")
@click.option("--seconds", type=click.FloatRange(0.01), help="Seconds of each round.  [default: 0.4, with --quick 0.3]")
@click.option("--quick", is_flag=True, help="Fewer cases: a first look.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the results to this file too.")
@click.option("--list", "list_peers", is_flag=True, help="Say which systems can be measured here, and end.")
@click.option("--write", "write_docs", is_flag=True, help="Write docs/benchmarks.md, its charts and its results.")
def main(
    only: str,
    peers: str,
    rounds: int | None,
    seconds: float | None,
    quick: bool,
    json_file: Path | None,
    list_peers: bool,
    write_docs: bool,
) -> None:
    if list_peers:
        for peer in PEERS:
            click.echo(f"{peer.system:12}  {peer.missing or 'yes'}")
        return
    if write_docs and (only or peers or quick):
        raise click.UsageError("--write is for a whole run: without --only, --peers and --quick")
    questions = _questions(only)
    settings = Settings(rounds=rounds or (1 if quick else 3), seconds=seconds or (0.3 if quick else 0.4), quick=quick)
    report = Report(
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        machine=machine.facts(),
        settings=settings,
        questions={question.NAME: question.SENTENCE for question in questions},
        notes={},
    )
    status = _measure(report, questions, _peers(peers))
    console = Console()
    table.show(report, console)
    if json_file is not None:
        write(report, json_file)
    if _COMMITTED.exists():
        compare.show(report, _COMMITTED, console)
    if write_docs:
        if status:
            raise click.ClickException("docs are left as they are: not everything could be measured")
        page.write(report, _DOCS)
    sys.exit(status)


def _questions(only: str) -> list[Question]:
    names = _words(only) or list(BY_NAME)
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise click.BadParameter(f"no question is called {', '.join(unknown)}", param_hint="--only")
    # In the order of a whole run, whatever the order in which they were named.
    return [question for name, question in BY_NAME.items() if name in names]


def _peers(beginnings: str) -> list[Peer]:
    words = _words(beginnings)
    for word in words:
        if not any(peer.system.startswith(word) for peer in PEERS):
            raise click.BadParameter(f"no system begins with {word!r}", param_hint="--peers")
    return [peer for peer in PEERS if not words or any(peer.system.startswith(word) for word in words)]


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _measure(report: Report, questions: Iterable[Question], peers: list[Peer]) -> int:
    """Asks all questions and puts what was found into the report, as far as it comes; the exit status."""
    began = time.monotonic()

    def progress(line: str) -> None:
        click.echo(f"{time.monotonic() - began:5.0f} s  {line}", err=True)

    with TemporaryDirectory(prefix="hootbench") as folder:
        bench = Bench(report.settings, peers, Path(folder), progress)
        report.notes, report.skipped = bench.notes, bench.skipped
        for peer in peers:
            if peer.missing is not None:
                bench.skip(peer.system, peer.missing)
                progress(f"{peer.system} is skipped: {peer.missing}")
        try:
            for question in questions:
                for result in question.run(bench):
                    report.results.append(result)
        except KeyboardInterrupt:
            progress("interrupted: this is what there is so far")
            return _INTERRUPTED
    return 1 if bench.failures else 0


if __name__ == "__main__":
    main()
