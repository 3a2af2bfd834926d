"""Flags, environment, settings file and defaults; help; pipes."""

import subprocess
from pathlib import Path

import pytest

from cli.shell import environment, refused, run, run_here
from hootbus.bus.cli.app import hoot as root
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.processes import hoot

COMMANDS = (
    "broker worker call publish listen recorder status services workers top quarantine ping keys doctor schema demo "
    "completion"
).split()


def test_all_commands_are_there_with_help_and_examples() -> None:
    assert root.list_commands(root.make_context("hoot", ["status"])) == COMMANDS
    helps = {command: run_here(command, "--help") for command in COMMANDS}
    assert all(
        ran.status == 0 and f"hoot {command}" in ran.out.partition("Example")[2] for command, ran in helps.items()
    )
    assert all(command in run_here("--help").out for command in COMMANDS)


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert run("--version").out == f"hoot {version('hootbus')}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['hoot', '--help']\n"
        "from hootbus.bus.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(sorted({'zmq', 'capnp', 'numpy', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([hoot()[0], "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_a_flag_precedes_the_environment_and_that_the_file(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    nowhere = "ipc:///nowhere/at/all"
    right, wrong = tmp_path / "right.toml", tmp_path / "wrong.toml"
    right.write_text(f'bus = "{hoot_bus.address}"\n[status]\njson = true\n')
    wrong.write_text(f'bus = "{nowhere}"\n[status]\njson = true\ntimeout = 0.2\n')
    assert run_here("--config", str(right), "status").json["state"] == "serving"
    assert run_here("status", env={"HOOT_CONFIG": str(right)}).json["state"] == "serving"
    assert run_here("--config", str(wrong), "status").status == 1
    assert run_here("--config", str(wrong), "status", bus=hoot_bus.address).json["state"] == "serving"
    assert run_here("--config", str(right), "status", "--bus", nowhere, "--timeout", "0.2").status == 1
    assert run_here("status", "--bus", nowhere, env={"HOOT_STATUS_TIMEOUT": "-1"}).status == 2


def test_a_command_in_a_group_has_a_table_in_the_groups(tmp_path: Path) -> None:
    file = tmp_path / "hoot.toml"
    file.write_text("[schema.dump]\ndepth = 0\n")
    assert "'--depth' (in the settings file)" in refused("--config", str(file), "schema", "dump")
    file.write_text("[schema.dump]\ndeep = 1\n")
    assert "[schema.dump] deep is no setting" in refused("--config", str(file), "schema", "dump")
    file.write_text("[schema]\ndeep = 1\n")
    assert "[schema] deep is no setting; there are none" in refused("--config", str(file), "schema", "dump")


def test_a_mistake_in_a_tables_name_is_answered_with_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "hoot.toml"
    file.write_text("[brokr]\nverbose = true\n")
    assert "and tables [broker], [worker], [call]," in " ".join(refused("--config", str(file), "status").split())
    file.write_text("[schema.dmp]\ndepth = 1\n")
    assert "[schema.dump]" in refused("--config", str(file), "status")


def test_a_commands_own_table_may_name_the_bus(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    file = tmp_path / "hoot.toml"
    file.write_text(f'bus = "ipc:///nowhere"\n[ping]\nbus = "{hoot_bus.address}"\n')
    assert run_here("--config", str(file), "ping").status == 0


@pytest.mark.parametrize("text", ["buz = 1", "[status]\ntimeuot = 1", "[nothing]\na = 1", "bus =", "\xff"])
def test_a_settings_file_with_a_mistake_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "hoot.toml"
    file.write_bytes(text.encode("latin-1"))
    assert str(file) in refused("--config", str(file), "status")


@pytest.mark.parametrize(
    "bus", ["nonsense", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "ipc://", "ipc:///" + "x" * 200]
)
def test_an_address_that_is_none_is_wrong_usage(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("status", "--bus", bus)
    monkeypatch.setenv("HOOT_BUS", bus)
    assert refused("status")


def test_wrong_usage_is_status_2() -> None:
    ran = run("status", bus="nonsense")
    assert (ran.status, ran.out) == (2, "")
    assert "tcp://HOST:PORT" in ran.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a file that is always full")
def test_a_full_disk_behind_stdout_is_an_error_in_one_line() -> None:
    with open("/dev/full", "wb") as full:
        command = hoot("--version")
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=environment(None), check=False)
    assert done.returncode == 1
    assert done.stderr == b"Error: cannot write: No space left on device\n"


def test_a_reader_that_has_seen_enough_ends_it_quietly(hoot_bus: EmbeddedBroker) -> None:
    command = " ".join(hoot("ping", "--count", "20")) + " | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment(hoot_bus.address),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
