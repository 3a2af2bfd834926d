"""A program with a ROUTER, to which somebody connects twice with one identity, speaks over the former, and hangs up.

One of its own, as it is by ending the process that libzmq says that something is wrong there.
"""

import sys
import time
from pathlib import Path

import zmq

from hootbus.bus.proxy import last_endpoint
from hootbus.frames.sockets import router

_IDENTITY = b"\x01twice"
# Twice what the broker's ROUTER once left between two heartbeats.
_AWAY_S = 1.0


def main(folder: str, transport: str) -> int:
    """How many messages it has read in the end."""
    ours = zmq.Context()
    broker = router(ours)
    broker.bind("tcp://127.0.0.1:*" if transport == "tcp" else f"ipc://{Path(folder) / 'socket'}")
    address = last_endpoint(broker)
    contexts, peers = [], []
    for _ in range(2):
        # Each in a process of its own, as it were.
        context = zmq.Context()
        peer = context.socket(zmq.DEALER)
        peer.setsockopt(zmq.ROUTING_ID, _IDENTITY)
        peer.setsockopt(zmq.LINGER, 0)
        peer.connect(address)
        peer.send(b"here")
        broker.recv_multipart()
        contexts.append(context)
        peers.append(peer)
    peers[0].send(b"over the former")
    # It never comes, as libzmq takes in nothing more from there; it must have arrived, though.
    broker.poll(200)
    peers[0].close()
    contexts[0].term()
    deadline = time.monotonic() + _AWAY_S
    while time.monotonic() < deadline:
        broker.poll(100)
    peers[1].send(b"over the latter")
    assert broker.recv_multipart() == [_IDENTITY, b"over the latter"]
    peers[1].close()
    contexts[1].term()
    broker.close(0)
    ours.term()
    return 3


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
