"""The Makefile and its scripts: what they say where something is missing."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")


def run(*command: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    # As from a shell: not as a part of the make that may have started these tests.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=cwd, env=inherited | environ, capture_output=True, text=True, check=False)


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The project without a .venv."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    return tmp_path


@needs_make
def test_make_alone_explains(checkout: Path) -> None:
    said = run("make", cwd=checkout)
    assert said.returncode == 0
    for target in ("demo", "check", "clean"):
        assert f"make {target}" in said.stdout
    assert said.stdout == run("make", "help", cwd=checkout).stdout
    assert sorted(path.name for path in checkout.iterdir()) == [".ci", "Makefile"]


@needs_make
@pytest.mark.parametrize("target", ["demo", "check"])
def test_a_python_that_is_too_old_is_told_what_to_install(checkout: Path, target: str) -> None:
    old = program(checkout / "python3", 'case $1 in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac')
    said = run("make", target, f"PYTHON={old}", cwd=checkout)
    assert said.returncode == 2  # make's own; the script's is 1
    assert "needs Python 3.11 or newer" in said.stderr
    assert "Python 3.9.2" in said.stderr
    assert "apt install python3 python3-venv" in said.stderr
    assert not (checkout / ".venv").exists()


@needs_make
def test_a_python_without_venv_is_told_what_to_install(checkout: Path) -> None:
    bare = program(
        checkout / "python3",
        "case $2 in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; *version_info*) exit 0 ;; esac",
    )
    said = run(".ci/venv", cwd=checkout, PYTHON=bare)
    assert said.returncode == 1
    assert "apt install python3-venv (or python3.11-venv)" in said.stderr
    assert not (checkout / ".venv").exists()


def test_all_steps_run_though_one_fails_and_the_tests_come_last(checkout: Path) -> None:
    tools = checkout / ".venv" / "bin"
    tools.mkdir(parents=True)
    for tool in ("ruff", "mypy", "lint-imports", "python"):
        program(tools / tool, f"echo {tool} ran")
    program(tools / "mypy", "echo types are wrong; exit 1")
    program(tools / "pytest", "echo = 3 passed in 0.1s =")
    said = run(".ci/check", "lint", "types", "layers", "tests", cwd=checkout)
    assert said.returncode == 1
    assert "lint-imports ran" in said.stdout
    assert "== FAILED before the tests: types" in said.stdout
    assert said.stdout.splitlines()[-1] == "= 3 passed in 0.1s ="
    program(tools / "mypy", "exit 0")
    assert run(".ci/check", "lint", "types", "layers", "tests", cwd=checkout).returncode == 0
    program(tools / "pytest", "echo = 1 failed =; exit 1")
    said = run(".ci/check", "lint", "tests", cwd=checkout)
    assert (said.returncode, said.stdout.splitlines()[-1]) == (1, "= 1 failed =")


def test_tests_do_not_meet_the_users_own_bus(checkout: Path) -> None:
    tools = checkout / ".venv" / "bin"
    tools.mkdir(parents=True)
    program(tools / "python", "exit 0")
    program(tools / "pytest", "env")
    said = run(".ci/check", "tests", cwd=checkout, HOOT_BUS="tcp://h:1", HOOT_NATIVE="0", PYTHONPATH="/elsewhere")
    assert "HOOT_BUS" not in said.stdout
    assert "/elsewhere" not in said.stdout
    assert "HOOT_NATIVE=0" in said.stdout
