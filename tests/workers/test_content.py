"""What came in and what goes out: bodies of the four kinds, read in place and written."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.errors import BadBody, BadFrame, HandlerFailed, HootError
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import MESSAGE_BYTES_MAX, Command, ContentType
from hootbus.schemas import (
    COPIES,
    BodyError,
    Builder,
    read_capnp,
    standard,
    type_id,
    write_broadcast,
    write_capnp,
    write_json,
    write_struct,
)
from hootbus.schemas.jsonable import ITEMS_MAX
from hootbus.workers.calls import reply_of
from hootbus.workers.content import Content
from hootbus.workers.failure import error_body, error_of
from hootbus.workers.outgoing import encode
from hootbus.workers.response import Response
from hootbus.workers.session import Body

AudioClip = standard.demo.AudioClip


class Point(msgspec.Struct):
    x: int
    y: int = 0


def clip(samples: list[float]) -> Builder:
    message = AudioClip.new_message()
    message.samples = samples
    return message


def received(body: Body) -> Content:
    """What the other end makes of a body."""
    return Content(body.content_type, body.buffer, body.schema_id, body.attachments)


@pytest.mark.parametrize(
    ("value", "content_type", "read"),
    [
        (None, ContentType.EMPTY, None),
        ({"a": [1, None]}, ContentType.JSON, {"a": [1, None]}),
        ([1, 2], ContentType.JSON, [1, 2]),
        ("text", ContentType.JSON, "text"),
        (True, ContentType.JSON, True),
        (Point(1, 2), ContentType.JSON, {"x": 1, "y": 2}),
        (np.float32(0.5), ContentType.JSON, 0.5),
        ({"mean": np.arange(4.0).mean()}, ContentType.JSON, {"mean": 1.5}),
        ([np.arange(2)], ContentType.JSON, [[0, 1]]),
        (b"raw", ContentType.RAW_BINARY, b"raw"),
        (bytearray(b"raw"), ContentType.RAW_BINARY, b"raw"),
        (memoryview(b"raw"), ContentType.RAW_BINARY, b"raw"),
        (np.arange(4, dtype=np.uint8).reshape(2, 2), ContentType.RAW_BINARY, b"\0\1\2\3"),
        (np.empty((0, 3)), ContentType.RAW_BINARY, b""),
    ],
)
def test_a_value_is_read_as_it_was_written(value: object, content_type: ContentType, read: object) -> None:
    body = encode(value)
    assert body.content_type is content_type
    content = received(body)
    assert (bytes(content.body) if isinstance(content.body, memoryview) else content.body) == read


def test_what_no_body_can_say_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        encode(object())
    with pytest.raises(TypeError, match="gaps"):
        encode(np.arange(10)[::2])


def test_a_capnp_message_goes_with_its_type_and_is_read_in_place() -> None:
    body = encode(clip([0.5, 1.5]))
    assert (body.content_type, body.schema_id) == (ContentType.CAPNPROTO, type_id(AudioClip))
    content = received(body)
    before = COPIES.in_place + COPIES.copied
    assert list(content.capnp(AudioClip).samples) == [0.5, 1.5]
    assert content.array("samples").tolist() == [0.5, 1.5], "its type was told and is loaded"
    assert content.array("samples", AudioClip).dtype == np.float32
    assert COPIES.in_place + COPIES.copied == before + 1, "one body, one count"


def test_a_dict_becomes_the_message_that_the_annotation_promises() -> None:
    body = encode({"samples": [1.0]}, AudioClip)
    assert body.content_type is ContentType.CAPNPROTO
    assert received(body).array("samples").tolist() == [1.0]


def test_numpys_numbers_go_into_the_message_too() -> None:
    body = encode({"title": "kick", "sampleRate": np.int64(8000), "samples": np.ones(2, np.float32)}, AudioClip)
    assert received(body).capnp(AudioClip).sampleRate == 8000
    assert received(body).array("samples").tolist() == [1.0, 1.0]


def test_an_array_that_no_message_holds_is_not_spelled_out() -> None:
    assert ITEMS_MAX * len("0,") == MESSAGE_BYTES_MAX
    with pytest.raises(BadFrame, match="more than"):
        encode([np.broadcast_to(np.uint8(1), (ITEMS_MAX // 32,))] * 33)


@pytest.mark.parametrize("wrap", [lambda body: body, Response])
def test_a_message_that_is_written_already_is_capnp_and_not_copied(wrap: Callable[[object], object]) -> None:
    written = write_struct(AudioClip, title="kick", samples=[0.5, 1.5])
    body = encode(wrap(written), AudioClip)
    assert (body.content_type, body.schema_id) == (ContentType.CAPNPROTO, type_id(AudioClip))
    assert body.buffer is written.buffer
    assert received(body).array("samples").tolist() == [0.5, 1.5]
    broadcast = encode(write_broadcast("log", message="hi"))
    assert broadcast.content_type is ContentType.CAPNPROTO
    assert broadcast.schema_id == type_id(standard.broadcast.Broadcast)


def test_attachments_keep_a_written_message_and_its_type() -> None:
    body = encode(Response(write_struct(AudioClip, samples=[1.0]), attachments=[b"more"]))
    assert (body.content_type, body.schema_id) == (ContentType.CAPNPROTO, type_id(AudioClip))


def test_a_reader_of_malformed_bytes_cannot_be_sent_and_blames_nobody_yet() -> None:
    sound = write_capnp(clip([1.0]))
    # The upper half of the list's pointer: elements of four bytes, one of them, and then many.
    malformed = sound.replace((4 | 1 << 3).to_bytes(4, "little"), (4 | 999 << 3).to_bytes(4, "little"))
    with pytest.raises(BodyError, match="pointer 1: pointer leaves the segment"):
        encode(read_capnp(malformed, AudioClip))


def test_what_was_received_is_passed_on_as_it_is() -> None:
    content = received(encode(Response({"a": 1}, attachments=[b"more"])))
    body = encode(content)
    assert (body.content_type, bytes(body.buffer), body.attachments) == (ContentType.JSON, b'{"a":1}', (b"more",))


def test_attachments_are_read_only_views() -> None:
    content = received(encode(Response(None, attachments=[b"one", np.ones(2, np.float32)])))
    one, two = content.attachments
    assert bytes(one) == b"one"
    assert np.frombuffer(two, np.float32).tolist() == [1.0, 1.0]
    assert one.readonly
    assert two.readonly


def test_more_than_a_broker_takes_is_not_sent() -> None:
    with pytest.raises(BadFrame, match="65 attachments"):
        encode(Response(None, attachments=[b""] * 65))


def test_a_body_of_another_kind_is_a_bad_body() -> None:
    with pytest.raises(BadBody, match="the body is JSON, not Cap'n Proto"):
        received(encode({})).capnp(AudioClip)
    with pytest.raises(BadBody, match="the body is empty, not JSON"):
        received(encode(None)).json()


def test_a_body_that_is_not_what_it_claims_is_a_bad_body() -> None:
    with pytest.raises(BadBody):
        Content(ContentType.JSON, b"{").json()
    with pytest.raises(BadBody, match="x"):
        Content(ContentType.JSON, b'{"x":"one"}').json(Point)
    with pytest.raises(BadBody):
        Content(ContentType.CAPNPROTO, b"\0" * 12).capnp(AudioClip)
    with pytest.raises(BadBody):
        Content(ContentType.CAPNPROTO, b"\xff" * 64).array("samples", AudioClip)


def test_an_array_of_an_unknown_type_says_what_is_missing() -> None:
    content = Content(ContentType.CAPNPROTO, write_capnp(clip([])))
    with pytest.raises(LookupError, match="no schema given"):
        content.array("samples")


def test_a_body_that_was_read_as_a_type_has_its_arrays() -> None:
    content = Content(ContentType.CAPNPROTO, write_capnp(clip([0.5])))
    content.capnp(AudioClip)
    assert content.array("samples").tolist() == [0.5]


def test_an_array_of_json_is_a_bad_body_whatever_is_known_of_its_type() -> None:
    for schema in (None, AudioClip):
        with pytest.raises(BadBody, match="the body is JSON, not Cap'n Proto"):
            received(encode({"samples": [1.0]})).array("samples", schema)


def test_a_struct_is_decoded_and_checked() -> None:
    assert Content(ContentType.JSON, b'{"x":3}').json(Point) == Point(3, 0)


@given(st.sampled_from(ContentType), st.binary(max_size=64))
def test_any_bytes_are_read_or_a_bad_body(content_type: ContentType, buffer: bytes) -> None:
    content = Content(content_type, buffer)
    for read in (content.json, lambda: content.capnp(AudioClip), lambda: content.array("samples", AudioClip)):
        try:
            read()
        except BadBody:
            continue


ERROR = HandlerFailed("ValueError: no", details="here")


@pytest.mark.parametrize("content_type", ContentType)
@pytest.mark.parametrize("extended", [True, False])
def test_an_error_is_told_in_kind_and_found_again(content_type: ContentType, extended: bool) -> None:
    request = Message((), Command.REQUEST, content_type, bytes(16))
    body = error_body(request, ERROR)
    assert (body.content_type is ContentType.CAPNPROTO) == (content_type is ContentType.CAPNPROTO)
    options = Options(status=ERROR.number) if extended else None
    found = error_of(Message((), Command.REPLY, body.content_type, bytes(16), body=body.buffer, options=options))
    assert isinstance(found, HandlerFailed)
    assert (found.message, found.details) == (ERROR.message, ERROR.details)


def test_a_status_without_words_is_an_error_all_the_same() -> None:
    found = error_of(Message((), Command.REPLY, ContentType.EMPTY, bytes(16), options=Options(status=99)))
    assert isinstance(found, HootError)
    assert found.number == 99


def test_with_options_a_body_that_looks_like_an_error_is_none() -> None:
    body = write_json({"error": {"code": "denied"}})
    reply = Message((), Command.REPLY, ContentType.JSON, bytes(16), body=body, options=NO_OPTIONS)
    assert error_of(reply) is None
    assert reply_of(reply).json() == {"error": {"code": "denied"}}


def test_a_response_may_be_inherited_from_but_not_be_in_another() -> None:
    class Sound(Response):
        """A program's own."""

    assert encode(Sound({"rate": 48_000}, attachments=[b"pcm"])).attachments == (b"pcm",)
    with pytest.raises(TypeError, match="the body of a Response cannot be a Response"):
        encode(Response(Response()))
