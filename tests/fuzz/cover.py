"""Coverage-guided fuzzing with atheris: what runs one target, or all of them for as long as one likes (`make fuzz`).

libFuzzer ends the process when it is done, and so does whatever it finds, so each target is a process of its own. It
looks at Python's bytecode: the modules run as they are written, also where they are compiled.
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE / "corpus"
FINDINGS: Final = Path(".fuzz")
TARGETS: Final = {
    "parse": "frames",
    "options": "frames",
    "event": "frames",
    "joined": "frames",
    "ready": "bodies",
    "pointers": "bodies",
    "json": "bodies",
}
"""By name, the module of `fuzz.targets` that has it: `NAME_target` is run, `NAME_corpus` is where it begins."""
CANARY: Final = "canary"
_FIRST_MAX: Final = 30
# What is kept of what was found to lead somewhere new.
_KEPT_MAX: Final = 60
_KEPT_BYTES_MAX: Final = 400
_INPUT_BYTES_MAX: Final = 4096


def is_possible() -> bool:
    """Whether there is an atheris for this Python and this machine."""
    return find_spec("atheris") is not None


def run(name: str, arguments: Sequence[str]) -> None:
    """A child's work, which does not return: libFuzzer with these arguments of its own."""
    # Before any module of ours, as it says where they are loaded from.
    import interpreted  # noqa: F401  # isort: skip
    import atheris

    with atheris.instrument_imports(include=["hootbus", "fuzz.targets.canary"]):
        module = importlib.import_module(f"fuzz.targets.{TARGETS.get(name, name)}")
    target = getattr(module, f"{name}_target")
    atheris.Setup([name, *arguments], target)
    atheris.Fuzz()


def hunt(name: str, *arguments: str, into: Path) -> "subprocess.CompletedProcess[str]":
    """Fuzzes a target; what leads somewhere new is put `into` that folder, what is wrong into .fuzz."""
    FINDINGS.mkdir(exist_ok=True)
    into.mkdir(exist_ok=True)
    known = CORPUS / name
    fixed = [
        f"-artifact_prefix={FINDINGS}/{name}-",
        f"-max_len={_INPUT_BYTES_MAX}",
        "-timeout=20",
        "-rss_limit_mb=2048",
    ]
    command = [sys.executable, "-P", "-m", "fuzz.cover", "--child", name, "--", *fixed, *arguments, str(into)]
    if known.is_dir():
        command.append(str(known))
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def begin(name: str) -> None:
    """Writes what a target begins with where nothing is kept of it yet."""
    module = importlib.import_module(f"fuzz.targets.{TARGETS[name]}")
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    made = sorted(set(getattr(module, f"{name}_corpus")()), key=len)
    # Small and large ones alike.
    for number, data in enumerate(made[:: -(-len(made) // _FIRST_MAX)]):
        (folder / f"first-{number:02}").write_bytes(data)


def keep(name: str, found: Path) -> int:
    """The smallest of what led somewhere new become part of the corpus."""
    folder = CORPUS / name
    room = _KEPT_MAX - sum(1 for _ in folder.iterdir())
    small = sorted((path for path in found.iterdir()), key=lambda path: path.stat().st_size)
    chosen = [path for path in small if path.stat().st_size <= _KEPT_BYTES_MAX][: max(0, room)]
    for path in chosen:
        (folder / path.name[:12]).write_bytes(path.read_bytes())
    return len(chosen)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.cover", description="Coverage-guided fuzzing of what reads bytes."
    )
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--keep", action="store_true", help="add what led somewhere new to tests/fuzz/corpus")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        run(asked.child, asked.targets)
    if not is_possible():
        print("hootbus: there is no atheris for this Python and this machine, so nothing is fuzzed by coverage")
        return 0
    unknown = {*asked.targets} - TARGETS.keys()
    if unknown:
        parser.error(f"no target is called {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    worst = 0
    for name in asked.targets or TARGETS:
        if not (CORPUS / name).is_dir():
            begin(name)
        with tempfile.TemporaryDirectory() as found:
            done = hunt(name, f"-max_total_time={asked.seconds}", into=Path(found))
            print(f"{name}: {summary(done.stderr)}", flush=True)
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
                again = f"-m fuzz.cover --child {name} -- {FINDINGS}/{name}-..."
                print(f"again with: PYTHONPATH=tests .venv/bin/python -P {again}")
            elif asked.keep:
                print(f"{name}: {keep(name, Path(found))} kept")
        worst = max(worst, done.returncode)
    return 1 if worst else 0


def summary(log: str) -> str:
    """libFuzzer's last word."""
    lines = [line for line in log.splitlines() if line.startswith(("Done", "#", "SUMMARY", "=="))]
    return " | ".join(lines[-2:])


if __name__ == "__main__":
    sys.exit(main())
