"""Every system that can be had here answers requests and delivers events, for real; one that cannot says why."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.peers import PEERS, VARIANTS, hootbus_
from benchmarks.peers.peer import Peer
from benchmarks.results import REFERENCE, Settings
from benchmarks.systems import Events, Requests

_SETTINGS = Settings(rounds=1, seconds=0.01, quick=True)


@pytest.fixture(autouse=True)
def _no_warming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.systems._WARM_S", 0.0)
    monkeypatch.setattr("benchmarks.systems._FIRST_S", 0.0)


def _named(peer: Peer) -> str:
    return peer.system


def _had(peer: Peer) -> Peer:
    if peer.missing is not None:
        pytest.skip(peer.missing)
    return peer


@pytest.mark.parametrize("peer", [*PEERS, *VARIANTS], ids=_named)
def test_it_answers_requests(peer: Peer, tmp_path: Path) -> None:
    with Requests(_had(peer), tmp_path) as system:
        assert system.load(100, 4, 0.0).requests == 4
        assert system.load(100, 1, 0.0).requests == 1
        assert all(taken > 0 for taken in system.latencies(100, 0.005))
        assert all(pids for pids in system.processes().values())


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.publisher is not None], ids=_named)
def test_it_delivers_events(peer: Peer, tmp_path: Path) -> None:
    with Events(_had(peer), tmp_path, publishers=1, subscribers=2) as system:
        flood = system.flood(100, 1.0, 50)
    assert (flood.sent, flood.received) == (100, 100)


@pytest.mark.parametrize("handler", ["def", "async def"])
def test_hootbus_answers_with_each_kind_of_handler(handler: str, tmp_path: Path) -> None:
    with Requests(hootbus_.IPC, tmp_path, workers=2, handler=handler, loops=1) as system:
        assert system.load(100, 4, 0.0).requests == 4


def test_the_one_that_others_are_compared_with_is_first() -> None:
    assert PEERS[0].system == REFERENCE


def test_a_variant_follows_its_system_where_it_is_asked_for(tmp_path: Path) -> None:
    bench = Bench(_SETTINGS, [hootbus_.IPC, hootbus_.TCP], tmp_path)
    assert [peer.system for peer in bench.chosen()] == ["hootbus ipc", "hootbus tcp"]
    assert [peer.system for peer in bench.chosen("hootbus ipc async", "nats uvloop")] == [
        "hootbus ipc",
        "hootbus ipc async",
        "hootbus tcp",
    ]


def test_a_missing_peer_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    peer = replace(hootbus_.IPC, modules=("no_such_module",), programs=("no-such-program",))
    assert peer.missing == (
        "no Python package no_such_module, no program no-such-program: `make bench-peers` installs it"
    )
    assert Bench(_SETTINGS, [peer], tmp_path).chosen() == []


def test_one_that_does_not_come_up_is_left_out_and_said(tmp_path: Path) -> None:
    bench = Bench(_SETTINGS, [], tmp_path)
    systems = [Requests(hootbus_.IPC, tmp_path, handler="no such handler"), Requests(hootbus_.IPC, tmp_path)]
    with bench.running("requests", systems) as up:
        assert up == systems[1:]
    assert bench.failures == 1
    assert "ValueError('no such handler')" in bench.skipped[0].why
