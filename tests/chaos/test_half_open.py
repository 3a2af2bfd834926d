"""Connections over which nothing comes any more, though nobody has closed them: heartbeats find them, both ways."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chaos.ledger import OK
from chaos.proxy import DOWN, UP, Proxy
from chaos.stage import Stage
from cli.shell import until
from hootbus.frames import parse_address

SETTLED = 100
# What stands still: the way to the broker, the way back, both.
FREEZES = ((UP,), (DOWN,), (UP, DOWN))


@pytest.fixture
def proxies(tcp_stage: Stage) -> Iterator[list[Proxy]]:
    """One in front of the broker for each way to freeze."""
    tcp_stage.start_broker()
    port = parse_address(tcp_stage.address).port
    assert port is not None
    with ExitStack() as stack:
        yield [stack.enter_context(Proxy(port)) for _ in FREEZES]


def freeze_all(proxies: list[Proxy]) -> None:
    """Returns once everyone behind them has noticed, and come again."""
    for proxy, directions in zip(proxies, FREEZES, strict=True):
        proxy.freeze(*directions)
    until(lambda: all(proxy.connections > 1 for proxy in proxies), "all have connected again")


def test_a_client_behind_a_dead_connection_makes_another_and_has_all_its_outcomes(
    tcp_stage: Stage, proxies: list[Proxy]
) -> None:
    tcp_stage.start_worker().answer()
    for number, proxy in enumerate(proxies):
        tcp_stage.start_asker(f"behind-{number}", seed=number, address=proxy.address, timeout_s=3.0)
    tcp_stage.start_asker("beside", timeout_s=3.0)
    tcp_stage.answered(SETTLED)
    freeze_all(proxies)
    tcp_stage.answered(SETTLED)
    sums = tcp_stage.settle()
    # Of what was asked or told on the dead connection some never arrived; its client's clock ends the wait.
    assert set(sums.outcomes) <= {OK, "deadline_exceeded"}, sums
    tcp_stage.until_idle()


def test_a_worker_behind_a_dead_connection_is_lost_and_attaches_over_another(
    tcp_stage: Stage, proxies: list[Proxy]
) -> None:
    tcp_stage.start_worker().answer()
    for proxy in proxies:
        tcp_stage.start_worker(address=proxy.address).answer()
    tcp_stage.start_asker("a", repeat_streams=False)
    tcp_stage.answered(SETTLED)
    freeze_all(proxies)
    tcp_stage.until_workers(1 + len(proxies))
    tcp_stage.answered(SETTLED)
    sums = tcp_stage.settle()
    # Three deaths at once may meet the same request twice, which then looks like one that kills.
    assert set(sums.outcomes) <= {OK, "worker_lost", "quarantined"}, sums
    assert set(sums.of_repeatable) <= {OK, "quarantined"}, sums
    tcp_stage.until_idle()
