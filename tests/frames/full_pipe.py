"""A program whose socket's pipe is full with what it has not read, while its connection stays, or breaks.

One of its own, as it is by ending the process that libzmq says that something is wrong there.
"""

import sys
import time
from pathlib import Path

import zmq

from hootbus.frames.sockets import dealer, event_socket, router

_ROOM = 10
_MESSAGES = 40_000
# Longer than whoever sends heartbeats waits for an answer.
_AWAY_S = 2.0


def main(folder: str, who: str, connection: str) -> int:
    """How many messages it has read in the end."""
    ours, theirs = zmq.Context(), zmq.Context()
    address = f"ipc://{Path(folder) / 'socket'}"
    if who == "subscriber":
        reader, writer = event_socket(ours, zmq.SUB), event_socket(theirs, zmq.PUB)
        reader.setsockopt(zmq.RCVHWM, _ROOM)
        reader.setsockopt(zmq.SUBSCRIBE, b"")
        bound, connected = writer, reader
    else:
        reader, writer = router(ours), dealer(theirs, b"a peer")
        bound, connected = reader, writer
    writer.setsockopt(zmq.SNDHWM, 0)
    bound.bind(address)
    connected.connect(address)
    while not reader.poll(10):
        writer.send(b"begin")
    for _ in range(_MESSAGES):
        writer.send(bytes(100))
    if connection == "breaks":
        # What has left so far fills the pipe and the kernel's buffers.
        time.sleep(0.2)
        writer.close(0)
        theirs.term()
    time.sleep(_AWAY_S)
    count = 0
    while reader.poll(500):
        reader.recv_multipart()
        count += 1
    reader.close(0)
    ours.term()
    if connection == "stays":
        writer.close(0)
        theirs.term()
    return count


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
