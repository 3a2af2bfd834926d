"""What goes over the bus, in both of its forms: Cap'n Proto, and JSON for who wants to look.

Both have the same fields under the same names, those of proof.capnp, so a message is written from one dict of them,
whatever its form. They are read through `_Body`, which knows the two apart; Cap'n Proto's arrays stay where they were
received. Nothing outside of this module knows of either form. What does not make sense is answered `bad_body`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
import numpy as np
from numpy.typing import DTypeLike, NDArray

from graph import Floats, Graph
from hootbus.schemas import StructType, standard, write_struct
from hootbus.workers import BadBody, Reply, Request, SchemaMismatch
from logic import ARITY, DEPTH_MAX, Formula, Goal, Tactic, TacticKind, TermKind
from models import Model

Received: TypeAlias = Request | Reply
Fields: TypeAlias = Mapping[str, Any]
Kind = TypeVar("Kind")

# What this program means by the fields; other meanings have other numbers (proof.capnp).
VERSION: Final = 1
ROUNDS_MAX: Final = 64
_TACTIC_KINDS: Final = frozenset(map(int, TacticKind))


class Form(Enum):
    """How bodies are written. Whoever answers does it in the form in which it was asked."""

    CAPNP = "capnp"
    JSON = "json"


def form_of(received: Received) -> Form:
    return Form.JSON if received.content_type.name == "JSON" else Form.CAPNP


# Embedding and ranking: arrays.


def embedding_request(form: Form, graph: Graph, rounds: int) -> object:
    return _written(form, standard.proof.EmbeddingRequest, graph=_graph_fields(graph), rounds=rounds)


def read_embedding_request(received: Received) -> tuple[Graph, int]:
    body = _Body(received, standard.proof.EmbeddingRequest)
    graph, rounds = body.graph(), body.number("rounds")
    if rounds > ROUNDS_MAX:
        raise BadBody(f"{rounds} rounds, more than {ROUNDS_MAX}")
    return graph, rounds


def embedding_response(form: Form, embeddings: Floats) -> object:
    return _written(form, standard.proof.EmbeddingResponse, **_rows_fields(embeddings))


def read_embedding_response(received: Received, graph: Graph) -> Floats:
    """A row for each node of the graph that was sent."""
    return _Body(received, standard.proof.EmbeddingResponse).embeddings(graph)


def ranking_request(form: Form, graph: Graph, embeddings: Floats) -> object:
    return _written(form, standard.proof.RankingRequest, graph=_graph_fields(graph), **_rows_fields(embeddings))


def read_ranking_request(received: Received) -> tuple[Graph, Floats]:
    body = _Body(received, standard.proof.RankingRequest)
    graph = body.graph()
    return graph, body.embeddings(graph)


def ranking_response(form: Form, scores: Floats) -> object:
    return _written(form, standard.proof.RankingResponse, scores=scores)


def read_ranking_response(received: Received, graph: Graph) -> Floats:
    """A score for each premise of the graph that was sent."""
    scores = _Body(received, standard.proof.RankingResponse).array("scores", np.float32)
    if len(scores) != len(graph.premises):
        raise BadBody(f"{len(scores)} scores for {len(graph.premises)} premises")
    return scores


# Refutation: a graph, and a model of it.


def refutation_request(form: Form, graph: Graph) -> object:
    return _written(form, standard.proof.RefutationRequest, graph=_graph_fields(graph))


def read_refutation_request(received: Received) -> Graph:
    return _Body(received, standard.proof.RefutationRequest).graph()


def counter_model(form: Form, model: Model) -> object:
    sees, holds = (part.astype(np.uint8).ravel() for part in (model.sees, model.holds))
    return _written(form, standard.proof.CounterModel, worlds=len(model.sees), sees=sees, holds=holds)


def read_counter_model(received: Received, graph: Graph) -> Model:
    """A model that says something of each node of the graph that was sent."""
    body = _Body(received, standard.proof.CounterModel)
    worlds = body.number("worlds")
    with _judged():
        sees = body.array("sees", np.uint8).reshape(worlds, worlds)
        return Model(sees != 0, body.array("holds", np.uint8).reshape(worlds, len(graph.kinds)) != 0)


# Suggestions: states and tactics, which are small, so they are read as plain values.


def proof_state(form: Form, goals: Sequence[Goal]) -> object:
    terms: dict[Formula, int] = {}
    goal_fields = [_goal_fields(goal, terms) for goal in goals]
    return _written(
        form, standard.proof.ProofState, terms=[_term_fields(term, terms) for term in terms], goals=goal_fields
    )


def read_proof_state(received: Received) -> tuple[Goal, ...]:
    state = _Body(received, standard.proof.ProofState).fields(_StateFields)
    with _judged():
        terms = _read_terms(state.terms)
        return tuple(_read_goal(goal, terms) for goal in state.goals)


def suggestion(form: Form, tactic: Tactic, score: float) -> object:
    fields = {"schemaVersion": VERSION, "kind": int(tactic.kind), "premise": tactic.premise}
    return _written(form, standard.proof.Suggestion, tactic=fields, score=float(np.float32(score)))


def read_suggestion(received: Received) -> tuple[Tactic, float] | None:
    """A tactic and its score; None for a tactic of a kind that only newer peers know."""
    suggested = _Body(received, standard.proof.Suggestion).fields(_SuggestionFields)
    tactic = suggested.tactic
    if tactic.kind not in _TACTIC_KINDS:
        return None
    return Tactic(TacticKind(tactic.kind), tactic.premise), suggested.score


# The two forms.


def _written(form: Form, struct: StructType, **fields: object) -> object:
    fields = {"schemaVersion": VERSION, **fields}
    return fields if form is Form.JSON else write_struct(struct, **fields)


class _Body:
    """A received body of either form. Raises BadBody, and SchemaMismatch for a version that is not known here."""

    def __init__(self, received: Received, struct: StructType) -> None:
        self._received = received
        self._struct = struct
        self._is_json = form_of(received) is Form.JSON
        self._root: Any = received.json(dict[str, Any]) if self._is_json else received.capnp(struct)
        version = self.number("schemaVersion")
        if version != VERSION:
            raise SchemaMismatch(f"version {version} of the proof schema; here it is {VERSION}")

    def number(self, path: str) -> int:
        found = self._at(path)
        if type(found) is not int or found < 0:
            raise BadBody(f"{path}: not a count")
        return found

    def array(self, path: str, dtype: DTypeLike) -> NDArray[Any]:
        """Over the received frame, or from JSON's numbers the same as they would be there."""
        if not self._is_json:
            return self._received.array(path, self._struct)
        with _judged(path):
            return np.array(self._at(path), dtype).reshape(-1)

    def rows(self, path: str, width_path: str) -> Floats:
        numbers, width = self.array(path, np.float32), self.number(width_path)
        with _judged(path):
            return numbers.reshape(-1, width)

    def embeddings(self, graph: Graph) -> Floats:
        rows = self.rows("embeddings", "width")
        if len(rows) != len(graph.kinds):
            raise BadBody(f"{len(rows)} embeddings for {len(graph.kinds)} nodes")
        return rows

    def graph(self) -> Graph:
        with _judged("graph"):
            return Graph(
                kinds=self.array("graph.nodeKinds", np.uint16),
                features=self.rows("graph.features", "graph.featureWidth"),
                starts=self.array("graph.edgeStarts", np.uint32),
                targets=self.array("graph.edgeTargets", np.uint32),
                goal=self.number("graph.goal"),
                premises=self.array("graph.premises", np.uint32),
            )

    def fields(self, kind: type[Kind]) -> Kind:
        """All of it as plain values."""
        with _judged():
            return msgspec.convert(self._root if self._is_json else self._root.to_dict(), kind)

    def _at(self, path: str) -> Any:  # noqa: ANN401  # whatever is there
        found = self._root
        for name in path.split("."):
            if not self._is_json:
                found = getattr(found, name)
            elif isinstance(found, dict) and name in found:
                found = found[name]
            else:
                raise BadBody(f"{path}: it is missing")
        return found


