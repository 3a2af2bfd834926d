"""What /proc says of a process beside what `processes` asks it for (proc(5))."""

import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def main_thread_seconds(pid: int) -> float:
    """User and system time of the first thread: in a broker of ours the one that runs Python, not libzmq's."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def descriptors(pid: int) -> int:
    """How many files and sockets it has open: each connection is one."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
