"""Clients and workers on uvloop: a loop of another make, whose handles and timers are not asyncio's."""

import asyncio

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.errors import DeadlineExceeded
from hootbus.workers import AsyncClient, Request, Worker

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed (make check installs it)")


def test_a_client_and_a_worker_serve_on_it() -> None:
    async def main(address: str) -> None:
        worker = Worker("text", address)

        @worker.method
        async def upper(request: Request) -> bytes:
            return bytes(request.raw).upper()

        @worker.method
        async def never(request: Request) -> None:
            await asyncio.Event().wait()

        ready = asyncio.Event()
        serving = asyncio.create_task(worker.serve(on_ready=ready.set))
        await ready.wait()
        async with AsyncClient(address) as client:

            async def ask(number: int) -> None:
                for _ in range(20):
                    body = b"message %d" % number
                    assert bytes((await client.call("text/upper", body)).raw) == body.upper()

            await asyncio.gather(*map(ask, range(64)))
            # A timer that is due already is no timer there.
            for timeout in (0.0, 0.001, 0.05):
                with pytest.raises(DeadlineExceeded):
                    await client.call("text/never", timeout=timeout)
        worker.stop()
        await serving

    with EmbeddedBroker() as bus:
        uvloop.run(main(bus.address))
