"""Rounds that alternate between systems, so that what the machine does besides falls on all of them alike."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

from benchmarks.processes import ProcessFailed
from benchmarks.results import Case, Result


class Sample(NamedTuple):
    """One number of one round."""

    case: Case
    unit: str
    better: Literal["more", "less"]
    value: float


class Restartable(Protocol):
    @property
    def name(self) -> str: ...

    def restart(self) -> None: ...


S = TypeVar("S", bound=Restartable)
Failed = Callable[[str, Exception], None]


def alternate(
    question: str,
    systems: Sequence[S],
    rounds: int,
    measure: Callable[[S], Iterable[Sample]],
    failed: Failed,
) -> Iterator[Result]:
    """A, B, C, A, B, C ... and then the results of each, system by system.

    One that fails is started anew for what comes next, and has no result here: a time that ended in an error is no
    measurement. It is reported to `failed`.
    """
    taken: dict[str, list[Sample]] = {system.name: [] for system in systems}
    for _ in range(rounds):
        for system in systems:
            if system.name not in taken:
                continue
            try:
                taken[system.name] += measure(system)
            except ProcessFailed as error:
                del taken[system.name]
                failed(system.name, error)
                _restart(system, failed)
    for name, samples in taken.items():
        yield from _results(question, name, samples)


def _restart(system: Restartable, failed: Failed) -> None:
    try:
        system.restart()
    except ProcessFailed as error:
        failed(system.name, error)


def _results(question: str, system: str, samples: list[Sample]) -> Iterator[Result]:
    by_cell: dict[tuple[str, tuple[tuple[str, str | int], ...]], list[Sample]] = {}
    for sample in samples:
        by_cell.setdefault((sample.unit, tuple(sample.case.items())), []).append(sample)
    for (unit, _), same in by_cell.items():
        yield Result(
            question=question,
            case=same[0].case,
            system=system,
            unit=unit,
            better=same[0].better,
            samples=[sample.value for sample in same],
        )
