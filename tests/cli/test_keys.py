"""Keys on the command line: made, listed, given to every command, and told about when they are wrong."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.shell import refused, run_here, started
from hootbus.frames.keys import new_pair

PROGRAM = """
from hootbus.workers import Client, Worker

worker = Worker("text")


@worker.method
def who(request):
    with Client() as bus:
        return bus.call("hoot.broker/status").json()["state"]
"""


_KINDS = {"public": "key", "secret": "key_secret"}


def test_a_pair_is_made_listed_and_never_made_twice(tmp_path: Path) -> None:
    made = run_here("keys", "new", "alice", "--dir", str(tmp_path / "keys"), "--json")
    assert made.json == {name: str(tmp_path / "keys" / f"alice.{kind}") for name, kind in _KINDS.items()}
    again = run_here("keys", "new", "alice", "--dir", str(tmp_path / "keys"))
    assert (again.status, again.err.partition(":")[0]) == (1, "bad_key")
    rights = tmp_path / "rights.toml"
    rights.write_text('[alice]\ncall = ["text/*"]\nadmin = true\n[bob]\n')
    listed = run_here("keys", "list", "--allow", str(tmp_path / "keys"), "--rights", str(rights), "--json")
    (key,) = listed.json["keys"]
    assert (key["name"], key["call"], key["offer"], key["admin"]) == ("alice", ["text/*"], ["*"], True)
    assert "[bob] is about no key" in listed.json["notes"][0]


def test_rights_that_a_broker_would_not_start_with_are_said(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o700)
    rights = tmp_path / "rights.toml"
    rights.write_text("[alice]\nofer = []\n")
    for command in (
        ("keys", "list"),
        ("broker", "--bus", f"ipc://{tmp_path}/b", "--key", str(new_pair("broker", tmp_path)[1])),
    ):
        ran = run_here(*command, "--allow", str(tmp_path / "keys"), "--rights", str(rights))
        assert ran.status == 1
        assert "ofer" in ran.err


@pytest.mark.parametrize("command", [("broker", "--key"), ("status", "--key"), ("status", "--broker-key")])
def test_half_of_what_keys_need_is_wrong_usage(tmp_path: Path, command: tuple[str, str]) -> None:
    name, flag = command
    assert "needs both" in refused(name, flag, str(new_pair("alice", tmp_path)[1]))


class Bus(NamedTuple):
    address: str
    env: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    """A broker's process with keys, on tcp; and the environment of one who is let in."""
    folder = tmp_path_factory.mktemp("keyed")
    allow = folder / "allow"
    allow.mkdir(mode=0o700)
    public, secret = new_pair("broker", folder)
    shutil.copy(new_pair("alice", folder)[0], allow)
    new_pair("eve", folder)
    keys = ("--key", str(secret), "--allow", str(allow))
    with started("broker", "--bus", "tcp://127.0.0.1:0", *keys, log=folder / "log") as broker:
        address = broker.line()["bus"]
        env = {"HOOT_KEY": str(folder / "alice.key_secret"), "HOOT_BROKER_KEY": str(public)}
        yield Bus(address, env, folder)


def test_every_command_finds_its_keys_in_the_environment(bus: Bus) -> None:
    for command in (["status"], ["services"], ["workers"], ["ping"], ["doctor"], ["publish", "a.b", "1"]):
        ran = run_here(*command, bus=bus.address, env=bus.env)
        assert ran.status == 0, ran


def test_a_stranger_is_told_by_command_and_by_doctor(bus: Bus) -> None:
    for keys in (bus.env | {"HOOT_KEY": str(bus.folder / "eve.key_secret")}, {}):
        for command in (["status"], ["publish", "a.b", "1"], ["listen", "--timeout", "9"]):
            ran = run_here(*command, bus=bus.address, env=keys)
            assert ("the right to" in ran.err) is (bool(keys) and command[0] != "status"), ran
            assert (ran.status, ran.err.rpartition("\n")[0].rpartition("\n")[2].partition(":")[0]) == (1, "denied"), ran
        checks = {
            check["name"]: check for check in run_here("doctor", "--json", bus=bus.address, env=keys).json["checks"]
        }
        assert checks["broker"]["state"] == "fail"
        assert "key" in checks["broker"]["finding"]
    # And who is let in sees that others have knocked; the broker counts them once a second.
    told: dict[str, str] = {}
    while "refusals" not in told:
        ran = run_here("doctor", "--json", bus=bus.address, env=bus.env)
        told = {check["name"]: check["finding"] for check in ran.json["checks"]}
    assert "handshakes_denied" in told["refusals"]


def test_a_secret_that_others_can_read_is_refused_by_every_command(bus: Bus, tmp_path: Path) -> None:
    loose = tmp_path / "loose.key_secret"
    shutil.copy(bus.env["HOOT_KEY"], loose)
    loose.chmod(0o644)
    ran = run_here("status", bus=bus.address, env=bus.env | {"HOOT_KEY": str(loose)})
    assert (ran.status, ran.err) == (
        1, f"bad_key: others can get at the secret key in {loose} (mode 0644); run: chmod 600 {loose}\n",
    )  # fmt: skip
    checks = run_here("doctor", "--json", bus=bus.address, env=bus.env | {"HOOT_KEY": str(loose)}).json["checks"]
    (keys,) = [check for check in checks if check["name"] == "keys"]
    assert keys["state"] == "fail"


@pytest.mark.parametrize("processes", [(), ("-n", "1")])
def test_a_worker_and_what_its_handlers_open_have_the_keys(
    bus: Bus, tmp_path: Path, processes: tuple[str, ...]
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    keys = ("--key", bus.env["HOOT_KEY"], "--broker-key", bus.env["HOOT_BROKER_KEY"])
    line = ("worker", "program:worker", "--bus", bus.address, *keys, *processes)
    with started(*line, log=tmp_path / "log", cwd=tmp_path) as worker:
        assert worker.line()["ready"]
        assert run_here("call", "text/who", bus=bus.address, env=bus.env).json == "serving"
        assert worker.end() == 0
