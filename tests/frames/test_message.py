"""HOOT01 messages: what is written is read, what cannot be read names its frame, and every bound holds exactly."""

import copy
import itertools
import pickle
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.buffer import Frames
from hootbus.frames.errors import BadFrame
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, check, parse, serialize
from hootbus.frames.options import NO_OPTIONS, Options, write_options
from hootbus.frames.protocol import (
    ATTACHMENTS_MAX,
    FRAMES_MAX,
    FRAMES_PLAIN,
    MESSAGE_BYTES_MAX,
    OPTIONS_BYTES_MAX,
    RETURN_ADDRESSES_MAX,
    ROUTE_FRAME_BYTES_MAX,
    SERVICE_BYTES_MAX,
    SIGNATURE,
    TRACEPARENT_BYTES_MAX,
    Command,
    ContentType,
    Flag,
)

ID = bytes(range(16))
IDENTITY = b"\x01client"
REQUEST = b"\0\x02"
FIELDS = {
    "signature",
    "frames",
    "return addresses",
    "command",
    "content type",
    "request id",
    "service",
    "traceparent",
    "body",
    "options",
    "attachments",
}

options = st.builds(
    Options,
    deadline_ms=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 2**16 - 1),
    status=st.integers(0, 2**16 - 1),
    schema_id=st.integers(0, 2**64 - 1),
    sequence=st.integers(0, 2**32 - 1),
    credit=st.integers(0, 2**32 - 1),
)
return_address = st.binary(max_size=40).filter(lambda frame: frame != SIGNATURE)
messages = st.builds(
    Message,
    # A ROUTER's identity may be any bytes, the signature's among them; a return address may be empty.
    route=st.tuples(st.binary(min_size=1, max_size=40) | st.just(SIGNATURE)).flatmap(
        lambda identity: st.lists(return_address, max_size=RETURN_ADDRESSES_MAX).map(lambda rest: (*identity, *rest))
    ),
    command=st.sampled_from(Command),
    content_type=st.sampled_from(ContentType),
    request_id=st.binary(min_size=16, max_size=16),
    service=st.binary(max_size=SERVICE_BYTES_MAX),
    traceparent=st.binary(max_size=80),
    body=st.binary(max_size=200),
    options=st.none() | options,
    attachments=st.lists(st.binary(max_size=40), max_size=5).map(tuple),
)
# Frames that come close to a message: what a mutation of a valid one would give, and what a stranger would send.
near_frame = st.one_of(
    st.just(SIGNATURE),
    st.sampled_from([number.to_bytes(2, "big") for number in range(10)]),
    st.just(ID),
    st.just(b""),
    st.just(write_options(NO_OPTIONS)),
    st.binary(max_size=300),
)


class Claims(bytes):
    """Bytes that say of themselves that they are `size` long, so that a bound of 256 MiB is tested without them."""

    size: int

    def __len__(self) -> int:
        return self.size


def claiming(size: int) -> bytes:
    claims = Claims()
    claims.size = size
    return claims


def seven(**changed: bytes) -> Frames:
    """A valid request's seven frames, some of them changed."""
    plain = {
        "signature": SIGNATURE,
        "command": REQUEST,
        "content_type": b"\0\x03",
        "request_id": ID,
        "service": b"text/upper",
        "traceparent": b"",
        "body": b"{}",
    }
    return [*(plain | changed).values()]


def refusal(frames: Frames, start: int = 0) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as refused:
        parse(frames, start)
    return refused.value


@given(messages)
def test_what_serialize_writes_parse_reads(message: Message) -> None:
    assert parse(serialize(message), start=1) == message


@given(messages)
def test_a_peer_without_identity_reads_the_same_behind_its_return_addresses(message: Message) -> None:
    behind = message.__replace__(route=message.route[1:])
    assert parse(serialize(behind)) == behind


@given(messages)
def test_check_takes_what_a_peer_would_take(message: Message) -> None:
    sent = message.__replace__(route=message.route[1:])
    check(sent)


