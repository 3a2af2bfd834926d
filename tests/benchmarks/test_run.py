"""The command as a whole, on its smallest question."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import steps
from benchmarks.__main__ import main
from benchmarks.peers import nats_
from benchmarks.questions import BY_NAME, cpu, latency, requests
from benchmarks.work import loops_for


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.systems._WARM_S", 0.0)
    monkeypatch.setattr("benchmarks.systems._FIRST_S", 0.0)
    monkeypatch.setattr(requests, "QUICK", ((100, 1), (100, 16)))
    monkeypatch.setattr(requests, "VARIANTS", ())


@pytest.mark.usefixtures("_tiny")
def test_a_quick_run_measures_and_writes_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.__main__._COMMITTED", tmp_path / "none.json")
    monkeypatch.setattr("benchmarks.peers.peer.find_program", lambda name: None)
    file = tmp_path / "results.json"
    arguments = ["--quick", "--peers", "hootbus,nats", "--only", "requests", "--seconds", "0.05", "--json", str(file)]
    ended = CliRunner().invoke(main, arguments)
    assert ended.exit_code == 0, ended.output
    report = json.loads(file.read_bytes())
    assert [(result["system"], result["case"]) for result in report["results"]] == [
        ("hootbus ipc", {"bytes": 100, "in flight": 1}),
        ("hootbus tcp", {"bytes": 100, "in flight": 1}),
        ("hootbus ipc", {"bytes": 100, "in flight": 16}),
        ("hootbus tcp", {"bytes": 100, "in flight": 16}),
    ]
    # A peer that is not there is no failure, but it is said: in the file, and to who looks on.
    assert report["skipped"] == [{"system": "nats", "why": nats_.NATS.missing}]
    assert "make bench-peers" in ended.output
    assert report["questions"] == {"requests": requests.SENTENCE}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "requests,colour"], "no question is called colour"),
        (["--peers", "telegraph"], "no system begins with 'telegraph'"),
        (["--write", "--quick"], "--write is for a whole run"),
    ],
)
def test_what_cannot_be_asked_is_said(arguments: list[str], said: str) -> None:
    ended = CliRunner().invoke(main, arguments)
    assert (ended.exit_code, said in ended.output) == (2, True), ended.output


def test_what_there_is_can_be_asked_for() -> None:
    ended = CliRunner().invoke(main, ["--list"])
    assert "hootbus ipc   yes" in ended.output


def test_interrupted_it_shows_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cpu, "run", interrupted)
    ended = CliRunner().invoke(main, ["--only", "cpu", "--peers", "hootbus"])
    assert ended.exit_code == 130
    assert "interrupted" in ended.output


def test_every_question_has_a_sentence_that_asks() -> None:
    assert all(question.SENTENCE.endswith("?") for question in BY_NAME.values())


def test_no_case_has_more_in_flight_than_fits_into_memory() -> None:
    assert max(size * in_flight for size, in_flight in requests.cases(quick=False)) == requests.BYTES_IN_FLIGHT_MAX


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [latency.percentile(ordered, share) for share in (50.0, 90.0, 99.0, 99.9)] == [50.0, 90.0, 99.0, 100.0]
    assert latency.percentile([7.0], 50.0) == 7.0


def test_more_time_takes_more_loops() -> None:
    assert 1 <= loops_for(1e-6) < loops_for(1e-3)


def test_the_page_on_performance_has_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_REPEATS", 50)
    monkeypatch.setattr(steps, "_ROUNDS", 1)
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    measured = dict(steps.steps())
    assert len(measured) == 8
    for step, seconds in measured.items():
        assert seconds > 0, step
        assert f"\n| {step} | " in page
