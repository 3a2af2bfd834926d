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
# Where files share the processors these come first, or one would still be at work when nothing is left for the others.
_LONGEST: Final = ("project/test_packaging.py", "sim/", "docs/", "gate/", "examples/", "chaos/", "demo/")


def pytest_configure(config: pytest.Config) -> None:
    """An edit of a compiled module has no effect until it is compiled again, so that its tests would mean nothing."""
    if _is_one_of_several(config):
        return
    if COMPILED and Path(sys.prefix) == _ROOT / ".venv" and subprocess.call([_ROOT / ".ci" / "venv", "--is-current"]):
        raise pytest.UsageError("a compiled module was changed since; compile it again: .ci/venv --dev")


def _is_one_of_several(config: pytest.Config) -> bool:
    """Whether this process runs a part of the tests for another one (`pytest -n`), which has asked already."""
    return hasattr(config, "workerinput")


def _begins_as(item: pytest.Item) -> int:
    """Its file's place among those that begin, and behind them for all others."""
    path = item.path.relative_to(_ROOT / "tests").as_posix()
    return next((place for place, long in enumerate(_LONGEST) if path.startswith(long)), len(_LONGEST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that put something in a method's place are for the interpreted modules (`-p interpreted`)."""
    if _is_one_of_several(config):
        items.sort(key=_begins_as)
    if not COMPILED:
        return
    left_out = {item for item in items if item.get_closest_marker("interpreted")}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
