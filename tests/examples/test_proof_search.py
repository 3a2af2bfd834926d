"""The proof search: its logic and its search alone, its messages in both forms, and all of it as processes on a bus."""

import asyncio
import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import messages
from checker import Absurd, Call, Cases, Function, Pair, Part, Proof, Side, Variable, WrongProof, check
from graph import BadGraph, Graph, formulas_of, graph_of
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.processes import hoot
from hootbus.schemas import COPIES, CapnpBody, read_capnp, type_id, write_struct
from hootbus.workers import BadBody, DeadlineExceeded, Request, SchemaMismatch, Worker, speak_majors
from hootbus.workers.standard import proof_capnp, proof_types
from hootbus.workers.standard.proof_bus import AsyncProverClient
from hootbus.workers.standard.proof_capnp import Prover
from logic import (
    FALSE,
    Formula,
    Goal,
    NotApplicable,
    Tactic,
    TacticKind,
    TermKind,
    apply,
    choices,
    parse,
    safe_tactic,
)
from models import Model, counter_models, refutes
from prove import CONJECTURES, described
from prover_worker import Advisers, worker
from race import Outcome, Patience, Verdict, settle
from ranking import embed, rank, scored
from scripts import lines_of, proof_of
from search import Order, Search
from spelled import SpelledProverClient

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "proof_search"
TIMEOUT_S = 30
# Requests after which all branches of a search have begun.
MIDWAY = 20
A, B, C = (Formula(TermKind.ATOM, name) for name in "abc")
THEOREMS = CONJECTURES[:7]
NON_THEOREMS = CONJECTURES[7:]

FORMULAS = st.recursive(
    st.sampled_from([A, B, C, FALSE]),
    lambda inner: st.builds(
        lambda kind, left, right: Formula(kind, parts=(left, right)),
        st.sampled_from([TermKind.CONJUNCTION, TermKind.DISJUNCTION, TermKind.IMPLICATION, TermKind.IMPLICATION]),
        inner,
        inner,
    ),
    max_leaves=7,
)

Judge = Callable[[Goal], list[tuple[Tactic, float]]]
T = TypeVar("T")

# What they send is Cap'n Proto, and JSON.
CLIENTS = [AsyncProverClient, SpelledProverClient]


def ranked(goal: Goal) -> list[tuple[Tactic, float]]:
    graph = graph_of(goal)
    return scored(goal, rank(graph, embed(graph)))


def unranked(goal: Goal) -> list[tuple[Tactic, float]]:
    return [(tactic, 0.5) for tactic in choices(goal)]


def searched(conjecture: Formula, order: Order = Order.BEST, judge: Judge = ranked, most: int = 1000) -> Search:
    """The search after its end, or after it has asked about so many states."""
    search = Search(conjecture, order)
    while search.proof is None and not search.exhausted and search.asked < most:
        state = search.ask()
        search.tell(state, dict(judge(state.goals[0])))
    return search


def true_in_all_rows(formula: Formula) -> bool:
    """Classically valid: what has an intuitionistic proof is."""

    def value(formula: Formula, row: dict[Formula, bool]) -> bool:
        if formula.kind is TermKind.CONJUNCTION:
            return value(formula.left, row) and value(formula.right, row)
        if formula.kind is TermKind.DISJUNCTION:
            return value(formula.left, row) or value(formula.right, row)
        if formula.kind is TermKind.IMPLICATION:
            return not value(formula.left, row) or value(formula.right, row)
        return row.get(formula, False)

    rows = ({A: bool(n & 1), B: bool(n & 2), C: bool(n & 4)} for n in range(8))
    return all(value(formula, row) for row in rows)


# Logic.


@given(FORMULAS)
def test_a_formula_is_read_as_it_is_written(formula: Formula) -> None:
    assert parse(str(formula)) == formula


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a -> b -> c", "a -> (b -> c)"),
        ("a | b & c", "a | (b & c)"),
        ("a & b & c", "(a & b) & c"),
        ("~a -> b", "(a -> false) -> b"),
        ("~~a & b", "(~(~a)) & b"),
    ],
)
def test_connectives_bind_as_usual(text: str, same: str) -> None:
    assert parse(text) == parse(same)


