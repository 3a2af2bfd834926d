"""Streams and gathers from end to end: a slow reader stops its producer and nobody else, and all workers answer."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    Gathered,
    HandlerFailed,
    Request,
    Response,
    UnknownMethod,
    UnknownService,
    Worker,
)
from hootbus.workers.limits import Limits

WINDOW = 8
PATIENCE_S = 10.0
METHODS = ("on_a_thread", "as_a_task")
# As in test_calls.
pytestmark = pytest.mark.timeout(60, method="thread")


class Probe:
    """What the generators tell the test."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = threading.Event()
        # Set when so many items have been made.
        self.most = 0
        self.reached = threading.Event()

    def until(self, count: int) -> None:
        """Returns when so many items have been made."""
        self.most = count
        if self.given < count:
            self.reached.clear()
            assert self.reached.wait(PATIENCE_S)

    def item(self, number: int) -> int:
        self.given = number + 1
        if self.given >= self.most:
            self.reached.set()
        return number


def offer(probe: Probe, name: str = "s") -> Worker:
    worker = Worker(name, slots=4)

    @worker.method
    def on_a_thread() -> Iterator[int]:
        try:
            for number in itertools.count():
                yield probe.item(number)
        finally:
            probe.closed.set()

    @worker.method
    async def as_a_task() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield probe.item(number)
        finally:
            probe.closed.set()

    @worker.method
    def some(count: int) -> Iterator[int]:
        yield from range(count)

    @worker.method
    def echo(request: Request) -> Request:
        return request

    return worker


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def address(bus: EmbeddedBroker, probe: Probe) -> Iterator[str]:
    with offer(probe).running(bus.address):
        yield bus.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address, limits=Limits(stream_window=WINDOW)) as client:
        yield client


