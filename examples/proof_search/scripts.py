"""A script, the tactics that led to a proof in their order, made into the proof itself and into lines for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from checker import Absurd, Call, Cases, Function, Pair, Part, Proof, Side, Variable
from logic import ABOUT_A_PREMISE, Formula, Goal, Tactic, TacticKind, apply

Script: TypeAlias = tuple[Tactic, ...]


def proof_of(conjecture: Formula, script: Script) -> Proof:
    """The proof that the script describes, for the checker to judge. Raises ValueError if it describes none."""
    steps = iter(script)
    try:
        proof = _prove(_Place((), conjecture, 1), steps)
    except (StopIteration, IndexError) as error:
        raise ValueError("the script does not fit the conjecture") from error
    if next(steps, None) is not None:
        raise ValueError("the script goes on behind the proof")
    return proof


def lines_of(conjecture: Formula, script: Script) -> list[str]:
    """One line for each step, further in the more goals there are besides. Raises NotApplicable."""
    goals: tuple[Goal, ...] = (Goal((), conjecture),)
    lines = []
    for tactic in script:
        goal, *others = goals
        about = goal.target
        if tactic.kind in ABOUT_A_PREMISE:
            about = goal.context[tactic.premise]
        elif tactic.kind is TacticKind.ASSUME:
            about = goal.target.left
        lines.append(f"{'  ' * len(others)}{tactic.kind.name.lower()} {about}")
        goals = (*apply(goal, tactic), *others)
    return lines


@dataclass(frozen=True)
class _Place:
    """Where in the proof a step is: what is known there, by which proofs, and the number of the next variable."""

    known: tuple[tuple[Formula, Proof], ...]
    target: Formula
    number: int

    def aimed(self, target: Formula) -> "_Place":
        return _Place(self.known, target, self.number)

    def knowing(self, *added: tuple[Formula, Proof]) -> "_Place":
        known = self.known
        for formula, proof in added:
            if all(formula != other for other, _ in known):
                known = (*known, (formula, proof))
        return _Place(known, self.target, self.number)

    def bound(self) -> tuple[Variable, "_Place"]:
        """A variable that is new here, and the place where it is not new any more."""
        return Variable(f"x{self.number}"), _Place(self.known, self.target, self.number + 1)


def _prove(here: _Place, steps: Iterator[Tactic]) -> Proof:
    kind, premise = next(steps)
    target = here.target
    if kind in ABOUT_A_PREMISE:
        return _prove_from(here, kind, *here.known[premise], steps)
    if kind is TacticKind.ASSUME:
        variable, inside = here.bound()
        body = _prove(inside.aimed(target.right).knowing((target.left, variable)), steps)
        return Function(variable.name, target.left, body)
    if kind is TacticKind.SPLIT:
        first = _prove(here.aimed(target.left), steps)
        return Pair(first, _prove(here.aimed(target.right), steps))
    if kind is TacticKind.LEFT:
        return Side(_prove(here.aimed(target.left), steps), 0, target.right)
    return Side(_prove(here.aimed(target.right), steps), 1, target.left)


def _prove_from(here: _Place, kind: TacticKind, formula: Formula, proof: Proof, steps: Iterator[Tactic]) -> Proof:
    if kind is TacticKind.EXACT:
        return proof
    if kind is TacticKind.ABSURD:
        return Absurd(proof, here.target)
    if kind is TacticKind.DESTRUCT:
        return _prove(here.knowing((formula.left, Part(proof, 0)), (formula.right, Part(proof, 1))), steps)
    if kind is TacticKind.CASES:
        variable, inside = here.bound()
        left = _prove(inside.knowing((formula.left, variable)), steps)
        return Cases(proof, variable.name, left, _prove(inside.knowing((formula.right, variable)), steps))
    argument = _prove(here.aimed(formula.left), steps)
    return _prove(here.knowing((formula.right, Call(proof, argument))), steps)
