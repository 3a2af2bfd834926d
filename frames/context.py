"""ZeroMQ contexts whose received frames can be read as Cap'n Proto where they lie."""

import errno
import os
import tempfile
from typing import Final

import msgspec
import zmq

from hootbus.frames.buffer import Buffer
from hootbus.frames.wire import NATIVE, Wire

# Cap'n Proto reads whole words, so a frame must be 8-byte aligned. libzmq's default is to hand out small frames inside
# its receive batch, at any address; this context option (ZMQ_ZERO_COPY_RECV, zmq.h) gives each frame memory of its own.
_ZERO_COPY_RECV: Final = 10
_WORD: Final = 8
# A stopped or unreachable peer must not keep a closing socket for ever.
_PROBE_TIMEOUT_MS: Final = 2000
_PROBE_SIZES: Final = (34, 40, 57, 100, 129, 500, 1001, 4099, 8001, 70_001)
_PROBE_ROUNDS: Final = 8
# Of a context's threads and of one socket with its monitor and its connection: eleven, counted.
_DESCRIPTORS: Final = 12


class Alignment(msgspec.Struct, frozen=True):
    """How many probed frames lay on an 8-byte boundary."""

    aligned: int
    probed: int

    @property
    def holds(self) -> bool:
        """Whether every one did."""
        return self.probed > 0 and self.aligned == self.probed


def aligned_context() -> zmq.Context[zmq.Socket[bytes]]:
    """A new context that gives 8-byte-aligned frames, where this libzmq can.

    Where it cannot, bodies that lie badly are copied and counted (`hootbus.schemas`); `probe` tells. Raises OSError if
    so few further files may be opened that libzmq could not begin.
    """
    _require_descriptors()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        context.set(_ZERO_COPY_RECV, 0)
    except zmq.ZMQError as error:
        if error.errno != zmq.EINVAL:
            raise
    return context


def _require_descriptors() -> None:
    """libzmq ends the whole process where it finds none for its threads (measured): better to say so."""
    taken = []
    try:
        for _ in range(_DESCRIPTORS):
            # Any file will do: what is asked is whether there may be another.
            taken.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        raise OSError(
            error.errno, f"a connection to a bus takes {_DESCRIPTORS} open files; raise `ulimit -n`"
        ) from None
    finally:
        for descriptor in taken:
            os.close(descriptor)


def fallbacks(context: zmq.Context[zmq.Socket[bytes]]) -> list[str]:
    """What is slower here than it could be, each in a line for the log; mostly nothing. A few milliseconds."""
    found = []
    if not NATIVE:
        found.append("the native module is not in use: messages take several times as long (see hoot doctor)")
    try:
        alignment = probe(context)
    except (zmq.ZMQError, OSError) as error:
        return [*found, f"whether frames can be read in place is not known, as the probe failed: {error}"]
    if not alignment.holds:
        found.append(
            f"{alignment.probed - alignment.aligned} of {alignment.probed} frames were not 8-byte aligned: "
            "Cap'n Proto bodies in such are copied, and counted"
        )
    return found


def probe(context: zmq.Context[zmq.Socket[bytes]]) -> Alignment:
    """Sends frames of many sizes through the context over ipc, and looks where they arrive. A few milliseconds."""
    aligned = probed = 0
    with tempfile.TemporaryDirectory(prefix="hoot") as folder:
        endpoint = f"ipc://{os.path.join(folder, 'probe')}"
        # Messages of the bus's own form, as only in those a body is held.
        near, far = Wire(context.socket(zmq.DEALER)), Wire(context.socket(zmq.DEALER))
        try:
            near.socket.bind(endpoint)
            far.socket.connect(endpoint)
            sent = [bytes(size) for _ in range(_PROBE_ROUNDS) for size in _PROBE_SIZES]
            for body in sent:
                far.send([b"HOOT01", *[b""] * 5, body])
            while probed < len(sent) and near.socket.poll(_PROBE_TIMEOUT_MS):
                while (frames := near.receive()) is not None:
                    probed += 1
                    aligned += address_of(frames[6]) % _WORD == 0
        finally:
            near.close(0)
            far.close(0)
    return Alignment(aligned, probed)


def address_of(buffer: Buffer) -> int:
    """Where a buffer's memory begins."""
    # Imported late: it takes longer than all else here, and a `hoot call` has no use for it.
    import numpy as np

    return int(np.frombuffer(memoryview(buffer), np.uint8).ctypes.data)
