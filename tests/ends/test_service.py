"""`hoot broker` and `hoot worker` as a service manager has them: real processes, and its socket."""

import os
import signal
from pathlib import Path

import pytest

from cli.shell import started, until
from ends.ledger import write_program
from ends.manager import Manager
from hootbus.bus.embedded import EmbeddedBroker

WATCHED = "400000"


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(str(tmp_path / "notify"))


def test_a_broker_tells_of_its_life_is_silent_while_stopped_and_takes_its_log_level_anew(
    manager: Manager, tmp_path: Path
) -> None:
    config = tmp_path / "hoot.toml"
    config.write_text("")
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": WATCHED, "HOOT_CONFIG": str(config)}
    with started("broker", bus=f"ipc://{tmp_path}/b", env=env, log=tmp_path / "log") as broker, manager.socket:
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        broker.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, broker.pid, os.WSTOPPED)
        manager.drain()
        assert manager.silent(0.5)
        broker.process.send_signal(signal.SIGCONT)
        manager.until("WATCHDOG=1")

        config.write_text("[broker]\nverbos = 2\n")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: "verbos is no setting" in broker.err, "the mistake is told")
        config.write_text("[broker]\nverbose = 2\n")
        broker.process.send_signal(signal.SIGHUP)
        until(lambda: "INFO hootbus.broker: reloaded\n" in broker.err, "it has read it")
        assert broker.end() == 0
        assert manager.until("STOPPING=1")[1].startswith("STATUS=draining")


def test_a_supervisor_feeds_the_watchdog_only_while_each_of_its_processes_does(
    manager: Manager, hoot_bus: EmbeddedBroker, tmp_path: Path
) -> None:
    folder = write_program(tmp_path)
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": WATCHED}
    options = ("worker", "-n", "2", "program:worker")
    with started(*options, bus=hoot_bus.address, env=env, cwd=folder, log=folder / "log") as supervisor, manager.socket:
        pids = [supervisor.line()["pid"] for _ in range(2)]
        assert manager.until("READY=1")[1].startswith("STATUS=2 of 2 attached")
        manager.until("WATCHDOG=1")
        os.kill(pids[0], signal.SIGSTOP)
        until(lambda: "hangs" in supervisor.err, "it is noticed")
        manager.drain()
        assert manager.silent(0.5)
        os.kill(pids[0], signal.SIGCONT)
        manager.until("WATCHDOG=1")
        assert supervisor.end() == 0
        manager.until("STOPPING=1")
