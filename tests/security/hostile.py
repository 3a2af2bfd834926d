"""A peer that keeps to nothing: a bare socket with a key and a routing id of its choice."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import zmq

from hootbus.frames.keys import Keys

PATIENCE_MS = 5000
READY, REQUEST, REPLY, HEARTBEAT, DISCONNECT, CANCEL, PARTIAL = (n.to_bytes(2, "big") for n in range(1, 8))
RAW = b"\0\2"
RID = b"q" * 16
# Flag 4: the request waits for its worker, who comes over another connection.
OPTIONS = bytes.fromhex("00000000040000000000000004000000") + bytes(24)


class Raw:
    """One DEALER."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self.socket = socket

    def say(self, command: bytes, request_id: bytes = RID, service: bytes = b"", body: bytes = b"") -> None:
        self.socket.send_multipart([b"HOOT01", command, RAW, request_id, service, b"", body, OPTIONS])

    def ready(self, service: bytes) -> None:
        """As a plain worker."""
        self.socket.send_multipart([b"HOOT01", READY, b"\0\0", RID, service, b"", b""])

    def come_back(self) -> None:
        """Until the broker answers: what was sent when the connection was somebody else's is lost."""
        while True:
            self.say(HEARTBEAT, b"h" * 16)
            with suppress(TimeoutError):
                self.hear(HEARTBEAT, 100)
                return

    def hear(self, command: bytes, patience_ms: int = PATIENCE_MS) -> list[bytes]:
        """The next message of this kind."""
        while self.socket.poll(patience_ms):
            frames = self.socket.recv_multipart()
            if frames[frames.index(b"HOOT01") + 1] == command:
                return frames[frames.index(b"HOOT01") :]
        raise TimeoutError(command)

    def heard(self) -> list[bytes]:
        """The commands of all that has come."""
        came = []
        while self.socket.poll(0):
            frames = self.socket.recv_multipart()
            came.append(frames[frames.index(b"HOOT01") + 1])
        return came


@contextmanager
def raw(address: str, keys: Keys | None, identity: bytes) -> Iterator[Raw]:
    """Connected under this identity; a message is on its way as soon as the handshake is over."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    # One that is refused has no pipe any more, and would wait for room in it for ever.
    socket.setsockopt(zmq.SNDTIMEO, PATIENCE_MS)
    socket.setsockopt(zmq.ROUTING_ID, identity)
    if keys is not None:
        socket.curve_publickey, socket.curve_secretkey = keys.public, keys.secret
        socket.curve_serverkey = keys.broker
    socket.connect(address)
    try:
        yield Raw(socket)
    finally:
        context.destroy(0)