def no_more_than(probe: Probe, client: Client, read: int) -> None:
    """The producer stands where it must, while others of the same client and worker go on."""
    # It makes one item more than it may send.
    probe.until(read - read % (WINDOW // 2) + WINDOW + 1)
    for number in range(50):
        assert client.call("s/echo", number).json() == number
    assert probe.given <= read + WINDOW + 1


@pytest.mark.parametrize("method", METHODS)
def test_a_slow_reader_stops_its_producer_and_nobody_else(client: Client, probe: Probe, method: str) -> None:
    with closing(client.stream(f"s/{method}")) as stream:  # type: ignore[type-var]  # it is a generator
        assert next(stream).json() == 0
        no_more_than(probe, client, 1)
        with closing(client.stream("s/some", 100)) as other:  # type: ignore[type-var]  # as above
            assert [item.json() for item in other] == list(range(100))
        assert [next(stream).json() for _ in range(100)] == list(range(1, 101))
        no_more_than(probe, client, 101)
        assert not probe.closed.is_set()
    assert probe.closed.wait(PATIENCE_S), "it waits, and is told at once"


@pytest.mark.parametrize("method", METHODS)
def test_a_slow_task_stops_its_producer_and_nobody_else(address: str, probe: Probe, method: str) -> None:
    async def main() -> None:
        async with AsyncClient(address, limits=Limits(stream_window=WINDOW)) as client:
            async with aclosing(client.stream(f"s/{method}")) as stream:
                for number in range(20):
                    assert (await anext(stream)).json() == number
                await asyncio.to_thread(probe.until, 20 + WINDOW)
                replies = await asyncio.gather(*(client.call("s/echo", number) for number in range(50)))
                assert [reply.json() for reply in replies] == list(range(50))
                assert probe.given <= 20 + WINDOW + 1
            assert await asyncio.to_thread(probe.closed.wait, PATIENCE_S)

    asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_a_producer_that_waits_stops_when_its_time_is_up(client: Client, probe: Probe, method: str) -> None:
    stream = client.stream(f"s/{method}", timeout=0.5)
    assert next(stream).json() == 0
    assert probe.closed.wait(PATIENCE_S)
    with pytest.raises(DeadlineExceeded):
        for _ in stream:
            pass
    assert probe.given <= WINDOW + 2


@pytest.mark.parametrize("method", METHODS)
def test_a_producer_that_waits_stops_with_its_worker(bus: EmbeddedBroker, probe: Probe, method: str) -> None:
    worker = offer(probe)
    with Client(bus.address, limits=Limits(stream_window=WINDOW)) as client:
        worker.start(bus.address)
        stream = client.stream(f"s/{method}", timeout=0.5)
        next(stream)
        probe.until(WINDOW + 1)
        worker.stop()
        assert probe.closed.is_set()


@pytest.mark.parametrize("window", [1, 2, 7, 300])
def test_streams_of_any_length_come_through_windows_of_any_size(address: str, window: int) -> None:
    with Client(address, limits=Limits(stream_window=window)) as client:
        for length in (0, 1, window, window + 1, 3 * window):
            assert [item.json() for item in client.stream("s/some", length)] == list(range(length))


def test_a_window_without_room_is_no_window() -> None:
    with pytest.raises(ValueError, match="stream_window is 0; a stream has room for 1 to"):
        Limits(stream_window=0)


# Gathers.


def number_of(answer: Gathered) -> int:
    return int(answer.worker.removeprefix("w"))


@pytest.fixture
def three(bus: EmbeddedBroker) -> Iterator[EmbeddedBroker]:
    """Three workers, of which the second fails; none streams, as the first one's items come as a list."""
    workers = [Worker("all", slots=1) for _ in range(3)]

    @workers[0].method(name="who")
    def items() -> Iterator[int]:
        yield from (1, 2)

    @workers[1].method(name="who")
    def fail() -> None:
        raise ValueError("no such luck")

    @workers[2].method(name="who")
    def attach() -> Response:
        return Response(b"three", attachments=[b"file"])

    with workers[0].running(bus.address), workers[1].running(bus.address), workers[2].running(bus.address):
        yield bus


def judge(answers: list[Gathered]) -> None:
    first, second, third = sorted(answers, key=number_of)
    assert (first.json(), first.body, first.error) == ([1, 2], [1, 2], None)
    assert isinstance(second.error, HandlerFailed)
    for read in (second.json, lambda: second.array("samples"), lambda: second.body, lambda: second.raw):
        with pytest.raises(HandlerFailed, match="no such luck"):
            read()
    assert (bytes(third.raw), bytes(third.attachments[0])) == (b"three", b"file")
    assert [repr(answer) for answer in (second, third)] == [
        f"<Gathered from {second.worker}: handler_error>",
        f"<Gathered from {third.worker}: 5 bytes, RAW_BINARY>",
    ]


def test_every_worker_answers_or_says_why_not(three: EmbeddedBroker) -> None:
    with Client(three.address) as client:
        judge(list(client.gather("all/who")))
        listed = client.call("hoot.broker/workers").json()["workers"]
        assert {answer.worker for answer in client.gather("all/who")} == {worker["id"] for worker in listed}


def test_a_task_gathers_too(three: EmbeddedBroker) -> None:
    async def main() -> list[Gathered]:
        async with AsyncClient(three.address) as client:
            return [answer async for answer in client.gather("all/who")]

    judge(asyncio.run(main()))


def test_a_gather_without_a_worker_is_an_unknown_service(address: str) -> None:
    with Client(address) as client:
        with pytest.raises(UnknownService):
            list(client.gather("nobody/who"))
        [answer] = client.gather("s/who")
        assert isinstance(answer.error, UnknownMethod)


def test_leaving_a_gather_early_stops_those_who_have_not_answered(bus: EmbeddedBroker) -> None:
    stopped = threading.Event()
    quick, slow = Worker("s", slots=1), Worker("s", slots=1)

    @quick.method(name="who")
    def answer() -> str:
        return "quick"

    @slow.method(name="who")
    def wait(request: Request) -> None:
        assert request.cancelled.wait(PATIENCE_S)
        stopped.set()

    with quick.running(bus.address), slow.running(bus.address), Client(bus.address) as client:
        answers = client.gather("s/who")
        assert next(answers).json() == "quick"
        answers.close()  # type: ignore[attr-defined]  # it is a generator
        assert stopped.wait(PATIENCE_S)
