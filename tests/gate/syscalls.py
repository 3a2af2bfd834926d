"""System calls per request and event, by role and call, as strace counts them; libzmq's threads are told apart.

`python -m gate.syscalls` is the program that is traced. It tells of its threads and of the ends of its steps through
marks: calls of access() for paths that nobody has, which strace shows like all others.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from gate.counts import Counts, Measured, quiet_steps
from gate.quiet import quiet
from gate.traffic import EVENTS, REQUESTS, Traffic
from hootbus.bus.embedded import EmbeddedBroker

_TRAFFIC: Final = (*REQUESTS, *EVENTS)
_STEPS: Final = 44
_WARM_UP: Final = 4
_MARK: Final = "/hootbus-gate/"
# How often threads meet at a lock, the interpreter's before all, is chance.
_CHANCE: Final = "futex"
_LINE: Final = re.compile(r"(?P<thread>\d+) +(?:<\.\.\. )?(?P<call>\w+)(?P<began>\()?(?P<rest>.*)")
_STARTED: Final = re.compile(r" = (\d+)$")
_BEGINS_THREAD: Final = ("clone", "clone3", "fork", "vfork")


def obstacle() -> str | None:
    """Why nothing can be traced here; None if it can."""
    strace = shutil.which("strace")
    if strace is None:
        return "there is no strace (apt install strace)"
    tried = subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else None


def measure() -> Measured:
    """All kinds of traffic, in one traced run."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        command = ["strace", "-f", "-qq", "-s0", "-e", f"trace=!{_CHANCE}", "-e", "signal=none", "-o", str(trace)]
        subprocess.run([*command, sys.executable, "-P", "-m", "gate.syscalls"], check=True)
        with trace.open(errors="replace") as lines:
            return read_trace(lines)


class _Trace:
    """The steps of one kind of traffic, by thread, and whose the threads are."""

    def __init__(self, traffic: Traffic, parents: Mapping[str, str]) -> None:
        self._traffic = traffic
        self._parents = parents
        # Of the threads that have a name in Python.
        self._roles: dict[str, str] = {}
        self._steps: list[dict[str, Counter[str]]] = []
        self._step: defaultdict[str, Counter[str]] = defaultdict(Counter)
        # The thread that looks whether all is quiet: what it does meanwhile is not traffic.
        self._looking = ""

    def called(self, thread: str, call: str) -> None:
        """A thread has made a system call."""
        if thread != self._looking:
            self._step[thread][call] += 1

    def marked(self, thread: str, mark: str) -> None:
        """The traced program says how far it is."""
        match mark.split("/"):
            case ["thread", named, role]:
                self._roles[named] = role
            case ["look"]:
                self._looking = thread
            case ["step"]:
                self._looking = ""
                self._steps.append(self._step)
                self._step = defaultdict(Counter)

    def counts(self, warm_up: int) -> Counts:
        """By role and call, per request or event, from the step on that comes after so many."""
        roles: defaultdict[str, list[Counter[str]]] = defaultdict(list)
        for step in self._steps[warm_up:]:
            calls_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for thread, calls in step.items():
                role, where = self._whose(thread)
                calls_of[role].update({where + call: count for call, count in calls.items()})
            for role in set(self._roles.values()):
                roles[role].append(calls_of[role])
        return {role: quiet_steps(steps, self._traffic.per_step) for role, steps in roles.items()}

    def _whose(self, thread: str) -> tuple[str, str]:
        """The thread's role. One that Python does not know works for who began it."""
        named = thread
        while named not in self._roles:
            named = self._parents[named]
        return self._roles[named], "" if named == thread else "libzmq's thread: "


def read_trace(lines: Iterable[str], traffic: Sequence[Traffic] = _TRAFFIC, warm_up: int = _WARM_UP) -> Measured:
    """What strace wrote of these kinds of traffic, one after the other."""
    parents: dict[str, str] = {}
    traces: list[_Trace] = []
    for line in lines:
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        thread, call, rest = match["thread"], match["call"], match["rest"]
        if call in _BEGINS_THREAD and (started := _STARTED.search(rest)):
            parents[started[1]] = thread
        if _MARK in rest:
            mark = rest.partition(_MARK)[2].partition('"')[0]
            if mark == "begin":
                traces.append(_Trace(traffic[len(traces)], parents))
            else:
                traces[-1].marked(thread, mark)
        elif traces and match["began"]:
            traces[-1].called(thread, call)
    return {f"syscalls {one.name}": trace.counts(warm_up) for one, trace in zip(traffic, traces, strict=True)}


# The traced program.


def _mark(mark: str) -> None:
    os.access(_MARK + mark, os.F_OK)


def _run(traffic: Traffic) -> None:
    def between() -> None:
        _mark("look")
        # Of all steps, as some threads have not begun before the first.
        for thread in threading.enumerate():
            if role := traffic.role(thread.name):
                _mark(f"thread/{thread.native_id}/{role}")
        quiet()
        _mark("step")

    with EmbeddedBroker() as bus:
        _mark("begin")
        traffic.run(bus, _STEPS, between)


if __name__ == "__main__":
    for traffic in _TRAFFIC:
        _run(traffic)
