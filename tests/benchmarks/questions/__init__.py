"""What is asked of the systems, one module per question, in the order in which a run asks."""

from collections.abc import Iterator
from typing import Final, Protocol

from benchmarks.bench import Bench
from benchmarks.questions import bodies, cpu, events, growth, handlers, latency, memory, requests, workers
from benchmarks.results import Result


class Question(Protocol):
    """A module of this package."""

    @property
    def NAME(self) -> str: ...

    @property
    def SENTENCE(self) -> str: ...

    def run(self, bench: Bench) -> Iterator[Result]: ...


QUESTIONS: Final[tuple[Question, ...]] = (
    requests,
    latency,
    workers,
    handlers,
    events,
    bodies,
    memory,
    growth,
    cpu,
)
BY_NAME: Final = {question.NAME: question for question in QUESTIONS}
