"""Processes of a measurement answer, and end with the block or with us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.example_roles import broken, deaf, echo, parent
from benchmarks.processes import Processes, ProcessFailed, cpu_seconds, ready, rss_bytes

_WITHIN_S = 10.0


def test_it_answers_what_it_is_asked(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start(echo)
        ready(child)
        assert child.ask(bytes=3) == {"bytes": 3}
        assert cpu_seconds(child.pid) >= 0
        assert rss_bytes(child.pid) > 1_000_000
    assert not child.alive


def test_one_that_does_not_want_to_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes._END_S", 0.1)
    with Processes(tmp_path) as processes:
        child = processes.start(deaf)
        ready(child)
    assert not child.alive


def test_one_that_fails_is_named_with_what_it_said_last(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start(broken)
        ready(child)
        with pytest.raises(ProcessFailed, match=r"(?s)broken ended with status 1.*broken on order"):
            child.ask(do="anything")


def test_who_waits_for_an_answer_notices_that_another_has_failed(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        one, other = processes.start(deaf), processes.start(broken)
        ready(one, other)
        other.tell(do="anything")
        with pytest.raises(ProcessFailed, match="broken ended with status 1"):
            one.ask(do="anything")
        processes.end([other])
        os.kill(one.pid, signal.SIGKILL)


def test_a_program_may_be_one_too(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.program(sys.executable, "-c", "import sys; sys.exit('no such port')")
        with pytest.raises(ProcessFailed, match="no such port"):
            child.answer()


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a child notices it by its closed pipe only when it looks"
)
def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        child = processes.start(parent, folder=str(tmp_path))
        grandchild = child.answer()["pid"]
        os.kill(child.pid, signal.SIGKILL)
        until = time.monotonic() + _WITHIN_S
        while subprocess.run(["kill", "-0", str(grandchild)], capture_output=True, check=False).returncode == 0:
            assert time.monotonic() < until, "the grandchild lives on"
            time.sleep(0.01)
