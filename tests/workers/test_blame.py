"""Whose fault it was, the sender's or the handler's: what the peer is told, and what the log keeps."""

import logging
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import CapnpBody, StructReader, read_capnp, standard, type_id, write_capnp, write_struct
from hootbus.workers import BadBody, Client, HandlerFailed, HootError, Request, Worker

AudioClip, AudioFeatures = standard.demo.AudioClip, standard.demo.AudioFeatures

SOUND = write_capnp(AudioClip.new_message(title="kick", samples=[1.0, 3.0]))
# The upper half of the pointer to the samples: elements of four bytes, two of them, and then many.
OUT_OF_BOUNDS = SOUND.replace((4 | 2 << 3).to_bytes(4, "little"), (4 | 999 << 3).to_bytes(4, "little"))
NO_TEXT = SOUND.replace(b"kick", b"k\xffck")


def as_clip(body: bytes) -> CapnpBody:
    return CapnpBody(body, type_id(AudioClip))


def offer() -> Worker:
    worker = Worker("blame")

    @worker.method
    def typo(clip: AudioClip) -> AudioFeatures:  # type: ignore[valid-type]  # made at run time
        return {"peak": 1.0, "typo": 1.5}

    @worker.method(inline=True)
    def negative(clip: AudioClip) -> None:  # type: ignore[valid-type]  # as above
        AudioClip.new_message(sampleRate=-1)

    @worker.method
    async def typo_later(clip: AudioClip) -> AudioFeatures:  # type: ignore[valid-type]  # as above
        return {"peak": 1.0, "typo": 1.5}

    @worker.method
    def typo_items(clip: AudioClip) -> Iterator[object]:  # type: ignore[valid-type]  # as above
        yield AudioFeatures.new_message(typo=1.5)

    @worker.method
    async def typo_items_later(clip: AudioClip) -> AsyncIterator[object]:  # type: ignore[valid-type]  # as above
        yield AudioFeatures.new_message(typo=1.5)

    @worker.method
    def no_field(clip: AudioClip) -> float:  # type: ignore[valid-type]  # as above
        return clip.loudness  # type: ignore[attr-defined, no-any-return]  # that is the case

    @worker.method
    def quoted(clip: AudioClip) -> None:  # type: ignore[valid-type]  # as above
        try:
            AudioClip.new_message(sampleRate=-1)
        except Exception as error:
            raise ValueError(f"it did not work: {error}") from error

    @worker.method
    def of_another(request: Request) -> object:
        return max(read_capnp(OUT_OF_BOUNDS, AudioClip).samples)

    @worker.method
    def returns_another(request: Request) -> StructReader:
        clip: StructReader = read_capnp(OUT_OF_BOUNDS, AudioClip)
        return clip

    @worker.method
    def peak(clip: AudioClip) -> object:  # type: ignore[valid-type]  # as above
        return max(clip.samples)  # type: ignore[attr-defined]  # as above

    @worker.method
    def title(request: Request) -> str:
        return str(request.capnp(AudioClip).title)

    @worker.method
    def again(clip: AudioClip) -> StructReader:  # type: ignore[valid-type]  # as above
        return clip

    @worker.method
    def samples(request: Request) -> object:
        return request.array("samples").tolist()

    @worker.method
    def numbers(values: list[float]) -> dict[str, object]:
        array = np.array(values)
        return {"mean": array.mean(), "count": np.int64(len(array)), "sorted": np.sort(array)}

    @worker.method
    def features(clip: AudioClip, request: Request) -> AudioFeatures:  # type: ignore[valid-type]  # as above
        samples = request.array("samples")
        return {"peak": samples.max(), "sampleCount": np.int64(len(samples))}

    @worker.method
    def louder(request: Request) -> CapnpBody:
        return write_struct(AudioClip, samples=request.array("samples") * 2)

    return worker


@pytest.fixture
def client(bus: EmbeddedBroker) -> Iterator[Client]:
    bus.worker(offer())
    with Client(bus.address) as client:
        yield client


def is_clean(text: str) -> bool:
    return not any(word in text for word in ("c++", "stack", "\n", "failed:"))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("typo", "FieldError: demo.capnp:AudioFeatures.typo: no such field"),
        ("negative", "KjException: Value out-of-range for requested type.; value = -1"),
        ("typo_later", "FieldError: demo.capnp:AudioFeatures.typo: no such field"),
        ("typo_items", "KjException: struct has no such member; name = typo"),
        ("typo_items_later", "KjException: struct has no such member; name = typo"),
        ("no_field", "AttributeError: 'AudioClip' object has no attribute 'loudness'"),
        ("quoted", "ValueError: it did not work: Value out-of-range for requested type.; value = -1"),
        ("of_another", "BodyError: samples: pointer leaves the segment"),
        ("returns_another", "BodyError: pointer 1: pointer leaves the segment"),
    ],
)
def test_a_handlers_own_mistake_is_its_own(
    client: Client, caplog: pytest.LogCaptureFixture, method: str, words: str
) -> None:
    with caplog.at_level(logging.ERROR, "hootbus"), pytest.raises(HandlerFailed) as raised:
        client.call(f"blame/{method}", as_clip(SOUND))
    assert raised.value.message.startswith(words)
    assert is_clean(raised.value.message)
    (record,) = [record for record in caplog.records if record.name == "hootbus.worker"]
    assert record.getMessage() == f"{method} failed"
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("method", "body", "words"),
    [
        ("peak", OUT_OF_BOUNDS, "samples: pointer leaves the segment"),
        ("again", OUT_OF_BOUNDS, "pointer 1: pointer leaves the segment"),
        ("samples", OUT_OF_BOUNDS, "samples: pointer leaves the segment"),
        ("title", NO_TEXT, "title: not UTF-8 at byte 1"),
        ("peak", b"\0" * 12, "12 bytes are no Cap'n Proto message"),
    ],
)
def test_a_malformed_request_is_its_senders(
    client: Client, caplog: pytest.LogCaptureFixture, method: str, body: bytes, words: str
) -> None:
    with caplog.at_level(logging.ERROR, "hootbus"), pytest.raises(BadBody) as raised:
        client.call(f"blame/{method}", as_clip(body))
    assert raised.value.message.startswith(words)
    assert is_clean(raised.value.message)
    assert caplog.records == []


def test_json_where_an_array_is_read_is_its_senders(client: Client) -> None:
    with pytest.raises(BadBody, match="the body is JSON, not Cap'n Proto"):
        client.call("blame/samples", {"samples": [1.0]})


def test_json_requests_have_their_handlers_mistakes_named_alike(client: Client) -> None:
    for method in ("of_another", "returns_another"):
        with pytest.raises(HootError) as raised:
            client.call(f"blame/{method}", {})
        assert raised.value.code == "handler_error"
        assert is_clean(raised.value.message)


def test_numpys_numbers_are_answered(client: Client) -> None:
    assert client.call("blame/numbers", [3.0, 1.0]).json() == {"mean": 2.0, "count": 2, "sorted": [1.0, 3.0]}
    features = client.call("blame/features", as_clip(SOUND)).capnp(AudioFeatures)
    assert (features.peak, features.sampleCount) == (3.0, 2)


def test_written_arrays_go_both_ways_as_what_they_are(client: Client) -> None:
    reply = client.call("blame/louder", write_struct(AudioClip, samples=[1.0, 2.0]))
    assert reply.schema_id == type_id(AudioClip)
    assert reply.array("samples").tolist() == [2.0, 4.0]
