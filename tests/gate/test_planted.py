"""The gate fails when it should, and says where: each slip in `planted` is found."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gate.counts import Measured
from gate.measure import TIMEOUT_S, measured
from gate.verdict import Change, grown, table
from hootbus.frames.wire import NATIVE

pytestmark = pytest.mark.timeout(TIMEOUT_S)

PLANTED = Path(__file__).with_name("planted")
REQUEST = "per request, one at a time, Client"


def only(changes: list[Change], what: str) -> Change:
    (change,) = [change for change in changes if change.what == what]
    return change


def test_the_code_as_it_is_passes(counted: Callable[[str], Measured]) -> None:
    assert grown(counted("python_calls"), measured("python_calls")) == []


def test_calls_too_many_are_found_where_they_are_made(counted: Callable[[str], Measured]) -> None:
    changes = grown(counted("python_calls"), measured("python_calls", PLANTED / "calls.py"))
    assert {change.role for change in changes} == {"broker"}
    # Of two messages, the request and its reply, a hundred calls each.
    assert (
        table(only(changes, f"python calls {REQUEST}")).splitlines()[1].split()
        == "+200 0 → 200 planted:needless".split()
    )


def test_a_copied_body_is_found_where_it_is_copied(counted: Callable[[str], Measured]) -> None:
    changes = grown(counted("copies"), measured("copies", PLANTED / "copy.py"))
    change = only(changes, "copies of a body per request")
    assert change.role == "client"
    assert change.now == {"between where it lay and Wire.send": 1, "planted:cautious": 1}


@pytest.mark.skipif(not NATIVE, reason="the door on plain pyzmq copies all that it sends")
def test_a_body_that_is_copied_to_be_sent_is_found_where_it_is_sent(counted: Callable[[str], Measured]) -> None:
    changes = grown(counted("copies"), measured("copies", PLANTED / "writable.py"))
    change = only(changes, "copies of a body into libzmq per request")
    assert (change.role, change.now) == ("client", {"Wire.send of memoryview": 1})


def test_what_is_left_behind_is_found(counted: Callable[[str], Measured]) -> None:
    changes = grown(counted("blocks"), measured("blocks", PLANTED / "leak.py"))
    assert "planted/leak.py" in table(only(changes, "blocks left behind per request, 32 at a time, AsyncClient"))
