"""Bus addresses: three endpoints from one text, and words for what is none."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.address import BusAddress, default_address, parse_address, resolve_address

# 107 bytes are a socket's longest path; "/subscribe.sock" is the longest name.
LONGEST_DIRECTORY = 107 - len("/subscribe.sock")


def test_a_tcp_bus_has_its_sockets_on_the_port_and_two_and_three_above() -> None:
    address = parse_address("tcp://127.0.0.1:5580")
    assert address == BusAddress(
        "tcp://127.0.0.1:5580", "tcp://127.0.0.1:5580", "tcp://127.0.0.1:5582", "tcp://127.0.0.1:5583"
    )
    assert (address.port, address.directory) == (5580, None)


def test_an_ipc_bus_has_its_sockets_in_the_folder() -> None:
    address = parse_address("ipc:///run/hoot")
    assert address == BusAddress(
        "ipc:///run/hoot",
        "ipc:///run/hoot/requests.sock",
        "ipc:///run/hoot/subscribe.sock",
        "ipc:///run/hoot/publish.sock",
    )
    assert (address.port, address.directory) == (None, "/run/hoot")


@pytest.mark.parametrize(
    ("text", "requests", "port"),
    [
        ("tcp://[::1]:5580", "tcp://[::1]:5580", 5580),
        ("tcp://[fe80::1%eth0]:1", "tcp://[fe80::1%eth0]:1", 1),
        ("tcp://studio.example:0", "tcp://studio.example:0", 0),
        ("tcp://*:5580", "tcp://*:5580", 5580),
        ("tcp://h:00080", "tcp://h:80", 80),
        ("tcp://h:65532", "tcp://h:65532", 65532),
    ],
)
def test_hosts_and_ports(text: str, requests: str, port: int) -> None:
    address = parse_address(text)
    assert (address.requests, address.port) == (requests, port)
    assert address.publish == requests.rpartition(":")[0] + f":{port + 3}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5580",
        "localhost:5580",
        "tcp://",
        "tcp://:5580",
        "tcp://h",
        "tcp://h:",
        "tcp://h:-1",
        "tcp://h:+1",
        "tcp://h:1x",
        "tcp://h:123456",
        "tcp://h:1/",
        "tcp://h:1\n",
        "tcp://::1:5580",
        "tcp://[::1:5580",
        "tcp://a b:1",
        "tcp://h:\N{ARABIC-INDIC DIGIT ONE}",
        "inproc://x",
        "udp://h:1",
        "TCP://h:1",
    ],
)
def test_what_is_no_address_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no bus address; use tcp://HOST:PORT or ipc://DIRECTORY"):
        parse_address(text)


@pytest.mark.parametrize("port", [65533, 65535, 65536, 99999])
def test_a_port_must_leave_room_for_the_events(port: int) -> None:
    with pytest.raises(ValueError, match="at most 65532"):
        parse_address(f"tcp://h:{port}")


def test_an_ipc_address_names_a_directory() -> None:
    with pytest.raises(ValueError, match="names no directory"):
        parse_address("ipc://")


def test_a_relative_directory_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    monkeypatch.chdir(folder)
    assert parse_address("ipc://bus").directory == str(folder / "bus")
    assert parse_address("ipc://./bus/").text == f"ipc://{folder}/bus"
    folder.rmdir()


@pytest.mark.parametrize("letter", ["d", "ü"])
def test_the_longest_socket_path_has_107_bytes(letter: str) -> None:
    wide = len(letter.encode())
    longest = "/" + "x" * ((LONGEST_DIRECTORY - 1) % wide) + letter * ((LONGEST_DIRECTORY - 1) // wide)
    assert len(os.fsencode(longest)) == LONGEST_DIRECTORY
    assert parse_address(f"ipc://{longest}").directory == longest
    with pytest.raises(ValueError, match=r"has 108 bytes; a socket's path may have 107\. Use a shorter directory"):
        parse_address(f"ipc://{longest}x")


@given(st.text(max_size=150))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    for prefix in ("", "tcp://", "ipc://"):
        try:
            address = parse_address(prefix + text)
        except ValueError:
            continue
        assert parse_address(address.text) == address


def test_the_environments_address_comes_first() -> None:
    assert default_address({"HOOT_BUS": "tcp://h:1", "XDG_RUNTIME_DIR": "/run/user/1"}).text == "tcp://h:1"
    with pytest.raises(ValueError, match="is no bus address"):
        default_address({"HOOT_BUS": "nonsense"})


def test_then_the_users_runtime_folder() -> None:
    assert default_address({"XDG_RUNTIME_DIR": "/run/user/1"}).text == "ipc:///run/user/1/hootbus"
    assert default_address({"HOOT_BUS": "", "XDG_RUNTIME_DIR": "/run/user/1"}).text == "ipc:///run/user/1/hootbus"


def test_then_a_folder_of_the_users_own_under_the_temporary_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert default_address({}).text == f"ipc:///tmp/hootbus-{os.getuid()}"


def test_a_folder_that_somebody_else_made_there_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert default_address({}).directory == f"{tmp_path}/hootbus-{me + 1}"
    (tmp_path / f"hootbus-{me + 1}").mkdir()
    with pytest.raises(ValueError, match="belongs to another user"):
        default_address({})


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOT_BUS", "tcp://h:1")
    assert resolve_address("tcp://other:2").text == "tcp://other:2"
    assert resolve_address(None).text == resolve_address("").text == "tcp://h:1"
