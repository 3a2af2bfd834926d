"""Whatever is passed to a call, and whatever a handler returns or raises: it ends, and the next one is answered."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import CapnpBody, standard, write_capnp
from hootbus.workers import AsyncClient, Client, HootError, Overloaded, Reply, Response, Worker

PATIENCE_S = 10.0
AudioClip = standard.demo.AudioClip

# The bus is there for all examples, which is the point: none may harm the next.
together = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("not even that")


class Unreadable(HootError):
    number = 6

    def __init__(self) -> None:
        """Without `message` and `details`."""


class Numbered(HootError):
    def __init__(self, number: Any, code: Any, message: Any, details: Any) -> None:  # noqa: ANN401  # that is the case
        super().__init__(message, details=details)
        self.number = number
        self.code = code


def released() -> memoryview:
    view = memoryview(b"gone")
    view.release()
    return view


ODD = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=20), st.binary(max_size=20), st.booleans())
PLAIN = st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3))
NUMBERS = st.one_of(st.sampled_from([0, 1, -1, 2**16, 2**32, 2**64 - 1, 2**64, 10**400, 0.5, None, "7"]), st.integers())
BUFFERS = st.sampled_from(
    [b"", b"x" * 100, bytearray(b"abc"), memoryview(b"abcdef")[::2], np.arange(6).reshape(2, 3).T, np.array(3), "text"]
) | st.builds(released)
BODIES = st.one_of(
    PLAIN,
    BUFFERS,
    st.builds(CapnpBody, st.binary(max_size=40) | BUFFERS, NUMBERS),
    st.sampled_from(
        [object(), object, {1, 2}, np.float32(1), np.datetime64("2020"), math.nan, "\udc80", {"\udc80": 1}]
    ),
    st.builds(lambda: AudioClip.new_message(title="a", samples=[1.0])),
    st.just(write_capnp(AudioClip.new_message(title="a"))),
)
RESULTS = BODIES | st.builds(
    lambda body, attachments, schema_id: Response(body, attachments=attachments, schema_id=schema_id),
    BODIES,
    st.lists(BUFFERS, max_size=3),
    NUMBERS,
)
TIMEOUTS = st.one_of(
    st.sampled_from([None, math.inf, math.nan, -1, 0, 0.0, 1e-9, 5, 1e300, 10**400, True, "5", np.float32(5)]),
    st.floats(),
)
ERRORS = st.one_of(
    st.sampled_from(
        [
            ValueError(),
            Unprintable(),
            Unreadable(),
            SystemExit(3),
            KeyboardInterrupt(),
            GeneratorExit(),
            StopIteration(1),
            StopAsyncIteration(1),
            asyncio.CancelledError(),
            TimeoutError(),
            Overloaded("\udc80", details="x" * 100_000),
            HootError("x" * 100_000),
        ]
    ),
    st.builds(Numbered, NUMBERS, ODD, PLAIN, PLAIN),
)


class Given:
    """What the handlers shall give, as the example says."""

    def __init__(self) -> None:
        self.value: object = None
        self.error: BaseException | None = None

    def __call__(self) -> object:
        if self.error is not None:
            raise self.error
        return self.value


def offer(gives: Given) -> Worker:
    """A worker of one slot, so that a slot that is not freed is noticed."""
    worker = Worker("any", slots=1)
    worker.method(inline=True, name="echo")(lambda request: request)
    worker.method(inline=True, name="inline")(lambda: gives())
    worker.method(name="thread")(lambda: gives())

    @worker.method
    async def task() -> object:
        return gives()

    @worker.method
    def items() -> Iterator[object]:
        yield gives()

    @worker.method
    async def items_later() -> AsyncIterator[object]:
        yield gives()

    return worker


METHODS = st.sampled_from(["inline", "thread", "task", "items", "items_later"])


@pytest.fixture
def gives() -> Given:
    return Given()


@pytest.fixture
def client(bus: EmbeddedBroker, gives: Given) -> Client:
    bus.worker(offer(gives))
    return bus.client()


def ended(ask: Callable[[], object]) -> None:
    """It has an outcome, whichever; TimeoutError is a future's that has none."""
    try:
        ask()
    except TimeoutError:
        raise
    except Exception:  # noqa: BLE001  # any is right, here or from the bus
        pass


@together
@given(BODIES, TIMEOUTS, NUMBERS, st.lists(BUFFERS, max_size=3), st.text(max_size=40) | ODD, st.booleans())
def test_whatever_is_passed_to_a_call(
    client: Client,
    body: object,
    timeout: object,
    schema_id: object,
    attachments: list[object],
    trace: object,
    late: bool,
) -> None:
    view = memoryview(bytearray(b"view"))
    sent = view if late else body

    def ask() -> None:
        # No type checker stands between a program and this.
        submit: Callable[..., Future[Reply]] = client.submit
        future = submit(
            "any/echo", sent, timeout=timeout, schema_id=schema_id, attachments=attachments, traceparent=trace
        )
        view.release()
        future.exception(PATIENCE_S)

    ended(ask)
    send: Callable[..., None] = client.send
    ended(lambda: send("any/echo", body, timeout=timeout, schema_id=schema_id))
    ping: Callable[..., float] = client.ping
    ended(lambda: ping(timeout=timeout))
    assert client.call("any/echo", 1).json() == 1


@together
@given(METHODS, RESULTS, st.booleans())
def test_whatever_a_handler_returns(client: Client, gives: Given, method: str, value: object, streams: bool) -> None:
    gives.value, gives.error = value, None
    if streams:
        ended(lambda: list(client.stream(f"any/{method}", timeout=PATIENCE_S)))
    else:
        ended(lambda: client.submit(f"any/{method}").exception(PATIENCE_S))
    assert client.call("any/echo", 1).json() == 1


@together
@given(METHODS, ERRORS, st.sampled_from([None, CapnpBody(write_capnp(AudioClip.new_message()), 0)]), st.booleans())
def test_whatever_a_handler_raises(
    client: Client, gives: Given, method: str, error: BaseException, body: object, streams: bool
) -> None:
    gives.error = error
    if streams:
        with pytest.raises(HootError):
            list(client.stream(f"any/{method}", body, timeout=PATIENCE_S))
    else:
        raised = client.submit(f"any/{method}", body).exception(PATIENCE_S)
        assert isinstance(raised, HootError)
        assert raised.code != "deadline_exceeded" or getattr(error, "number", 0) == 7
    assert client.call("any/echo", 1).json() == 1


@settings(together, max_examples=30)
@given(st.lists(st.tuples(BODIES, TIMEOUTS, NUMBERS), min_size=1, max_size=4))
def test_whatever_is_passed_to_an_asyncio_call(client: Client, asked: list[tuple[object, Any, Any]]) -> None:
    async def ask(bus: AsyncClient, body: object, timeout: Any, schema_id: Any) -> None:  # noqa: ANN401  # anything
        await asyncio.wait_for(bus.call("any/echo", body, timeout=timeout, schema_id=schema_id), PATIENCE_S)

    async def main() -> None:
        async with AsyncClient(client._address.text) as bus:
            outcomes = await asyncio.gather(*[ask(bus, *each) for each in asked], return_exceptions=True)
            assert [each for each in outcomes if isinstance(each, TimeoutError)] == []
            assert (await bus.call("any/echo", 1, idempotent=True)).json() == 1

    asyncio.run(main())
