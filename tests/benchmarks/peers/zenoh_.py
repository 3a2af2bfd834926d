"""zenoh: a router in the middle, queries for requests, put for events, all of it Rust under Python.

The router is a session in mode "router" in a process of its own: the same Rust as zenohd, which has no Debian package.
Sessions are clients of it and do not look for others (zenoh.io/docs/manual/configuration). Requests go through a
declared `Querier`, whose key is resolved once, and both ends read from channels, which never leave Rust (reference of
zenoh-python, "Channels and callbacks"): a callback runs on a Python thread of its own instead, one for each query, and
is five times slower. Publishing blocks when it is too fast, as in zenoh's own throughput test
(zenoh-python, examples/z_pub_thr.py).
"""

import json
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.flood import serve_publisher, serve_subscriber
from benchmarks.load import PROBE, check, serve_window
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes, ready
from benchmarks.role import Line
from benchmarks.work import burn

if TYPE_CHECKING:
    import zenoh

_TOPIC: Final = "bench"
# Queries and events that a channel holds; when it is full, zenoh waits, up to the publisher.
_CHANNEL: Final = 10_000
_PROBE_PAUSE_S: Final = 0.02
_PROBES_MAX: Final = 500


def _session(mode: str, **endpoints: str) -> "zenoh.Session":
    import zenoh

    config = zenoh.Config()
    config.insert_json5("mode", json.dumps(mode))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("scouting/gossip/enabled", "false")
    for way in ("listen", "connect"):
        config.insert_json5(f"{way}/endpoints", json.dumps([endpoints[way]] if way in endpoints else []))
    return zenoh.open(config)


def router(line: Line, *, address: str) -> None:
    with _session("router", listen=address):
        line.ready()
        # It works in threads of its own.
        line.order()


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    import zenoh

    with _session("client", connect=address) as session:
        queries = session.declare_queryable(service, zenoh.handlers.FifoChannel(_CHANNEL), complete=True)
        key = zenoh.KeyExpr(service)
        line.ready()
        while True:
            query = queries.recv()
            if loops:
                burn(loops)
            query.reply(key, query.payload)
            # A query is answered when it is let go of.
            del query


class _Client:
    def __init__(self, session: "zenoh.Session", service: str) -> None:
        import zenoh

        # Any reply is the only one: there is nothing to wait for before it is passed on.
        self._querier = session.declare_querier(service, consolidation=zenoh.ConsolidationMode.NONE)
        self._replies: deque[zenoh.Handler[zenoh.Reply]] = deque()
        for _ in range(_PROBES_MAX):
            if any(reply.ok for reply in self._querier.get(payload=PROBE)):
                return
            time.sleep(_PROBE_PAUSE_S)
        raise TimeoutError("no worker")

    def ask(self, body: bytes, count: int) -> None:
        for _ in range(count):
            self._replies.append(self._querier.get(payload=body))

    def take(self, size: int) -> int:
        reply = self._replies.popleft().recv()
        check(len(reply.ok.payload) if reply.ok else -1, size)
        return 1


def client(line: Line, *, address: str, service: str) -> None:
    with _session("client", connect=address) as session:
        serve_window(line, _Client(session, service))


def publisher(line: Line, *, address: str) -> None:
    import zenoh

    with _session("client", connect=address) as session:
        events = session.declare_publisher(_TOPIC, congestion_control=zenoh.CongestionControl.BLOCK)
        serve_publisher(line, events.put, lambda: None)


def subscriber(line: Line, *, address: str) -> None:
    import zenoh

    with _session("client", connect=address) as session:
        events = session.declare_subscriber(_TOPIC, zenoh.handlers.FifoChannel(_CHANNEL))
        serve_subscriber(line, lambda: events.recv().payload.to_bytes())


def _start(processes: Processes, folder: Path) -> Middle:
    address = f"unixsock-stream/{folder}/zenoh"
    child = processes.start(router, address=address)
    ready(child)
    return Middle(address, child)


ZENOH: Final = Peer(
    system="zenoh",
    note="the router is its own Rust, in a Python process; from 3 KB on bodies go through shared memory, its default",
    modules=("zenoh",),
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=client,
    publisher=publisher,
    subscriber=subscriber,
    # QueryTarget.BEST_MATCHING, the default; the others are all of them.
    one_worker="a query goes to the nearest worker, and is not balanced between several",
)