@given(st.lists(near_frame, max_size=200), st.integers(0, 1))
def test_any_frames_parse_or_raise_and_name_the_frame(frames: Frames, start: int) -> None:
    try:
        message = parse(frames, start)
    except MalformedMessage as error:
        assert error.field in FIELDS
        assert str(error).startswith(f"bad_frame: {error.field}: ")
        assert len(str(error)) < 200
        assert error.request_id is None or len(error.request_id) == 16
        assert len(error.route) <= 1 + RETURN_ADDRESSES_MAX
    else:
        assert parse(serialize(message), start) == message


@given(messages, st.data())
def test_a_message_with_one_frame_changed_parses_or_raises(message: Message, data: st.DataObject) -> None:
    frames = serialize(message)
    at = data.draw(st.integers(0, len(frames) - 1))
    change: Callable[[Frames], None] = data.draw(
        st.sampled_from(
            [
                lambda frames: frames.pop(at),
                lambda frames: frames.insert(at, frames[at]),
                lambda frames: frames.__setitem__(at, frames[at][:-1]),
                lambda frames: frames.__setitem__(at, frames[at] + b"\0"),
                lambda frames: frames.__setitem__(at, bytes(byte ^ 0xFF for byte in frames[at])),
            ]
        )
    )
    change(frames)
    try:
        parse(frames, start=1)
    except BadFrame as error:
        assert isinstance(error, MalformedMessage)


def test_the_seven_frames_are_what_hootenanny_sends() -> None:
    message = Message((IDENTITY, b""), Command.REQUEST, ContentType.CAPNPROTO, ID, b"hello", b"00-aa-bb-01", b"body")
    assert serialize(message) == [
        IDENTITY,
        b"",
        b"HOOT01",
        b"\x00\x02",
        b"\x00\x01",
        ID,
        b"hello",
        b"00-aa-bb-01",
        b"body",
    ]


def test_the_numbers_are_those_of_the_wire() -> None:
    assert {command.name: int(command) for command in Command} == {
        "READY": 1,
        "REQUEST": 2,
        "REPLY": 3,
        "HEARTBEAT": 4,
        "DISCONNECT": 5,
        "CANCEL": 6,
        "PARTIAL": 7,
        "CREDIT": 8,
    }
    assert {kind.name: int(kind) for kind in ContentType} == {"EMPTY": 0, "CAPNPROTO": 1, "RAW_BINARY": 2, "JSON": 3}
    assert {flag.name: int(flag) for flag in Flag} == {
        "IDEMPOTENT": 1,
        "ONE_WAY": 2,
        "WAIT": 4,
        "PARTIALS": 8,
        "WORKER": 16,
        "PLAIN": 32,
        "GATHER": 64,
    }
    assert FRAMES_MAX == 1 + RETURN_ADDRESSES_MAX + FRAMES_PLAIN + 1 + ATTACHMENTS_MAX == 81


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 6])
def test_fewer_than_seven_frames_are_none_and_answered_if_there_is_an_id(count: int) -> None:
    error = refusal([IDENTITY, *seven()[:count]], start=1)
    assert error.field == ("frames" if count else "signature")
    assert error.route == (IDENTITY,)
    assert error.request_id == (seven()[3] if count > 3 else None)


def test_no_frames_at_all_have_no_signature() -> None:
    assert refusal([]).message == "signature: no HOOT01 frame among 0"
    assert refusal([], start=1).route == ()


