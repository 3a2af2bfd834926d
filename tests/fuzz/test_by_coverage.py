"""A short hunt, guided by coverage, through all that reads bytes of strangers; `make fuzz` is the long one."""

from pathlib import Path
from typing import Final

import pytest

from fuzz import cover

pytestmark = pytest.mark.skipif(not cover.is_possible(), reason="there is no atheris for this Python or this machine")
# About a second of each, most of it spent where nothing is found quickly any more.
RUNS: Final = {
    "parse": 8_000,
    "options": 10_000,
    "event": 20_000,
    "joined": 15_000,
    "ready": 1_000,
    "pointers": 1_500,
    "json": 6_000,
}


@pytest.mark.parametrize("name", cover.TARGETS)
def test_what_strangers_send_raises_what_is_documented_and_nothing_else(name: str, tmp_path: Path) -> None:
    done = cover.hunt(name, f"-runs={RUNS[name]}", "-seed=1", into=tmp_path / name)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-5000:]}"
    assert f"Done {RUNS[name]} runs" in done.stderr


def test_what_is_wrong_is_found_and_told(tmp_path: Path) -> None:
    done = cover.hunt(cover.CANARY, "-runs=100000", "-seed=1", into=tmp_path / "canary")
    assert done.returncode != 0
    assert "the canary sings" in done.stdout + done.stderr


@pytest.mark.parametrize("name", cover.TARGETS)
def test_each_target_begins_with_what_is_kept_of_it(name: str) -> None:
    kept = [path.read_bytes() for path in (cover.CORPUS / name).iterdir()]
    assert 0 < len(kept) <= 90
    assert sum(map(len, kept)) < 80_000
