"""The authenticator: libzmq asks here, in a thread of the broker, whether the key of a new connection is let in.

The question is ZeroMQ's own (RFC 27, ZAP) and comes over inproc, once for each connection and in libzmq's words. Who
may what is told by `hootbus.bus.access`.
"""

import logging
import threading
import time
from typing import Final

import zmq
from zmq.utils.z85 import encode

from hootbus.bus.access import Access
from hootbus.bus.ration import Ration
from hootbus.frames.keys import fingerprint
from hootbus.frames.sockets import Domain

_LOG: Final = logging.getLogger("hootbus.broker")
_ENDPOINT: Final = "inproc://zeromq.zap.01"
_VERSION: Final = b"1.0"
_FRAMES_MIN: Final = 7
_ALLOWED: Final = b"200"
_DENIED: Final = b"400"
_STRANGERS_PER_MINUTE: Final = 30
# After it has claimed an identity that is another key's. Those are random: that does not happen by mistake.
_BARRED_S: Final = 10.0


def objection(access: Access, domain: bytes, principal: bytes) -> str:
    """Why a key is not let in at one of the broker's sockets, "" if it is."""
    if not access.knows(principal):
        return "its public key is not in the folder of those that are let in"
    if domain == Domain.REQUESTS.encode():
        return ""
    if domain == Domain.PUBLISH.encode():
        return "" if access.may_publish(principal) else "it lacks the right 'publish'"
    if domain == Domain.SUBSCRIBE.encode():
        return "" if access.may_subscribe(principal) else "it lacks the right 'subscribe'"
    return "there is no such socket"


class Authenticator:
    """The ZAP handler of one context, in a thread that ends with it. `access` may be replaced at any time."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], access: Access) -> None:
        self.access = access
        self.denied = 0
        # Who has claimed another's identity, and until when it is kept from claiming more.
        self._barred: dict[bytes, float] = {}
        # A peer that is not let in tries again and again; the log tells it once in a while, and the counter each time.
        self._of_keys, self._of_strange_keys, self._of_strangers = Ration(1), Ration(1), Ration(_STRANGERS_PER_MINUTE)
        self._thread = threading.Thread(target=self._run, name="hoot-authenticator", daemon=True)
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(_ENDPOINT)

    def bar(self, principal: bytes) -> None:
        """Lets the key in no more for a while. For any thread."""
        self._barred[principal] = time.monotonic() + _BARRED_S

    def start(self) -> None:
        """Begins to answer. Nobody may have connected before: libzmq would let in whoever did."""
        self._thread.start()

    def close(self) -> None:
        """For a broker that never started to serve."""
        if not self._thread.is_alive():
            self._socket.close(0)

    def join(self) -> None:
        """Waits for the thread, once the context is being ended."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close(0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        version, request_id = [*question, b"", b""][:2]
        if len(question) < _FRAMES_MIN or version != _VERSION or question[5] != b"CURVE" or len(question[6]) != 32:
            # What is not CURVE proves nothing.
            self.denied += 1
            return [_VERSION, request_id, _DENIED, b"no key", b"", b""]
        domain, address, principal = question[2], question[3], encode(question[6])
        reason = objection(self.access, domain, principal)
        if not reason and self._barred.get(principal, 0.0) > time.monotonic():
            reason = "it has just spoken under another's identity"
        if not reason:
            # The User-Id goes with each of its messages from here on.
            return [_VERSION, request_id, _ALLOWED, b"", principal, b""]
        self.denied += 1
        self._tell(domain, address, principal, reason)
        return [_VERSION, request_id, _DENIED, b"denied", b"", b""]

    def _tell(self, domain: bytes, address: bytes, principal: bytes, reason: str) -> None:
        now, where = time.monotonic(), domain.decode(errors="replace")
        known, behind = self.access.knows(principal), ""
        if (self._of_keys if known else self._of_strange_keys).grants(f"{where} {principal.decode()}", now) is None:
            return
        if not known:
            # A key is made in no time: who comes with a new one each time must not fill the log either.
            told = self._of_strangers.grants("", now)
            if told is None:
                return
            behind = told
        _LOG.warning(
            "the key %s… (%s) from %s is refused at %s: %s%s",
            fingerprint(principal),
            self.access.name(principal),
            address.decode(errors="replace") or "this machine",
            where,
            reason,
            behind,
        )
