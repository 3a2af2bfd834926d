"""Intuitionistic propositional logic: formulas, goals, and what each tactic makes of a goal.

The rules are those of the sequent calculus G3i, read from the conclusion up. Contexts only ever grow, by parts of what
is there already, so there are finitely many; and a goal knows which targets are being proved in its context, as to come
back to one of them is to go in circles (Howe's history). So every search ends, and one that found nothing has shown
that there is no proof.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Final, NamedTuple


class TermKind(IntEnum):
    """Numbered as in proof.capnp."""

    ATOM = 0
    FALSEHOOD = 1
    CONJUNCTION = 2
    DISJUNCTION = 3
    IMPLICATION = 4


# How many parts a term of each kind has.
ARITY: Final = (0, 0, 2, 2, 2)


class TacticKind(IntEnum):
    """Numbered as in proof.capnp."""

    EXACT = 0
    ABSURD = 1
    ASSUME = 2
    SPLIT = 3
    LEFT = 4
    RIGHT = 5
    DESTRUCT = 6
    CASES = 7
    APPLY = 8


# Those that are about a hypothesis.
ABOUT_A_PREMISE: Final = frozenset(
    {TacticKind.EXACT, TacticKind.ABSURD, TacticKind.DESTRUCT, TacticKind.CASES, TacticKind.APPLY}
)


@dataclass(frozen=True)
class Formula:
    """An atom has a name, `A & B`, `A | B` and `A -> B` have two parts. `~A` is short for `A -> false`."""

    kind: TermKind
    name: str = ""
    parts: tuple["Formula", ...] = ()

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Kept, as the one of a dataclass walks the whole formula with every look into a set.
        return hash((self.kind, self.name, self.parts))

    @cached_property
    def depth(self) -> int:
        """1 for an atom, and one more than the deepest part for what has parts."""
        return 1 + max((part.depth for part in self.parts), default=0)

    @property
    def left(self) -> "Formula":
        return self.parts[0]

    @property
    def right(self) -> "Formula":
        return self.parts[1]

    def __str__(self) -> str:
        return _shown(self, 0)


FALSE: Final = Formula(TermKind.FALSEHOOD)


class Tactic(NamedTuple):
    """A step on a goal. `premise` is the place of the hypothesis that it is about, 0 if it is about none."""

    kind: TacticKind
    premise: int = 0


@dataclass(frozen=True)
class Goal:
    """To prove the target from the context. `tried`: what is being proved in this same context, further out."""

    context: tuple[Formula, ...]
    target: Formula
    tried: frozenset[Formula] = frozenset()


class NotApplicable(ValueError):
    """A tactic that does not fit the goal."""


def safe_tactic(goal: Goal) -> Tactic | None:
    """A step that loses nothing: if the goal has a proof, so has what the step makes of it. None if there is none."""
    target, context, known = goal.target, goal.context, set(goal.context)
    if target in known:
        return Tactic(TacticKind.EXACT, context.index(target))
    if FALSE in known:
        return Tactic(TacticKind.ABSURD, context.index(FALSE))
    if target.kind is TermKind.IMPLICATION:
        return Tactic(TacticKind.ASSUME)
    if target.kind is TermKind.CONJUNCTION:
        return Tactic(TacticKind.SPLIT)
    # One goal before two: what becomes known first may close what would be done twice otherwise.
    for place, formula in enumerate(context):
        if formula.kind is TermKind.CONJUNCTION and not known.issuperset(formula.parts):
            return Tactic(TacticKind.DESTRUCT, place)
        if formula.kind is TermKind.IMPLICATION and formula.left in known and formula.right not in known:
            return Tactic(TacticKind.APPLY, place)
    for place, formula in enumerate(context):
        if formula.kind is TermKind.DISJUNCTION and known.isdisjoint(formula.parts):
            return Tactic(TacticKind.CASES, place)
    return None


def choices(goal: Goal) -> list[Tactic]:
    """All steps on a goal that has no safe one. If none of them leads to a proof there is none."""
    if goal.target in goal.tried:
        return []
    found = []
    if goal.target.kind is TermKind.DISJUNCTION:
        found += [Tactic(TacticKind.LEFT), Tactic(TacticKind.RIGHT)]
    known = set(goal.context)
    for place, formula in enumerate(goal.context):
        if formula.kind is TermKind.IMPLICATION and formula.right not in known and formula.left not in goal.tried:
            found.append(Tactic(TacticKind.APPLY, place))
    return found


def apply(goal: Goal, tactic: Tactic) -> tuple[Goal, ...]:
    """The goals that are left to prove instead of this one. Raises NotApplicable."""
    kind, premise = tactic
    if kind in ABOUT_A_PREMISE:
        if not 0 <= premise < len(goal.context):
            raise NotApplicable(f"{kind.name.lower()}: no hypothesis {premise} among {len(goal.context)}")
        return _apply_to(goal, kind, goal.context[premise])
    target = goal.target
    if kind is TacticKind.ASSUME and target.kind is TermKind.IMPLICATION:
        return (_grown(goal, [target.left], target.right),)
    if kind is TacticKind.SPLIT and target.kind is TermKind.CONJUNCTION:
        return (_aimed(goal, target.left), _aimed(goal, target.right))
    if kind is TacticKind.LEFT and target.kind is TermKind.DISJUNCTION:
        return (_aimed(goal, target.left),)
    if kind is TacticKind.RIGHT and target.kind is TermKind.DISJUNCTION:
        return (_aimed(goal, target.right),)
    raise NotApplicable(f"{kind.name.lower()} does not fit the target {target}")


def _apply_to(goal: Goal, kind: TacticKind, formula: Formula) -> tuple[Goal, ...]:
    target = goal.target
    if kind is TacticKind.EXACT and formula == target:
        return ()
    if kind is TacticKind.ABSURD and formula == FALSE:
        return ()
    if kind is TacticKind.DESTRUCT and formula.kind is TermKind.CONJUNCTION:
        return (_grown(goal, formula.parts, target),)
    if kind is TacticKind.CASES and formula.kind is TermKind.DISJUNCTION:
        return (_grown(goal, [formula.left], target), _grown(goal, [formula.right], target))
    if kind is TacticKind.APPLY and formula.kind is TermKind.IMPLICATION:
        return (_aimed(goal, formula.left), _grown(goal, [formula.right], target))
    raise NotApplicable(f"{kind.name.lower()} does not fit the hypothesis {formula}")


def _aimed(goal: Goal, target: Formula) -> Goal:
    """In the same context at another target."""
    return Goal(goal.context, target, goal.tried | {goal.target})


def _grown(goal: Goal, added: Iterable[Formula], target: Formula) -> Goal:
    """With more hypotheses. What was tried with fewer may be tried again."""
    context = with_new(goal.context, added)
    return Goal(context, target) if len(context) > len(goal.context) else _aimed(goal, target)


def with_new(context: tuple[Formula, ...], added: Iterable[Formula]) -> tuple[Formula, ...]:
    """The context with those behind it that it does not have yet."""
    for formula in added:
        if formula not in context:
            context = (*context, formula)
    return context


# Text.

_TOKEN: Final = re.compile(r"->|[~&|()]|[^\W\d]\w*|(?P<unknown>\S)")
# By how tightly they bind; implication is the only one that is read from the right.
_CONNECTIVES: Final = {"->": (1, TermKind.IMPLICATION), "|": (2, TermKind.DISJUNCTION), "&": (3, TermKind.CONJUNCTION)}
_SYMBOLS: Final = {kind: (level, symbol) for symbol, (level, kind) in _CONNECTIVES.items()}
_TIGHTEST: Final = 4
# Of formulas and of brackets, so that what calls itself for the parts never runs out of stack.
DEPTH_MAX: Final = 100


@dataclass(frozen=True)
class _Tokens:
    """A text in pieces, behind the last of which is an empty one; `ends` has the place behind each in the text."""

    text: str
    words: list[str]
    ends: list[int]

    def wrong(self, what: str, at: int) -> ValueError:
        """What is wrong with token `at`, and where it stands."""
        return ValueError(f"{what} behind {self.text[: self.ends[at - 1]]!r}" if at else f"{what} at the beginning")


def parse(text: str) -> Formula:
    """A formula as people write it: `(a -> b) & ~c -> a | false`. Raises ValueError that says where it is none."""
    tokens = _tokens(text)
    formula, at = _read(tokens, 0, 1, 0)
    if formula.depth > DEPTH_MAX:
        raise ValueError(f"nested more than {DEPTH_MAX} deep")
    if word := tokens.words[at]:
        raise tokens.wrong(f"{word!r} is not expected", at)
    return formula


def _tokens(text: str) -> _Tokens:
    found = list(_TOKEN.finditer(text))
    for token in found:
        if token["unknown"]:
            raise ValueError(f"{token[0]!r} is not understood, character {token.start() + 1} of {text!r}")
    return _Tokens(text, [*(token[0] for token in found), ""], [token.end() for token in found])


def _read(tokens: _Tokens, at: int, level: int, depth: int) -> tuple[Formula, int]:
    """The formula that begins with token `at` and whose connectives bind at least so tightly, and the token behind."""
    if depth > DEPTH_MAX:
        raise ValueError(f"nested more than {DEPTH_MAX} deep")
    left, at = _read_unary(tokens, at, depth)
    while (found := _CONNECTIVES.get(tokens.words[at])) is not None and found[0] >= level:
        inner, kind = found
        right, at = _read(tokens, at + 1, inner if kind is TermKind.IMPLICATION else inner + 1, depth + 1)
        left = Formula(kind, parts=(left, right))
    return left, at


def _read_unary(tokens: _Tokens, at: int, depth: int) -> tuple[Formula, int]:
    word = tokens.words[at]
    if word == "~":
        inner, at = _read(tokens, at + 1, _TIGHTEST, depth + 1)
        return Formula(TermKind.IMPLICATION, parts=(inner, FALSE)), at
    if word == "(":
        inner, at = _read(tokens, at + 1, 1, depth + 1)
        if tokens.words[at] != ")":
            raise tokens.wrong("')' is missing", at)
        return inner, at + 1
    if not word.isidentifier():
        raise tokens.wrong("a formula is missing", at)
    return (FALSE if word == "false" else Formula(TermKind.ATOM, word)), at + 1


def _shown(formula: Formula, level: int) -> str:
    if formula.kind is TermKind.ATOM:
        return formula.name
    if formula == FALSE:
        return "false"
    if formula.kind is TermKind.IMPLICATION and formula.right == FALSE:
        return f"~{_shown(formula.left, _TIGHTEST)}"
    inner, symbol = _SYMBOLS[formula.kind]
    implies = formula.kind is TermKind.IMPLICATION
    left, right = _shown(formula.left, inner + implies), _shown(formula.right, inner + (not implies))
    text = f"{left} {symbol} {right}"
    return f"({text})" if inner < level else text
