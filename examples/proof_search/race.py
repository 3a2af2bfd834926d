"""Several ways to settle a conjecture, tried at once; when one of them has won, the others are called off.

There are two ways to find a proof and one to find out that there is none. Before they begin, a glance: many a wrong
conjecture has a small counter-model, which is found in no time. For a theorem there is none, so the glance ends by its
deadline; that it timed out is no failure, and something else than being called off.

The searches go in step, and of answers that come together the first branch's counts first. So it does not depend on
who happens to be faster which proof is found.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

import messages
from checker import Proof, check
from graph import formulas_of, graph_of
from hootbus.workers import DeadlineExceeded
from hootbus.workers.standard.proof_bus import AsyncProverClient
from logic import Formula, Goal, Tactic
from models import Model, refutes
from ranking import ROUNDS, scored
from scripts import Script, proof_of
from search import Order, Search, State

Scores: TypeAlias = dict[Tactic, float]
Adviser: TypeAlias = Callable[[AsyncProverClient, State, float], Awaitable[Scores]]
# Told how many states have been asked about.
Watcher: TypeAlias = Callable[[int], None]


@dataclass(frozen=True)
class Patience:
    """Seconds: for the glance, for the advice on one state, for all that follows the glance, and between two signs of
    life.
    """

    glance_s: float = 0.1
    advice_s: float = 10.0
    limit_s: float = 60.0
    sign_s: float = 5.0


PATIENCE: Final = Patience()


class Outcome(Enum):
    """How a branch ended."""

    WON = "won"
    EXHAUSTED = "exhausted"  # has shown that there is no proof
    REFUTED = "refuted"  # has found a counter-model
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"


@dataclass
class Branch:
    """One way to find a proof: in which order, and on whose advice."""

    name: str
    search: Search
    advise: Adviser
    outcome: Outcome | None = None


@dataclass
class Verdict:
    """What is known of a conjecture in the end. Proof and counter-model were checked; it has one of them, or neither.

    `asked` is the number of states that the branch which decided it has asked about; `outcomes` has all branches.
    `gave_up` says why the search has not come to an end, if it has not.
    """

    conjecture: Formula
    script: Script = ()
    proof: Proof | None = None
    exhausted: bool = False
    counter_model: Model | None = None
    asked: int = 0
    gave_up: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    @property
    def refuted(self) -> bool:
        """Whether it is known to have no proof."""
        return self.exhausted or self.counter_model is not None

    @property
    def settled(self) -> bool:
        return self.proof is not None or self.refuted


class WrongModel(Exception):
    """What was sent as a counter-model is none."""


async def settle(
    prover: AsyncProverClient, conjecture: Formula, patience: Patience = PATIENCE, watch: Watcher = lambda _: None
) -> Verdict:
    """Proves the conjecture or shows that it has no proof, if it can in time; `watch` gets the signs of life.

    Raises a HootError if the advisers fail, and WrongModel if what they send as a counter-model is none.
    """
    verdict = Verdict(conjecture)
    await _refute("glance", prover, verdict, patience.glance_s)
    branches = [
        Branch("deep", Search(conjecture, Order.DEEP), suggested),
        Branch("best", Search(conjecture, Order.BEST), ranked),
    ]
    watching = asyncio.create_task(_watch(branches, watch, patience.sign_s))
    refuter = None
    if verdict.counter_model is None:
        refuter = asyncio.create_task(_refute("refuter", prover, verdict, patience.limit_s))
    try:
        in_time = await _race_in_time(prover, branches, patience)
        _conclude(verdict, branches)
        if refuter is not None and (verdict.exhausted or not in_time or refuter.done()):
            # What has no proof has a counter-model, which says more than that nothing was found. And at the limit the
            # refuter's time is over, too.
            await refuter
        if verdict.proof is None and not verdict.exhausted:
            silence = f"as its advisers were silent for {patience.advice_s:g} s"
            verdict.gave_up = silence if in_time else f"within {patience.limit_s:g} s"
    finally:
        if refuter is not None and not refuter.done():
            verdict.outcomes["refuter"] = Outcome.CANCELLED
        # Awaited even if they are done: what has failed in one branch is told once, by the first that failed.
        await _called_off(task for task in (watching, refuter) if task is not None)
    return verdict


async def ranked(prover: AsyncProverClient, state: State, timeout_s: float) -> Scores:
    """Has the premises embedded and ranked, and scores the tactics by that."""
    prover = prover.with_options(timeout=timeout_s, idempotent=True)
    goal = state.goals[0]
    graph = graph_of(goal)
    embedded = await prover.embed(messages.embedding_request(graph, ROUNDS))
    embeddings = messages.read_embedding_response(embedded, graph)
    ranks = await prover.rank(messages.ranking_request(graph, embeddings))
    return dict(scored(goal, messages.read_ranking_response(ranks, graph)))


async def suggested(prover: AsyncProverClient, state: State, timeout_s: float) -> Scores:
    """Takes the tactics as they are suggested, one by one."""
    prover = prover.with_options(timeout=timeout_s, idempotent=True)
    suggestions = prover.suggest(state=messages.proof_state(state.goals))
    read = [messages.read_suggestion(each) async for each in suggestions]
    return dict(suggestion for suggestion in read if suggestion is not None)


async def _refute(name: str, prover: AsyncProverClient, verdict: Verdict, patience_s: float) -> None:
    """Looks for a counter-model for so long."""
    goal = Goal((), verdict.conjecture)
    graph = graph_of(goal)
    try:
        found = await prover.with_options(timeout=patience_s).refute(messages.refutation_request(graph))
    except DeadlineExceeded:
        verdict.outcomes[name] = Outcome.TIMED_OUT
        return
    model = messages.read_counter_model(found, graph)
    if not refutes(model, formulas_of(goal), [], verdict.conjecture):
        raise WrongModel(f"the counter-model of {verdict.conjecture} does not refute it")
    verdict.counter_model = model
    verdict.outcomes[name] = Outcome.REFUTED


async def _watch(branches: list[Branch], watch: Watcher, sign_s: float) -> None:
    while True:
        await asyncio.sleep(sign_s)
        watch(sum(branch.search.asked for branch in branches))


async def _race_in_time(prover: AsyncProverClient, branches: list[Branch], patience: Patience) -> bool:
    """The race, and whether it was over by the limit. What still ran then has timed out."""
    try:
        async with asyncio.timeout(patience.limit_s):
            await _race(prover, branches, patience.advice_s)
    except TimeoutError:
        for branch in branches:
            branch.outcome = branch.outcome or Outcome.TIMED_OUT
        return False
    return True


async def _race(prover: AsyncProverClient, branches: list[Branch], advice_s: float) -> None:
    """Until one branch has won or exhausted what there is, or none is left; the others are called off."""
    while not any(_is_over(branch) for branch in branches):
        asked = [
            (branch, state := branch.search.ask(), asyncio.create_task(_advice(prover, branch, state, advice_s)))
            for branch in branches
            if branch.outcome is None
        ]
        if not asked:
            return
        try:
            for branch, state, advice in asked:
                scores = await advice
                if scores is not None:
                    branch.search.tell(state, scores)
                if _is_over(branch):
                    break
        finally:
            await _called_off(advice for _, _, advice in asked)
    for branch in branches:
        branch.outcome = branch.outcome or Outcome.CANCELLED


async def _advice(prover: AsyncProverClient, branch: Branch, state: State, advice_s: float) -> Scores | None:
    try:
        return await branch.advise(prover, state, advice_s)
    except DeadlineExceeded:
        branch.outcome = Outcome.TIMED_OUT
        return None


def _is_over(branch: Branch) -> bool:
    """Whether it has decided the conjecture; notes how."""
    if branch.search.proof is not None:
        branch.outcome = Outcome.WON
    # One that timed out has left a state aside: it has not seen everything.
    elif branch.outcome is None and branch.search.exhausted:
        branch.outcome = Outcome.EXHAUSTED
    return branch.outcome in (Outcome.WON, Outcome.EXHAUSTED)


async def _called_off(tasks: "Iterable[asyncio.Task[object]]") -> None:
    """Cancels what still runs of them, and so its request, all the way to the handler."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _conclude(verdict: Verdict, branches: list[Branch]) -> None:
    """What the race says of the conjecture. Raises WrongProof if its proof is none."""
    for branch in branches:
        search = branch.search
        if branch.outcome is not None:
            verdict.outcomes[branch.name] = branch.outcome
        if branch.outcome is Outcome.WON and search.proof is not None:
            verdict.script, verdict.asked = search.proof, search.asked
            verdict.proof = proof_of(verdict.conjecture, search.proof)
            check(verdict.proof, verdict.conjecture)
        elif branch.outcome is Outcome.EXHAUSTED:
            verdict.exhausted, verdict.asked = True, search.asked
