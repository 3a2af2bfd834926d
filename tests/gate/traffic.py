"""What is counted is counted on a real bus in this process: broker, worker and client on threads of their own, ipc.

One request at a time shows everything that a request costs, its wake-ups among it, and is the same every time, as the
next one begins only when everybody sleeps again. Many at a time show what is left when they share the wake-ups.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import Request, Subscriber, Worker

BODY: Final = bytes(100)
BURST: Final = 32
_PATIENCE_S: Final = 20.0
_TOPIC: Final = "gate.event"

# Called between the steps, with everybody's work done or nearly so.
Between: TypeAlias = Callable[[], None]


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of it. `run` does so many steps of `per_step` requests each, and calls back after each."""

    name: str
    per_step: int
    # What the main thread is in it. The other threads have names.
    main: str
    run: Callable[[EmbeddedBroker, int, Between], None]

    def role(self, thread: str) -> str | None:
        """As `role_of`."""
        return role_of(thread, self.main)


_ROLES: Final = {
    "hoot-broker": "broker",
    "hoot-events": "broker",
    "hootbus-worker": "worker",
    "hootbus-client": "client",
    "gate-subscriber": "subscriber",
}


def role_of(thread: str, main: str) -> str | None:
    """Who the thread of that name works for, if the main thread is in that role; None if for nobody who is counted."""
    return main if thread == threading.main_thread().name else _ROLES.get(thread)


def echo_worker() -> Worker:
    """A worker that gives back what it gets, where it was received."""
    worker = Worker("gate")

    @worker.method(inline=True)
    def echo(request: Request) -> memoryview:
        return request.raw

    return worker


def _calls(bus: EmbeddedBroker, steps: int, between: Between) -> None:
    bus.worker(echo_worker())
    client = bus.client()
    for _ in range(steps):
        client.call("gate/echo", BODY)
        between()


def _async_calls(bus: EmbeddedBroker, steps: int, between: Between) -> None:
    async def run() -> None:
        async with bus.async_client() as client:
            for _ in range(steps):
                await client.call("gate/echo", BODY)
                between()

    bus.worker(echo_worker())
    asyncio.run(run())


def _async_bursts(bus: EmbeddedBroker, steps: int, between: Between) -> None:
    async def run() -> None:
        async with bus.async_client() as client:
            for _ in range(steps):
                await asyncio.gather(*(client.call("gate/echo", BODY) for _ in range(BURST)))
                between()

    bus.worker(echo_worker())
    asyncio.run(run())


def _events(bus: EmbeddedBroker, steps: int, between: Between, burst: int = 1) -> None:
    ready = threading.Event()
    received = threading.Semaphore(0)

    # The subscription is made there too, so that libzmq's threads are known by the thread that has begun them.
    def subscribe() -> None:
        with Subscriber(_TOPIC, address=bus.address) as subscriber:
            ready.set()
            for _ in range(steps * burst):
                subscriber.receive(_PATIENCE_S)
                received.release()

    thread = threading.Thread(target=subscribe, name="gate-subscriber", daemon=True)
    thread.start()
    assert ready.wait(_PATIENCE_S), "the subscription was not answered"
    publisher = bus.publisher()
    publisher.ready(_PATIENCE_S)
    for _ in range(steps):
        for _ in range(burst):
            publisher.publish(_TOPIC, BODY)
        for _ in range(burst):
            assert received.acquire(timeout=_PATIENCE_S), "an event did not arrive"
        between()
    thread.join(_PATIENCE_S)


def _event_bursts(bus: EmbeddedBroker, steps: int, between: Between) -> None:
    _events(bus, steps, between, BURST)


REQUESTS: Final = (
    Traffic(name="per request, one at a time, Client", per_step=1, main="client", run=_calls),
    Traffic(name="per request, one at a time, AsyncClient", per_step=1, main="client", run=_async_calls),
    Traffic(name=f"per request, {BURST} at a time, AsyncClient", per_step=BURST, main="client", run=_async_bursts),
)
EVENTS: Final = (
    Traffic(name="per event, one at a time", per_step=1, main="publisher", run=_events),
    Traffic(name=f"per event, {BURST} at a time", per_step=BURST, main="publisher", run=_event_bursts),
)
