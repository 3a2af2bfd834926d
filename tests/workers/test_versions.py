"""Versions of a schema on one bus: which go together, who is refused, and what nobody has to do for it."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import CapnpBody, Registration, write_struct
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.model import Schema
from hootbus.schemas.structs import SchemaStruct
from hootbus.workers import AsyncClient, BadBody, Client, HootError, Request, SchemaMismatch, UnknownService, Worker

CLIP, REPORT, OTHER = 0xA000000000000001, 0xA000000000000002, 0xA000000000000003
HEAD = "@0xa0000000000000f0;\n"
REST = f"""
struct Report @{REPORT:#x} {{ said @0 :Text; }}
struct Other @{OTHER:#x} {{ rate @0 :Int32; }}
"""
TEXTS = {
    "first": f"struct Clip @{CLIP:#x} {{ rate @0 :Int32; title @1 :Text; }}",
    "second": f"struct Clip @{CLIP:#x} {{ rate @0 :Int32; title @1 :Text; gain @2 :Float32; }}",
    "third": f"struct Clip @{CLIP:#x} {{ rate @0 :Int32; title @1 :Text; muted @2 :Bool; }}",
    "major": f"struct Clip @{CLIP:#x} {{ rate @0 :Float32; title @1 :Text; }}",
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Schema]:
    """The versions: `second` and `third` each add a field to `first` in the same place; `major` changes one."""
    folder = tmp_path_factory.mktemp("versions")
    found = {}
    for name, text in TEXTS.items():
        path = Path(folder, f"{name}.capnp")
        path.write_text(HEAD + text + REST)
        found[name] = compile_files([path])
    return found


class Types:
    """The structs of one version."""

    def __init__(self, schema: Schema) -> None:
        self.clip = SchemaStruct(schema, CLIP)
        self.report = SchemaStruct(schema, REPORT)
        self.other = SchemaStruct(schema, OTHER)

    def write(self, rate: float = 7) -> Any:  # noqa: ANN401  # a CapnpBody
        return write_struct(self.clip, rate=rate, title="x")


@pytest.fixture
def types(schemas: dict[str, Schema]) -> dict[str, Types]:
    return {name: Types(schema) for name, schema in schemas.items()}


def worker_of(types: Types, name: str, seen: list[float] | None = None) -> Worker:
    """A worker of this version, whose replies say its name."""
    worker = Worker("audio", name=name, slots=1)

    def play(clip: Any, request: Request) -> Any:  # noqa: ANN401  # annotated below
        if seen is not None:
            seen.append(clip.rate)
        return {"said": f"{name} {clip.rate:g}"}

    play.__annotations__ = {"clip": types.clip, "request": Request, "return": types.report}
    worker.method(play)
    return worker


@pytest.fixture
def attach(bus: EmbeddedBroker) -> Iterator[Callable[[Worker], Worker]]:
    """Starts workers that end with the test."""
    started: list[Worker] = []

    def start(worker: Worker) -> Worker:
        worker.start(bus.address)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop()


def judged(client: Client) -> dict[str, int]:
    counters: dict[str, int] = client.call("hoot.broker/status").json()["counters"]
    return {name: count for name, count in counters.items() if name.startswith(("judged", "schemas")) and count}


def test_two_versions_serve_side_by_side_and_understand_clients_of_both(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))
    attach(worker_of(types["second"], "second"))
    with Client(bus.address) as client:
        assert judged(client) == {"judged": 2}
        for version in ("first", "second"):
            said = {
                client.call("audio/play", types[version].write(), expects=types[version].report)
                .capnp(types[version].report)
                .said
                for _ in range(2)
            }
            assert said == {"first 7", "second 7"}
        assert judged(client) == {"judged": 2}
        (service,) = client.call("hoot.broker/services").json()["services"]
        assert [version["workers"] for version in service["versions"]] == [1, 1]
        assert service["versions"][0]["methods"][0]["request"] == "Clip"


def test_equal_versions_cost_no_judge_and_no_round_trip(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    for number in range(3):
        attach(worker_of(types["first"], f"w{number}"))
    with Client(bus.address) as client:
        client.call("audio/play", types["first"].write())
        status = client.call("hoot.broker/status").json()
        assert status["counters"]["judged"] == 1
        # The request, and the two questions before this one was answered: none to compare.
        assert (status["counters"]["requests"], status["errors"]["schema_mismatch"]) == (1, 0)


def test_an_incompatible_worker_is_refused_with_the_difference_in_words(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))
    with pytest.raises(SchemaMismatch, match=r"Clip.rate: was Int32, is Float32"):
        worker_of(types["major"], "major").start(bus.address)
    with Client(bus.address) as client:
        assert [worker["name"] for worker in client.call("hoot.broker/workers").json()["workers"]] == ["first"]
        assert judged(client) == {"judged": 2, "schemas_incompatible": 1}


def test_additions_of_two_hands_in_the_same_place_do_not_go_together(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["second"], "second"))
    with pytest.raises(SchemaMismatch, match=r"Clip"):
        worker_of(types["third"], "third").start(bus.address)


def test_a_service_that_was_stopped_comes_back_with_a_new_major(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    with worker_of(types["first"], "first").running(bus.address):
        pass
    attach(worker_of(types["major"], "major"))
    with Client(bus.address) as client:
        assert client.call("audio/play", types["major"].write(0.5)).capnp(types["major"].report).said == "major 0.5"


def test_a_client_of_an_unknown_version_is_compared_once_and_then_served(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))
    with Client(bus.address) as client:
        futures = [
            client.submit("audio/play", types["second"].write(), expects=types["second"].report) for _ in range(9)
        ]
        assert {future.result(10).capnp(types["second"].report).said for future in futures} == {"first 7"}
        assert judged(client) == {"judged": 2}


def test_a_client_that_would_be_misread_never_reaches_a_handler(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    seen: list[float] = []
    attach(worker_of(types["first"], "first", seen))
    with Client(bus.address) as client:
        with pytest.raises(SchemaMismatch, match=r"Clip.rate: was Int32, is Float32"):
            client.call("audio/play", types["major"].write())
        with pytest.raises(SchemaMismatch, match=r"Clip.rate: was Int32, is Float32"):
            client.send("audio/play", types["major"].write())
        with pytest.raises(SchemaMismatch, match=rf"takes Clip .@{CLIP:#x}.* of type @{OTHER:#x}"):
            client.call("audio/play", write_struct(types["first"].other, rate=1))
        client.call("audio/play", types["first"].write())
    assert seen == [7]


def test_a_one_way_request_of_another_version_is_compared_before_it_is_sent(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    seen: list[float] = []
    attach(worker_of(types["first"], "first", seen))
    with Client(bus.address) as client:
        client.send("audio/play", types["second"].write(3))
        client.call("audio/play", types["first"].write(4))
    assert seen == [3, 4]


def test_an_asyncio_client_and_its_streams_are_compared_too(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))

    async def speak() -> list[str]:
        async with AsyncClient(bus.address) as client:
            items = client.stream("audio/play", types["second"].write(), expects=types["second"].report)
            return [item.capnp(types["second"].report).said async for item in items]

    assert asyncio.run(speak()) == ["first 7"]


def test_a_reply_of_another_type_is_not_read(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))
    with Client(bus.address) as client:
        reply = client.call("audio/play", types["first"].write())
        with pytest.raises(SchemaMismatch, match=rf"not Clip .@{CLIP:#x}"):
            reply.capnp(types["first"].clip)


def test_a_client_that_has_never_seen_the_schema_fetches_and_uses_it(
    bus: EmbeddedBroker, types: dict[str, Types], attach: Callable[[Worker], Worker]
) -> None:
    attach(worker_of(types["first"], "first"))
    with Client(bus.address) as client:
        audio = client.schema("audio")
        assert list(audio) == ["Clip", "Report"]
        play = audio.methods["play"]
        reply = client.call("audio/play", audio.request("play", rate=5, title="x"), expects=play.reply)
        assert reply.capnp(audio["Report"]).said == "first 5"
        assert client.call("audio/play", audio.write("Clip", rate=6)).capnp(audio["Report"]).said == "first 6"
        assert judged(client) == {"judged": 1}
        with pytest.raises(UnknownService):
            client.schema("video")
        with pytest.raises(KeyError, match=r"no struct 'Clap'; there are Clip, Report"):
            audio["Clap"]


def lying(worker: Worker, change: Callable[[Registration], Registration]) -> Worker:
    """The worker, with another registration than its types have."""
    stated = worker._registration
    worker._registration = lambda: change(stated())  # type: ignore[method-assign]  # as only a liar would
    return worker


def test_a_worker_that_lies_about_its_fingerprint_is_refused(bus: EmbeddedBroker, types: dict[str, Types]) -> None:
    def change(registration: Registration) -> Registration:
        (method,) = registration.methods
        return msgspec.structs.replace(registration, methods=(msgspec.structs.replace(method, request_fingerprint=1),))

    with pytest.raises(
        BadBody, match=r"not what was announced: Clip has the fingerprint .* 0x0000000000000001 was stated"
    ):
        lying(worker_of(types["first"], "liar"), change).start(bus.address)


@pytest.mark.interpreted
@pytest.mark.parametrize("nodes", [b"", b"garbage", bytes(64)], ids=["empty", "garbage", "zeros"])
def test_a_worker_that_sends_garbage_is_refused(bus: EmbeddedBroker, types: dict[str, Types], nodes: bytes) -> None:
    worker = worker_of(types["first"], "garbage")
    worker._methods.schema = lambda: nodes  # type: ignore[method-assign]  # as only a broken one would
    with pytest.raises(HootError) as refused:
        worker.start(bus.address)
    assert refused.value.code == "bad_body"


def test_a_handler_is_not_given_another_type_than_it_takes(bus: EmbeddedBroker, types: dict[str, Types]) -> None:
    """Where the broker cannot know: the worker states nothing."""
    worker = worker_of(types["first"], "first")

    def silent(registration: Registration) -> Registration:
        return msgspec.structs.replace(registration, methods=())

    with lying(worker, silent).running(bus.address), Client(bus.address) as client:
        with pytest.raises(SchemaMismatch, match=r"the body is .*, not Clip"):
            client.call("audio/play", write_struct(types["first"].other, rate=1))
        unsaid = CapnpBody(types["first"].write().buffer, 0)
        assert client.call("audio/play", unsaid).capnp(types["first"].report).said == "first 7"
