"""What questions are given: how much to measure, of whom, where to put files, and whom to tell."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from benchmarks.peers import VARIANTS
from benchmarks.peers.peer import Peer
from benchmarks.processes import ProcessFailed
from benchmarks.results import Settings, Skipped
from benchmarks.systems import Events, Requests

S = TypeVar("S", Requests, Events)


class Bench:
    """One run of the benchmarks."""

    def __init__(
        self,
        settings: Settings,
        peers: Sequence[Peer],
        folder: Path,
        progress: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.progress = progress
        self.skipped: list[Skipped] = []
        self.failures = 0
        # Of the systems that were started: the others' are of no interest to who reads the numbers.
        self.notes: dict[str, str] = {}
        self._peers = peers

    @property
    def quick(self) -> bool:
        return self.settings.quick

    @property
    def rounds(self) -> int:
        return self.settings.rounds

    @property
    def seconds(self) -> float:
        return self.settings.seconds

    def chosen(self, *variants: str) -> list[Peer]:
        """The peers of this run, each followed by those of its variants that are named and can be had."""
        return [
            peer
            for chosen in self._peers
            for peer in (chosen, *(v for v in VARIANTS if v.system in variants and v.system.startswith(chosen.system)))
            if peer.missing is None
        ]

    @contextmanager
    def running(self, question: str, systems: Sequence[S]) -> Iterator[list[S]]:
        """Starts these and ends them with the block. One that does not come up is left out, and said."""
        up: list[S] = []
        with ExitStack() as stack:
            for system in systems:
                self.progress(f"{question}: starting {system.name}")
                try:
                    up.append(stack.enter_context(system))
                except ProcessFailed as error:
                    self.failed(question, system.name, error)
                    continue
                if system.peer.note:
                    self.notes[system.name] = system.peer.note
            yield up

    def skip(self, system: str, why: str) -> None:
        self.skipped.append(Skipped(system, why))

    def failed(self, what: str, system: str, error: Exception) -> None:
        """Something that should have been measured could not be: the run goes on, and fails in the end."""
        self.failures += 1
        self.skip(system, f"{what}: failed: {' ... '.join(_ends(str(error)))}")
        self.progress(f"{system} failed in {what}: {error}")


def _ends(text: str) -> list[str]:
    """The first and the last line: which process, and what it said in the end."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[:1] + lines[1:][-1:]