@contextmanager
def _judged(where: str = "") -> Iterator[None]:
    """What goes wrong in here is the body's fault: a field that is missing, of another kind, or out of bounds."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise BadBody(f"{where}: {error}" if where else str(error)) from error


# Graphs, rows, terms and goals as fields, and back.


def _graph_fields(graph: Graph) -> Fields:
    return {
        "nodeKinds": graph.kinds,
        "featureWidth": graph.features.shape[1],
        "features": graph.features.ravel(),
        "edgeStarts": graph.starts,
        "edgeTargets": graph.targets,
        "goal": graph.goal,
        "premises": graph.premises,
    }


def _rows_fields(rows: Floats) -> Fields:
    return {"width": rows.shape[1], "embeddings": rows.ravel()}


def _goal_fields(goal: Goal, terms: dict[Formula, int]) -> Fields:
    hypotheses = [{"name": f"h{place}", "term": _index(term, terms)} for place, term in enumerate(goal.context)]
    return {
        "context": {"hypotheses": hypotheses},
        "target": _index(goal.target, terms),
        "tried": sorted(_index(term, terms) for term in goal.tried),
    }


def _index(formula: Formula, terms: dict[Formula, int]) -> int:
    if formula not in terms:
        for part in formula.parts:
            _index(part, terms)
        terms[formula] = len(terms)
    return terms[formula]


def _term_fields(formula: Formula, terms: Mapping[Formula, int]) -> Fields:
    return {"kind": int(formula.kind), "name": formula.name, "parts": [terms[part] for part in formula.parts]}


Place: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _TermFields(msgspec.Struct):
    kind: int
    name: str = ""
    parts: list[Place] = []


class _HypothesisFields(msgspec.Struct):
    term: Place


class _ContextFields(msgspec.Struct):
    hypotheses: list[_HypothesisFields] = []


class _GoalFields(msgspec.Struct):
    target: Place
    context: _ContextFields = msgspec.field(default_factory=_ContextFields)
    tried: list[Place] = []


class _StateFields(msgspec.Struct):
    terms: list[_TermFields] = []
    goals: list[_GoalFields] = []


class _TacticFields(msgspec.Struct):
    kind: int
    premise: Place = 0


class _SuggestionFields(msgspec.Struct):
    tactic: _TacticFields
    score: float


def _read_terms(terms: Sequence[_TermFields]) -> list[Formula]:
    formulas: list[Formula] = []
    # Terms that share their parts would be far larger if they were written out: equal ones are the same object, for
    # else a comparison would walk all of them.
    same: dict[Formula, Formula] = {}
    for term in terms:
        kind = TermKind(term.kind)
        parts = tuple(_picked(formulas, place) for place in term.parts)
        formula = Formula(kind, term.name, parts)
        if len(parts) != ARITY[kind] or formula.depth > DEPTH_MAX:
            raise ValueError(f"term {len(formulas)} has {len(parts)} parts and is {formula.depth} deep")
        formulas.append(same.setdefault(formula, formula))
    return formulas


def _read_goal(goal: _GoalFields, terms: Sequence[Formula]) -> Goal:
    return Goal(
        context=tuple(_picked(terms, hypothesis.term) for hypothesis in goal.context.hypotheses),
        target=_picked(terms, goal.target),
        tried=frozenset(_picked(terms, place) for place in goal.tried),
    )


def _picked(terms: Sequence[Formula], place: int) -> Formula:
    if place >= len(terms):
        raise ValueError(f"there is no term {place}; those to be named here are {len(terms)}")
    return terms[place]
