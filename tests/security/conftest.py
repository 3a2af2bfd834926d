"""A broker with keys in a thread of this process, its folder of keys, and peers who have some."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from hootbus.bus.broker import Broker
from hootbus.bus.keyring import Keyring
from hootbus.bus.security import Security
from hootbus.frames.address import BusAddress, parse_address
from hootbus.frames.keys import Keys, new_pair

_PATIENCE_S = 10.0


class Guarded:
    """The broker, and what an operator does to its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allow = folder / "allow"
        self.allow.mkdir(mode=0o700)
        self.rights = folder / "rights.toml"
        self.rights.write_text("")
        self.rights.chmod(0o600)
        self._own = new_pair("broker", folder / "own")
        self.broker: Broker
        self.address = ""

    def let_in(self, name: str) -> Keys:
        """Makes a key and puts its public half into the folder."""
        keys = self.stranger(name)
        public = self.allow / f"{name}.key"
        public.write_bytes((self.folder / name / f"{name}.key").read_bytes())
        public.chmod(0o644)
        return keys

    def stranger(self, name: str) -> Keys:
        """A key that is not let in."""
        _, secret = new_pair(name, self.folder / name)
        return Keys.load(secret, self._own[0])

    def shut_out(self, name: str) -> None:
        """Revokes a key, and has the broker see that now."""
        (self.allow / f"{name}.key").unlink()
        self.broker.reload()

    def give(self, rights: str) -> None:
        """Writes the rights, and has the broker see them now."""
        self.rights.write_text(rights)
        self.broker.reload()

    def serve(self, address: str = "tcp://127.0.0.1:0") -> tuple[Broker, threading.Thread]:
        """Starts it."""
        security = Security(Keys.load(self._own[1]), Keyring(self.allow, self.rights))
        self.broker = Broker(parse_address(address), security=security)
        ready: Future[BusAddress] = Future()

        def run() -> None:
            try:
                self.broker.run(on_ready=ready.set_result)
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.address = ready.result(_PATIENCE_S).text
        return self.broker, thread


@pytest.fixture
def guarded(tmp_path: Path) -> Guarded:
    """Not started yet."""
    return Guarded(tmp_path)


@pytest.fixture
def serve(guarded: Guarded) -> Iterator[Callable[[], Guarded]]:
    """Starts it, until the test ends."""
    running: list[tuple[Broker, threading.Thread]] = []

    def start() -> Guarded:
        running.append(guarded.serve())
        return guarded

    yield start
    for broker, thread in running:
        broker.stop()
        thread.join(_PATIENCE_S)
        assert not thread.is_alive()
