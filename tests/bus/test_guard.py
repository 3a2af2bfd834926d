"""What must hold before a broker serves."""

import os
import resource
import socket
import stat
import subprocess
import sys

import pytest

from hootbus.bus.guard import CannotServe, IpcFolder, raise_descriptor_limit, require_loopback
from hootbus.frames.address import parse_address


def ipc(folder: str) -> IpcFolder:
    return IpcFolder(parse_address(f"ipc://{folder}"))


def bound(path: str) -> None:
    """A socket file without anybody behind it, as a killed process leaves it."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)


def test_a_missing_folder_is_made_for_its_owner_alone(folder: str) -> None:
    inside = os.path.join(folder, "deep", "bus")
    with ipc(inside):
        assert stat.S_IMODE(os.stat(inside).st_mode) == 0o700
        assert stat.S_IMODE(os.stat(os.path.join(inside, "broker.lock")).st_mode) == 0o600


def test_a_second_broker_is_refused_with_the_pid_of_the_first(folder: str) -> None:
    with ipc(folder):
        with (
            pytest.raises(CannotServe, match=rf"a broker already serves ipc://{folder} \(pid {os.getpid()}\)"),
            ipc(folder),
        ):
            pass
        with pytest.raises(CannotServe), ipc(folder):
            pass
    with ipc(folder):
        pass


def test_the_lock_of_a_killed_broker_does_not_hold(folder: str) -> None:
    code = (
        "import os, signal\n"
        "from hootbus.bus.guard import IpcFolder\n"
        "from hootbus.frames.address import parse_address\n"
        f"IpcFolder(parse_address('ipc://{folder}')).__enter__()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    with ipc(folder), open(os.path.join(folder, "broker.lock")) as lock:
        assert lock.read() == f"{os.getpid()}\n"


def test_stale_sockets_of_the_bus_are_removed_and_nothing_else(folder: str) -> None:
    ours = [os.path.join(folder, name) for name in ("requests.sock", "subscribe.sock", "publish.sock")]
    others = [os.path.join(folder, name) for name in ("docker.sock", "notes.txt")]
    for path in (*ours, others[0]):
        bound(path)
    with open(others[1], "w"):
        pass
    with ipc(folder):
        assert not any(map(os.path.exists, ours))
        bound(ours[0])
    assert sorted(os.listdir(folder)) == ["broker.lock", "docker.sock", "notes.txt"]


def test_the_sockets_are_closed_to_others_whatever_the_umask(folder: str) -> None:
    paths = [os.path.join(folder, name) for name in ("requests.sock", "subscribe.sock", "publish.sock")]
    before = os.umask(0)
    try:
        with ipc(folder) as guard:
            for path in paths:
                bound(path)
            guard.make_private()
            assert {stat.S_IMODE(os.stat(path).st_mode) for path in paths} == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o720, 0o702, 0o755, 0o777, 0o1777])
def test_a_folder_that_others_can_get_at_is_refused(folder: str, mode: int) -> None:
    os.chmod(folder, mode)
    with pytest.raises(CannotServe, match=f"chmod 700 {folder}"), ipc(folder):
        pass


def test_a_folder_of_another_user_is_refused(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(CannotServe, match="belongs to another user"), ipc(folder):
        pass


def test_what_is_no_folder_is_refused(folder: str) -> None:
    path = os.path.join(folder, "file")
    with open(path, "w"):
        pass
    with pytest.raises(CannotServe, match="cannot make the folder"), ipc(path):
        pass


def test_a_lock_that_cannot_be_opened_is_said(folder: str) -> None:
    os.mkdir(os.path.join(folder, "broker.lock"))
    with pytest.raises(CannotServe, match=r"cannot open .*broker\.lock: Is a directory"), ipc(folder):
        pass


def test_what_stands_in_a_sockets_place_and_cannot_be_removed_is_said_and_the_lock_let_go(folder: str) -> None:
    os.mkdir(os.path.join(folder, "requests.sock"))
    for _ in range(2):
        with pytest.raises(CannotServe, match="cannot take over"), ipc(folder):
            pass
    os.rmdir(os.path.join(folder, "requests.sock"))
    with ipc(folder):
        pass


def test_a_path_too_long_for_a_socket_is_no_address() -> None:
    with pytest.raises(ValueError, match="a socket's path may have 107"):
        parse_address("ipc:///tmp/" + "x" * 100)


def test_the_limit_of_descriptors_is_raised_to_all_there_is() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        assert raise_descriptor_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:0", "tcp://127.8.9.1:0", "tcp://localhost:0", "tcp://[::1]:0", "ipc:///x"]
)
def test_only_this_machine_reaches_a_loopback_address(address: str) -> None:
    require_loopback(address, insecure=False)


@pytest.mark.parametrize(
    "address", [f"tcp://{host}:0" for host in ("0.0.0.0", "*", "10.0.0.1", "[::]", "myhost", "eth0")]
)
def test_an_address_that_others_reach_must_be_asked_for(address: str) -> None:
    with pytest.raises(CannotServe, match="--insecure"):
        require_loopback(address, insecure=False)
    require_loopback(address, insecure=True)
    require_loopback(address, insecure=False, keyed=True)
