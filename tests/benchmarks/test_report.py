"""What a run found is shown as it was found: ratios the right way round, goals judged, nothing left out in silence."""

import io
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from rich.console import Console

from benchmarks.messages.encoding import IN_PLACE
from benchmarks.questions import bodies, growth, latency, memory, requests
from benchmarks.report import compare, page, table
from benchmarks.report.cells import blocks, brief, case_text, number, spread, times
from benchmarks.report.goals import State, goals
from benchmarks.results import Case, Report, Result, Settings, Skipped, write

_100_IN_256: Case = {"bytes": 100, "in flight": 256}


def result(
    system: str,
    *samples: float,
    case: Case = _100_IN_256,
    question: str = requests.NAME,
    unit: str = "requests/s",
    better: Literal["more", "less"] = "more",
) -> Result:
    return Result(question=question, case=case, system=system, unit=unit, better=better, samples=list(samples))


def report(*results: Result, skipped: tuple[Skipped, ...] = (), machine: str = "two cores") -> Report:
    return Report(
        started="2025-01-02T03:04:05+00:00",
        machine={"processor": machine},
        settings=Settings(rounds=3, seconds=0.4),
        questions={module.NAME: module.SENTENCE for module in (requests, latency, bodies, growth, memory)},
        notes={"nats": "over tcp"},
        results=list(results),
        skipped=list(skipped),
    )


def shown(what: Report, *, terminal: bool = False, width: int = 80) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)
    table.show(what, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0000123, "0.000012"),
        (0.1234, "0.123"),
        (12.34, "12.3"),
        (999.9, "1000"),
        (1234.4, "1234"),
        (45_678, "45.7k"),
        (1_234_567, "1.23M"),
        (-45_678, "-45.7k"),
    ],
)
def test_a_number_has_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_spread_is_told_where_rounds_differ() -> None:
    assert spread(result("nats", 2, 1, 3)) == "1…3"
    assert spread(result("nats", 2)) == ""
    assert times(None) == "–"


def test_a_case_reads_as_a_person_would_say_it() -> None:
    assert case_text({"bytes": 1_000_000, "in flight": 16}) == "1M bytes, 16 in flight"
    assert case_text({"handler": "async def"}) == "async def"


def test_an_error_is_told_by_its_first_and_last_line() -> None:
    assert brief("nats ended:\nTraceback\n  File\nOSError: no") == "nats ended: … OSError: no"
    assert brief("not installed") == "not installed"


def test_ipc_is_what_the_others_are_measured_against_and_else_what_comes_first() -> None:
    of_bus, of_bodies = (
        report(result("nats", 1), result("hootbus ipc", 3)),
        report(result(IN_PLACE, 4), result("pycapnp", 1)),
    )
    (block,) = blocks(of_bus, requests.NAME)
    assert (block.reference, block.peers, block.ratio(block.rows[0], "nats")) == ("hootbus ipc", ["nats"], 3)
    (block,) = blocks(of_bodies, requests.NAME)
    assert (block.reference, block.ratio(block.rows[0], "pycapnp")) == (IN_PLACE, 4)


def test_a_ratio_above_1_is_better_where_less_is_better_too() -> None:
    slow, fast = (result(system, us, unit="µs", better="less") for system, us in (("nats", 8), ("hootbus ipc", 2)))
    (block,) = blocks(report(slow, fast), requests.NAME)
    assert block.ratio(block.rows[0], "nats") == 4


def test_in_a_pipe_each_case_is_one_line_with_ratio_median_and_spread() -> None:
    text = shown(report(result("hootbus ipc", 30_000, 29_000, 31_000), result("nats", 10_000, 9_000, 11_000)))
    (line,) = (line for line in text.splitlines() if line.split()[:2] == ["100", "256"])
    assert line.split() == ["100", "256", "30k", "(29k…31k)", "3×", "10k", "(9000…11k)"]


def test_on_a_narrow_terminal_every_table_begins_with_the_reference() -> None:
    systems = ["hootbus ipc", "hootbus tcp", "plain pyzmq", "nats", "zenoh", "redis"]
    text = shown(report(*(result(system, 1000 * (at + 1)) for at, system in enumerate(systems))), terminal=True)
    heads = [line for line in text.splitlines() if "in flight" in line and "bytes" in line]
    assert len(heads) > 1
    assert all("hootbus ipc" in head for head in heads)
    assert all(any(system in head for head in heads) for system in systems)
    assert all(len(line) <= 80 for line in heads)


def test_what_was_skipped_and_what_must_be_known_is_said() -> None:
    text = shown(report(result("hootbus ipc", 1), skipped=(Skipped("zenoh", "not installed"),)))
    assert "not measured: zenoh: not installed" in text
    assert "nats: over tcp" in text


def test_a_report_without_results_is_shown_as_well() -> None:
    assert "not measured" in shown(report())


def test_goals_are_met_missed_or_not_measured() -> None:
    found = goals(
        report(
            result("hootbus ipc", 50),
            result("hootbus tcp", 30),
            result("nats", 20),
            result("plain pyzmq", 11),
            result("hootbus ipc", 8, case={"bytes": 100, "percentile": "p50"}, question="latency", unit="µs"),
            result("nats", 10, case={"bytes": 100, "percentile": "p50"}, question="latency", unit="µs"),
        )
    )
    assert [(goal.bound, goal.measured, goal.state) for goal in found[:4]] == [
        ("≥ 2.5 × nats", "2.5 × (tcp: 1.5 ×)", State.MET),
        ("≥ 5 × plain pyzmq", "4.55 × (tcp: 2.73 ×)", State.MISSED),
        ("≤ 0.8 × nats", "0.8 ×", State.MET),
        ("≤ 0.25 × nats", "", State.UNKNOWN),
    ]