@pytest.mark.parametrize(
    ("frame", "wrong", "field"),
    [
        ("command", b"\0\x00", "command"),
        ("command", b"\0\x09", "command"),
        ("command", b"\x01\x02", "command"),
        ("command", b"\x02", "command"),
        ("command", b"\0\0\x02", "command"),
        ("command", b"", "command"),
        ("command", bytes(300), "command"),
        ("content_type", b"\0\x04", "content type"),
        ("content_type", b"\x03", "content type"),
        ("content_type", b"", "content type"),
        ("content_type", bytes(300), "content type"),
        ("request_id", bytes(15), "request id"),
        ("request_id", bytes(17), "request id"),
        ("request_id", b"", "request id"),
        ("service", bytes(SERVICE_BYTES_MAX + 1), "service"),
        ("traceparent", bytes(TRACEPARENT_BYTES_MAX + 1), "traceparent"),
        ("body", claiming(MESSAGE_BYTES_MAX + 1), "body"),
    ],
)
def test_a_wrong_frame_is_named(frame: str, wrong: bytes, field: str) -> None:
    assert refusal(seven(**{frame: wrong})).field == field


@pytest.mark.parametrize(
    ("frame", "most"),
    [
        ("service", bytes(SERVICE_BYTES_MAX)),
        ("traceparent", bytes(TRACEPARENT_BYTES_MAX)),
        ("body", claiming(MESSAGE_BYTES_MAX)),
    ],
)
def test_a_frame_of_exactly_its_bound_is_taken(frame: str, most: bytes) -> None:
    assert getattr(parse(seven(**{frame: most})), frame) is most


def test_service_and_traceparent_need_not_be_utf8_to_be_parsed() -> None:
    message = parse(seven(service=b"\xff\xfe", traceparent=b"\x80"))
    assert (message.service, message.traceparent) == (b"\xff\xfe", b"\x80")


def test_an_identity_that_equals_the_signature_is_no_signature() -> None:
    message = parse([SIGNATURE, *seven()], start=1)
    assert message.route == (SIGNATURE,)
    assert message.service == b"text/upper"


def test_without_identity_the_first_signature_starts_the_message() -> None:
    assert refusal([SIGNATURE, *seven()]).field == "command"


def test_a_body_and_a_service_may_equal_the_signature() -> None:
    message = parse([IDENTITY, *seven(service=SIGNATURE, body=SIGNATURE)], start=1)
    assert (message.service, message.body) == (SIGNATURE, SIGNATURE)


@pytest.mark.parametrize("start", [0, 1])
def test_eight_return_addresses_are_taken_the_empty_delimiter_counted(start: int) -> None:
    route = (*[IDENTITY] * start, *(b"hop%d" % hop for hop in range(RETURN_ADDRESSES_MAX - 1)), b"")
    assert parse([*route, *seven()], start).route == route


@pytest.mark.parametrize("start", [0, 1])
def test_nine_return_addresses_are_not_taken(start: int) -> None:
    route = [*[IDENTITY] * start, *[b""] * (RETURN_ADDRESSES_MAX + 1)]
    error = refusal([*route, *seven()], start)
    assert error.field == "return addresses"
    assert error.request_id == ID


def test_a_route_that_cannot_be_used_leaves_the_identity_to_answer_to() -> None:
    for hops in [[b""] * 9, [bytes(ROUTE_FRAME_BYTES_MAX + 1)]]:
        assert refusal([IDENTITY, *hops, *seven()], start=1).route == (IDENTITY,)


def test_a_return_address_has_at_most_255_bytes() -> None:
    most = bytes(ROUTE_FRAME_BYTES_MAX)
    assert parse([most, *seven()]).route == (most,)
    assert refusal([most + b"\0", *seven()]).field == "return addresses"


def test_an_empty_options_frame_means_none() -> None:
    assert parse([*seven(), b""]).options is None


def test_options_that_are_none_are_named() -> None:
    error = refusal([IDENTITY, *seven(), b"garbage"], start=1)
    assert (error.field, error.request_id, error.route) == ("options", ID, (IDENTITY,))
    assert error.message == f"options: 7 bytes, not 8 to {OPTIONS_BYTES_MAX} in whole words"


