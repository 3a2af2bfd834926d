"""One measurement in a process of its own, so that neither pytest nor another measurement is counted with it.

`python -m gate.measure NAME [PLANT]` prints what was counted as JSON. PLANT is a Python file to run before: the tests
of the gate plant with it what the gate must find.
"""

import importlib
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec

import hootbus.bus.core
from gate.counts import Measured
from hootbus.frames.wire import NATIVE

# The modules, and the order in which they are told of.
NAMES: Final = ("frames", "copies", "python_calls", "blocks", "syscalls", "instructions")
_TESTS: Final = Path(__file__).parents[1]
# A second or ten, mostly. On a machine that is busy with other things it takes as long as it takes.
TIMEOUT_S: Final = 240.0


COMPILED: Final = not hootbus.bus.core.__file__.endswith(".py")


class _Measurement(Protocol):
    """What such a module has. `obstacle`, where it is missing, is that there is none."""

    def measure(self) -> Measured: ...


def variant() -> str:
    """What baselines are for: the door to libzmq, and whether the hot path is compiled (there are some only if it is).

    Not for each Python: between 3.11 and 3.13 counts differ by a sixth at most (measured), less than is allowed.
    """
    door = "native" if NATIVE else "fallback"
    return door if COMPILED else f"{door} uncompiled"


def obstacle(name: str) -> str | None:
    """Why it cannot be measured here; None if it can."""
    asked = getattr(_module(name), "obstacle", None)
    return None if asked is None else cast("str | None", asked())


def measured(name: str, plant: Path | None = None) -> Measured:
    """Counts in a fresh process."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HOOT_") or key == "HOOT_NATIVE"}
    environ |= {"PYTHONPATH": str(_TESTS), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-P", "-m", "gate.measure", name, *([str(plant)] if plant is not None else [])]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if ran.returncode:
        raise RuntimeError(f"{name} could not be measured (status {ran.returncode}):\n{ran.stderr}")
    return msgspec.json.decode(ran.stdout, type=Measured)


def _module(name: str) -> _Measurement:
    return cast(_Measurement, importlib.import_module(f"gate.{name}"))


def _main(name: str, *plants: str) -> None:
    module = _module(name)
    for plant in plants:
        runpy.run_path(plant, run_name="planted")
    sys.stdout.buffer.write(msgspec.json.encode(module.measure()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
