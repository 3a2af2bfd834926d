"""What a broker with keys has besides: keyring, authenticator, and an eye on connections that do not come about.

Without keys there is none of it. It decides nothing: rights are `access`, what follows from a change is the core's.
"""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

import zmq

from hootbus.bus.access import Access
from hootbus.bus.inputs import AccessChanged, HandshakesRefused, Input
from hootbus.bus.keyring import Keyring
from hootbus.bus.zap import Authenticator
from hootbus.frames.keys import Keys
from hootbus.frames.sockets import LinkChange, Monitor

_LOG: Final = logging.getLogger("hootbus.broker")
# How often the files are looked at.
_LOOK_S: Final = 1.0
_AGAIN_S: Final = 60.0
_WORDS: Final = {
    LinkChange.MISMATCHED: "a peer has no keys, and this broker wants them: give it --key and --broker-key",
    LinkChange.WRONG_KEY: "a peer connects with another broker key than this broker's",
    LinkChange.CUT: "a peer hangs up during the handshake: it may have no keys",
    LinkChange.REFUSED: "what connected does not speak ZeroMQ as this broker does",
}


class Security:
    """The keys of one broker, and who is let in with theirs."""

    def __init__(self, keys: Keys, keyring: Keyring) -> None:
        """Raises KeysError if the keyring's files are not in order."""
        self.keys = keys
        self._keyring = keyring
        self.access = keyring.read()
        self._look_at = time.monotonic() + _LOOK_S
        self._reported = 0
        self._failed = 0
        self._told: dict[LinkChange, float] = {}
        self._monitors: list[tuple[Monitor, Callable[[Access, bytes], bool]]] = []

    def open(self, context: zmq.Context[zmq.Socket[bytes]], stack: ExitStack, threads: ExitStack) -> None:
        """Puts the authenticator in place. Before any socket of the broker is bound."""
        self._tell_notes()
        self._authenticator = Authenticator(context, self.access)
        threads.callback(self._authenticator.join)
        stack.callback(self._authenticator.close)
        self._authenticator.start()

    def watch(
        self, publish: zmq.Socket[bytes], subscribe: zmq.Socket[bytes], stack: ExitStack
    ) -> list[zmq.Socket[bytes]]:
        """Looks at the sockets of events from here on, to cut connections; before their thread begins. What to poll."""
        for socket, right in ((publish, Access.may_publish), (subscribe, Access.may_subscribe)):
            monitor = Monitor(socket, widen=False)
            self._monitors.append((monitor, right))
            stack.callback(monitor.socket.close, 0)
        return [monitor.socket for monitor, _ in self._monitors]

    def expel(self, principal: bytes, connections: tuple[int, ...], requests: Monitor) -> None:
        """Cuts these connections, and lets the key, if there is one, in no more for a while."""
        if principal:
            self._authenticator.bar(principal)
        requests.cut(connections)

    def look_at(self) -> float:
        """When `look` has something to do again."""
        return self._look_at

    def read_monitors(self) -> None:
        """Keeps account of the connections of events."""
        for monitor, _ in self._monitors:
            for change in monitor.read():
                self.noticed(change)

    def noticed(self, change: LinkChange) -> None:
        """A connection to the broker did not come about, or something else happened to one."""
        if change not in _WORDS:
            # Whom the authenticator has refused it has told of itself.
            return
        self._failed += 1
        now = time.monotonic()
        if now - self._told.get(change, -_AGAIN_S) >= _AGAIN_S:
            self._told[change] = now
            _LOG.warning("%s", _WORDS[change])

    def look(self, now: float, *, reload: bool = False) -> list[Input]:
        """Reads the files if they have changed, or if it is to `reload`; what the core is to know."""
        self._look_at = now + _LOOK_S
        inputs: list[Input] = []
        # Read once: its thread counts on meanwhile.
        counted = self._authenticator.denied
        denied, self._reported = counted - self._reported, counted
        if denied or self._failed:
            inputs.append(HandshakesRefused(denied, self._failed))
            self._failed = 0
        if reload or self._keyring.changed():
            inputs.append(AccessChanged(self._reread()))
        return inputs

    def _reread(self) -> Access:
        complaints = self._keyring.reread()
        for complaint in complaints:
            _LOG.error("the rights stay as they were where this is wrong: %s", complaint)
        self._tell_notes()
        before, self.access = self.access, self._keyring.access()
        self._authenticator.access = self.access
        cut = 0
        for monitor, right in self._monitors:
            if any(right(before, key) and not right(self.access, key) for key in before.principals()):
                # libzmq does not tell whose connection is whose: all are cut, and those who may come back do so.
                cut += monitor.cut()
        _LOG.info("the keys were read again: %d are let in, %d connections cut", len(self.access.principals()), cut)
        return self.access

    def _tell_notes(self) -> None:
        for note in self._keyring.notes:
            _LOG.warning("%s", note)
