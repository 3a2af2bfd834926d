"""The gate: what a request and an event cost may not grow by more than 30 % without anybody saying so.

Counts, no times: of copies, frames, Python calls, memory, system calls and instructions. `make baselines` writes new
ones, for a growth that is wanted or a saving that shall stay.
"""

from collections.abc import Callable

import pytest

from gate import baselines
from gate.counts import Measured
from gate.measure import NAMES, TIMEOUT_S, obstacle, variant
from gate.verdict import Change, grown, shrunk, table


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_has_grown(
    name: str, counted: Callable[[str], Measured], note_shrunk: Callable[[Change], None]
) -> None:
    if reason := obstacle(name):
        pytest.skip(reason)
    baseline = baselines.read().get(variant(), {}).get(name)
    if baseline is None:
        pytest.skip(f"there is no baseline of {name} with the {variant()} door to libzmq")
    now = counted(name)
    assert now.keys() == baseline.keys(), "other things are counted than before: make baselines"
    for change in shrunk(baseline, now):
        note_shrunk(change)
    if changes := grown(baseline, now):
        pytest.fail("\n\n".join([*map(table, changes), "If it is meant: make baselines"]), pytrace=False)
