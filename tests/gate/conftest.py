"""What the tests of the gate share: each measurement once, and what passes and is still worth a word."""

from collections.abc import Callable
from functools import cache

import pytest

from gate.counts import Measured
from gate.measure import measured

_SHRUNK = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def counted() -> Callable[[str], Measured]:
    """The counts of a measurement of the code as it is."""
    return cache(measured)


@pytest.fixture
def shrunk_notes(request: pytest.FixtureRequest) -> list[str]:
    """Lines that stand below all tests, as nobody reads what a test that passes prints."""
    return request.config.stash.setdefault(_SHRUNK, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what has shrunk so much that the baseline does not hold on to it."""
    if notes := config.stash.get(_SHRUNK, []):
        terminalreporter.section("much less than the baselines: `make baselines` would hold on to it")
        for note in notes:
            terminalreporter.line(note)
