"""Requests from end to end: a client, a broker and a worker, over real sockets."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import aclosing

import msgspec
import numpy as np
import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import COPIES, Builder, standard
from hootbus.workers import (
    AsyncClient,
    BadBody,
    BadFrame,
    Cancelled,
    Client,
    DeadlineExceeded,
    HandlerFailed,
    HootError,
    Overloaded,
    Request,
    Response,
    UnknownMethod,
    UnknownService,
    Worker,
)

AudioClip, AudioFeatures = standard.demo.AudioClip, standard.demo.AudioFeatures
PATIENCE_S = 10.0
# Its other method sets a signal handler that raises, with which the main thread never drives a client.
pytestmark = pytest.mark.timeout(60, method="thread")


class Sum(msgspec.Struct):
    a: int
    b: int


class Probe:
    """What a test and a handler tell each other."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.stopped = threading.Event()


def offer(probe: Probe) -> Worker:
    """A worker with a method of each kind."""
    worker = Worker("all", slots=8)

    @worker.method
    def upper(request: Request) -> dict[str, str]:
        return {"text": request.json()["text"].upper()}

    @worker.method(inline=True)
    def echo(request: Request) -> Request:
        return request

    @worker.method
    async def add(numbers: Sum) -> int:
        await asyncio.sleep(0)
        return numbers.a + numbers.b

    @worker.method
    def count(number: int) -> Iterator[int]:
        yield from range(number)

    @worker.method
    async def count_later(number: int) -> AsyncIterator[int]:
        for value in range(number):
            yield value

    @worker.method
    def peak(clip: AudioClip, request: Request) -> AudioFeatures:  # type: ignore[valid-type]  # made at run time
        samples = request.array("samples")
        return {"title": clip.title, "peak": float(np.abs(samples).max()), "sampleCount": len(samples)}  # type: ignore[attr-defined]  # as above

    @worker.method
    def attach(request: Request) -> Response:
        return Response({"attachments": len(request.attachments)}, attachments=reversed(request.attachments))

    @worker.method
    def fail(request: Request) -> None:
        raise ValueError("no such luck")

    @worker.method
    def refuse(request: Request) -> None:
        raise Overloaded("not today")

    @worker.method
    def leave(request: Request) -> None:
        raise SystemExit("bye")

    @worker.method
    async def leave_later(request: Request) -> None:
        raise KeyboardInterrupt

    @worker.method
    def wait(request: Request) -> None:
        probe.begun.set()
        assert request.cancelled.wait(PATIENCE_S)
        probe.stopped.set()

    @worker.method
    async def sleep(request: Request) -> None:
        probe.begun.set()
        try:
            await asyncio.sleep(PATIENCE_S)
        except asyncio.CancelledError:
            probe.stopped.set()
            raise

    @worker.method
    def drip(request: Request) -> Iterator[int]:
        probe.begun.set()
        try:
            number = 0
            while True:
                yield number
                number += 1
                if number == 3:
                    request.cancelled.wait(PATIENCE_S)
        finally:
            probe.stopped.set()

    @worker.method
    async def drip_later(request: Request) -> AsyncIterator[int]:
        probe.begun.set()
        try:
            for number in range(3):
                yield number
            await asyncio.sleep(PATIENCE_S)
        finally:
            probe.stopped.set()

    @worker.method
    def flood(request: Request) -> Iterator[int]:
        try:
            yield from range(100_000)
        finally:
            probe.stopped.set()

    @worker.method
    def time_left(request: Request) -> dict[str, object]:
        left = request.time_left()
        return {"left": left, "deadline": request.deadline is not None, "traceparent": request.traceparent}

    return worker


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def address(bus: EmbeddedBroker, probe: Probe) -> str:
    """A bus with the worker attached."""
    bus.worker(offer(probe))
    return bus.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client


