"""What the service manager is told, over a real socket, and that a loop that hangs does not feed its watchdog."""

import math
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ends.manager import Manager
from hootbus.bus.broker import Broker
from hootbus.bus.notify import NOTE_BYTES_MAX, Notifier, take_notifier, watchdog_of
from hootbus.bus.recycling import Recycling, resident_bytes
from hootbus.frames.address import parse_address

PID = 4711


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    with manager.socket:
        yield manager


def test_a_process_says_how_it_is_and_what_it_starts_cannot_speak_for_it(manager: Manager, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000", "HOME": "/"}
    notifier = take_notifier(environ)
    assert environ == {"HOME": "/"}
    notifier.ready("serving")
    notifier.reloading(12.5, "reading")
    notifier.stopping("draining\nREADY=1")
    assert [manager.heard() for _ in range(3)] == [
        ["READY=1", "STATUS=serving"],
        ["RELOADING=1", "MONOTONIC_USEC=12500000", "STATUS=reading"],
        # A line of a status is no assignment of its own.
        ["STOPPING=1", "STATUS=draining READY=1"],
    ]
    notifier.close()
    notifier.status("nothing more")


def test_the_watchdog_is_fed_twice_in_its_time(manager: Manager, tmp_path: Path) -> None:
    notifier = take_notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"})
    assert notifier.due == -math.inf
    notifier.feed(100.0)
    assert (manager.heard(), notifier.due) == (["WATCHDOG=1"], 101.0)
    notifier.feed(100.9)
    notifier.status("the next that comes")
    assert manager.heard() == ["STATUS=the next that comes"]
    notifier.close()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_a_name_in_the_abstract_space_is_found() -> None:
    name = f"hootbus-{secrets.token_hex(8)}"
    manager = Manager(b"\0" + name.encode())
    with manager.socket:
        notifier = take_notifier({"NOTIFY_SOCKET": f"@{name}"})
        notifier.status("here")
        assert manager.heard() == ["STATUS=here"]
        notifier.close()


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "relative", "@" + "x" * 200])
def test_without_a_manager_nobody_is_told(name: str) -> None:
    notifier = take_notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"})
    notifier.ready("serving")
    assert (notifier.due, notifier.watched) == (math.inf, False)


def test_a_manager_that_does_not_read_is_not_waited_for(manager: Manager, tmp_path: Path) -> None:
    notifier = take_notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    while not notifier.unsent:
        notifier.status("x" * 2 * NOTE_BYTES_MAX)
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, math.inf),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(PID)}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, math.inf),
        ({"WATCHDOG_USEC": "0"}, math.inf),
        ({"WATCHDOG_USEC": "-1"}, math.inf),
        ({"WATCHDOG_USEC": "soon"}, math.inf),
    ],
)
def test_the_watchdogs_time_is_the_environments_if_this_process_is_meant(
    environ: dict[str, str], seconds: float
) -> None:
    assert watchdog_of(environ, PID) == seconds


def test_a_brokers_loop_feeds_the_watchdog_and_one_that_hangs_does_not(manager: Manager, tmp_path: Path) -> None:
    notifier = take_notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
    broker = Broker(parse_address(f"ipc://{tmp_path}/b"), notifier=notifier)
    hangs, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        go_on.wait(30)

    def fail() -> None:
        raise ValueError("nothing good to read")

    for hook in (fail, hang):
        broker.on_reload(hook)
    thread = threading.Thread(target=broker.run)
    thread.start()
    try:
        assert manager.until("READY=1") == ["READY=1", f"STATUS=serving ipc://{tmp_path}/b"]
        manager.until("WATCHDOG=1")
        broker.reload()
        manager.until("STATUS=reloading")
        assert hangs.wait(10)
        manager.drain()
        assert manager.silent(0.1)
        go_on.set()
        manager.until("READY=1")
        manager.until("WATCHDOG=1")
        broker.drain()
        manager.until("STOPPING=1")
    finally:
        go_on.set()
        broker.stop()
        thread.join()
        notifier.close()


def test_a_worker_has_done_its_part_at_either_of_its_bounds() -> None:
    def reasons(recycling: Recycling) -> list[str]:
        seen: list[Callable[[], str]] = [
            lambda: recycling.reason(99, 50_000_000),
            lambda: recycling.reason(100, 50_000_000),
            lambda: recycling.reason(0, 50_000_001),
        ]
        return [reason() for reason in seen]

    assert reasons(Recycling(requests=100, mb=50)) == ["", "100 requests, of 100", "50 MB, of 50"]
    assert reasons(Recycling()) == ["", "", ""]
    assert not Recycling()


def test_the_memory_in_use_is_told_in_bytes() -> None:
    held = bytearray(b"x") * 50_000_000
    assert resident_bytes() > len(held)


def test_nobody_is_told_by_default() -> None:
    assert not Notifier().watched
