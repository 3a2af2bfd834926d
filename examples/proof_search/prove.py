"""The command: `python examples/proof_search/prove.py --help`."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import click

from checker import show
from graph import formulas_of
from hootbus.workers import AsyncClient, DeadlineExceeded, HootError, UnknownService, anegotiate
from hootbus.workers.standard.proof_bus import AsyncProverClient
from logic import Formula, Goal, TermKind, parse
from messages import MAJORS
from models import Model
from race import PATIENCE, Outcome, Patience, Verdict, WrongModel, settle
from scripts import lines_of
from spelled import SpelledProverClient

# By then the bus has said itself, in the log, that it waits for a broker and where.
BROKER_S: Final = 3.0

# Tried if nothing is asked for. The longest has premises that lead astray, so that ranking pays.
CONJECTURES = (
    "a & (b | c) -> a & b | a & c",
    "~(a | b) -> ~a & ~b",
    "~~(a | ~a)",
    "~(~a -> b | c) -> ~a | ~~c",
    "((a -> b) -> b) & ((b -> a) -> a) -> ~~(a | b)",
    "((((a -> b) -> a) -> a) -> b) -> b",
    "((p -> q) -> r) -> ((s -> t) -> u) -> ((v -> w) -> x) -> ((m -> n) -> g) -> ((k -> l) -> n) -> (m -> l) -> g",
    "a | ~a",
    "((a -> b) -> a) -> a",
    "~(a & b) -> ~a | ~b",
)


def _positive(ctx: click.Context, param: click.Parameter, value: float) -> float:
    # Of NaN every comparison is false.
    if not value > 0:
        raise click.BadParameter(f"{value:g} is no time to search")
    return value


@click.command()
@click.argument("formulas", metavar="[FORMULA]...", nargs=-1)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Speak JSON and not Cap'n Proto on the bus, to look at what is said there. What is printed is the same text.",
)
@click.option(
    "--limit",
    "limit_s",
    type=float,
    callback=_positive,
    default=PATIENCE.limit_s,
    show_default=True,
    metavar="SECONDS",
    help="How long to try each formula.",
)
@click.option("--bus", help="The bus's address; else HOOT_BUS, else your own.")
def main(formulas: tuple[str, ...], as_json: bool, limit_s: float, bus: str | None) -> None:
    """Proves each FORMULA, or says why it has no proof; without one, a few of its own.

    A formula is made of names, false, ~, &, | and ->, as in "(a -> b) & ~b -> ~a". The logic is intuitionistic. Says
    on standard error that it still searches. Ends with status 1 if one could not be settled. Needs a broker, and a
    worker: see README.md.
    """
    prover = SpelledProverClient if as_json else AsyncProverClient
    try:
        conjectures = [parse(text) for text in formulas or CONJECTURES]
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    try:
        settled = asyncio.run(prove(conjectures, prover, bus, Patience(limit_s=limit_s)))
    except UnknownService as error:
        raise click.ClickException(f"{error}; `python examples/proof_search/prover_worker.py` starts one") from error
    except (HootError, WrongModel) as error:
        raise click.ClickException(str(error)) from error
    if not settled:
        raise click.exceptions.Exit(1)


async def prove(
    conjectures: Sequence[Formula], client: type[AsyncProverClient], address: str | None, patience: Patience
) -> bool:
    """Prints what becomes of each. Whether all were settled."""
    verdicts = []
    async with AsyncClient(address) as bus:
        await _reach(bus)
        # Advisers whose answers would mean something else are told apart before the first is asked for.
        await anegotiate(bus, "prover", supported=list(MAJORS))
        for conjecture in conjectures:
            verdict = await settle(client(bus), conjecture, patience, _say_still_searching)
            click.echo("\n".join(described(verdict)) + "\n")
            verdicts.append(verdict)
    proved = sum(verdict.proof is not None for verdict in verdicts)
    refuted = sum(verdict.refuted for verdict in verdicts)
    click.echo(f"{proved} proved, {refuted} not provable, {len(verdicts) - proved - refuted} not settled")
    outcomes = Counter(outcome for verdict in verdicts for outcome in verdict.outcomes.values())
    click.echo(f"branches: {', '.join(f'{outcome.value} {outcomes[outcome]}' for outcome in Outcome)}")
    return all(verdict.settled for verdict in verdicts)


async def _reach(bus: AsyncClient) -> None:
    """Raises ClickException if there is no broker: what nobody has to be asked about would be proved without one."""
    try:
        await bus.ping(timeout=BROKER_S)
    except DeadlineExceeded as error:
        raise click.ClickException(f"no broker within {BROKER_S:g} s; `hoot broker` starts one") from error


def _say_still_searching(states: int) -> None:
    click.echo(f"still searching, {states} states", err=True)


def described(verdict: Verdict) -> Iterator[str]:
    """A verdict, line by line."""
    yield str(verdict.conjecture)
    if verdict.proof is not None:
        yield f"  proved; states asked about: {verdict.asked}"
        yield from (f"    {line}" for line in lines_of(verdict.conjecture, verdict.script))
        yield f"  checked: {show(verdict.proof)}"
    elif verdict.exhausted:
        yield f"  not provable, the search space is exhausted; states asked about: {verdict.asked}"
    elif verdict.refuted:
        yield f"  not provable, it has a counter-model; the search did not end {verdict.gave_up}"
    else:
        yield f"  not settled {verdict.gave_up}"
    if verdict.counter_model is not None:
        yield f"  checked: {model_described(verdict.counter_model, verdict.conjecture)}"
    yield f"  branches: {', '.join(counted(verdict.outcomes))}"


def model_described(model: Model, conjecture: Formula) -> str:
    """Which world sees which, and where atoms hold."""
    worlds = [
        f"{world} sees {', '.join(str(other) for other in range(len(seen)) if seen[other] and other != world)}"
        for world, seen in enumerate(model.sees)
        if seen.sum() > 1
    ]
    atoms = [
        f"{formula} holds in {', '.join(str(world) for world in range(len(column)) if column[world]) or 'none'}"
        for formula, column in zip(formulas_of(Goal((), conjecture)), model.holds.T, strict=True)
        if formula.kind is TermKind.ATOM
    ]
    where = "; ".join([*worlds, *atoms])
    return f"it fails in world 0, where {where}" if where else "it fails in world 0"


def counted(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """How many branches ended in each way, and which."""
    for outcome in Outcome:
        if names := sorted(name for name, found in outcomes.items() if found is outcome):
            yield f"{outcome.value} {len(names)} ({', '.join(names)})"


if __name__ == "__main__":
    main()
