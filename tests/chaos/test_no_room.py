"""No descriptors left, and a full disk: it is said, nothing ends that can go on, and all is well once there is room."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from chaos import crowd
from chaos.ledger import OK
from chaos.stage import Stage
from cli.shell import environment, started, until
from hootbus.bus.processes import hoot
from hootbus.workers import Client

SETTLED = 100
FULL = Path("/dev/full")

linux = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full, which only Linux has")


def test_a_broker_without_descriptors_lets_nobody_in_serves_on_and_opens_again(anywhere: Stage) -> None:
    broker = anywhere.start_broker(descriptors=256)
    anywhere.start_worker().answer()
    anywhere.start_asker("well")
    anywhere.answered(SETTLED)
    many = anywhere.start(crowd.stay, address=anywhere.address)
    many.answer()
    many.tell(clients=400)
    many.answer()
    # Some are in, the others wait, and whoever was there before notices nothing.
    until(lambda: many.ask()["greeted"] > 50, "some are let in")
    anywhere.answered(SETTLED)
    assert broker.alive
    assert many.ask()["greeted"] < 256
    many.ask(go=True)
    # Once they are gone there is room for others.
    with anywhere.client() as client:
        assert client.call("ledger/pid").json() > 0
        status = client.call("hoot.broker/status").json()
    assert status["counters"]["doors_closed"] == (1 if anywhere.address.startswith("ipc:") else 0)
    assert set(anywhere.settle().outcomes) == {OK}


def test_a_broker_that_may_open_hardly_anything_does_not_begin(tmp_path: Path) -> None:
    command = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *hoot("broker", "--bus", f"ipc://{tmp_path}/b")]
    said = subprocess.run(command, env=environment(None), capture_output=True, text=True, check=False, timeout=30)
    assert said.returncode == 1
    assert said.stderr == "cannot_serve: 64 files may be open, and a broker wants 128 at least; raise `ulimit -n`\n"


FEW = """
import os, resource
from hootbus.workers import Client, Publisher, Subscriber, Worker

worker = Worker("few")
worker.method(lambda: None, name="nothing")
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
used = len(os.listdir("/dev/fd")) - 1
for left in (3, 6, 9, 11):
    for begin in (Client, Publisher, Subscriber, worker.run):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + left, most))
        try:
            begin()
        except OSError as error:
            print(error.strerror)
"""


def test_a_peer_without_descriptors_says_so_and_its_program_lives() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-c", FEW],
        env=environment("ipc:///tmp/nobody"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.count("open files") == 16


@linux
def test_a_ready_line_that_nobody_can_read_ends_its_process(tmp_path: Path) -> None:
    bus = f"ipc://{tmp_path}/b"
    assert into_full("broker", bus=bus).endswith("\nError: cannot write: No space left on device\n")
    tests = {"PYTHONPATH": str(Path(__file__).parents[1]), "CHAOS_BOOK": str(tmp_path / "book")}
    with started("broker", bus=bus, log=tmp_path / "broker.log") as broker:
        broker.line()
        said = into_full("worker", "chaos.worker:worker", bus=bus, env=tests)
        assert said == "Error: cannot write: No space left on device\n"
        assert into_full("status", bus=bus) == "Error: cannot write: No space left on device\n"


@linux
def test_a_log_on_a_full_disk_holds_up_nobody(tmp_path: Path) -> None:
    bus = f"ipc://{tmp_path}/b"
    with started("-v", "broker", bus=bus, log=FULL) as broker:
        broker.line()
        with Client(bus) as client:
            with pytest.raises(Exception, match="no worker offers"):
                client.call("nobody")
            assert client.call("hoot.broker/status").json()["state"] == "serving"
        assert broker.end() == 0


def test_a_lock_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    # No file of this process may have any bytes, which is as good as a full disk.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); import runpy; "
    program = f"{limit}import sys; sys.argv[1:] = {['broker', '--bus', f'ipc://{tmp_path}/b']!r}; "
    run_it = program + "runpy.run_module('hootbus.bus.cli', run_name='__main__')"
    said = subprocess.run(
        [sys.executable, "-P", "-B", "-c", run_it],
        env=environment(None),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert said.stderr == f"cannot_serve: cannot take over {tmp_path}/b: File too large\n"
    assert said.returncode == 1


def into_full(*arguments: str, bus: str, env: Mapping[str, str] | None = None) -> str:
    """What a command says on stderr that has failed since its stdout is on a full disk."""
    with FULL.open("wb") as full:
        said = subprocess.run(
            hoot(*arguments),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(bus, env),
            text=True,
            check=False,
            timeout=30,
        )
    assert said.returncode == 1
    return said.stderr
