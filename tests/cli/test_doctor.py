"""`hoot doctor`: what it finds, and that it says what to do."""

import socket
from pathlib import Path

import pytest

from cli.shell import run, run_here
from hootbus.bus.doctor import Check, State, examine
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.address import parse_address


def found(address: str, name: str) -> Check | None:
    return next((check for check in examine(parse_address(address)) if check.name == name), None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "b"
    folder.mkdir(mode=0o700)
    return folder


def test_this_machine_is_set_up_right(hoot_bus: EmbeddedBroker) -> None:
    checks = examine(parse_address(hoot_bus.address))
    assert {check.name for check in checks} == {
        "versions", "native module", "alignment", "descriptors", "folder", "keys", "broker",
    }  # fmt: skip
    assert [check for check in checks if check.state is State.FAIL] == []
    assert found(hoot_bus.address, "broker").state is State.OK  # type: ignore[union-attr]  # it is in the set above


def test_it_prints_a_line_per_check_and_json_on_request(hoot_bus: EmbeddedBroker) -> None:
    ran = run_here("doctor", bus=hoot_bus.address)
    assert ran.status == 0
    assert "alignment: 80 of 80" in ran.out
    answer = run_here("doctor", "--json", bus=hoot_bus.address).json
    assert answer["bus"] == hoot_bus.address
    assert {"name", "state", "finding", "advice"} == answer["checks"][0].keys()


def test_no_broker_is_a_warning_with_the_command_that_starts_one(folder: Path) -> None:
    check = found(f"ipc://{folder}", "broker")
    assert check == Check(
        "broker", State.WARN, f"none at ipc://{folder}", f"start one: hoot broker --bus ipc://{folder}"
    )
    assert run_here("doctor", bus=f"ipc://{folder}").status == 0


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_that_others_can_get_at_is_a_failure(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    check = found(f"ipc://{folder}", "folder")
    finding = f"others can get at {folder} (mode {mode:04o})"
    assert check == Check("folder", State.FAIL, finding, f"chmod 700 {folder}")
    assert run_here("doctor", bus=f"ipc://{folder}").status == 1


def test_what_is_no_folder_is_a_failure(folder: Path) -> None:
    (folder / "file").touch()
    check = found(f"ipc://{folder}/file", "folder")
    assert check is not None
    assert check.state is State.FAIL


def test_stale_sockets_are_found(folder: Path) -> None:
    (folder / "requests.sock").touch()
    check = found(f"ipc://{folder}", "sockets")
    assert check is not None
    assert check.state is State.WARN


def test_somebody_who_is_no_broker_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bus = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        check = found(bus, "broker")
    assert check is not None
    assert check.state is State.FAIL
    assert f"something listens at {bus}" in check.finding


def test_an_address_that_others_reach_is_a_warning() -> None:
    check = found("tcp://192.0.2.1:1", "address")
    assert check is not None
    assert check.state is State.WARN


def test_the_fallback_is_told(folder: Path) -> None:
    checks = run("doctor", "--json", bus=f"ipc://{folder}", env={"HOOT_NATIVE": "0"}).json["checks"]
    (native,) = [check for check in checks if check["name"] == "native module"]
    assert native["state"] == "warn"
