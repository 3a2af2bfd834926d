"""What the tests of the gate share: each measurement once, and what passes and is still worth a word."""

from collections.abc import Callable
from functools import cache
from typing import Final

import pytest

from gate.counts import Measured
from gate.measure import measured
from gate.verdict import Change

# A property of the test that found it; these reach us from the processes of `pytest -n`, too.
_SHRUNK: Final = "shrunk"


@pytest.fixture(scope="session")
def counted() -> Callable[[str], Measured]:
    """The counts of a measurement of the code as it is."""
    return cache(measured)


@pytest.fixture
def note_shrunk(record_property: Callable[[str, object], None]) -> Callable[[Change], None]:
    """Keeps a change for the lines below all tests, as nobody reads what a test that passes prints."""
    return lambda change: record_property(_SHRUNK, str(change))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what has shrunk so much that the baseline does not hold on to it."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    calls = [report for report in reports if isinstance(report, pytest.TestReport) and report.when == "call"]
    notes = [note for report in calls for name, note in report.user_properties if name == _SHRUNK]
    if notes:
        terminalreporter.section("much less than the baselines: `make baselines` would hold on to it")
        for note in notes:
            terminalreporter.line(str(note))
