"""`make baselines`: measures everything anew and writes baselines.json, after a look at how steady it is.

Counts three times, for the native door and for the fallback, and says how far the three lie apart.
"""

import os
import subprocess
import sys
from typing import Final

from gate import baselines
from gate.counts import Measured, total
from gate.measure import NAMES, measured, obstacle, variant
from gate.verdict import GROWTH_MAX, grown

_TIMES: Final = 3


def _steady(name: str) -> Measured | None:
    """The counts, None if they differ so much that they would not hold even now."""
    runs = [measured(name) for _ in range(_TIMES)]
    steady = True
    for what, roles in runs[0].items():
        for role in roles:
            numbers = [total(run[what][role]) for run in runs]
            shown = f"{min(numbers):g}" if min(numbers) == max(numbers) else f"{min(numbers):g} to {max(numbers):g}"
            print(f"  {what}, {role}: {shown}", flush=True)
    for one in runs:
        for other in runs:
            for change in grown(one, other):
                steady = False
                print(f"  NOT STEADY, nothing is written: {change}", file=sys.stderr)
    return runs[0] if steady else None


def _measure_variant() -> bool:
    """Measures with the door that this process has; whether all of it could be kept."""
    known = baselines.read()
    before = known.get(variant(), {})
    found: dict[str, Measured] = {}
    complete = True
    for name in NAMES:
        print(f"{variant()}, {name}", flush=True)
        if reason := obstacle(name):
            print(f"  kept as it was: {reason}", file=sys.stderr)
            kept = before.get(name)
        else:
            kept = _steady(name)
            complete = complete and kept is not None
        if kept is not None:
            found[name] = kept
    if complete:
        baselines.write(known | {variant(): found})
    return complete


def _main() -> int:
    if not _measure_variant():
        return 1
    if variant() == "native":
        return subprocess.run(
            [sys.executable, "-P", "-m", "gate"], env={**os.environ, "HOOT_NATIVE": "0"}, check=False
        ).returncode
    print(f"written to {baselines.FILE.name}; a growth of more than {GROWTH_MAX:.0%} fails from now on")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
