"""The systems that are measured side by side."""

from typing import Final

from benchmarks.peers import grpc_, hootbus_, nats_, plain_pyzmq, pycapnp_rpc, redis_, zenoh_
from benchmarks.peers.peer import Peer

# In the order in which tables show them; hootbus ipc is what the others are compared with.
PEERS: Final[tuple[Peer, ...]] = (
    hootbus_.IPC,
    hootbus_.TCP,
    plain_pyzmq.PLAIN_PYZMQ,
    nats_.NATS,
    zenoh_.ZENOH,
    redis_.REDIS,
    grpc_.GRPC,
    pycapnp_rpc.PYCAPNP_RPC,
)
# Other ways to use one of them, which some questions ask for besides.
VARIANTS: Final[tuple[Peer, ...]] = (hootbus_.ASYNC, hootbus_.UVLOOP, nats_.UVLOOP, redis_.BATCHES)