def test_attachments_come_with_and_without_options() -> None:
    with_options, without = parse([*seven(), write_options(Options(flags=1)), b"a", b""]), parse([*seven(), b"", b"a"])
    assert (with_options.options, with_options.attachments) == (Options(flags=1), (b"a", b""))
    assert (without.options, without.attachments) == (None, (b"a",))


def test_64_attachments_are_taken_65_are_not() -> None:
    assert len(parse([*seven(), b"", *[b"x"] * ATTACHMENTS_MAX]).attachments) == ATTACHMENTS_MAX
    assert refusal([*seven(), b"", *[b"x"] * (ATTACHMENTS_MAX + 1)]).field == "attachments"


def test_body_and_attachments_share_one_bound() -> None:
    half = claiming(MESSAGE_BYTES_MAX // 2)
    assert parse([*seven(body=half), b"", half]).size == MESSAGE_BYTES_MAX
    assert refusal([*seven(body=half), b"", half, b"x"]).field == "attachments"


@pytest.mark.parametrize("command", [command for command in Command if command is not Command.REQUEST])
def test_only_a_request_can_be_answered(command: Command) -> None:
    assert refusal(seven(command=command.to_bytes(2, "big"), service=bytes(300))).request_id is None
    assert refusal(seven(service=bytes(300))).request_id == ID
    assert refusal(seven(service=bytes(300), request_id=b"short")).request_id is None


def test_a_refusal_tells_the_content_type_to_answer_in() -> None:
    for kind in ContentType:
        assert refusal(seven(service=bytes(300), content_type=kind.to_bytes(2, "big"))).content_type is kind
    assert refusal(seven(content_type=b"\0\x09")).content_type is ContentType.EMPTY


MESSAGE = parse(seven())


@pytest.mark.parametrize(
    ("field", "most", "over"),
    [
        ("service", bytes(SERVICE_BYTES_MAX), bytes(SERVICE_BYTES_MAX + 1)),
        ("traceparent", bytes(TRACEPARENT_BYTES_MAX), bytes(TRACEPARENT_BYTES_MAX + 1)),
        ("body", claiming(MESSAGE_BYTES_MAX), claiming(MESSAGE_BYTES_MAX + 1)),
        ("request_id", bytes(16), bytes(15)),
        ("request_id", bytes(16), bytes(17)),
        ("route", (b"",) * RETURN_ADDRESSES_MAX, (b"",) * (RETURN_ADDRESSES_MAX + 1)),
        ("route", (bytes(ROUTE_FRAME_BYTES_MAX),), (bytes(ROUTE_FRAME_BYTES_MAX + 1),)),
        ("attachments", (b"",) * ATTACHMENTS_MAX, (b"",) * (ATTACHMENTS_MAX + 1)),
        ("attachments", (claiming(MESSAGE_BYTES_MAX - 2),), (claiming(MESSAGE_BYTES_MAX - 1),)),
    ],
)
def test_check_refuses_before_sending_what_a_broker_would(field: str, most: object, over: object) -> None:
    check(MESSAGE.__replace__(**{field: most}))
    with pytest.raises(MalformedMessage):
        check(MESSAGE.__replace__(**{field: over}))


def test_size_counts_bytes_where_a_views_length_counts_items() -> None:
    samples = memoryview(array("d", [0.0] * 100))
    assert len(samples) == 100
    assert MESSAGE.__replace__(body=samples).size == 800
    assert MESSAGE.__replace__(body=b"12", attachments=(samples, b"345")).size == 805


def test_a_message_is_a_value() -> None:
    same = MESSAGE.__replace__()
    assert same is not MESSAGE
    assert same == MESSAGE
    assert hash(same) == hash(MESSAGE)
    other = MESSAGE.__replace__(service=b"other")
    assert other != MESSAGE
    assert MESSAGE != "no message"
    assert "service=b'other'" in repr(other)
    assert copy.deepcopy(other) == copy.copy(other) == pickle.loads(pickle.dumps(other)) == other
    assert list(itertools.islice(Message.__match_args__, 3)) == ["route", "command", "content_type"]
