"""The layering contracts of pyproject.toml hold, and each finds a violation that is planted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("bus", "frames", "schemas", "workers")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages as an installed tree, to plant into."""
    root = tmp_path_factory.mktemp("layers")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / "hootbus" / folder, ignore=shutil.ignore_patterns("__pycache__", "*.c"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def broken(root: Path) -> list[str]:
    """The names of the contracts that do not hold; import-linter looks in its working directory first."""
    said = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--config", "pyproject.toml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = [line.partition(" BROKEN")[0] for line in said.stdout.splitlines() if " BROKEN" in line]
    assert said.returncode == (1 if names else 0), said.stdout + said.stderr
    return names


def test_the_contracts_hold(copy: Path) -> None:
    assert broken(copy) == []


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("frames/message.py", "import hootbus.schemas", "frames and schemas know nothing of ours"),
        ("schemas/loader.py", "from hootbus.frames import Message", "frames and schemas know nothing of ours"),
        ("workers/session.py", "from hootbus.bus import core", "workers never the bus"),
        ("bus/core.py", "import time", "the broker's core touches no socket"),
        ("bus/requests.py", "import random", "the broker's core touches no socket"),
        ("bus/core.py", "from hootbus.frames.wire import Wire", "the broker's core touches no socket"),
        ("bus/core.py", "from hootbus.workers import session", "the broker's core touches no socket"),
        ("workers/client_session.py", "import asyncio", "a peer's session touches no socket"),
        ("workers/client.py", "import capnp", "pycapnp is imported by the schemas alone"),
        ("frames/options.py", "import zmq", "reading and writing frames needs no socket"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "hootbus" / module
    was = path.read_text()
    path.write_text(f"{was}\n{line}\n")
    try:
        assert any(contract in name for name in broken(copy))
    finally:
        path.write_text(was)
