"""SIGKILL in mid-traffic, of workers, clients and brokers: every request has one outcome, and everything comes back."""

import os
import signal

from benchmarks.processes import Child
from chaos.ledger import OK
from chaos.stage import Stage

SETTLED = 100


def kill_one_of(crew: Child, pids: set[int]) -> set[int]:
    """Kills one process of `hoot worker -n`; those that are there once the next one serves."""
    victim = min(pids)
    os.kill(victim, signal.SIGKILL)
    return pids - {victim} | {crew.answer()["pid"]}


def test_the_death_of_workers_is_an_outcome_for_whoever_waited(anywhere: Stage) -> None:
    anywhere.start_broker()
    crew = anywhere.start_worker("-n", "2")
    pids = {crew.answer()["pid"] for _ in range(2)}
    for name in ("a", "b"):
        anywhere.start_asker(name, seed=ord(name))
    anywhere.answered(SETTLED)
    for _ in range(2):
        pids = kill_one_of(crew, pids)
        anywhere.answered(SETTLED)
    # Looked at while both workers are there: a service is forgotten with the last of them.
    sums = anywhere.settle()
    (service,) = anywhere.ask_broker("services")["services"]
    assert set(sums.outcomes) <= {OK, "worker_lost"}, sums
    # Whatever may be repeated is carried out, as no two of the deaths were for the same request.
    assert set(sums.of_repeatable) == {OK}, sums
    # The broker has counted the very same.
    assert service["requests"] == sums.asked
    assert service["replies"] == sums.outcomes[OK]
    assert service["errors"] == sums.outcomes["worker_lost"] == anywhere.ask_broker("status")["errors"]["worker_lost"]
    assert anywhere.ask_broker("status")["counters"]["workers_lost"] == 2


def test_when_all_workers_die_at_once_whatever_may_be_repeated_is_carried_out_by_the_next(stage: Stage) -> None:
    stage.start_broker()
    crew = stage.start_worker("-n", "2")
    pids = {crew.answer()["pid"] for _ in range(2)}
    stage.start_asker("a", idempotent=1.0, patient=True)
    stage.answered(SETTLED)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    stage.answered(SETTLED)
    # Nothing is handed from one dead worker to the other, which would make it guilty of both deaths.
    assert set(stage.settle().outcomes) == {OK}


def test_after_the_death_of_the_broker_everything_finds_its_successor(anywhere: Stage) -> None:
    broker = anywhere.start_broker()
    anywhere.start_worker().answer()
    anywhere.start_worker().answer()
    for name in ("a", "b"):
        # A stream of which something has arrived is not begun anew at the next broker.
        anywhere.start_asker(name, seed=ord(name), streams=0.3, repeat_streams=False)
    # Two in a row, each of them with streams under way.
    for _ in range(2):
        anywhere.answered(SETTLED)
        anywhere.kill(broker)
        broker = anywhere.start_broker()
    anywhere.until_workers(2)
    anywhere.answered(SETTLED)
    sums = anywhere.settle()
    # Between the broker's return and its workers' nobody offers the service to a request that is new.
    assert set(sums.outcomes) <= {OK, "worker_lost", "unknown_service"}, sums
    assert set(sums.of_repeatable) <= {OK, "unknown_service"}, sums
    anywhere.until_idle()


def test_a_client_that_is_killed_costs_the_others_nothing(stage: Stage) -> None:
    stage.start_broker()
    stage.start_worker().answer()
    stage.start_asker("stays")
    for number in range(2):
        victim = stage.start_asker(f"goes-{number}", seed=number, reply_bytes=10_000)
        stage.answered(SETTLED)
        stage.kill_asker(victim)
    stage.answered(SETTLED)
    sums = stage.settle()
    assert set(sums.outcomes) == {OK}, sums
    stage.until_idle()


def test_a_broker_that_drains_leaves_no_request_without_an_outcome(stage: Stage) -> None:
    broker = stage.start_broker()
    worker = stage.start_worker()
    worker.answer()
    stage.start_asker("a", idempotent=0.0)
    stage.answered(SETTLED)
    stage.end(broker)
    stage.start_broker()
    stage.until_workers(1)
    stage.answered(SETTLED)
    sums = stage.settle()
    assert set(sums.outcomes) <= {OK, "broker_stopping", "unknown_service", "worker_lost"}, sums
    # What was begun is finished and told; what was on its way to the broker when it ended, nobody has begun.
    assert sums.executed == sums.outcomes[OK], sums
