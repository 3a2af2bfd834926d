"""A goal as numbers: a node for every formula in it, edges to their parts, and what each node is like.

Equal formulas are one node, so that "its consequent is the goal" is a comparison of two indices.
"""

from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from logic import ARITY, Formula, Goal, TermKind

Floats = NDArray[np.float32]
Indices = NDArray[np.uint32]

# An atom's name is told by a few pseudo-random numbers: other names, other directions.
_NAME_WIDTH: Final = 16
_KINDS: Final = len(TermKind)
FEATURE_WIDTH: Final = _KINDS + 1 + _NAME_WIDTH


class BadGraph(ValueError):
    """Arrays that do not make up a graph."""


@dataclass(frozen=True, eq=False)
class Graph:
    """As `Graph` in proof.capnp; the arrays may be views of a received frame. Raises BadGraph.

    `kinds` (n,) uint16, `features` (n, width) float32, `starts` (n + 1,) and `targets` (edges,) uint32, `premises`
    uint32. Parts are nodes of lower numbers than what they are parts of.
    """

    kinds: NDArray[np.uint16]
    features: Floats
    starts: Indices
    targets: Indices
    goal: int
    premises: Indices

    def __post_init__(self) -> None:
        # They are a peer's, and numpy takes an index that is out of bounds for an error of ours.
        nodes = len(self.kinds)
        if not 0 <= self.goal < nodes or (len(self.premises) and int(self.premises.max()) >= nodes):
            raise BadGraph(f"the goal or a premise is none of the {nodes} nodes")
        if len(self.features) != nodes or len(self.starts) != nodes + 1 or self.starts[0] != 0:
            raise BadGraph("features or edges are not those of the nodes")
        if int(self.kinds.max()) >= _KINDS:
            raise BadGraph(f"a node of the unknown kind {int(self.kinds.max())}")
        if int(self.starts[-1]) != len(self.targets) or not np.array_equal(self.degrees, np.array(ARITY)[self.kinds]):
            raise BadGraph("a node has more or fewer parts than its kind has")
        if (self.targets >= self.sources).any():
            raise BadGraph("a node does not stand behind its parts")

    @property
    def degrees(self) -> NDArray[np.int64]:
        """How many parts each node has."""
        starts = self.starts.astype(np.int64)
        return starts[1:] - starts[:-1]

    @property
    def sources(self) -> NDArray[np.int64]:
        """The node that each edge comes from."""
        return np.repeat(np.arange(len(self.kinds)), self.degrees)

    def parts(self, node: int) -> Indices:
        """The nodes of its parts, in their order."""
        return self.targets[self.starts[node] : self.starts[node + 1]]


def graph_of(goal: Goal) -> Graph:
    """The graph of a goal: its target, and its context's formulas as premises."""
    nodes: dict[Formula, int] = {}
    premises = [_place(formula, nodes) for formula in goal.context]
    target = _place(goal.target, nodes)
    parts = [[nodes[part] for part in formula.parts] for formula in nodes]
    return Graph(
        kinds=np.array([formula.kind for formula in nodes], np.uint16),
        features=_features(list(nodes), parts),
        starts=np.cumsum([0, *map(len, parts)]).astype(np.uint32),
        targets=np.array([part for each in parts for part in each], np.uint32),
        goal=target,
        premises=np.array(premises, np.uint32),
    )


def formulas_of(goal: Goal) -> list[Formula]:
    """The formula of each node of the goal's graph."""
    nodes: dict[Formula, int] = {}
    for formula in (*goal.context, goal.target):
        _place(formula, nodes)
    return list(nodes)


def _place(formula: Formula, nodes: dict[Formula, int]) -> int:
    """The formula's node, made behind those of its parts if it is new."""
    if formula not in nodes:
        for part in formula.parts:
            _place(part, nodes)
        nodes[formula] = len(nodes)
    return nodes[formula]


def _features(formulas: list[Formula], parts: list[list[int]]) -> Floats:
    """A row for each node: its kind, how large it is, and an atom's name."""
    features = np.zeros((len(formulas), FEATURE_WIDTH), np.float32)
    sizes = np.ones(len(formulas))
    for node, formula in enumerate(formulas):
        features[node, formula.kind] = 1.0
        sizes[node] += sizes[parts[node]].sum()
        if formula.kind is TermKind.ATOM:
            features[node, _KINDS + 1 :] = _direction(formula.name)
    features[:, _KINDS] = 1.0 / sizes
    return features


def _direction(name: str) -> Floats:
    # crc32 and not `hash`, which is another one in every process.
    random = np.random.default_rng(crc32(name.encode()))
    direction: Floats = random.standard_normal(_NAME_WIDTH, np.float32) / np.float32(np.sqrt(_NAME_WIDTH))
    return direction
