"""To and from the messages of proof.capnp: nothing outside of this module knows how a goal or a graph is written.

The structs are the generated ones, so that a type checker knows their fields. Arrays stay where they were received.
What does not make sense raises BadBody, and SchemaMismatch if it is of a version that means something else.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

import numpy as np

from graph import Floats, Graph
from hootbus.schemas import CapnpBody, write_struct
from hootbus.workers import BadBody, SchemaMismatch
from hootbus.workers.standard import proof_capnp, proof_types
from logic import ARITY, DEPTH_MAX, Formula, Goal, Tactic, TacticKind, TermKind
from models import Model

# What this program means by the fields; other meanings have other numbers (proof.capnp).
VERSION: Final = 1
# The versions of the service that are spoken here, by their majors: what a client asks for by `hello` before all else.
MAJORS: Final = {VERSION: 0}
ROUNDS_MAX: Final = 64
_TACTIC_KINDS: Final = frozenset(map(int, TacticKind))

Stated: TypeAlias = (
    proof_capnp.ProofState
    | proof_capnp.EmbeddingRequest
    | proof_capnp.EmbeddingResponse
    | proof_capnp.RankingRequest
    | proof_capnp.RankingResponse
    | proof_capnp.Suggestion
    | proof_capnp.RefutationRequest
    | proof_capnp.CounterModel
)


def _check_version(message: Stated) -> None:
    if message.schemaVersion != VERSION:
        raise SchemaMismatch(f"version {message.schemaVersion} of the proof schema; here it is {VERSION}")


@contextmanager
def _judged(where: str = "") -> Iterator[None]:
    """What goes wrong in here is the body's fault: it is malformed, or a number is out of bounds."""
    try:
        yield
    except ValueError as error:
        raise BadBody(f"{where}: {error}" if where else str(error)) from error


# Embedding and ranking: arrays.


def embedding_request(graph: Graph, rounds: int) -> CapnpBody:
    return write_struct(proof_capnp.EmbeddingRequest, schemaVersion=VERSION, graph=_graph_fields(graph), rounds=rounds)


def read_embedding_request(request: proof_capnp.EmbeddingRequest) -> tuple[Graph, int]:
    _check_version(request)
    if request.rounds > ROUNDS_MAX:
        raise BadBody(f"{request.rounds} rounds, more than {ROUNDS_MAX}")
    return _read_graph(request.graph), request.rounds


def embedding_response(embeddings: Floats) -> CapnpBody:
    return write_struct(
        proof_capnp.EmbeddingResponse,
        schemaVersion=VERSION,
        width=embeddings.shape[1],
        embeddings=embeddings.ravel(),
    )


def read_embedding_response(response: proof_capnp.EmbeddingResponse, graph: Graph) -> Floats:
    """A row for each node of the graph that was sent."""
    _check_version(response)
    return _read_embeddings(response, graph)


def ranking_request(graph: Graph, embeddings: Floats) -> CapnpBody:
    return write_struct(
        proof_capnp.RankingRequest,
        schemaVersion=VERSION,
        graph=_graph_fields(graph),
        width=embeddings.shape[1],
        embeddings=embeddings.ravel(),
    )


def read_ranking_request(request: proof_capnp.RankingRequest) -> tuple[Graph, Floats]:
    _check_version(request)
    graph = _read_graph(request.graph)
    return graph, _read_embeddings(request, graph)


def ranking_response(scores: Floats) -> CapnpBody:
    return write_struct(proof_capnp.RankingResponse, schemaVersion=VERSION, scores=scores)


def read_ranking_response(response: proof_capnp.RankingResponse, graph: Graph) -> Floats:
    """A score for each premise of the graph that was sent."""
    _check_version(response)
    with _judged("scores"):
        scores: Floats = np.asarray(response.scores)
    if len(scores) != len(graph.premises):
        raise BadBody(f"{len(scores)} scores for {len(graph.premises)} premises")
    return scores


# Refutation: a graph, and a model of it.


def refutation_request(graph: Graph) -> CapnpBody:
    return write_struct(proof_capnp.RefutationRequest, schemaVersion=VERSION, graph=_graph_fields(graph))


def read_refutation_request(request: proof_capnp.RefutationRequest) -> Graph:
    _check_version(request)
    return _read_graph(request.graph)


def counter_model(model: Model) -> CapnpBody:
    return write_struct(
        proof_capnp.CounterModel,
        schemaVersion=VERSION,
        worlds=len(model.sees),
        sees=model.sees.astype(np.uint8).ravel(),
        holds=model.holds.astype(np.uint8).ravel(),
    )


