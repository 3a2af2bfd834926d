"""Results are compared like with like, and are the same after JSON."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import Report, Result, Settings, Skipped, ratio, read, write


def result(system: str = "nats", **facts: Any) -> Result:  # noqa: ANN401  (any field)
    fields: dict[str, Any] = {
        "question": "requests",
        "case": {"bytes": 100, "in flight": 256},
        "unit": "requests/s",
        "better": "more",
        "samples": [30.0, 10.0, 20.0],
    }
    return Result(system=system, **(fields | facts))


def test_a_median_and_the_least_and_the_most() -> None:
    assert (result().median, result().spread) == (20.0, (10.0, 30.0))


def test_above_one_is_better_whatever_the_unit() -> None:
    assert ratio(result(samples=[40.0]), result(samples=[20.0])) == 2.0
    assert ratio(result(better="less", samples=[40.0]), result(better="less", samples=[20.0])) == 0.5


def test_nothing_is_no_multiple_of_anything() -> None:
    assert ratio(result(samples=[0.0]), result()) is None


def test_two_cells_are_not_compared() -> None:
    with pytest.raises(ValueError, match="not compared"):
        ratio(result(), result(case={"bytes": 1000, "in flight": 256}))


def test_a_result_without_a_sample_is_none() -> None:
    with pytest.raises(ValueError, match="no samples"):
        result(samples=[])


def test_a_report_reads_as_it_was_written(tmp_path: Path) -> None:
    report = Report(
        started="2026-01-01T00:00:00+00:00",
        machine={"cores": "2"},
        settings=Settings(rounds=3, seconds=0.4),
        questions={"requests": "How many?"},
        notes={"grpc": "no broker in between"},
        results=[result()],
        skipped=[Skipped("zenoh", "not installed")],
    )
    write(report, tmp_path / "results.json")
    assert read(tmp_path / "results.json") == report
