"""Waiting until everybody in this process waits: what belongs to one request has happened before the next begins."""

import threading
import time
from pathlib import Path
from typing import Final

_TASKS: Final = Path("/proc/self/task")
_LOOK_S: Final = 0.001
# Where there is no /proc. Too short a time would show as counts that vary, not as ones that grow.
_BLIND_S: Final = 0.005


def quiet() -> None:
    """Returns once no other thread of this process, libzmq's among them, has run between two looks."""
    if not _TASKS.is_dir():
        time.sleep(_BLIND_S)
        return
    before = _naps()
    while True:
        time.sleep(_LOOK_S)
        now = _naps()
        if now == before:
            return
        before = now


def _naps() -> dict[str, str]:
    """How often each other thread has gone to sleep; one that is awake is like itself in no other look."""
    own = str(threading.get_native_id())
    naps = {}
    for task in _TASKS.iterdir():
        if task.name != own:
            try:
                status = (task / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue
            facts = dict(line.split(":\t", 1) for line in status.splitlines())
            asleep = facts["State"].startswith("S")
            naps[task.name] = facts["voluntary_ctxt_switches"] if asleep else f"awake at {time.monotonic_ns()}"
    return naps
