"""What a broker opens, and for whom; and what no part of hootbus ever does with bytes from elsewhere."""

import ast
import os
import stat
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from hootbus.bus.broker import Broker
from hootbus.bus.dialout import DialOut
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.bus.guard import CannotServe, require_closed
from hootbus.frames.address import BusAddress, default_address, parse_address
from hootbus.frames.errors import Denied
from hootbus.frames.keys import NO_KEYS
from hootbus.workers import Client
from security.conftest import Guarded

ROOT = Path(__file__).parents[2]
_LISTENS = "0A"
# Unpickling and the like run what the bytes say.
_FORBIDDEN_CALLS = {"eval", "exec"}
_FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "jsonpickle"}


def listening_tcp() -> set[str]:
    """The addresses, in the kernel's hex, where this process's sockets listen on tcp."""
    ours = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            ours.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and f"socket:[{fields[9]}]" in ours:
                found.add(fields[1].partition(":")[0])
    return found


def test_by_default_nothing_listens_on_a_network_and_the_sockets_are_their_users_alone() -> None:
    before = listening_tcp()
    with EmbeddedBroker() as bus:
        assert listening_tcp() == before
        folder = Path(bus.address.removeprefix("ipc://"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert modes == dict.fromkeys(("broker.lock", "requests.sock", "subscribe.sock", "publish.sock"), 0o600)


def test_the_default_address_is_in_the_users_own_folder(tmp_path: Path) -> None:
    for environment in ({"XDG_RUNTIME_DIR": str(tmp_path)}, {}):
        assert default_address(environment).directory is not None


def test_on_loopback_nothing_listens_anywhere_else(guarded: Guarded) -> None:
    before = listening_tcp()
    broker, thread = guarded.serve()
    try:
        # 127.0.0.1, as such or within IPv6.
        assert listening_tcp() - before <= {"0100007F", "0000000000000000FFFF00000100007F"}
    finally:
        broker.stop()
        thread.join()


def served(broker: Broker) -> tuple[str, threading.Thread]:
    ready: Future[BusAddress] = Future()
    thread = threading.Thread(target=lambda: broker.run(on_ready=ready.set_result))
    thread.start()
    return ready.result(10).text, thread


def test_without_keys_an_address_that_others_reach_needs_a_word() -> None:
    with pytest.raises(CannotServe, match="--insecure"):
        Broker(parse_address("tcp://0.0.0.0:0")).run()


def test_where_strangers_are_served_nobody_drains_and_nobodys_schema_is_looked_at() -> None:
    broker = Broker(parse_address("tcp://0.0.0.0:0"), insecure=True)
    address, thread = served(broker)
    try:
        with Client(address.replace("0.0.0.0", "127.0.0.1"), keys=NO_KEYS) as client:
            for method in ("drain", "compare"):
                with pytest.raises(Denied):
                    client.call(f"hoot.broker/{method}")
            assert client.call("hoot.broker/status").json()["state"] == "serving"
    finally:
        broker.stop()
        thread.join()


def test_keys_leave_no_opening_beside_them() -> None:
    for feed, dialled in (("tcp://127.0.0.1:1", ()), ("", (DialOut("text", "tcp://10.0.0.1:7001"),))):
        with pytest.raises(CannotServe, match="--insecure"):
            require_closed(feed, dialled, insecure=False)
        require_closed(feed, dialled, insecure=True)
    require_closed("ipc:///run/feed", (DialOut("text", "tcp://127.0.0.1:7001"),), insecure=False)


def test_nothing_that_runs_what_it_reads_is_in_the_packages() -> None:
    found = []
    for folder in ("bus", "frames", "schemas", "workers"):
        for path in (ROOT / folder).rglob("*.py*"):
            if path.suffix in (".py", ".pyi"):
                found += [f"{path}:{line}: {what}" for line, what in _forbidden(ast.parse(path.read_text()))]
            elif path.suffix == ".pyx":
                text = path.read_text()
                found += [f"{path}: {word}" for word in ("import pickle", "eval(", "exec(", "marshal") if word in text]
    assert found == []


def _forbidden(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FORBIDDEN_CALLS:
            found.append((node.lineno, node.func.id))
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
        found += [(node.lineno, name) for name in names if name.partition(".")[0] in _FORBIDDEN_MODULES]  # type: ignore[attr-defined]  # an import has a line
        if isinstance(node, ast.Attribute) and node.attr in ("send_pyobj", "recv_pyobj"):
            found.append((node.lineno, node.attr))
    return found
