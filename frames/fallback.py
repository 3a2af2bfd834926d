"""The face of `_native` on plain pyzmq: the same behaviour, several times the time per message.

Used where the native modules were not compiled, and held to the same tests.
"""

from typing import Any, Final

import zmq

from hootbus.frames.buffer import Frames
from hootbus.frames.protocol import SIGNATURE

SENT: Final = 0
FULL: Final = 1
UNREACHABLE: Final = 2

# As in `_native`.
LENT_BYTES_MIN: Final = 64 * 1024
_HEADER_BYTES: Final = 1024
_STORED_MAX: Final = 96
_EVENT_SOCKETS: Final = (zmq.SUB, zmq.PUB, zmq.XSUB, zmq.XPUB)


class Wire:
    """A socket's whole messages; see `_native.Wire`. Held frames are read-only memoryviews over a zmq.Frame.

    Every frame is copied when it is sent. What pyzmq lends to libzmq (`copy=False`) it lets go when the interpreter
    ends, whether libzmq still reads it or not: a process that ended with frames on their way crashed nearly always.
    """

    lent: Final = 0

    def __init__(self, socket: zmq.Socket[bytes], authenticated: bool = False) -> None:
        self.socket = socket
        self.principal = b""
        self.descriptor = -1
        self._authenticated = authenticated
        self.copied = 0
        self._start = 1 if socket.type == zmq.ROUTER else 0
        self._held = 2 if socket.type in _EVENT_SOCKETS else None

    def close(self, linger: int | None = None) -> None:
        """Closes the socket; `linger` in milliseconds."""
        self.socket.close(linger)

    def receive(self) -> Frames | None:
        """The frames of the next message, or None if there is none now. Never blocks."""
        try:
            frame = self.socket.recv(zmq.DONTWAIT, copy=False)
        except zmq.Again:
            return None
        if self._authenticated:
            self.principal = _property(frame, "User-Id")
            self.descriptor = int(_property(frame, "__fd") or -1)
        frames: Frames = []
        held = self._held
        count = 0
        while True:
            if held is None and count >= self._start and len(frame) == len(SIGNATURE) and frame.bytes == SIGNATURE:
                held = count + 6
            if count < _STORED_MAX:
                frames.append(self._stored(frame, held is None or count < held or count == held + 1))
            if not frame.more:
                return frames
            count += 1
            frame = self.socket.recv(zmq.DONTWAIT, copy=False)

    def send(self, frames: Frames) -> int:
        """Queues one message; SENT, or FULL (the peer's pipe) or UNREACHABLE (no such peer), with nothing sent."""
        if not 0 < len(frames) <= _STORED_MAX:
            raise ValueError(f"a message of {len(frames)} frames; 1 to {_STORED_MAX} can be sent")
        # Asked for first, as a message that has begun must be finished: what is no buffer raises here.
        parts = [frame if isinstance(frame, bytes) else memoryview(frame) for frame in frames]
        for part in parts:
            if isinstance(part, memoryview) and not part.c_contiguous:
                raise BufferError("a frame's memory is not contiguous")
            self.copied += (len(part) if isinstance(part, bytes) else part.nbytes) >= LENT_BYTES_MIN
        try:
            self.socket.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:
            return FULL
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return UNREACHABLE
            raise
        return SENT

    @staticmethod
    def _stored(frame: zmq.Frame, header: bool) -> Any:  # noqa: ANN401  # as Frames: bytes or memoryview
        if header and len(frame) <= _HEADER_BYTES:
            return frame.bytes
        # pyzmq's view is writable; what several may share must not be.
        return memoryview(frame).toreadonly()  # type: ignore[arg-type]  # pyzmq's stub misstates its buffer protocol


def _property(frame: zmq.Frame, name: str) -> bytes:
    try:
        value = frame.get(name)
    except zmq.ZMQError:
        return b""
    return value.encode() if isinstance(value, str) else b""


def descriptor_of(frame: object) -> int:
    """The connection over which a held frame came, -1 if that is not known."""
    if not isinstance(frame, memoryview) or not isinstance(frame.obj, zmq.Frame):
        return -1
    return int(_property(frame.obj, "__fd") or -1)


def on_loan() -> int:
    """How many frames of this process libzmq has by reference: none is ever lent here."""
    return 0