@pytest.mark.parametrize(
    ("us", "copied", "state"),
    [(20, 0, State.MET), (20.1, 0, State.MISSED), (3, bodies.MILLION_BYTES, State.MISSED)],
)
def test_an_array_is_to_be_read_in_time_and_without_a_copy(us: float, copied: float, state: State) -> None:
    case: Case = {"message": bodies.MILLION, "step": bodies.READ_ALL}
    time = result(IN_PLACE, us, case=case, question=bodies.NAME, unit="µs", better="less")
    copies = result(IN_PLACE, copied, case=case, question=bodies.NAME, unit=bodies.COPIED, better="less")
    (goal,) = (goal for goal in goals(report(time, copies)) if "as an array" in goal.work)
    assert goal.state is state


def test_growth_is_judged_beside_its_control() -> None:
    found = [
        result(system, rate, case={"services": services}, question=growth.NAME)
        for system, services, rate in (
            ("hootbus ipc", 1, 100),
            ("hootbus ipc", 1000, 70),
            (growth.CONTROL, 1, 400),
            (growth.CONTROL, 1000, 200),
        )
    ]
    (goal,) = (goal for goal in goals(report(*found)) if "1000 services" in goal.work)
    assert (goal.state, goal.measured) == (State.MISSED, "0.7 × (bare ROUTER, which has no rules: 0.5 ×)")


def test_the_goals_are_about_cases_that_are_measured() -> None:
    assert (100, 256) in requests.cases(quick=False)
    assert (100, 256) in requests.cases(quick=True)
    assert {100, 1_000_000} <= set(latency.SIZES)
    assert 50 in latency.PERCENTILES
    assert {1, 1000} <= set(growth.QUICK) <= set(growth.SIZES)


def test_a_page_has_its_goals_its_charts_and_its_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page.write(_full(), tmp_path)
    text = (tmp_path / page.PAGE).read_text()
    assert "| requests of 100 B, 256 in flight | ≥ 2.5 × nats | 3 × | **met** |" in text
    assert "| 100 | 256 | 30k<br><sub>29k…31k</sub> | **3×** 10k |" in text
    assert "- Not measured: **zenoh**: not installed." in text
    assert f"![{requests.SENTENCE}](benchmarks/requests.svg)" in text
    assert msgspec.json.decode((tmp_path / "benchmarks" / "results.json").read_bytes(), type=Report) == _full()


def test_the_same_results_make_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page.write(_full(), tmp_path / "one")
    page.write(_full(), tmp_path / "two")
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert set(map(str, one)) == {"benchmarks.md", "benchmarks/requests.svg", "benchmarks/results.json"}


def test_a_charts_words_are_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page.write(_full(), tmp_path)
    chart = ET.parse(tmp_path / "benchmarks" / "requests.svg")
    words = {element.text for element in chart.iter("{http://www.w3.org/2000/svg}text")}
    assert {"hootbus ipc", "nats", "bytes", "256 in flight", "requests/s"} <= words
    assert not list(chart.iter("{http://purl.org/dc/elements/1.1/}date"))


def test_a_chart_of_an_earlier_run_does_not_stay(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "events.svg").write_text("of another run")
    page.write(_full(), tmp_path)
    assert not (tmp_path / "benchmarks" / "events.svg").exists()


def test_without_matplotlib_the_page_says_that_its_charts_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "benchmarks.report.chart", raising=False)
    page.write(_full(), tmp_path)
    text = (tmp_path / page.PAGE).read_text()
    assert "charts are left out" in text
    assert ".svg" not in text
    assert "no charts" in capsys.readouterr().err


def test_what_became_slower_by_more_than_a_tenth_is_marked(tmp_path: Path) -> None:
    committed = tmp_path / "results.json"
    write(report(result("hootbus ipc", 100), result("nats", 100), result("zenoh", 100)), committed)
    now = report(result("hootbus ipc", 89), result("nats", 91), result("redis", 5))
    assert [(change.now.system, change.is_worse) for change in compare.against(now, committed)] == [
        ("hootbus ipc", True),
        ("nats", False),
    ]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    compare.show(now, committed, console)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "worse    0.89×  100 bytes, 256 in flight: 100 → 89 requests/s" in text
    assert "2 results compared, 1 worse by more than 10%" in text
    assert "another machine" not in text


def test_another_machines_numbers_are_compared_with_a_warning(tmp_path: Path) -> None:
    committed = tmp_path / "results.json"
    write(report(result("hootbus ipc", 100), machine="sixteen cores"), committed)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    compare.show(report(result("hootbus ipc", 100)), committed, console)
    assert isinstance(console.file, io.StringIO)
    assert "another machine: processor two cores, not sixteen cores" in console.file.getvalue()


def _full() -> Report:
    return report(
        *(
            result(system, *samples, case={"bytes": size, "in flight": 256})
            for size in (100, 1000, 64_000)
            for system, samples in (("hootbus ipc", (30_000, 29_000, 31_000)), ("nats", (10_000,)))
        ),
        skipped=(Skipped("zenoh", "not installed"),),
    )
