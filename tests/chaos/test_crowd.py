"""A thousand clients that connect, ask, and go, politely or not: the broker is afterwards what it was before."""

import sys
from pathlib import Path

import pytest

from benchmarks.crowd.procfs import descriptors
from benchmarks.crowd.workers import crowd as crowd_of_workers
from benchmarks.crowd.workers import service_name
from chaos import crowd
from chaos.longrun import Run, long_run
from chaos.stage import Stage
from cli.shell import until

PROCESSES = 4
CLIENTS = 250
MEBIBYTE = 1024 * 1024

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory and descriptors from /proc")


@linux
def test_a_thousand_clients_come_and_go_and_leave_nothing_behind(stage: Stage) -> None:
    broker = stage.start_broker()
    stage.start(crowd_of_workers, address=stage.address, services=1).answer()
    visitors = [stage.start(crowd.visit, address=stage.address) for _ in range(PROCESSES)]
    for visitor in visitors:
        visitor.answer()
    before = descriptors(broker.pid)
    for rudely in (False, True):
        for visitor in visitors:
            visitor.tell(clients=CLIENTS, requests=3, service=service_name(0), rudely=rudely)
        assert [visitor.answer()["right"] for visitor in visitors] == [3 * CLIENTS] * PROCESSES
        until(lambda: descriptors(broker.pid) == before, "all connections are closed")
    counters = stage.ask_broker("status")["counters"]
    assert counters["requests"] >= 2 * 3 * PROCESSES * CLIENTS


@linux
def test_the_brokers_memory_stays_flat(tmp_path: Path) -> None:
    ran = long_run(Run(messages=100_000, connects=500, samples=4), tmp_path, print)
    assert ran.descriptors_left <= 0
    assert ran.held_bytes == 0
    # As long as this is it shows no leak of some bytes a message; one of whole messages it does.
    assert ran.grown_bytes < 24 * MEBIBYTE, ran
