"""What a shell is offered at the Tab key, by the protocol that click's scripts speak, and by bash itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.shell import Ran, environment, run, run_here
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Worker


def complete(words: str, *, bus: str) -> Ran:
    """As bash asks what the last of these words could be."""
    env = {"_HOOT_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    return run(bus=bus, env=env)


@pytest.fixture
def served(hoot_bus: EmbeddedBroker) -> EmbeddedBroker:
    worker = Worker("text")
    worker.add_method(lambda: 1, name="upper")
    worker.add_method(lambda: 1, name="lower")
    hoot_bus.worker(worker)
    return hoot_bus


def test_commands_and_options_are_offered(hoot_bus: EmbeddedBroker) -> None:
    assert complete("hoot wor", bus=hoot_bus.address).out.split() == ["plain,worker", "plain,workers"]
    assert "plain,--recycle-mb" in complete("hoot worker --rec", bus=hoot_bus.address).out


def test_the_methods_of_the_running_bus_are_offered(served: EmbeddedBroker) -> None:
    offered = complete("hoot call t", bus=served.address)
    assert (offered.out.split(), offered.err) == (["plain,text/lower", "plain,text/upper"], "")
    by_flag = complete(f"hoot call --bus {served.address} text/u", bus="ipc:///nowhere/at/all")
    assert by_flag.out.split() == ["plain,text/upper"]


def test_without_a_broker_nothing_is_offered_and_nothing_said() -> None:
    assert complete("hoot call t", bus="ipc:///nowhere/at/all") == Ran(0, "\n", "")
    assert complete("hoot call t", bus="nonsense").out == "\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_hoot(shell: str) -> None:
    assert f"_HOOT_COMPLETE={shell}_complete" in run_here("completion", shell).out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_with_the_script(served: EmbeddedBroker, tmp_path: Path) -> None:
    hoot = tmp_path / "hoot"
    hoot.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m hootbus.bus.cli "$@"\n')
    hoot.chmod(0o755)
    script = (
        "source <(hoot completion bash); COMP_WORDS=(hoot call text/u); COMP_CWORD=2; "
        "_hoot_completion hoot; echo ${COMPREPLY[*]}"
    )
    env = environment(served.address, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("text/upper\n", "")
