"""A few faults of a seed ; `make chaos` goes on for as long as one likes."""

from chaos.faults import plan
from chaos.ledger import OK
from chaos.storm import storm

# A broker drains, the next one hangs, a worker is killed, a client is cut off.
SEED = 5


def test_after_a_storm_the_ledger_balances_and_everything_works() -> None:
    sums = storm(SEED, 4, print)
    assert sums.outcomes[OK] > sums.asked // 2, sums


def test_the_same_seed_plans_the_same_faults() -> None:
    first, again, other = (plan(seed, tcp=True) for seed in (7, 7, 8))
    assert [next(first) for _ in range(50)] == [next(again) for _ in range(50)] != [next(other) for _ in range(50)]
