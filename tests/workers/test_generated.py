"""Generated services: a worker that was derived from a generated class, and both kinds of client, over a real bus."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from generated import odd_bus, odd_capnp, odd_types
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import CapnpBody, FieldError, write_struct
from hootbus.workers import AsyncClient, Request, Worker
from hootbus.workers.generated import Body

POINTS = [odd_types.Point(x=float(at), tags=[str(at)]) for at in range(3)]


class Meter(odd_bus.MeterWorker):
    """Every kind of function that a method may be."""

    def __init__(self) -> None:
        self.was_reset = False

    def status(self, request: Request) -> CapnpBody:
        return write_struct(odd_capnp.Point, x=1.5)

    async def name(self, request: Request) -> dict[str, object]:
        return {"place": {"index": 3}}

    def measure(self, body: odd_capnp.Meter.MeasureParams, request: Request) -> dict[str, object]:
        return {"value": body.point.x * body.timeout, "unit": f"{body.from_} {body.step}"}

    def reset(self, request: Request) -> None:
        self.was_reset = True

    def list(self, body: odd_capnp.Meter.ListParams, request: Request) -> Iterator[dict[str, object]]:
        for point in POINTS:
            if point.x < body.below:
                yield {"points": [point]}

    async def watch(
        self, body: odd_capnp.Meter.WatchParams, request: Request
    ) -> AsyncIterator[Body[odd_capnp.Meter.Sink.PutParams]]:
        for at, point in enumerate(POINTS):
            yield {"point": point, "at": int(at * body.every)}

    def tick(self, request: Request) -> Iterator[None]:
        yield from (None, None)

    def store(self, body: odd_capnp.Words, request: Request) -> odd_types.Shape:
        return odd_types.Shape(name=body.name, step=odd_capnp.Step(body.type))

    def import_(self, body: odd_capnp.Meter.ImportParams, request: Request) -> None:
        assert bytes(body.self) == b"seen"


@pytest.fixture
def meter(bus: EmbeddedBroker) -> Meter:
    meter = Meter()
    bus.worker(meter.new_worker())
    return meter


def test_a_client_gets_what_the_worker_says(bus: EmbeddedBroker, meter: Meter) -> None:
    client = odd_bus.MeterClient(bus.client())
    assert client.status().x == 1.5
    assert client.name().place.index == 3
    measured = client.measure(point={"x": 2.0}, from_="here", timeout=3, step="split")
    assert (measured.value, measured.unit) == (6.0, "here split")
    client.reset()
    assert meter.was_reset
    client.import_(self_=b"seen")
    assert [point.x for point in client.list_items(below=2.0)] == [0.0, 1.0]
    assert [(item.point.x, item.at) for item in client.watch(every=10.0)] == [(0.0, 0), (1.0, 10), (2.0, 20)]
    assert list(client.tick()) == [None, None]


def test_an_asyncio_client_gets_the_same(bus: EmbeddedBroker, meter: Meter) -> None:
    async def story() -> None:
        async with AsyncClient(bus.address) as here:
            client = odd_bus.AsyncMeterClient(here, timeout=20.0)
            assert (await client.status()).x == 1.5
            await client.reset()
            assert [point.x async for point in client.list_items(below=2.0)] == [0.0, 1.0]
            assert [item.at async for item in client.watch(every=1.0)] == [0, 1, 2]
            assert [item async for item in client.tick()] == [None, None]

    asyncio.run(story())
    assert meter.was_reset


def test_a_struct_is_sent_by_its_fields_or_as_a_whole(bus: EmbeddedBroker, meter: Meter) -> None:
    client = odd_bus.MeterClient(bus.client())
    record = odd_types.Words(name="whole", type=odd_capnp.Step.raw_)
    for shape in (
        client.store(name="whole", type="raw"),
        client.store({"name": "whole", "type": "raw"}),
        client.store(record),
        client.store(record.to_capnp()),
    ):
        assert (shape.name, shape.which(), shape.step) == ("whole", "step", odd_capnp.Step.raw_)


def test_what_an_interface_extends_is_a_service_of_its_own(bus: EmbeddedBroker, meter: Meter) -> None:
    assert odd_bus.BaseClient(bus.client(), "meter").status().x == 1.5


def test_what_does_not_fit_is_refused_before_it_is_sent(bus: EmbeddedBroker, meter: Meter) -> None:
    client = odd_bus.MeterClient(bus.client())
    with pytest.raises(FieldError, match="below"):
        client.list(below="low")  # type: ignore[arg-type]  # that is the question
    with pytest.raises(TypeError, match="not both"):
        client.store(odd_types.Words(), name="twice")


def test_json_is_translated_for_a_generated_worker(bus: EmbeddedBroker, meter: Meter) -> None:
    reply = bus.client().call("meter/measure", {"point": {"x": 2}, "timeout": 3, "from": "a"})
    assert reply.json() == {"value": 6.0, "unit": "a right"}
    assert bus.client().call("meter/store", odd_types.Words(name="n", type=odd_capnp.Step.left)).json(
        odd_types.Shape
    ) == odd_types.Shape(name="n", step=odd_capnp.Step.left, fill=odd_types.Shape.Fill(none=None))


def test_a_handler_that_takes_a_record_is_given_it_whatever_the_body_is(bus: EmbeddedBroker) -> None:
    worker = Worker("points")

    @worker.method
    def double(point: odd_types.Point) -> Body[odd_capnp.Point]:
        return odd_types.Point(x=2 * point.x)

    bus.worker(worker)
    client = bus.client()
    assert client.call("points/double", write_struct(odd_capnp.Point, x=4)).capnp(odd_capnp.Point).x == 8.0
    assert client.call("points/double", {"x": 4}).json(odd_types.Point) == odd_types.Point(x=8.0)


def test_a_worker_with_a_method_missing_cannot_be_made() -> None:
    class Unfinished(odd_bus.BaseWorker):
        pass

    with pytest.raises(TypeError, match="status"):
        Unfinished()  # type: ignore[abstract]  # that is the question
