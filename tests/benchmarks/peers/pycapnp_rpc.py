"""pycapnp's own RPC: Cap'n Proto's two-party protocol over a Unix socket, from the client to the worker itself.

As its documentation has it (capnproto.github.io/pycapnp/quickstart.html, "RPC Client" and "RPC Server"): a
`TwoPartyServer` for each connection, and calls that are awaited in the KJ event loop; any number may be open at once.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

from benchmarks.load import PROBE, serve_calls
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes
from benchmarks.role import Line
from benchmarks.work import burn

_SCHEMA: Final = Path(__file__).with_name("echo.capnp")
# Reading a body counts against a limit of 8 Mi words in all, unless more is asked for: one of 16 MB is 2 M of them.
_TRAVERSAL_WORDS: Final = 2**62


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    import capnp

    schema: Any = capnp.load(str(_SCHEMA))

    class Echo(schema.Echo.Server):  # type: ignore[misc]  # made when the schema is loaded
        async def echo(self, body: bytes, **_: object) -> bytes:
            if loops:
                burn(loops)
            return body

    async def serve(stream: Any) -> None:  # noqa: ANN401  (pycapnp ships no types)
        await capnp.TwoPartyServer(stream, bootstrap=Echo(), traversal_limit_in_words=_TRAVERSAL_WORDS).on_disconnect()

    async def main() -> None:
        server = await capnp.AsyncIoStream.create_unix_server(serve, address)
        line.ready()
        async with server:
            await server.serve_forever()

    asyncio.run(capnp.run(main()))


def client(line: Line, *, address: str, service: str) -> None:
    import capnp

    schema: Any = capnp.load(str(_SCHEMA))

    async def main() -> None:
        stream = await capnp.AsyncIoStream.create_unix_connection(address)
        connection = capnp.TwoPartyClient(stream, traversal_limit_in_words=_TRAVERSAL_WORDS)
        echo = connection.bootstrap().cast_as(schema.Echo)

        async def call(body: bytes) -> int:
            return len((await echo.echo(body)).body)

        await call(PROBE)
        await serve_calls(line, call)

    asyncio.run(capnp.run(main()))


def _start(processes: Processes, folder: Path) -> Middle:
    return Middle(str(folder / "capnp"), None)


PYCAPNP_RPC: Final = Peer(
    system="pycapnp rpc",
    note="no broker in between: the client is connected to its one worker; requests only",
    modules=("capnp",),
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=client,
    one_worker="a client is connected to one worker",
)
