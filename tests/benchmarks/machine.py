"""Where and with what a run was made: numbers of benchmarks mean nothing without."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.processes import find_program

PACKAGES: Final = (
    "hootbus",
    "pyzmq",
    "pycapnp",
    "msgspec",
    "numpy",
    "nats-py",
    "eclipse-zenoh",
    "redis",
    "hiredis",
    "grpcio",
    "uvloop",
)
# Each says its version when it is asked so.
PROGRAMS: Final = {"nats-server": "--version", "redis-server": "--version"}


def facts() -> dict[str, str]:
    """The machine, the interpreter, and the versions of everything that is measured; what is missing is not in it."""
    known = {
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "processor": _processor(),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _package(name) for name in PACKAGES},
        "libzmq": _libzmq(),
        **{name: _program(name, flag) for name, flag in PROGRAMS.items()},
    }
    return {name: fact for name, fact in known.items() if fact}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if named:
            return named[1]
    return platform.processor() or platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _libzmq() -> str:
    import zmq

    return zmq.zmq_version()


def _program(name: str, flag: str) -> str:
    program = find_program(name)
    if program is None:
        return ""
    said = subprocess.run([program, flag], capture_output=True, text=True, timeout=10, check=False).stdout
    named = re.search(r"\d+\.\d+\.\d+", said)
    return named[0] if named else ""
