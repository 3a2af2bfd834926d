"""hootbus itself, on ipc and on tcp: the broker as `hoot broker` runs it, and the clients that README.md shows."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.flood import serve_publisher, serve_subscriber
from benchmarks.load import PROBE, check, serve_calls, serve_window
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import READY_S, Processes
from benchmarks.role import Line, run_async
from benchmarks.work import burn

_TOPIC: Final = "bench"
# The answer to a probe may wait for a worker; then calls are bounded as in any program.
_PROBE_S: Final = 20.0


def broker(line: Line, *, address: str) -> None:
    from hootbus.bus.broker import Broker
    from hootbus.frames.address import parse_address

    # The answer is the address with the port that it got.
    Broker(parse_address(address)).run(lambda serves: line.answer(address=serves.text))


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    from hootbus.workers import Request, Worker

    worker = Worker(service, address)

    def echo(request: Request) -> memoryview:
        if loops:
            burn(loops)
        return request.raw

    async def echo_async(request: Request) -> memoryview:
        return echo(request)

    match handler:
        case "inline":
            worker.method(inline=True)(echo)
        case "def":
            worker.method(echo)
        case "async def":
            worker.method(echo_async)
        case _:
            raise ValueError(handler)
    worker.run(on_ready=line.ready)


def client(line: Line, *, address: str, service: str, uvloop: bool = False) -> None:
    from hootbus.workers import AsyncClient

    async def main() -> None:
        async with AsyncClient(address) as bus:

            async def call(body: bytes) -> int:
                return (await bus.call(service, body)).raw.nbytes

            await bus.call(service, PROBE, wait=True, timeout=_PROBE_S)
            await serve_calls(line, call)

    run_async(main(), uvloop=uvloop)


class _OneAtATime:
    """The blocking client: with one request in flight, asking is all that there is to it."""

    def __init__(self, address: str, service: str) -> None:
        from hootbus.workers import Client

        self._client = Client(address)
        self._service = service
        self._size = self._client.call(service, PROBE, wait=True, timeout=_PROBE_S).raw.nbytes

    def ask(self, body: bytes, count: int) -> None:
        assert count == 1, count
        self._size = self._client.call(self._service, body).raw.nbytes

    def take(self, size: int) -> int:
        check(self._size, size)
        return 1


def single_client(line: Line, *, address: str, service: str) -> None:
    serve_window(line, _OneAtATime(address, service))


def publisher(line: Line, *, address: str) -> None:
    from hootbus.workers import Publisher

    with Publisher(address) as bus:
        # What waits in the publisher is sent by its own thread.
        serve_publisher(line, lambda body: bus.publish(_TOPIC, body), lambda: None)


def subscriber(line: Line, *, address: str) -> None:
    from hootbus.workers import Subscriber

    with Subscriber(_TOPIC, address=address) as bus:
        serve_subscriber(line, lambda: bus.receive().raw)


def _ipc(processes: Processes, folder: Path) -> Middle:
    return _start(processes, f"ipc://{folder}")


def _tcp(processes: Processes, folder: Path) -> Middle:
    return _start(processes, "tcp://127.0.0.1:0")


def _start(processes: Processes, address: str) -> Middle:
    child = processes.start(broker, address=address)
    return Middle(child.answer(READY_S)["address"], child)


IPC: Final = Peer(
    system="hootbus ipc",
    start_middle=_ipc,
    worker=worker,
    client=client,
    single_client=single_client,
    publisher=publisher,
    subscriber=subscriber,
)
TCP: Final = replace(IPC, system="hootbus tcp", start_middle=_tcp)
ASYNC: Final = replace(
    IPC, system="hootbus ipc async", note="AsyncClient, where hootbus ipc is the blocking Client", single_client=client
)
UVLOOP: Final = replace(
    IPC,
    system="hootbus ipc uvloop",
    note="the client's asyncio loop is uvloop",
    modules=("uvloop",),
    single_client=client,
    client_options={"uvloop": True},
)
