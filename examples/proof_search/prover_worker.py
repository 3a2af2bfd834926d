"""The advisers, all of them one service: `hoot worker -n 2 prover_worker:worker` in this folder."""

from collections.abc import Iterator

import messages
from graph import graph_of
from hootbus.schemas import CapnpBody
from hootbus.workers import BadBody, Cancelled, Request, speak_majors
from hootbus.workers.standard.proof_bus import ProverWorker
from hootbus.workers.standard.proof_capnp import EmbeddingRequest, Prover, RankingRequest, RefutationRequest
from hootbus.workers.standard.proof_types import Suggestion
from models import counter_models
from ranking import embed, rank, scored


class Advisers(ProverWorker):
    """`Prover` of proof.capnp. Its library also takes JSON, and answers with it."""

    def embed(self, body: EmbeddingRequest, request: Request) -> CapnpBody:
        graph, rounds = messages.read_embedding_request(body)
        return messages.embedding_response(embed(graph, rounds))

    def rank(self, body: RankingRequest, request: Request) -> CapnpBody:
        graph, embeddings = messages.read_ranking_request(body)
        return messages.ranking_response(rank(graph, embeddings))

    def suggest(self, body: Prover.SuggestParams, request: Request) -> Iterator[Suggestion]:
        goals = messages.read_proof_state(body.state)
        if not goals:
            raise BadBody("a state without goals: nothing is left to suggest")
        graph = graph_of(goals[0])
        for tactic, score in scored(goals[0], rank(graph, embed(graph))):
            yield messages.suggestion(tactic, score)

    def refute(self, body: RefutationRequest, request: Request) -> CapnpBody:
        for model in counter_models(messages.read_refutation_request(body)):
            if model is not None:
                return messages.counter_model(model)
            if request.cancelled:
                break
        # Nobody waits for this any more: the client has cancelled, or the deadline is over.
        raise Cancelled("it was not refuted in time")


# Those that look for counter-models keep their slots until somebody stops them; the others must not wait for that.
# A state is gone through as a whole, so it is checked before: what is shared may be far more than its bytes.
worker = Advisers().new_worker(slots=16, validate="on")
speak_majors(worker, messages.MAJORS)


@worker.method
def stats() -> dict[str, int]:
    """What the worker has counted; `cancelled` are the requests that it was told to stop."""
    counted = worker.stats()
    return {"requests": counted.requests, "cancelled": counted.cancelled, "copied": counted.copied}


if __name__ == "__main__":
    worker.run()
