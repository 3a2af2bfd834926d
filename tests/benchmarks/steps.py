"""What each step of a request takes by itself, in one thread and without waiting: the table of docs/performance.md.

`PYTHONPATH=tests .venv/bin/python -P -m benchmarks.steps` prints microseconds of CPU time, the best of several rounds:
each step is repeated with all that it needs at hand, so that in a process with other work it takes somewhat longer.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import zmq

from hootbus.bus import inputs
from hootbus.bus.core import Core
from hootbus.frames.context import aligned_context
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.frames.wire import Wire
from hootbus.schemas import Registration, write_registration
from hootbus.workers.calls import new_call, reply_of
from hootbus.workers.client_session import ClientSession
from hootbus.workers.session import Body, Connected, Received, Send
from hootbus.workers.worker_session import WorkerSession

BODY: Final = b"x" * 100
SERVICE: Final = b"echo"
_REPEATS: Final = 20_000
_ROUNDS: Final = 5
_US: Final = 1e6
_INSTANCE: Final = b"i" * 16
_WELCOME: Final = "the first Send of a session that has just connected is its hello"
# As many as are in flight in the question that the table explains.
_IN_FLIGHT: Final = 256


def main() -> None:
    """Prints all of them."""
    for step, seconds in steps():
        print(f"{step:48} {seconds * _US:6.2f} µs")


def steps() -> Iterator[tuple[str, float]]:
    """Each step with the CPU seconds that it takes."""
    with _pair() as (near, far):
        frames = serialize(_request(1))

        def send() -> None:
            near.send(frames)

        def receive() -> None:
            assert far.receive() is not None

        yield "send a message", _best(send, after=lambda: _drain(far))
        yield "receive a message", _best(receive, before=lambda: _fill(near, frames))
        near.send(frames)
        received = far.receive()
        assert received is not None
        yield "parse a message", _best(lambda: parse(received))
    request = _request(1)
    yield "serialize a message", _best(lambda: serialize(request))
    yield "the broker's core, a request and its reply", _core()
    yield "the worker's session, a request and its result", _worker()
    yield "the client's session, a call and its reply", _client()
    yield "asyncio, a future awaited and its task woken", asyncio.run(_awaited())


def _best(step: Callable[[], object], before: Callable[[], object] = int, after: Callable[[], object] = int) -> float:
    """CPU seconds of one step, in the best of several rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        before()
        began = time.process_time()
        for _ in range(_REPEATS):
            step()
        best = min(best, (time.process_time() - began) / _REPEATS)
        after()
    return best


@contextmanager
def _pair() -> Iterator[tuple[Wire, Wire]]:
    """Two sockets without libzmq's threads in between, and without a bound."""
    context = aligned_context()
    near, far = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    for socket in (near, far):
        socket.set_hwm(0)
    near.bind("inproc://steps")
    far.connect("inproc://steps")
    wires = Wire(near), Wire(far)
    try:
        yield wires
    finally:
        for wire in wires:
            wire.close(0)
        context.term()


def _fill(wire: Wire, frames: list[bytes]) -> None:
    for _ in range(_REPEATS):
        wire.send(frames)


def _drain(wire: Wire) -> None:
    while wire.receive() is not None:
        pass


def _id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _request(number: int, *route: bytes) -> Message:
    options = Options(deadline_ms=30_000)
    return Message(route, Command.REQUEST, ContentType.RAW_BINARY, _id(number), SERVICE, b"", BODY, options)


def _reply(number: int, *route: bytes) -> Message:
    return Message(route, Command.REPLY, ContentType.RAW_BINARY, _id(number), SERVICE, b"", BODY, NO_OPTIONS)


def _core() -> float:
    core = Core(instance=_INSTANCE, new_id=lambda: _INSTANCE, now=0.0)
    ready = write_registration(_id(0), Registration(worker_id=bytes(16), name="w", slots=_IN_FLIGHT))
    options = Options(flags=Flag.WORKER)
    core.handle(
        inputs.Received(Message((b"w",), Command.READY, ContentType.CAPNPROTO, _id(0), SERVICE, b"", ready, options)),
        0.0,
    )
    pairs = [(inputs.Received(_request(n, b"c")), inputs.Received(_reply(n, b"w"))) for n in range(1, _IN_FLIGHT + 1)]

    def burst() -> None:
        for request, _ in pairs:
            core.handle(request, 1.0)
        for _, reply in pairs:
            core.handle(reply, 1.0)

    return _best_of_bursts(burst)


def _worker() -> float:
    session = WorkerSession(
        SERVICE, slots=_IN_FLIGHT, registration=lambda _: b"", new_id=lambda: _id(0), random=lambda: 0.0, now=0.0
    )
    _link(session)
    requests = [Received(_request(n)) for n in range(1, _IN_FLIGHT + 1)]
    result = Body(ContentType.RAW_BINARY, BODY)

    def burst() -> None:
        for event in requests:
            session.handle(event, 1.0)
        for event in requests:
            session.finish(event.message.request_id, result, 1.0)

    return _best_of_bursts(burst)


def _client() -> float:
    session = ClientSession(new_id=lambda: _id(0), random=lambda: 0.0, now=0.0)
    _link(session)
    replies = [Received(_reply(n)) for n in range(1, _IN_FLIGHT + 1)]

    def burst() -> None:
        for event in replies:
            session.request(new_call(event.message.request_id, "echo", BODY, timeout=30.0), 1.0)
        for event in replies:
            session.handle(event, 1.0)
            reply_of(event.message)

    return _best_of_bursts(burst)


def _link(session: ClientSession | WorkerSession) -> None:
    """Has the broker answer the session's hello."""
    (hello,) = session.handle(Connected(), 0.0)
    assert isinstance(hello, Send), _WELCOME
    identity = hello.message.request_id
    answer = Message((), Command.HEARTBEAT, ContentType.RAW_BINARY, identity, b"", b"", _INSTANCE, NO_OPTIONS)
    session.handle(Received(answer), 0.0)


def _best_of_bursts(burst: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_ROUNDS * 20):
        began = time.process_time()
        burst()
        best = min(best, (time.process_time() - began) / _IN_FLIGHT)
    return best


async def _awaited() -> float:
    loop = asyncio.get_running_loop()
    best = float("inf")
    for _ in range(_ROUNDS * 20):
        futures: list[asyncio.Future[None]] = [loop.create_future() for _ in range(_IN_FLIGHT)]

        async def waiter(future: asyncio.Future[None]) -> None:
            await future

        tasks = [asyncio.create_task(waiter(future)) for future in futures]
        await asyncio.sleep(0)
        began = time.process_time()
        for future in futures:
            future.set_result(None)
        await asyncio.gather(*tasks)
        best = min(best, (time.process_time() - began) / _IN_FLIGHT)
    return best


if __name__ == "__main__":
    main()
