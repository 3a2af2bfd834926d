"""More requests than the bus takes: they are refused at once, nothing is done for them, and the rest is served."""

from chaos.ledger import OK
from chaos.stage import Stage

SETTLED = 300


def test_what_is_refused_was_not_begun_and_the_rest_is_carried_out(stage: Stage) -> None:
    stage.start_broker("--limit", "queue_messages=10", "--limit", "requests_per_client=90")
    stage.start_worker().answer()
    for name in ("a", "b"):
        # More callers than the client may have requests open, and both together more than slots and queue hold.
        stage.start_asker(name, seed=ord(name), callers=100, streams=0.0)
    stage.answered(SETTLED)
    sums = stage.settle()
    assert set(sums.outcomes) == {OK, "overloaded"}, sums
    status = stage.ask_broker("status")
    # Clients try again what may be repeated, so the broker has refused more than they were told.
    assert status["errors"]["overloaded"] >= sums.outcomes["overloaded"]
    assert sums.executed == sums.outcomes[OK] == status["counters"]["replies"]
    stage.until_idle()
