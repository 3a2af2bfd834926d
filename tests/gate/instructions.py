"""Instructions and allocations of a fixed run, as callgrind counts them: everything, down to the last memcpy.

Another build of Python takes another number of instructions for the same work, so each count is scaled by a piece of
plain Python that is counted in the same run. That is honest as far as builds differ in everything alike: with Debian's
3.11.2, and 3.11.7, 3.12.1 and 3.13.0 built without PGO, scaled counts lay within 6 % and allocations within 17 %.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from gate.counts import Counts, Measured, rounded
from gate.fixed_run import CALIBRATION, ROUNDS

_MARKS: Final = Path(__file__).with_name("marks.c")
_ROLE: Final = "all roles"
# What the calibration takes with CPython 3.11.7 of GCC 12 at -O3; with it, counts are what they would be there.
_CALIBRATION_INSTRUCTIONS: Final = 356_900
# A place of less than that is one of many others.
_SHARE_MIN: Final = 0.005
_WARNINGS_MAX: Final = 300
# Those that ask libc for memory, and those that only pass the question on, stubs without a name among them: who has
# asked them is who allocates.
_LIBC: Final = ("malloc", "calloc", "realloc")
_PASSED_ON: Final = re.compile(
    r"_?Py(Mem|Object)_(Raw)?(Malloc|Calloc|Realloc)|_PyMem_Raw\w+|PyType_GenericAlloc|_PyType_AllocNoTrack"
    r"|_?PyObject_(GC_)?New(Var)?|gc_alloc|0x\w+"
)


class Profile(msgspec.Struct):
    """What callgrind saw between two marks: instructions by function, and calls from one to another."""

    mark: str = ""
    own: Counter[str] = msgspec.field(default_factory=Counter)
    # By who was called.
    calls: defaultdict[str, Counter[str]] = msgspec.field(default_factory=lambda: defaultdict(Counter))
    libraries: dict[str, str] = msgspec.field(default_factory=dict)

    def shown(self, function: str) -> str:
        """The function as people know it: one without a name by its library."""
        return f"without a name, in {self.libraries[function]}" if function.startswith("0x") else function


def obstacle() -> str | None:
    """Why nothing can be counted here; None if it can."""
    for program, package in (("valgrind", "valgrind"), ("cc", "gcc")):
        if shutil.which(program) is None:
            return f"there is no {program} (apt install {package})"
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(_compile(Path(folder)), capture_output=True, text=True, check=False)
        if made.returncode:
            return f"marks.c cannot be compiled: {made.stderr.strip()[:_WARNINGS_MAX]}"
    # Another machine's numpy may use instructions that its valgrind does not know.
    tried = subprocess.run(
        ["valgrind", "-q", "--tool=none", sys.executable, "-c", "import hootbus.workers"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"valgrind cannot run this Python: {tried.stderr.strip()[:_WARNINGS_MAX]}" if tried.returncode else None


def measure() -> Measured:
    """A request and an event."""
    with ThreadPoolExecutor() as both:
        counting = both.submit(_profiles, {})
        # Every block of Python's from libc, or small ones would come from pools of which callgrind knows nothing.
        allocating = both.submit(_profiles, {"PYTHONMALLOC": "malloc"})
        counted, allocated = counting.result(), allocating.result()
    scale = _CALIBRATION_INSTRUCTIONS * ROUNDS / counted.pop(CALIBRATION).own.total()
    measured: Measured = {}
    for mark, profile in counted.items():
        measured[f"instructions per {mark}"] = _instructions(profile, scale)
        measured[f"allocations per {mark}"] = _allocations(allocated[mark])
    return measured


def _compile(folder: Path) -> list[str]:
    return ["cc", "-shared", "-fPIC", "-o", str(folder / "marks.so"), str(_MARKS)]


def _profiles(environ: dict[str, str]) -> dict[str, Profile]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run(_compile(folder), check=True)
        command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", "--compress-strings=no"]
        command += ["--compress-pos=no", f"--callgrind-out-file={folder / 'profile'}"]
        command += [sys.executable, "-P", "-m", "gate.fixed_run", str(folder / "marks.so")]
        # Hashes decide how often a dict looks twice.
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0", **environ})
        profiles = [read_profile(path.read_text().splitlines()) for path in folder.glob("profile.*")]
        return {profile.mark: profile for profile in profiles}


def read_profile(lines: Iterable[str]) -> Profile:
    """A profile in callgrind's format, without its compression (valgrind's manual, "Callgrind Format")."""
    profile = Profile()
    library = function = called = ""
    inclusive = False
    for line in lines:
        key, _, value = line.partition("=")
        if line.startswith("desc: Trigger: Client Request: "):
            profile.mark = line.rpartition(" ")[2]
        elif key == "ob":
            library = Path(value).name.split(".")[0]
        elif key == "fn":
            function = _name(value)
            profile.libraries[function] = library
        elif key == "cfn":
            called = _name(value)
        elif key == "calls":
            profile.calls[called][function] += int(value.split()[0])
            # The next line says what the calls have cost, which is counted where it arose.
            inclusive = True
        elif line[:1].isdigit():
            if not inclusive:
                profile.own[function] += int(line.split()[1])
            inclusive = False
    return profile


def _name(function: str) -> str:
    """The function, without what its build and its depth in a recursion have put behind its name."""
    return re.sub(r"('\d+|@.*|\.(part|constprop|isra|lto_priv|cold)\b.*)+$", "", function)


def _instructions(profile: Profile, scale: float) -> Counts:
    by_name: Counter[str] = Counter()
    for function, count in profile.own.items():
        by_name[profile.shown(function)] += count
    places: Counter[str] = Counter()
    for function, count in by_name.items():
        places[function if count >= by_name.total() * _SHARE_MIN else "all others"] += count
    return {_ROLE: {place: round(count * scale / ROUNDS) for place, count in sorted(places.items())}}


def _allocations(profile: Profile) -> Counts:
    places: defaultdict[str, float] = defaultdict(float)

    def charge(function: str, count: float, below: tuple[str, ...]) -> None:
        """Puts allocations down to the function, or in parts to its callers if it only passes them on."""
        callers = profile.calls[function]
        if function in below or not callers or not _PASSED_ON.fullmatch(function):
            places[profile.shown(function)] += count
            return
        for caller, calls in callers.items():
            charge(caller, count * calls / callers.total(), (*below, function))

    for name in _LIBC:
        for caller, calls in profile.calls[name].items():
            # What one of them asks of another was counted when it was asked.
            if caller not in _LIBC:
                charge(caller, calls / ROUNDS, ())
    return {_ROLE: rounded(places)}
