"""For all tests: the same examples in every run, none on the clock; and what was compiled is what is written."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

import hootbus.bus.core

settings.register_profile("hootbus", deadline=None, derandomize=True)
settings.load_profile("hootbus")

_ROOT: Final = Path(__file__).parents[1]
COMPILED: Final = not hootbus.bus.core.__file__.endswith(".py")


def pytest_configure(config: pytest.Config) -> None:
    """An edit of a compiled module has no effect until it is compiled again, so that its tests would mean nothing."""
    if COMPILED and Path(sys.prefix) == _ROOT / ".venv" and subprocess.call([_ROOT / ".ci" / "venv", "--is-current"]):
        raise pytest.UsageError("a compiled module was changed since; compile it again: .ci/venv --dev")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that put something in a method's place are for the interpreted modules (`-p interpreted`)."""
    if not COMPILED:
        return
    kept = [item for item in items if item.get_closest_marker("interpreted") is None]
    if len(kept) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
