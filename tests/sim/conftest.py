"""Options of the simulator: a seed to run alone, and how many to run."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known to `pytest tests/sim ...`; runs of all tests use the defaults."""
    group = parser.getgroup("sim", "the simulator")
    group.addoption("--sim-seed", type=int, default=None, help="run the world of this seed alone, and show its trace")
    group.addoption("--sim-seeds", default=None, help="run the worlds of the seeds from FIRST to LAST (exclusive)")
