"""NATS: nats-server in the middle, nats-py at both ends.

Requests are `Client.request` in its new style, one inbox subscription for all replies, as nats-py's reference has it
(nats-io.github.io/nats.py/modules.html#nats.aio.client.Client.request; `old_style=True` subscribes anew each time). The
worker is a subscription with a callback in a queue group, which is how NATS shares a service among workers
(docs.nats.io/nats-concepts/core-nats/queue), and answers with `Msg.respond`. A subscription with a callback is also
what takes events: the alternative, `Subscription.messages`, makes a task for each. `skip_subject_validation` is left
alone, as the reference advises against it ("the performance gain is minimal").
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.flood import Ear, serve_async_publisher
from benchmarks.load import PROBE, serve_calls
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes, free_port, serves, tcp
from benchmarks.role import Line, run_async
from benchmarks.work import burn

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

_SUBJECT: Final = "bench"
_QUEUE: Final = "workers"
_TIMEOUT_S: Final = 30.0
# A body of 16 MB is more than the server takes by default (1 MB), and 256 MB in flight more than it holds back for one
# connection before it calls it a slow consumer and cuts it off (docs.nats.io, Configuration: max_payload, max_pending).
_SERVER: Final = """
listen: "127.0.0.1:{port}"
max_payload: 64MB
max_pending: 1GB
"""
# The same on the side of a subscription (nats.aio.subscription): no bound in bytes, so that nothing is dropped here.
_UNBOUNDED: Final = {"pending_msgs_limit": 0, "pending_bytes_limit": 0}


async def _connect(address: str) -> "Client":
    import nats

    async def failed(error: Exception) -> None:
        # A slow consumer, a lost connection or a broken handler: what is measured after that would mean nothing.
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)

    return await nats.connect(address, error_cb=failed, allow_reconnect=False)


def worker(line: Line, *, address: str, service: str, handler: str, loops: int, uvloop: bool = False) -> None:
    async def echo(message: "Msg") -> None:
        if loops:
            burn(loops)
        await message.respond(message.data)

    async def main() -> None:
        connection = await _connect(address)
        await connection.subscribe(service, queue=_QUEUE, cb=echo, **_UNBOUNDED)
        # The server knows of the subscription once it has answered.
        await connection.flush()
        line.ready()
        await asyncio.get_running_loop().create_future()

    run_async(main(), uvloop=uvloop)


def client(line: Line, *, address: str, service: str, uvloop: bool = False) -> None:
    async def main() -> None:
        connection = await _connect(address)

        async def call(body: bytes) -> int:
            return len((await connection.request(service, body, timeout=_TIMEOUT_S)).data)

        await call(PROBE)
        await serve_calls(line, call)

    run_async(main(), uvloop=uvloop)


def publisher(line: Line, *, address: str) -> None:
    async def main() -> None:
        connection = await _connect(address)
        await serve_async_publisher(line, lambda body: connection.publish(_SUBJECT, body), connection.flush)

    run_async(main(), uvloop=False)


def subscriber(line: Line, *, address: str) -> None:
    async def main() -> None:
        connection = await _connect(address)
        ear = Ear(line)

        async def hear(message: "Msg") -> None:
            ear.hear(message.data)

        await connection.subscribe(_SUBJECT, cb=hear, **_UNBOUNDED)
        await connection.flush()
        await ear.aserve()

    run_async(main(), uvloop=False)


def _start(processes: Processes, folder: Path) -> Middle:
    port = free_port()
    settings = folder / "nats.conf"
    settings.write_text(_SERVER.format(port=port))
    child = processes.program("nats-server", "--config", str(settings))
    serves(child, tcp(port))
    return Middle(f"nats://127.0.0.1:{port}", child)


NATS: Final = Peer(
    system="nats",
    modules=("nats",),
    programs=("nats-server",),
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=client,
    publisher=publisher,
    subscriber=subscriber,
)
UVLOOP: Final = replace(
    NATS,
    system="nats uvloop",
    note="the asyncio loops of both ends are uvloop",
    modules=("nats", "uvloop"),
    worker_options={"uvloop": True},
    client_options={"uvloop": True},
)
