"""Rounds alternate, and a system that fails has no result instead of a wrong one."""

from benchmarks.processes import ProcessFailed
from benchmarks.rounds import Sample, alternate


class System:
    """Answers with what it was given, and fails when it was given None."""

    def __init__(self, name: str, *answers: float | None) -> None:
        self.name = name
        self._answers = list(answers)
        self.restarted = 0

    def measure(self) -> list[Sample]:
        answer = self._answers.pop(0)
        if answer is None:
            raise ProcessFailed(f"{self.name} is gone")
        return [Sample({"bytes": 1}, "requests/s", "more", answer), Sample({"bytes": 1}, "µs", "less", 1 / answer)]

    def restart(self) -> None:
        self.restarted += 1


def test_they_alternate_and_each_cell_has_a_sample_a_round() -> None:
    asked: list[str] = []

    def measure(system: System) -> list[Sample]:
        asked.append(system.name)
        return system.measure()

    results = list(alternate("q", [System("a", 1, 2), System("b", 4, 5)], 2, measure, failed=_unexpected))
    assert asked == ["a", "b", "a", "b"]
    assert [(result.system, result.unit, result.samples) for result in results] == [
        ("a", "requests/s", [1, 2]),
        ("a", "µs", [1, 0.5]),
        ("b", "requests/s", [4, 5]),
        ("b", "µs", [0.25, 0.2]),
    ]


def test_one_that_fails_is_reported_and_started_anew_and_has_no_result() -> None:
    failed: list[str] = []
    broken, sound = System("a", 1, None), System("b", 4, 5, 6)
    results = list(
        alternate("q", [broken, sound], 3, System.measure, lambda name, error: failed.append(f"{name}: {error}"))
    )
    assert {result.system for result in results} == {"b"}
    assert failed == ["a: a is gone"]
    assert broken.restarted == 1


def _unexpected(name: str, error: Exception) -> None:
    raise AssertionError(f"{name}: {error}")