def read_counter_model(found: proof_capnp.CounterModel, graph: Graph) -> Model:
    """A model that says something of each node of the graph that was sent."""
    _check_version(found)
    with _judged():
        sees = np.asarray(found.sees).reshape(found.worlds, found.worlds)
        holds = np.asarray(found.holds).reshape(found.worlds, len(graph.kinds))
        return Model(sees != 0, holds != 0)


# Suggestions: states and tactics, which are small.


def proof_state(goals: Sequence[Goal]) -> proof_types.ProofState:
    terms: dict[Formula, int] = {}
    written = [_goal(goal, terms) for goal in goals]
    return proof_types.ProofState(schemaVersion=VERSION, terms=[_term(each, terms) for each in terms], goals=written)


def read_proof_state(state: proof_capnp.ProofState) -> tuple[Goal, ...]:
    _check_version(state)
    with _judged():
        terms = _read_terms(state.terms)
        return tuple(_read_goal(goal, terms) for goal in state.goals)


def suggestion(tactic: Tactic, score: float) -> proof_types.Suggestion:
    kind = proof_types.Tactic(schemaVersion=VERSION, kind=tactic.kind, premise=tactic.premise)
    return proof_types.Suggestion(schemaVersion=VERSION, tactic=kind, score=score)


def read_suggestion(suggested: proof_capnp.Suggestion) -> tuple[Tactic, float] | None:
    """A tactic and its score; None for a tactic of a kind that only newer peers know."""
    _check_version(suggested)
    with _judged():
        tactic = suggested.tactic
        if tactic.kind not in _TACTIC_KINDS:
            return None
        return Tactic(TacticKind(tactic.kind), tactic.premise), suggested.score


# Graphs, rows, terms and goals, which are parts of messages.


def _graph_fields(graph: Graph) -> Mapping[str, object]:
    return {
        "nodeKinds": graph.kinds,
        "featureWidth": graph.features.shape[1],
        "features": graph.features.ravel(),
        "edgeStarts": graph.starts,
        "edgeTargets": graph.targets,
        "goal": graph.goal,
        "premises": graph.premises,
    }


def _read_graph(graph: proof_capnp.Graph) -> Graph:
    with _judged("graph"):
        return Graph(
            kinds=np.asarray(graph.nodeKinds),
            features=np.asarray(graph.features).reshape(-1, graph.featureWidth),
            starts=np.asarray(graph.edgeStarts),
            targets=np.asarray(graph.edgeTargets),
            goal=graph.goal,
            premises=np.asarray(graph.premises),
        )


def _read_embeddings(message: proof_capnp.EmbeddingResponse | proof_capnp.RankingRequest, graph: Graph) -> Floats:
    with _judged("embeddings"):
        rows: Floats = np.asarray(message.embeddings).reshape(-1, message.width)
    if len(rows) != len(graph.kinds):
        raise BadBody(f"{len(rows)} embeddings for {len(graph.kinds)} nodes")
    return rows


def _goal(goal: Goal, terms: dict[Formula, int]) -> proof_types.Goal:
    hypotheses = [
        proof_types.Hypothesis(name=f"h{place}", term=_index(term, terms)) for place, term in enumerate(goal.context)
    ]
    return proof_types.Goal(
        context=proof_types.Context(hypotheses=hypotheses),
        target=_index(goal.target, terms),
        tried=sorted(_index(term, terms) for term in goal.tried),
    )


def _index(formula: Formula, terms: dict[Formula, int]) -> int:
    if formula not in terms:
        for part in formula.parts:
            _index(part, terms)
        terms[formula] = len(terms)
    return terms[formula]


def _term(formula: Formula, terms: Mapping[Formula, int]) -> proof_types.Term:
    return proof_types.Term(kind=formula.kind, name=formula.name, parts=[terms[part] for part in formula.parts])


def _read_terms(terms: Sequence[proof_capnp.Term]) -> list[Formula]:
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


def _read_goal(goal: proof_capnp.Goal, terms: Sequence[Formula]) -> Goal:
    return Goal(
        context=tuple(_picked(terms, hypothesis.term) for hypothesis in goal.context.hypotheses),
        target=_picked(terms, goal.target),
        tried=frozenset(_picked(terms, place) for place in goal.tried),
    )


def _picked(terms: Sequence[Formula], place: int) -> Formula:
    if place >= len(terms):
        raise ValueError(f"there is no term {place}; those to be named here are {len(terms)}")
    return terms[place]
