"""gRPC: grpcio over a Unix socket, from the client to the worker itself.

On asyncio, which gRPC's own guide prefers for Python, and with unary calls: in Python streams are the slower ones
(grpc.io/docs/guides/performance, "Python"). One channel is kept and used for all calls, as that page asks. Handlers are
generic and bodies are bytes, so that no time goes into Protocol Buffers. With one call at a time the blocking stub is
the faster client.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.load import PROBE, check, serve_calls, serve_window
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes
from benchmarks.role import Line
from benchmarks.work import burn

if TYPE_CHECKING:
    import grpc

_SERVICE: Final = "bench.Bench"
_TIMEOUT_S: Final = 30.0
# The default is 4 MB.
_OPTIONS: Final = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    import grpc

    async def echo(body: bytes, context: object) -> bytes:
        if loops:
            burn(loops)
        return body

    async def main() -> None:
        server = grpc.aio.server(options=_OPTIONS)
        # No serializers: what is sent and received are bytes.
        methods = {service: grpc.unary_unary_rpc_method_handler(echo)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, methods),))
        server.add_insecure_port(address)
        await server.start()
        line.ready()
        await server.wait_for_termination()

    asyncio.run(main())


def client(line: Line, *, address: str, service: str) -> None:
    import grpc

    async def main() -> None:
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            echo: Any = channel.unary_unary(f"/{_SERVICE}/{service}")

            async def call(body: bytes) -> int:
                return len(await echo(body, timeout=_TIMEOUT_S))

            await call(PROBE)
            await serve_calls(line, call)

    asyncio.run(main())


class _OneAtATime:
    def __init__(self, channel: "grpc.Channel", service: str) -> None:
        self._echo: Any = channel.unary_unary(f"/{_SERVICE}/{service}")
        self._size = 0
        self.ask(PROBE, 1)

    def ask(self, body: bytes, count: int) -> None:
        assert count == 1, count
        self._size = len(self._echo(body, timeout=_TIMEOUT_S))

    def take(self, size: int) -> int:
        check(self._size, size)
        return 1


def single_client(line: Line, *, address: str, service: str) -> None:
    import grpc

    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        serve_window(line, _OneAtATime(channel, service))


def _start(processes: Processes, folder: Path) -> Middle:
    return Middle(f"unix:{folder}/grpc", None)


GRPC: Final = Peer(
    system="grpc",
    note="no broker in between: the client is connected to its one worker; no events that anyone may publish",
    modules=("grpc",),
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=single_client,
    one_worker="a client is connected to one worker",
)
