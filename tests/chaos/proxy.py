"""A TCP proxy that can stop forwarding without closing anything: connections are half open, as behind a dead router.

Frozen, a direction takes no byte more from its sender and passes no end on; the other end hears nothing, not even that.
Connections that are made later are forwarded well.
"""

import selectors
import socket
import threading
from types import TracebackType
from typing import Final, Self

import msgspec

_READ_BYTES: Final = 65536
UP: Final = "up"
DOWN: Final = "down"


class _Half(msgspec.Struct, eq=False):
    """One direction of one connection: what is read here is written there."""

    direction: str
    source: socket.socket
    target: socket.socket
    frozen: bool = False


class Proxy:
    """Forwards what comes to its own port of 127.0.0.1 to another port there, on a thread, until the block ends."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._halves: list[_Half] = []
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._forward, name="chaos-proxy", daemon=True)
        self._ended = False

    @property
    def address(self) -> str:
        """The bus address for clients and workers; events do not pass."""
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        """How many have been made so far."""
        with self._lock:
            return len(self._halves) // 2

    def freeze(self, *directions: str) -> None:
        """Stops these directions (UP is towards the broker) of all connections that there are."""
        with self._lock:
            for half in self._halves:
                if half.direction in directions and not half.frozen:
                    half.frozen = True
                    if half.source in self._selector.get_map():
                        self._selector.unregister(half.source)
        # So that the thread does not wait for what is no longer registered.
        self._wake_writer.send(b"\0")

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        self._wake_writer.send(b"\0")
        self._thread.join()
        self._selector.close()
        sockets = {half.source for half in self._halves}
        for opened in (self._listener, self._wake_reader, self._wake_writer, *sockets):
            opened.close()

    def _forward(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._wake_reader:
                    self._wake_reader.recv(_READ_BYTES)
                else:
                    self._pass_on(key.data)

    def _accept(self) -> None:
        peer, _ = self._listener.accept()
        try:
            broker = socket.create_connection(("127.0.0.1", self._port))
        except OSError:
            # No broker, as anyone who connects is to find.
            peer.close()
            return
        with self._lock:
            for half in (_Half(UP, peer, broker), _Half(DOWN, broker, peer)):
                self._halves.append(half)
                self._selector.register(half.source, selectors.EVENT_READ, half)

    def _pass_on(self, half: _Half) -> None:
        with self._lock:
            if half.frozen:
                return
            try:
                read = half.source.recv(_READ_BYTES)
                if read:
                    half.target.sendall(read)
                    return
                half.target.shutdown(socket.SHUT_WR)
            except OSError:
                # Either end has broken it; the other half finds out by itself.
                pass
            self._selector.unregister(half.source)
