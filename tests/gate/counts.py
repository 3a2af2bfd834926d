"""What is counted: a number for each role and each place in it, and how many steps become one number."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

# The role ("broker"), the place in it ("hootbus.bus.core:Core.handle", "sendto"), and how often per request or event.
Places: TypeAlias = dict[str, float]
Counts: TypeAlias = dict[str, Places]
# By what was counted: "python calls per request, one at a time, Client".
Measured: TypeAlias = dict[str, Counts]

# What is seldomer than once in so many requests is not kept: a heartbeat that fell into the run.
_DIGITS = 2


def total(places: Mapping[str, float]) -> float:
    """The role's number."""
    return round(sum(places.values()), _DIGITS)


def rounded(places: Mapping[str, float]) -> Places:
    """As it is kept: sorted, and without what rounds to nothing."""
    return {place: round(count, _DIGITS) for place, count in sorted(places.items()) if round(count, _DIGITS)}


def quiet_steps(steps: Sequence[Counter[str]], per_step: int) -> Places:
    """The mean of that quarter of the steps in which least was done, for one of `per_step` requests.

    Whatever chance brings, a heartbeat or a wake-up in between, comes on top: a busy machine shows it in many steps,
    in a quarter of them hardly ever. Not the median of each place, as places must add up to their total.
    """
    kept = sorted(steps, key=Counter.total)[: max(1, len(steps) // 4)]
    together: Counter[str] = Counter()
    for step in kept:
        together.update(step)
    return rounded({place: count / len(kept) / per_step for place, count in together.items()})
