"""What counts as grown, and how it is told."""

import pytest

from gate.counts import Measured
from gate.verdict import grown, shrunk, table

CALLS = "python calls per request, one at a time, Client"


def of(what: str, **places: float) -> Measured:
    return {what: {"broker": places}}


@pytest.mark.parametrize(
    ("what", "was", "now", "fails"),
    [
        (CALLS, 10, 13, False),
        (CALLS, 10, 14, True),
        # One more of few is no slip.
        (CALLS, 1, 2, False),
        (CALLS, 1, 3, True),
        (CALLS, 0, 1, False),
        ("syscalls per request, 32 at a time, AsyncClient", 2.5, 3.6, False),
        ("syscalls per request, 32 at a time, AsyncClient", 2.5, 20, True),
        ("frames per event, one at a time", 3, 4, True),
        ("copies of a body per request", 0, 1, True),
        ("blocks left behind per event, 32 at a time", 0, 0.03, False),
        ("blocks left behind per event, 32 at a time", 0, 1, True),
    ],
)
def test_a_growth_fails_from_its_bound_on(what: str, was: float, now: float, fails: bool) -> None:
    assert bool(grown(of(what, place=was), of(what, place=now))) == fails


def test_what_moves_from_one_place_to_another_has_not_grown() -> None:
    assert grown(of(CALLS, here=50, there=0), of(CALLS, here=0, there=50)) == []


def test_what_is_much_less_is_told_and_passes() -> None:
    (change,) = shrunk(of(CALLS, place=50), of(CALLS, place=20))
    assert str(change) == f"{CALLS}: broker 50 → 20 (-30, -60%)"
    assert grown(of(CALLS, place=50), of(CALLS, place=20)) == []
    assert shrunk(of(CALLS, place=50), of(CALLS, place=45)) == []


def test_the_table_says_where_it_arose_the_largest_first() -> None:
    (change,) = grown(of(CALLS, old=50, same=5, gone=1), of(CALLS, old=60, same=5, new=20))
    assert table(change).splitlines() == [
        f"{CALLS}: broker 56 → 85 (+29, +52%); 30% more is allowed",
        "        +20         0 → 20        new",
        "        +10        50 → 60        old",
    ]


def test_a_table_of_many_places_is_cut() -> None:
    (change,) = grown(of(CALLS), of(CALLS, **{f"place{number}": 1 for number in range(20)}))
    lines = table(change).splitlines()
    assert len(lines) == 14
    assert lines[-1].strip() == "and 8 places more"


def test_a_role_that_is_new_has_grown() -> None:
    (change,) = grown({CALLS: {}}, of(CALLS, place=5))
    assert str(change) == f"{CALLS}: broker 0 → 5 (+5)"
