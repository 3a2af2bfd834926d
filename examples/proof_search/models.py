"""Counter-models: why a formula has no proof.

A Kripke model is a few worlds, of which each sees itself and others. What holds in a world holds in all that it sees;
`A -> B` holds where B holds in every world in sight in which A does. What has a proof holds everywhere, so one world
in which the premises hold and the goal does not shows that there is none (Kripke, 1965). And what has no proof has
such a model, with finitely many worlds: whoever looks for long enough finds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graph import Graph
from logic import Formula, TermKind

Bools = NDArray[np.bool_]

_WORLDS_MAX: Final = 6
# Valuations that are tried at once on one frame of worlds: about a millisecond.
_BATCH: Final = 256


@dataclass(frozen=True, eq=False)
class Model:
    """`sees` (worlds, worlds): whether the row's world sees the column's. `holds` (worlds, nodes of a graph)."""

    sees: Bools
    holds: Bools


def refutes(model: Model, formulas: list[Formula], premises: list[Formula], goal: Formula) -> bool:
    """Whether the model shows that the goal does not follow from the premises.

    `formulas` are those of the graph's nodes. Only what the model says of atoms is believed, the rest is worked out
    here, world by world, by nothing but the definition.
    """
    sees = [frozenset(np.flatnonzero(row).tolist()) for row in model.sees]
    if not sees or not _is_frame(sees):
        return False
    known = {
        formula: frozenset(np.flatnonzero(model.holds[:, node]).tolist())
        for node, formula in enumerate(formulas)
        if formula.kind is TermKind.ATOM
    }
    if any(not sees[world] <= worlds for worlds in known.values() for world in worlds):
        return False
    return all(0 in _worlds_of(each, sees, known) for each in premises) and 0 not in _worlds_of(goal, sees, known)


def _is_frame(sees: list[frozenset[int]]) -> bool:
    """Each world sees itself, and what is seen by those it sees."""
    return all(world in seen and all(sees[other] <= seen for other in seen) for world, seen in enumerate(sees))


def _worlds_of(formula: Formula, sees: list[frozenset[int]], known: dict[Formula, frozenset[int]]) -> frozenset[int]:
    """The worlds in which it holds; `known` says so of the atoms, and keeps what was found."""
    if formula not in known:
        known[formula] = frozenset()
        if formula.kind is not TermKind.FALSEHOOD:
            left, right = (_worlds_of(part, sees, known) for part in formula.parts)
            known[formula] = _combined(formula.kind, left, right, sees)
    return known[formula]


def _combined(
    kind: TermKind, left: frozenset[int], right: frozenset[int], sees: list[frozenset[int]]
) -> frozenset[int]:
    if kind is TermKind.CONJUNCTION:
        return left & right
    if kind is TermKind.DISJUNCTION:
        return left | right
    return frozenset(world for world, seen in enumerate(sees) if seen & left <= right)


def counter_models(graph: Graph) -> Iterator[Model | None]:
    """Goes through models of more and more worlds, over and over, for as long as it is asked: each that refutes the
    goal, and None after every batch without one. The same graph gets the same models.
    """
    random = np.random.default_rng(0)
    for worlds in cycle(range(1, _WORLDS_MAX + 1)):
        sees = _tree(worlds, random)
        holds = _valuations(graph, sees, random)
        wrong = holds[:, 0, graph.premises].all(axis=1) & ~holds[:, 0, graph.goal]
        yield Model(sees, holds[int(wrong.argmax())]) if wrong.any() else None


def _tree(worlds: int, random: np.random.Generator) -> Bools:
    """Which world sees which in a random tree whose root is world 0."""
    sees = np.eye(worlds, dtype=bool)
    for world in range(1, worlds):
        # All that see its parent see it.
        sees[:, world] |= sees[:, random.integers(world)]
    return sees


def _valuations(graph: Graph, sees: Bools, random: np.random.Generator) -> Bools:
    """What holds, (batch, worlds, nodes), for random choices of where each atom does."""
    worlds, nodes = len(sees), len(graph.kinds)
    holds = np.zeros((_BATCH, worlds, nodes), bool)
    # As numbers, since numpy multiplies no matrices of truth values fast. seen_by[v, w]: w is seen by v.
    seen_by = sees.astype(np.float32)
    for node in range(nodes):
        kind = graph.kinds[node]
        if kind == TermKind.ATOM:
            chosen = random.random((_BATCH, worlds)) < 0.5 / worlds + 0.2
            holds[:, :, node] = chosen @ seen_by > 0
            continue
        if kind == TermKind.FALSEHOOD:
            continue
        left, right = (holds[:, :, part] for part in graph.parts(node))
        if kind == TermKind.CONJUNCTION:
            holds[:, :, node] = left & right
        elif kind == TermKind.DISJUNCTION:
            holds[:, :, node] = left | right
        else:
            broken = (left & ~right) @ seen_by.T > 0
            holds[:, :, node] = ~broken
    return holds
