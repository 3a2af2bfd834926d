"""The advisers, all of them one service: `hoot worker -n 2 prover_worker:worker` in this folder."""

from collections.abc import Iterator

import messages
from graph import graph_of
from hootbus.workers import BadBody, Request, Worker
from models import counter_models
from ranking import embed as embeddings_of
from ranking import rank as scores_of
from ranking import scored

# Those that look for counter-models keep theirs until somebody stops them; the others must not wait for that.
worker = Worker("prover", slots=16)


@worker.method
def embed(request: Request) -> object:
    graph, rounds = messages.read_embedding_request(request)
    return messages.embedding_response(messages.form_of(request), embeddings_of(graph, rounds))


@worker.method
def rank(request: Request) -> object:
    graph, embeddings = messages.read_ranking_request(request)
    return messages.ranking_response(messages.form_of(request), scores_of(graph, embeddings))


@worker.method
def suggest(request: Request) -> Iterator[object]:
    goals = messages.read_proof_state(request)
    if not goals:
        raise BadBody("a state without goals: nothing is left to suggest")
    graph = graph_of(goals[0])
    for tactic, score in scored(goals[0], scores_of(graph, embeddings_of(graph))):
        yield messages.suggestion(messages.form_of(request), tactic, score)


@worker.method
def refute(request: Request) -> object:
    for model in counter_models(messages.read_refutation_request(request)):
        if model is not None:
            return messages.counter_model(messages.form_of(request), model)
        if request.cancelled:
            break
    # Nobody waits for this any more: the client has cancelled, or the deadline is over.
    return None


@worker.method
def stats() -> dict[str, int]:
    """What the worker has counted; `cancelled` are the requests that it was told to stop."""
    counted = worker.stats()
    return {"requests": counted.requests, "cancelled": counted.cancelled, "copied": counted.copied}


if __name__ == "__main__":
    worker.run()
