"""What the advisers compute: embeddings of a graph's nodes, and from them how useful each premise is for the goal."""

from typing import Final

import numpy as np

from graph import Floats, Graph
from logic import Goal, Tactic, TacticKind, TermKind, choices

# How far the features of a formula's parts, and of what it is part of, get.
ROUNDS: Final = 3
# A node keeps so much of what it was, and takes the rest from its neighbours.
_KEPT: Final = 0.6

# What speaks for a premise, by hand: this is where a trained model would have its weights.
_BIAS: Final = -1.5
_ALIKE: Final = 1.5  # its conclusion is like the goal, from -1 to 1
_CONCLUDES: Final = 2.0  # its conclusion is the goal itself
_CLOSES: Final = 1.0  # its conclusion is falsehood: nothing else would be left to prove
_EASY: Final = 1.5  # how small its antecedent is, from 0 to 1
_CIRCULAR: Final = -2.0  # its antecedent is the goal
# A disjunction's sides compete with the premises.
_SIDE_SCORE: Final = 0.45


def embed(graph: Graph, rounds: int = ROUNDS) -> Floats:
    """A row of length 1 for each node, (n, width): what it is like, and what is around it."""
    sources, targets = graph.sources, graph.targets.astype(np.int64)
    neighbours = np.bincount(sources, minlength=len(graph.kinds)) + np.bincount(targets, minlength=len(graph.kinds))
    share = (1.0 / np.maximum(neighbours, 1)).astype(np.float32)[:, None]
    rows = _unit(graph.features)
    for _ in range(rounds):
        heard = np.zeros_like(rows)
        np.add.at(heard, sources, rows[targets])
        np.add.at(heard, targets, rows[sources])
        rows = _unit(_KEPT * rows + (1.0 - _KEPT) * share * heard)
    return rows


def rank(graph: Graph, embeddings: Floats) -> Floats:
    """A score from 0 to 1 for each premise: how likely it is that to apply it leads to a proof of the goal."""
    scores = np.zeros(len(graph.premises), np.float32)
    implications = graph.kinds[graph.premises] == TermKind.IMPLICATION
    if not implications.any():
        return scores
    # An implication has two edges, from its first one on.
    first = graph.starts[graph.premises[implications]]
    antecedents, conclusions = graph.targets[first], graph.targets[first + 1]
    logits = (
        _BIAS
        + _ALIKE * (embeddings[conclusions] @ embeddings[graph.goal])
        + _CONCLUDES * (conclusions == graph.goal)
        + _CLOSES * (graph.kinds[conclusions] == TermKind.FALSEHOOD)
        + _EASY * graph.features[antecedents, len(TermKind)]
        + _CIRCULAR * (antecedents == graph.goal)
    )
    scores[implications] = 1.0 / (1.0 + np.exp(-logits))
    return scores


def scored(goal: Goal, scores: Floats) -> list[tuple[Tactic, float]]:
    """The goal's tactics, the best first, by the scores of its premises."""
    found = [
        (tactic, float(scores[tactic.premise]) if tactic.kind is TacticKind.APPLY else _SIDE_SCORE)
        for tactic in choices(goal)
    ]
    return sorted(found, key=lambda each: -each[1])


def _unit(rows: Floats) -> Floats:
    lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    unit: Floats = rows / np.maximum(lengths, np.float32(1e-9))
    return unit
