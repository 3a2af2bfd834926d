"""Roles for the tests of processes, in a module of their own: a child must be able to import it by its name."""

import signal
import time
from pathlib import Path

from benchmarks.processes import Processes, ready
from benchmarks.role import Line


def echo(line: Line) -> None:
    line.ready()
    # What is printed is no answer.
    print("not an answer", flush=True)
    while True:
        line.answer(**line.order())


def deaf(line: Line) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.ready()
    while True:
        time.sleep(1)


def broken(line: Line) -> None:
    line.ready()
    line.order()
    raise RuntimeError("broken on order")


def parent(line: Line, *, folder: str) -> None:
    """Starts a child, says which, and is then killed."""
    with Processes(Path(folder)) as processes:
        child = processes.start(deaf)
        ready(child)
        line.answer(pid=child.pid)
        line.order()
