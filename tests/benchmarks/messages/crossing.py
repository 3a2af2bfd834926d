"""The way over a socket, without a bus: what a body costs by its size alone, whoever wrote it."""

from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hootbus.frames import SENT, Buffer, Command, ContentType, Message, Wire, aligned_context, dealer, serialize

_BODY: Final = 6
_PATIENCE_MS: Final = 30_000
_PATHS: Final = count()


class Crossing:
    """Two sockets of one process, joined over ipc. A body is sent as the bus sends one, in a message of frames."""

    def __init__(self, folder: Path) -> None:
        self._context = aligned_context()
        self._near, self._far = Wire(dealer(self._context)), Wire(dealer(self._context))
        endpoint = f"ipc://{folder}/crossing{next(_PATHS)}"
        self._far.socket.bind(endpoint)
        self._near.socket.connect(endpoint)
        self._frames = serialize(Message((), Command.REQUEST, ContentType.RAW_BINARY, bytes(16), b"bodies"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._near.close(0)
        self._far.close(0)
        self._context.term()

    def cross(self, body: Buffer) -> Buffer:
        """Sends it, waits for it, and returns the body as it was received."""
        frames = self._frames.copy()
        frames[_BODY] = body
        if self._near.send(frames) != SENT:
            raise RuntimeError("the socket takes no more")
        received = self._far.receive()
        while received is None:
            if not self._far.socket.poll(_PATIENCE_MS):
                raise RuntimeError(f"nothing came within {_PATIENCE_MS} ms")
            received = self._far.receive()
        there: Buffer = received[_BODY]
        return there
