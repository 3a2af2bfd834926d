"""A few faults of a seed each; `make chaos` goes on for as long as one likes."""

import pytest

from chaos.faults import plan
from chaos.ledger import OK
from chaos.storm import storm


@pytest.mark.parametrize("seed", [2, 3])
def test_after_a_storm_the_ledger_balances_and_everything_works(seed: int) -> None:
    sums = storm(seed, 5, print)
    assert sums.outcomes[OK] > sums.asked // 2, sums


def test_the_same_seed_plans_the_same_faults() -> None:
    first, again, other = (plan(seed, tcp=True) for seed in (7, 7, 8))
    assert [next(first) for _ in range(50)] == [next(again) for _ in range(50)] != [next(other) for _ in range(50)]
