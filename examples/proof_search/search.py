"""The best-first search itself, without any I/O: which state to ask about next, and what came of it.

A state is all that is left to prove on one way to a proof. Safe steps are taken at once; where a choice has to be made
the state waits in the queue until somebody says how promising each tactic is.
"""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from logic import Formula, Goal, Tactic, apply, choices, safe_tactic
from scripts import Script

# A score of 0 says unlikely, not impossible.
SCORE_MIN: Final = 1e-3


class Order(Enum):
    """Which state comes first."""

    BEST = "best"  # whose choices were the likeliest together
    DEEP = "deep"  # with the most choices made, and of those the best


@dataclass(frozen=True)
class State:
    """The goals left, the steps that led there, how many of them were choices, and how unlikely these were."""

    goals: tuple[Goal, ...]
    script: Script = ()
    depth: int = 0
    cost: float = 0.0


class Search:
    """A search for a proof: `ask` which state to judge, judge its tactics, `tell`.

    It is over when `proof` is set or `exhausted` is true. What it is told decides how long it takes, never what it
    finds out.
    """

    def __init__(self, conjecture: Formula, order: Order) -> None:
        self.proof: Script | None = None
        self.asked = 0
        self._order = order
        self._queue: list[tuple[float, float, int, State]] = []
        self._seen: set[tuple[tuple[frozenset[Formula], Formula, frozenset[Formula]], ...]] = set()
        self._add(State((Goal((), conjecture),)))

    @property
    def exhausted(self) -> bool:
        """Whether there is no proof."""
        return self.proof is None and not self._queue

    def ask(self) -> State:
        """The most promising state: what tactics are there for its first goal? Only while it is not over."""
        self.asked += 1
        return heapq.heappop(self._queue)[-1]

    def tell(self, state: State, scores: Mapping[Tactic, float]) -> None:
        """How promising the tactics for the first goal of the state that was asked about are, from 0 to 1.

        Those that nobody has scored come last, and those that do not fit are ignored.
        """
        goal, *others = state.goals
        for tactic in choices(goal):
            cost = state.cost - math.log(min(1.0, max(SCORE_MIN, scores.get(tactic, 0.0))))
            goals = (*apply(goal, tactic), *others)
            self._add(State(goals, (*state.script, tactic), state.depth + 1, cost))

    def _add(self, state: State) -> None:
        if self.proof is not None:
            return
        state = _settled(state)
        if not state.goals:
            self.proof = state.script
            return
        # In which order hypotheses were found makes no difference.
        key = tuple((frozenset(goal.context), goal.target, goal.tried) for goal in state.goals)
        if key in self._seen or not choices(state.goals[0]):
            return
        self._seen.add(key)
        first = -float(state.depth) if self._order is Order.DEEP else state.cost
        # The number keeps what is equally good in the order in which it came: the same answers give the same search.
        heapq.heappush(self._queue, (first, state.cost, len(self._seen), state))


def _settled(state: State) -> State:
    """After all safe steps on its first goal, and on the next ones as goals are closed."""
    goals, script = state.goals, state.script
    while goals and (tactic := safe_tactic(goals[0])) is not None:
        goals = (*apply(goals[0], tactic), *goals[1:])
        script = (*script, tactic)
    return State(goals, script, state.depth, state.cost)
