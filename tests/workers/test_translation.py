"""JSON requests to methods that take Cap'n Proto: what the handler gets, what goes back, and what is refused."""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames.protocol import ContentType
from hootbus.schemas import CapnpBody, StructReader, load, standard, write_struct
from hootbus.workers import BadBody, Client, Denied, HandlerFailed, HootError, Request, Response, Worker
from hootbus.workers.content import Content

AudioClip = standard.demo.AudioClip
Uuid = standard.common.Uuid
CLIP = {"title": "kick", "sampleRate": 48000, "samples": [1, 0.5]}


def title(clip: object) -> str:
    assert isinstance(clip, StructReader)
    return str(clip.title)


@pytest.fixture
def worker() -> Worker:
    worker = Worker("clips", validate="on")

    @worker.method
    def double(clip: AudioClip, request: Request) -> AudioClip:  # type: ignore[valid-type]  # made at run time
        return {"title": title(clip).upper(), "sampleRate": 48000, "samples": request.array("samples") * 2}

    @worker.method(inline=True)
    def same(clip: AudioClip) -> object:  # type: ignore[valid-type]  # as above
        return clip

    @worker.method
    async def identifier(clip: AudioClip) -> CapnpBody:  # type: ignore[valid-type]  # as above
        return write_struct(Uuid, low=2**64 - 1, high=clip.sampleRate)  # type: ignore[attr-defined]  # as above

    @worker.method
    def pieces(clip: AudioClip) -> Iterator[object]:  # type: ignore[valid-type]  # as above
        for sample in clip.samples:  # type: ignore[attr-defined]  # as above
            yield write_struct(AudioClip, samples=[sample])

    @worker.method
    async def later(clip: AudioClip) -> AsyncIterator[object]:  # type: ignore[valid-type]  # as above
        for sample in clip.samples:  # type: ignore[attr-defined]  # as above
            yield write_struct(AudioClip, samples=[sample])

    @worker.method
    def sent(clip: AudioClip, request: Request) -> Response:  # type: ignore[valid-type]  # as above
        said = [request.content_type.name, request.translated, request.json()["title"], bytes(request.raw).decode()]
        return Response(said, attachments=request.attachments)

    @worker.method
    def refuse(clip: AudioClip) -> None:  # type: ignore[valid-type]  # as above
        raise Denied("not this one")

    @worker.method
    def unknown(clip: AudioClip) -> CapnpBody:  # type: ignore[valid-type]  # as above
        return CapnpBody(write_struct(AudioClip).buffer, 0x1234)

    @worker.method
    def opaque(request: Request) -> str:
        return str(request.capnp(AudioClip).title)

    @worker.method
    def described(text: dict[str, Any]) -> AudioClip:  # type: ignore[valid-type]  # as above
        return text

    return worker


@pytest.fixture
def client(hoot_bus: EmbeddedBroker, worker: Worker) -> Client:
    hoot_bus.worker(worker)
    return hoot_bus.client()


@pytest.mark.parametrize("method", ["double", "same", "identifier"])
def test_every_kind_of_handler_gets_a_reader_and_its_message_goes_back_as_json(client: Client, method: str) -> None:
    reply = client.call(f"clips/{method}", CLIP)
    assert reply.content_type is ContentType.JSON
    assert (
        reply.json()
        == {
            "double": {"title": "KICK", "sampleRate": 48000, "samples": [2, 1]},
            "same": {"title": "kick", "sampleRate": 48000, "samples": [1, 0.5]},
            "identifier": {"low": "18446744073709551615", "high": "48000"},
        }[method]
    )


@pytest.mark.parametrize("method", ["pieces", "later"])
def test_so_do_the_items_of_a_stream_one_by_one_or_in_one_list(client: Client, method: str) -> None:
    expected = [{"sampleRate": 0, "samples": [sample]} for sample in (1, 0.5)]
    assert [item.json() for item in client.stream(f"clips/{method}", CLIP)] == expected
    assert client.call(f"clips/{method}", CLIP).json() == expected


def test_who_sends_capnp_gets_capnp(client: Client, worker: Worker) -> None:
    reply = client.call("clips/double", write_struct(AudioClip, **CLIP))
    assert list(reply.array("samples")) == [2, 1]
    assert worker.stats().translated == 0


def test_the_request_still_tells_what_was_sent_and_attachments_go_along(client: Client) -> None:
    reply = client.call("clips/sent", Content(ContentType.JSON, b'{"title": "kick"}'), attachments=[b"a", b"b"])
    assert reply.json() == ["JSON", True, "kick", '{"title": "kick"}']
    assert [bytes(attachment) for attachment in reply.attachments] == [b"a", b"b"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"titel": "kick"}', "titel: no such field; there are title, sampleRate, samples"),
        (b'{"samples": [1, "x"]}', 'samples[1]: "x" is no Float32'),
        (b'{"title": "a", "title": "b"}', "an object has 'title' twice"),
        (b"[]", "a list is no AudioClip, which is an object"),
        (b"{", "no JSON: "),
        (b'{"title": "\xff"}', "not UTF-8 at byte 11"),
    ],
)
def test_json_that_does_not_fit_is_a_bad_body_that_names_the_path(client: Client, body: bytes, expected: str) -> None:
    with pytest.raises(BadBody) as caught:
        client.call("clips/double", Content(ContentType.JSON, body))
    assert caught.value.message.startswith(expected)


def test_an_empty_body_and_raw_bytes_are_not_translated(client: Client) -> None:
    with pytest.raises(BadBody, match="the body is empty, not Cap'n Proto"):
        client.call("clips/double")
    with pytest.raises(BadBody, match="the body is raw bytes, not Cap'n Proto"):
        client.call("clips/double", b"{}")


def test_a_handler_that_takes_the_request_itself_decides_itself(client: Client) -> None:
    with pytest.raises(BadBody, match="the body is JSON, not Cap'n Proto"):
        client.call("clips/opaque", CLIP)


def test_a_method_that_takes_json_answers_with_what_it_says_it_returns(client: Client) -> None:
    assert client.call("clips/described", CLIP).capnp(AudioClip).title == "kick"


def test_a_message_of_a_type_that_is_not_known_goes_back_as_it_is(client: Client) -> None:
    assert client.call("clips/unknown", CLIP).content_type is ContentType.CAPNPROTO


def test_errors_stay_json(client: Client) -> None:
    with pytest.raises(Denied, match="not this one"):
        client.call("clips/refuse", CLIP)


def test_a_message_without_a_json_form_is_the_handlers_mistake(hoot_bus: EmbeddedBroker, tmp_path: Path) -> None:
    (tmp_path / "box.capnp").write_text("@0xb3f1c0a9d2e84711; struct Box { value @0 :AnyPointer; }")
    Box = load(tmp_path / "box.capnp").Box
    worker = Worker("boxes")

    @worker.method
    def fill(box: Box) -> CapnpBody:  # type: ignore[valid-type]  # made at run time
        return write_struct(Box, value="text")

    hoot_bus.worker(worker)
    with pytest.raises(HandlerFailed, match=r"FieldError: .*value: a pointer of no stated type has no JSON form"):
        hoot_bus.client().call("boxes/fill", {})


def test_it_is_counted_and_logged(client: Client, worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "hootbus.worker"):
        client.call("clips/same", CLIP)
        with pytest.raises(HootError):
            client.call("clips/same", [])
    assert worker.stats().translated == 2
    assert [record.getMessage() for record in caplog.records if "translated" in record.getMessage()] == [
        "same takes Cap'n Proto: a JSON request is translated"
    ] * 2