def test_each_kind_of_handler_answers(client: Client) -> None:
    assert client.call("all/upper", {"text": "hi"}).json() == {"text": "HI"}
    assert bytes(client.call("all/echo", b"raw").raw) == b"raw"
    assert client.call("all/echo").body is None
    assert client.call("all/add", Sum(1, 2)).json(int) == 3
    assert client.call("all/count", 3).json() == [0, 1, 2], "collected, as this client takes one reply"
    assert client.call("all/count_later", 3).json() == [0, 1, 2]


def test_a_capnp_body_is_read_in_place_and_answered_in_kind(client: Client) -> None:
    clip: Builder = AudioClip.new_message()
    clip.title = "hoot"
    clip.samples = [0.25, -0.75, 0.5]
    copied = COPIES.copied
    features = client.call("all/peak", clip).capnp(AudioFeatures)
    assert (features.title, features.peak, features.sampleCount) == ("hoot", 0.75, 3)
    assert COPIES.copied == copied


def test_attachments_go_both_ways(client: Client) -> None:
    reply = client.call("all/attach", attachments=[b"one", np.ones(3, np.float32)])
    assert reply.json() == {"attachments": 2}
    assert np.frombuffer(reply.attachments[0], np.float32).tolist() == [1.0, 1.0, 1.0]
    assert bytes(reply.attachments[1]) == b"one"


def test_a_handler_sees_deadline_and_traceparent(client: Client) -> None:
    told = client.call("all/time_left", timeout=20.0, traceparent="00-1-2-01").json()
    assert 0 < told["left"] <= 20.0
    assert told["deadline"] is True
    assert told["traceparent"] == "00-1-2-01"


