"""The control for growth: a ROUTER that forwards and knows nothing else, behind the broker's own door to libzmq.

What becomes slower here with more connections is libzmq, the kernel and the crowd itself, not the broker's rules. It
has no queues, deadlines, slots or heartbeats, believes everything, and would lose requests at every turn but this one.
"""

from typing import Final

from benchmarks.role import Line
from hootbus.bus.guard import raise_descriptor_limit
from hootbus.frames import Command, Frames, Wire, aligned_context, parse_address, router

_BATCH: Final = 64
_COMMAND: Final = 2
_REQUEST_ID: Final = 4
_SERVICE: Final = 5
_READY: Final = Command.READY.to_bytes(2, "big")
_REQUEST: Final = Command.REQUEST.to_bytes(2, "big")
_REPLY: Final = Command.REPLY.to_bytes(2, "big")
_HEARTBEAT: Final = Command.HEARTBEAT.to_bytes(2, "big")


def bare_router(line: Line, *, address: str) -> None:
    raise_descriptor_limit()
    wire = Wire(router(aligned_context()))
    wire.socket.bind(parse_address(address).requests)
    line.ready()
    workers: dict[bytes, bytes] = {}
    clients: dict[bytes, bytes] = {}
    while wire.socket.poll():
        # As the broker does: what has come is taken in before anything is sent.
        taken: list[Frames] = []
        while len(taken) < _BATCH and (frames := wire.receive()) is not None:
            taken.append(frames)
        for frames in taken:
            command = frames[_COMMAND]
            if command == _REQUEST:
                clients[frames[_REQUEST_ID]] = frames[0]
                frames[0] = workers[frames[_SERVICE]]
            elif command == _REPLY:
                frames[0] = clients.pop(frames[_REQUEST_ID])
            elif command == _READY:
                workers[frames[_SERVICE]] = frames[0]
                frames[_COMMAND] = _HEARTBEAT
            else:
                # A worker's sign of life.
                continue
            wire.send(frames)
