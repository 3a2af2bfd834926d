"""Many workers and clients in one process are to a broker what as many processes are."""

import pytest

from benchmarks.bench import Bench
from benchmarks.peers import hootbus_
from benchmarks.questions import growth, memory
from benchmarks.results import Settings


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Settings(rounds=1, seconds=0.04), (hootbus_.IPC,), tmp_path_factory.mktemp("b"))


def test_a_broker_and_its_control_are_asked_alike(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SIZES", (3,))
    monkeypatch.setattr(growth, "QUICK", (3,))
    found = list(growth.run(bench))
    assert not bench.skipped
    units = ["requests/s", *growth.CPU_UNITS]
    assert [(result.system, result.unit) for result in found] == [
        (system, unit) for system in ("hootbus ipc", growth.CONTROL) for unit in units
    ]
    assert all(result.median > 0 for result in found if result.unit == "requests/s")


def test_memory_is_asked_for_connections_for_what_waits_and_for_what_is_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CONNECTIONS", 20)
    monkeypatch.setattr(memory, "WAITING", 200)
    found = list(memory.run(bench))
    assert not bench.skipped
    assert [result.unit for result in found] == ["KiB", "KiB", "MiB"]
    assert found[-1].case == {"for": memory.DONE}