@pytest.mark.parametrize(
    ("target", "body", "kind", "text"),
    [
        ("all/fail", None, HandlerFailed, "ValueError: no such luck"),
        ("all/refuse", None, Overloaded, "not today"),
        ("all/leave", None, HandlerFailed, "SystemExit: bye"),
        ("all/leave_later", None, HandlerFailed, "KeyboardInterrupt"),
        ("all/add", {"a": 1}, BadBody, "b"),
        ("all/add", b"raw", BadBody, "raw bytes, not JSON"),
        ("all/peak", b"raw", BadBody, "not Cap'n Proto"),
        ("all/nope", None, UnknownMethod, "nope"),
        ("all", None, UnknownMethod, "names no method"),
        ("nobody", None, UnknownService, "nobody"),
    ],
)
def test_what_goes_wrong_has_its_name(
    client: Client, target: str, body: object, kind: type[HootError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        client.call(target, body)
    assert client.call("all/add", Sum(2, 2)).json() == 4, "and the worker goes on"


def test_what_cannot_be_sent_is_refused_here(client: Client) -> None:
    with pytest.raises(BadFrame, match="target"):
        client.call("all/" + "x" * 300)
    with pytest.raises(TypeError):
        client.call("all/echo", object())
    with pytest.raises(BadFrame, match="traceparent"):
        client.call("all/echo", traceparent="x" * 600)


def test_a_deadline_ends_the_handler(client: Client, probe: Probe) -> None:
    with pytest.raises(DeadlineExceeded):
        client.call("all/wait", timeout=0.2)
    assert probe.stopped.wait(PATIENCE_S)


@pytest.mark.parametrize("target", ["all/wait", "all/sleep"])
def test_a_cancelled_future_cancels_the_handler(client: Client, probe: Probe, target: str) -> None:
    future = client.submit(target)
    assert probe.begun.wait(PATIENCE_S)
    assert future.cancel()
    assert probe.stopped.wait(PATIENCE_S)
    with pytest.raises(CancelledError):
        future.result()
    assert not client.submit("all/echo").cancelled()


def test_a_cancelled_task_cancels_the_handler(address: str, probe: Probe) -> None:
    async def main() -> None:
        async with AsyncClient(address) as client:
            task = asyncio.create_task(client.call("all/sleep"))
            await asyncio.to_thread(probe.begun.wait, PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(probe.stopped.wait, PATIENCE_S)
            assert (await client.call("all/echo", 1)).json() == 1

    asyncio.run(main())


def test_items_stream_as_they_come(client: Client) -> None:
    assert [item.json() for item in client.stream("all/count", 500)] == list(range(500))
    assert [item.json() for item in client.stream("all/count_later", 500)] == list(range(500))
    assert [item.json() for item in client.stream("all/count", 0)] == []
    assert [item.json() for item in client.stream("all/upper", {"text": "a"})] == [{"text": "A"}]
    with pytest.raises(HandlerFailed):
        list(client.stream("all/fail"))


@pytest.mark.parametrize("target", ["all/drip", "all/drip_later"])
def test_leaving_a_stream_early_stops_the_generator(client: Client, probe: Probe, target: str) -> None:
    stream = client.stream(target)
    assert next(stream).json() == 0
    close: Callable[[], None] = stream.close  # type: ignore[attr-defined]  # it is a generator
    close()
    assert probe.stopped.wait(PATIENCE_S)


def test_leaving_an_async_stream_early_stops_the_generator(address: str, probe: Probe) -> None:
    async def main() -> None:
        async with AsyncClient(address) as client, aclosing(client.stream("all/drip_later")) as stream:
            async for item in stream:
                assert item.json() == 0
                break
        assert await asyncio.to_thread(probe.stopped.wait, PATIENCE_S)

    asyncio.run(main())


def test_a_one_way_request_is_carried_out(client: Client, probe: Probe) -> None:
    client.send("all/wait", timeout=0.3)
    assert probe.begun.wait(PATIENCE_S)
    assert probe.stopped.wait(PATIENCE_S), "its deadline travelled with it"


def test_many_requests_from_many_threads_each_get_their_own_reply(client: Client) -> None:
    def ask(offset: int) -> None:
        futures = [client.submit("all/echo", offset + number) for number in range(200)]
        replies.append([future.result(PATIENCE_S).json() for future in futures] == list(range(offset, offset + 200)))

    replies: list[bool] = []
    threads = [threading.Thread(target=ask, args=(1000 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [True] * 4


def test_a_thousand_tasks_share_an_async_client(address: str) -> None:
    async def main() -> list[int]:
        async with AsyncClient(address) as client:
            replies = await asyncio.gather(*[client.call("all/echo", number) for number in range(1000)])
            await client.send("all/echo")
            assert await client.ping() > 0
            assert client.dropped["bad_frame"] == 0
        return [reply.json() for reply in replies]

    assert asyncio.run(main()) == list(range(1000))


def test_a_ping_takes_time(client: Client) -> None:
    assert client.ping() > 0


def test_closing_ends_what_is_open(address: str, probe: Probe) -> None:
    client = Client(address)
    future = client.submit("all/wait")
    assert probe.begun.wait(PATIENCE_S)
    client.close()
    with pytest.raises(Cancelled, match="closed"):
        future.result()
    assert probe.stopped.wait(PATIENCE_S), "the handler was told"
    with pytest.raises(RuntimeError, match="closed"):
        client.call("all/echo")
    client.close()


def test_waiting_on_the_clients_own_thread_is_refused(client: Client) -> None:
    raised: list[BaseException | None] = []
    done = threading.Event()

    def ask_again(_: object) -> None:
        try:
            client.call("all/echo")
        except RuntimeError as error:
            raised.append(error)
        done.set()

    client.submit("all/wait", timeout=0.1).add_done_callback(ask_again)
    assert done.wait(PATIENCE_S)
    assert "own thread" in str(raised[0])


def test_a_request_that_waits_gets_the_worker_that_comes_later(bus: EmbeddedBroker) -> None:
    with Client(bus.address) as client:
        future = client.submit("all/echo", 1, wait=True)
        bus.worker(offer(Probe()))
        assert future.result(PATIENCE_S).json() == 1