TOO_DEEP = ("~" * 101 + "a", "(" * 101 + "a" + ")" * 101, "a" + " & a" * 100)


@pytest.mark.parametrize("text", TOO_DEEP)
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a formula is missing at the beginning"),
        (") a", "a formula is missing at the beginning"),
        ("~", "a formula is missing behind '~'"),
        ("a ->", "a formula is missing behind 'a ->'"),
        ("a & | b", "a formula is missing behind 'a &'"),
        ("a b", "'b' is not expected behind 'a'"),
        ("a)", "')' is not expected behind 'a'"),
        ("(a", "')' is missing behind '(a'"),
        ("(a b)", "')' is missing behind '(a'"),
        ("1 -> 1", "'1' is not understood, character 1 of '1 -> 1'"),
        ("-a", "'-' is not understood, character 1 of '-a'"),
        ("(a <-> b)", "'<' is not understood, character 4 of '(a <-> b)'"),
    ],
)
def test_of_what_is_no_formula_it_is_said_where_it_is_none(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse(text)


def test_a_tactic_leaves_the_goals_of_its_rule() -> None:
    goal = Goal((parse("a -> b"), parse("a | c"), parse("a & c")), parse("b | c"))
    context, target = goal.context, goal.target

    def left_by(kind: TacticKind, premise: int = 0) -> list[tuple[tuple[Formula, ...], Formula]]:
        return [(left.context, left.target) for left in apply(goal, Tactic(kind, premise))]

    assert left_by(TacticKind.APPLY, 0) == [(context, A), ((*context, B), target)]
    assert left_by(TacticKind.CASES, 1) == [((*context, A), target), ((*context, C), target)]
    assert left_by(TacticKind.DESTRUCT, 2) == [((*context, A, C), target)]
    assert left_by(TacticKind.LEFT) + left_by(TacticKind.RIGHT) == [(context, B), (context, C)]
    assert apply(Goal((A,), A), Tactic(TacticKind.EXACT)) == ()
    assert apply(Goal((FALSE,), A), Tactic(TacticKind.ABSURD)) == ()


@pytest.mark.parametrize("kind", [kind for kind in TacticKind if kind is not TacticKind.EXACT])
def test_a_tactic_that_does_not_fit_is_refused(kind: TacticKind) -> None:
    with pytest.raises(NotApplicable):
        apply(Goal((A,), A), Tactic(kind))
    with pytest.raises(NotApplicable):
        apply(Goal((A,), A), Tactic(TacticKind.EXACT, 1))


# Search.


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("text", THEOREMS)
def test_theorems_are_proved_and_the_proof_is_checked(text: str, order: Order) -> None:
    conjecture = parse(text)
    script = searched(conjecture, order).proof
    assert script is not None
    check(proof_of(conjecture, script), conjecture)
    assert len(lines_of(conjecture, script)) == len(script)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("text", NON_THEOREMS)
def test_what_is_no_theorem_exhausts_the_search_and_has_a_counter_model(text: str, order: Order) -> None:
    conjecture = parse(text)
    assert searched(conjecture, order).exhausted
    goal = Goal((), conjecture)
    model = next(model for model in counter_models(graph_of(goal)) if model is not None)
    assert refutes(model, formulas_of(goal), [], conjecture)


@settings(max_examples=150)
@given(FORMULAS)
def test_of_any_formula_there_is_a_proof_or_a_counter_model_and_never_both(conjecture: Formula) -> None:
    search = searched(conjecture)
    assert search.exhausted or search.proof is not None
    goal = Goal((), conjecture)
    models = counter_models(graph_of(goal))
    if search.proof is not None:
        check(proof_of(conjecture, search.proof), conjecture)
        assert true_in_all_rows(conjecture)
        assert [next(models) for _ in range(12)] == [None] * 12
    else:
        model = next(model for model in models if model is not None)
        assert refutes(model, formulas_of(goal), [], conjecture)


def test_ranking_spares_most_of_the_search() -> None:
    misleading = parse(THEOREMS[-1])
    assert searched(misleading, Order.DEEP, ranked).asked * 10 < searched(misleading, Order.DEEP, unranked).asked
    with_ranks = sum(searched(parse(text), Order.BEST, ranked).asked for text in THEOREMS)
    assert with_ranks < sum(searched(parse(text), Order.BEST, unranked).asked for text in THEOREMS)


def test_a_search_in_which_a_goal_comes_back_to_itself_ends() -> None:
    # Each premise's antecedent is to be had from the other only.
    assert searched(parse("((a -> b) -> c) -> ((c -> a) -> b) -> (b -> a) -> false")).exhausted


# The checker.


X, Y = Variable("x"), Variable("y")


@pytest.mark.parametrize(
    ("proof", "claim"),
    [
        (X, "a"),
        (Function("x", A, X), "a -> b"),
        (Function("x", A, Y), "a -> a"),
        (Function("x", A, Call(X, X)), "a -> a"),
        (Function("x", parse("a -> b"), Function("y", B, Call(X, Y))), "(a -> b) -> b -> b"),
        (Function("x", A, Part(X, 0)), "a -> a"),
        (Function("x", parse("a & b"), Part(X, 1)), "a & b -> a"),
        (Function("x", A, Pair(X, X)), "a -> a & b"),
        (Function("x", A, Side(X, 1, B)), "a -> a | b"),
        (Function("x", parse("a | b"), Cases(X, "y", Y, Y)), "a | b -> a"),
        (Function("x", A, Cases(X, "y", Y, Y)), "a -> a"),
        (Function("x", A, Absurd(X, B)), "a -> b"),
        (Function("x", parse("~~a"), Absurd(Call(X, Function("y", A, Y)), A)), "~~a -> a"),
    ],
)
def test_the_checker_refuses_wrong_proofs(proof: Proof, claim: str) -> None:
    with pytest.raises(WrongProof):
        check(proof, parse(claim))


@pytest.mark.parametrize("text", THEOREMS)
def test_a_proof_proves_nothing_else_and_a_script_without_a_step_proves_nothing(text: str) -> None:
    conjecture = parse(text)
    script = searched(conjecture).proof
    assert script is not None
    with pytest.raises(WrongProof):
        check(proof_of(conjecture, script), Formula(TermKind.IMPLICATION, parts=(A, conjecture)))
    for wrong in (script[:-1], (*script, script[-1]), ()):
        with pytest.raises(ValueError, match="script"):
            proof_of(conjecture, wrong)


# Counter-models.


def test_a_model_that_refutes_nothing_is_refused() -> None:
    goal = Goal((), parse("a | ~a"))
    formulas = formulas_of(goal)
    model = next(model for model in counter_models(graph_of(goal)) if model is not None)
    assert refutes(model, formulas, [], goal.target)
    everywhere = np.ones_like(model.holds)
    blind = np.zeros_like(model.sees)
    backwards = model.sees.T
    for wrong in (
        Model(model.sees, everywhere),
        Model(blind, model.holds),
        Model(backwards, model.holds),
        Model(model.sees[:0, :0], model.holds[:0]),
    ):
        assert not refutes(wrong, formulas, [], goal.target)
    # That the goal has a premise which fails as well shows nothing.
    assert not refutes(model, formulas, [A], goal.target)


# Graphs.


@pytest.mark.parametrize("kinds", [TermKind, TacticKind])
def test_kinds_are_numbered_as_in_the_schema(kinds: type[TermKind] | type[TacticKind]) -> None:
    named = getattr(proof_capnp, kinds.__name__)
    assert {kind.value: kind.name.lower() for kind in kinds} == dict(enumerate(named))


def test_equal_formulas_are_one_node_behind_its_parts() -> None:
    goal = Goal((parse("a -> b"), A), parse("(a -> b) & b"))
    graph = graph_of(goal)
    assert [str(formula) for formula in formulas_of(goal)] == ["a", "b", "a -> b", "(a -> b) & b"]
    assert [graph.parts(node).tolist() for node in range(4)] == [[], [], [0, 1], [2, 1]]
    assert (graph.premises.tolist(), graph.goal) == ([2, 0], 3)


def changed(graph: Graph, **fields: Any) -> Graph:  # noqa: ANN401  # one array or number instead of another
    return Graph(**{**vars(graph), **fields})


def test_arrays_that_are_no_graph_are_refused() -> None:
    graph = graph_of(Goal((parse("a -> b"),), A))
    for wrong in (
        {"goal": 3},
        {"premises": np.array([3], np.uint32)},
        {"features": graph.features[1:]},
        {"starts": graph.starts[:-1]},
        {"targets": np.array([0, 2], np.uint32)},
        {"targets": np.array([0], np.uint32)},
        {"starts": np.array([0, 2, 2, 2], np.uint32)},
        {"starts": np.array([0, 2, 0, 2], np.uint32)},
        {"kinds": np.array([0, 0, 9], np.uint16)},
        {"kinds": graph.kinds[:0]},
    ):
        with pytest.raises(BadGraph):
            changed(graph, **wrong)


# Over the bus.


@pytest.fixture
def bus(hoot_bus: EmbeddedBroker) -> EmbeddedBroker:
    hoot_bus.worker(worker)
    return hoot_bus


def asked(bus: EmbeddedBroker, client: type[AsyncProverClient], ask: Callable[[AsyncProverClient], Awaitable[T]]) -> T:
    """What comes of asking with such a client."""

    async def run() -> T:
        async with bus.async_client() as connected:
            return await ask(client(connected))

    return asyncio.run(run())


async def suggestions(prover: AsyncProverClient, *goals: Goal) -> list[tuple[Tactic, float] | None]:
    return [messages.read_suggestion(each) async for each in prover.suggest(state=messages.proof_state(goals))]


# It has no proof, so it can be asked to be refuted, too.
GOAL = Goal((parse("(a -> b) -> c"), parse("c -> a")), parse("a | ~c"), frozenset({C, parse("a -> c")}))


def test_both_clients_get_the_same_answers(bus: EmbeddedBroker) -> None:
    graph = graph_of(GOAL)

    async def answers(prover: AsyncProverClient) -> tuple[Any, ...]:
        embedded = await prover.embed(messages.embedding_request(graph, 2))
        embeddings = messages.read_embedding_response(embedded, graph)
        ranks = await prover.rank(messages.ranking_request(graph, embeddings))
        scores = messages.read_ranking_response(ranks, graph)
        model = messages.read_counter_model(await prover.refute(messages.refutation_request(graph)), graph)
        assert refutes(model, formulas_of(GOAL), list(GOAL.context), GOAL.target)
        advice = await suggestions(prover, GOAL)
        return embeddings.tolist(), scores.tolist(), advice, model.sees.tolist(), model.holds.tolist()

    # Of the whole process, in which other tests have run.
    before = COPIES.copied
    embeddings, scores, advice, *model = asked(bus, AsyncProverClient, answers)
    assert asked(bus, SpelledProverClient, answers) == (embeddings, scores, advice, *model)
    assert embeddings == embed(graph, 2).tolist()
    assert scores == rank(graph, embed(graph, 2)).tolist()
    assert [tactic for tactic, _ in advice] == [tactic for tactic, _ in ranked(GOAL)]
    assert bus.client().call("prover/stats").json()["copied"] == before
    assert worker.stats().translated == 4


@pytest.mark.parametrize("client", CLIENTS)
def test_of_a_state_with_a_safe_step_nothing_is_suggested_but_what_could_be_chosen(
    bus: EmbeddedBroker, client: type[AsyncProverClient]
) -> None:
    goal = Goal((A,), A)
    assert safe_tactic(goal) is not None
    assert asked(bus, client, lambda prover: suggestions(prover, goal)) == []
    with pytest.raises(BadBody, match="without goals"):
        asked(bus, client, suggestions)


def test_what_makes_no_sense_is_a_bad_body(bus: EmbeddedBroker) -> None:
    client, graph = bus.client(), graph_of(GOAL)
    state = json.loads(messages.proof_state([GOAL]).to_json())
    ranking = read_capnp(messages.ranking_request(graph, graph.features).buffer, proof_capnp.RankingRequest).to_dict()
    doubling = [{"kind": 0, "name": "a"}, *({"kind": 4, "parts": [place, place]} for place in range(500))]
    for method, body in {
        "suggest": {"state": {**state, "goals": [{"target": 99}]}},
        "rank": {**ranking, "graph": {**ranking["graph"], "goal": 99}},
        "embed": {"schemaVersion": 1, "graph": ranking["graph"], "rounds": 65},
    }.items():
        with pytest.raises(BadBody):
            client.call(f"prover/{method}", body)
    for wrong, complaint in (
        ({**state, "goals": [{"target": -1}]}, "state.goals[0].target: -1 is no UInt32"),
        ({**state, "goals": [{"aim": 1}]}, "state.goals[0].aim: no such field; there are context, target, tried"),
        ({**state, "terms": [], "goals": [{"target": 2}]}, "there is no term 2; those to be named here are 0"),
        ({**state, "terms": [{"kind": 4, "parts": [0, 1]}]}, "there is no term 0"),
        ({**state, "terms": [{"kind": 77}]}, "77 is not a valid TermKind"),
        ({**state, "terms": doubling}, "deep"),
        ({"schemaVersion": 1, "terms": "all"}, 'state.terms: "all" is no List(Term), which is a list'),
    ):
        with pytest.raises(BadBody, match=re.escape(complaint)):
            client.call("prover/suggest", {"state": wrong})
    for wrong in ({**ranking, "width": 0}, {**ranking, "embeddings": [0.0]}, {**ranking, "graph": {}}):
        with pytest.raises(BadBody):
            client.call("prover/rank", wrong)


def test_terms_that_share_their_parts_are_not_written_out(bus: EmbeddedBroker) -> None:
    # Written out it would have 2**90 atoms.
    terms = [{"kind": 0, "name": "a"}, *({"kind": 4, "parts": [place, place]} for place in range(90))]
    state = {"schemaVersion": 1, "terms": terms, "goals": [{"target": 90}]}
    assert list(bus.client().stream("prover/suggest", {"state": state})) == []


def test_a_state_that_says_it_has_more_terms_than_it_has_room_for_is_a_bad_body(bus: EmbeddedBroker) -> None:
    # Half a billion terms of no size: a root, a state of version 1, a list, and what its elements are like.
    state = struct.pack("<IIQQQQQ", 0, 5, 1 << 48, 1 << 48 | 1 << 32, 1, 7 << 32 | 1, 0x1FFF_FFFF << 2)
    with pytest.raises(BadBody, match="far more to walk through"):
        bus.client().call("prover/suggest", CapnpBody(state, type_id(Prover.SuggestParams)))


@pytest.mark.parametrize("version", [0, 2])
def test_a_version_that_means_something_else_is_refused(bus: EmbeddedBroker, version: int) -> None:
    with pytest.raises(SchemaMismatch, match=f"version {version} "):
        bus.client().call("prover/suggest", {"state": {"schemaVersion": version}})
    with pytest.raises(SchemaMismatch):
        bus.client().call("prover/suggest", write_struct(Prover.SuggestParams, state={"schemaVersion": version}))


def stubborn(*methods: str) -> Worker:
    """Advisers of which these wait until they are told to stop."""
    advisers = Advisers()

    def waits(body: object, request: Request) -> dict[str, object]:
        request.cancelled.wait()
        return {}

    for method in methods:
        setattr(advisers, method, waits)
    return advisers.new_worker(slots=8)


def settled(
    bus: EmbeddedBroker, conjecture: str, patience: Patience, watch: Callable[[int], None] = lambda _: None
) -> Verdict:
    return asked(bus, AsyncProverClient, lambda prover: settle(prover, parse(conjecture), patience, watch))


def test_a_branch_whose_adviser_is_silent_times_out_and_another_wins(hoot_bus: EmbeddedBroker) -> None:
    worker = hoot_bus.worker(stubborn("suggest", "refute"))
    verdict = settled(hoot_bus, "~~(a | ~a)", Patience(glance_s=0.01, advice_s=1.0))
    assert verdict.proof is not None
    assert verdict.outcomes == {
        "glance": Outcome.TIMED_OUT,
        "deep": Outcome.TIMED_OUT,
        "best": Outcome.WON,
        "refuter": Outcome.CANCELLED,
    }
    while worker.stats().cancelled < 3 or worker.stats().running:
        hoot_bus.client().ping()


def test_when_all_advisers_are_silent_nothing_is_claimed(hoot_bus: EmbeddedBroker) -> None:
    hoot_bus.worker(stubborn("suggest", "rank", "refute"))
    verdict = settled(hoot_bus, "a | ~a", Patience(glance_s=0.01, advice_s=0.01))
    assert (verdict.proof, verdict.exhausted, verdict.counter_model) == (None, False, None)
    assert list(described(verdict))[1] == "  not settled as its advisers were silent for 0.01 s"


def test_at_the_limit_all_branches_time_out_and_meanwhile_there_are_signs_of_life(hoot_bus: EmbeddedBroker) -> None:
    worker = hoot_bus.worker(stubborn("suggest", "rank", "refute"))
    signs: list[int] = []
    patience = Patience(glance_s=0.01, limit_s=0.5, sign_s=0.01)
    verdict = settled(hoot_bus, "~~(a | ~a)", patience, signs.append)
    assert list(described(verdict)) == [
        "~~(a | ~a)",
        "  not settled within 0.5 s",
        "  branches: timed out 4 (best, deep, glance, refuter)",
    ]
    assert set(signs) == {2}
    while worker.stats().running:
        hoot_bus.client().ping()


def test_what_has_a_counter_model_is_not_provable_even_if_the_search_is_not_over(hoot_bus: EmbeddedBroker) -> None:
    hoot_bus.worker(stubborn("suggest", "rank"))
    verdict = settled(hoot_bus, "a | ~a", Patience(glance_s=TIMEOUT_S, limit_s=0.05))
    assert verdict.settled
    assert not verdict.exhausted
    assert list(described(verdict))[1:] == [
        "  not provable, it has a counter-model; the search did not end within 0.05 s",
        "  checked: it fails in world 0, where 0 sees 1; a holds in 1",
        "  branches: refuted 1 (glance), timed out 2 (best, deep)",
    ]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_tactic_of_a_kind_that_only_newer_advisers_know_is_passed_over(
    hoot_bus: EmbeddedBroker, client: type[AsyncProverClient]
) -> None:
    class Newer(Advisers):
        def suggest(self, body: Prover.SuggestParams, request: Request) -> Iterator[proof_types.Suggestion]:
            yield proof_types.Suggestion(schemaVersion=1, tactic=proof_types.Tactic(kind=999), score=1.0)

    hoot_bus.worker(Newer().new_worker())
    assert asked(hoot_bus, client, lambda prover: suggestions(prover, GOAL)) == [None]


def test_what_advisers_leave_out_is_tried_all_the_same() -> None:
    for text in THEOREMS:
        assert searched(parse(text), judge=lambda _: []).proof is not None
    for text in NON_THEOREMS:
        assert searched(parse(text), judge=lambda goal: [(Tactic(TacticKind.EXACT), float("nan"))]).exhausted


# As processes.


def environment(bus: EmbeddedBroker) -> dict[str, str]:
    return {**os.environ, "HOOT_BUS": bus.address}


@contextmanager
def begun(bus: EmbeddedBroker, *command: str) -> "Iterator[subprocess.Popen[str]]":
    """The program in a process that is ended."""
    process = subprocess.Popen(
        [sys.executable, FOLDER / command[0], *command[1:]],
        env=environment(bus),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def advisers(bus: EmbeddedBroker) -> Iterator[None]:
    """A worker that has ended well in the end."""
    with begun(bus, "prover_worker.py") as process:
        bus.client().call("prover/stats", wait=True, timeout=TIMEOUT_S)
        yield
        process.terminate()
        said, complaints = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, said, complaints) == (0, "", "")


def equal_in_a_circle(size: int) -> str:
    """De Bruijn's: if any two neighbours are equal, all of them hold. A theorem for an odd size, and hard to prove."""
    everyone = " & ".join(f"p{place}" for place in range(size))
    neighbours = [(f"p{place}", f"p{(place + 1) % size}") for place in range(size)]
    return " & ".join(f"(({a} -> {b}) & ({b} -> {a}) -> {everyone})" for a, b in neighbours) + f" -> {everyone}"


HARD = equal_in_a_circle(11)


def midway(bus: EmbeddedBroker) -> None:
    """Returns when a search has asked the worker for this and that, beside what is asked here."""
    client = bus.client()
    for own in itertools.count(1):
        if client.call("prover/stats").json()["requests"] - own > MIDWAY:
            return


def prove(bus: EmbeddedBroker, *arguments: str, status: int = 0) -> list[str]:
    """What it prints; what it complains of, if its arguments are wrong or it could not do anything."""
    with begun(bus, "prove.py", *arguments) as process:
        said, complaints = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == status
    assert not said or not complaints
    return (said or complaints).splitlines()


def stopped(bus: EmbeddedBroker) -> int:
    """How many requests the worker was told to stop."""
    found: int = bus.client().call("prover/stats").json()["cancelled"]
    return found


def test_the_program_proves_refutes_and_tells_cancelled_branches_from_late_ones(hoot_bus: EmbeddedBroker) -> None:
    with advisers(hoot_bus):
        said = prove(hoot_bus)
        assert [line for line in said if line in CONJECTURES] == list(CONJECTURES)
        assert f"{len(THEOREMS)} proved, {len(NON_THEOREMS)} not provable, 0 not settled" in said
        # For each theorem the glance ends by its deadline and the refuter is stopped: neither can end by itself.
        of_theorems = [line for line in said if line.startswith("  branches: won")]
        assert len(of_theorems) == len(THEOREMS)
        assert set(of_theorems) == {
            "  branches: won 1 (deep), cancelled 2 (best, refuter), timed out 1 (glance)",
            "  branches: won 1 (best), cancelled 2 (deep, refuter), timed out 1 (glance)",
        }
        while stopped(hoot_bus) < 2 * len(THEOREMS):
            pass

        # In JSON it is the same to the letter. Only the glances at what is no theorem depend on the machine's speed.
        again = prove(hoot_bus, "--json")
        assert [line for line in again if "branches" not in line] == [line for line in said if "branches" not in line]
        assert [line for line in again if line.startswith("  branches: won")] == of_theorems


RANKING = {
    "schemaVersion": 1,
    "graph": {
        "nodeKinds": [0, 0, 4],
        "featureWidth": 6,
        "features": [*(1, 0, 0, 0, 0, 1), *(1, 0, 0, 0, 0, 1), *(0, 0, 0, 0, 1, 0.5)],
        "edgeStarts": [0, 0, 0, 2],
        "edgeTargets": [0, 1],
        "goal": 1,
        "premises": [2, 0],
    },
    "width": 6,
    "embeddings": [*(1, 0, 0, 0, 0, 0), *(1, 0, 0, 0, 0, 0), *(0, 0, 0, 0, 1, 0)],
}


def called(bus: EmbeddedBroker, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """The exit status of `hoot call`, and what it prints or complains of."""
    done = subprocess.run(
        hoot("call", *arguments),
        env=environment(bus),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return done.returncode, done.stdout or done.stderr


def test_json_in_a_file_is_a_request_to_the_worker_and_its_answer_is_json(
    hoot_bus: EmbeddedBroker, tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    with advisers(hoot_bus):
        request.write_text(json.dumps(RANKING))
        status, said = called(hoot_bus, "prover/rank", f"@{request}")
        answer = json.loads(said)
        assert (status, answer["schemaVersion"], len(answer["scores"])) == (0, 1, 2)
        # The very message that the same JSON is when the shell writes it.
        schema = ("--schema", f"{ROOT / 'schemas' / 'proof.capnp'}:RankingRequest")
        status, said = called(hoot_bus, "prover/rank", "@-", *schema, stdin=request.read_text())
        assert (status, json.loads(said)) == (0, answer)
        request.write_text(json.dumps(RANKING | {"widht": 6}))
        assert called(hoot_bus, "prover/rank", f"@{request}") == (
            1,
            "bad_body: widht: no such field; there are schemaVersion, graph, width, embeddings\n",
        )


def test_advisers_that_speak_another_major_or_none_are_not_asked(hoot_bus: EmbeddedBroker) -> None:
    newer = Worker("prover")
    speak_majors(newer, {2: 1, 3: 0})
    with newer.running(hoot_bus.address):
        assert prove(hoot_bus, "a -> a", status=1) == [
            "Error: schema_mismatch: no major version in common: the client speaks 1, the service 2, 3"
        ]
    with stubborn().running(hoot_bus.address):
        assert prove(hoot_bus, "a -> a", status=1) == [
            "Error: schema_mismatch: prover is from before versions were agreed on: "
            "it has no method 'hello'; this client speaks major 1"
        ]


def test_formulas_of_ones_own_are_proved_and_others_refused(hoot_bus: EmbeddedBroker) -> None:
    with advisers(hoot_bus):
        assert prove(hoot_bus, "a & b -> b")[:6] == [
            "a & b -> b",
            "  proved; states asked about: 0",
            "    assume a & b",
            "    destruct a & b",
            "    exact b",
            "  checked: fun x1 => x1.2",
        ]
        assert prove(hoot_bus, "a &", status=2)[-1].endswith("a formula is missing behind 'a &'")


def test_falsehood_fails_in_a_world_of_which_there_is_no_more_to_say(hoot_bus: EmbeddedBroker) -> None:
    with advisers(hoot_bus):
        assert prove(hoot_bus, "false")[2] == "  checked: it fails in world 0"


def test_without_anybody_to_ask_nothing_is_proved(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    assert prove(hoot_bus, "a -> a", status=1) == [
        "Error: unknown_service: no worker offers 'prover'; `python examples/proof_search/prover_worker.py` starts one"
    ]
    assert prove(hoot_bus, "--bus", f"ipc://{tmp_path}", "a -> a", status=1) == [
        f"waiting for a broker: no broker at ipc://{tmp_path}",
        "Error: no broker within 3 s; `hoot broker` starts one",
    ]


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "soon"])
def test_a_limit_that_is_no_time_is_refused(hoot_bus: EmbeddedBroker, limit: str) -> None:
    assert "Invalid value for '--limit'" in prove(hoot_bus, "--limit", limit, status=2)[-1]


def test_what_takes_longer_than_the_limit_is_not_settled(hoot_bus: EmbeddedBroker) -> None:
    with advisers(hoot_bus):
        said = prove(hoot_bus, "--limit", "0.3", HARD, "a -> a", status=1)
        assert said[1] == "  not settled within 0.3 s"
        assert "1 proved, 0 not provable, 1 not settled" in said


def test_when_the_worker_dies_midway_that_is_all_that_is_said(hoot_bus: EmbeddedBroker) -> None:
    with begun(hoot_bus, "prover_worker.py") as worker:
        hoot_bus.client().call("prover/stats", wait=True, timeout=TIMEOUT_S)
        with begun(hoot_bus, "prove.py", HARD) as search:
            midway(hoot_bus)
            worker.kill()
            said, complaints = search.communicate(timeout=TIMEOUT_S)
    assert (search.returncode, said) == (1, "")
    assert re.fullmatch("(still searching, .*\n)*Error: (worker_lost|unknown_service): .*\n", complaints)


def test_ctrl_c_ends_the_search_and_what_it_has_asked_for(hoot_bus: EmbeddedBroker) -> None:
    with advisers(hoot_bus), begun(hoot_bus, "prove.py", HARD) as search:
        midway(hoot_bus)
        before = stopped(hoot_bus)
        search.send_signal(signal.SIGINT)
        said, complaints = search.communicate(timeout=TIMEOUT_S)
        assert (search.returncode, said) == (1, "")
        assert re.fullmatch("(still searching, .*\n)*\nAborted!\n", complaints)
        while stopped(hoot_bus) == before:
            pass


def test_who_cancels_and_whose_time_is_over_are_told_apart_and_both_reach_the_worker(
    hoot_bus: EmbeddedBroker,
) -> None:
    with advisers(hoot_bus):
        client = hoot_bus.client()
        endless = messages.refutation_request(graph_of(Goal((), parse("~~(a | ~a)"))))
        before = stopped(hoot_bus)
        with pytest.raises(DeadlineExceeded):
            client.call("prover/refute", endless, timeout=0.05)
        future = client.submit("prover/refute", endless, timeout=None)
        # Whoever was asked later is answered before, so that the one before has arrived.
        client.call("prover/stats")
        assert future.cancel()
        while stopped(hoot_bus) < before + 2:
            pass
