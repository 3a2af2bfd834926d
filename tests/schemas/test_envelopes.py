"""The bus's own envelopes: what is written is read, what is out of bounds is named, any bytes are survived."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import (
    BodyError,
    Method,
    Pong,
    Registration,
    WireError,
    halves,
    identifier_of,
    is_ping,
    read_capnp,
    read_error,
    read_error_json,
    read_pong,
    read_registration,
    standard,
    write_capnp,
    write_error,
    write_error_json,
    write_json,
    write_ping,
    write_pong,
    write_registration,
)

REQUEST = bytes(range(16))
WORKER = bytes(range(16, 32))
Envelope = standard.envelope.Envelope

NAMES = st.text(max_size=60)
IDS = st.integers(0, 2**64 - 1)
METHODS = st.builds(
    Method,
    name=NAMES,
    is_default=st.booleans(),
    request_type=IDS,
    reply_type=IDS,
    request_fingerprint=IDS,
    reply_fingerprint=IDS,
)
REGISTRATIONS = st.builds(
    Registration,
    worker_id=st.binary(min_size=16, max_size=16),
    name=NAMES,
    hostname=NAMES,
    version=NAMES,
    pid=st.integers(0, 2**32 - 1),
    capabilities=st.lists(NAMES, max_size=3).map(tuple),
    slots=st.integers(1, 2**32 - 1),
    methods=st.lists(METHODS, max_size=3).map(tuple),
    extension_version=st.integers(0, 2**16 - 1),
    lost_after_ms=st.integers(0, 2**32 - 1),
)
FULL = Registration(
    worker_id=WORKER,
    name="text-1",
    hostname="box",
    version="1.0",
    pid=7,
    capabilities=("a", "b"),
    slots=4,
    methods=(Method(name="upper", is_default=True, request_type=1), Method(name="lower")),
    extension_version=1,
    lost_after_ms=60_000,
)
WRITTEN = [
    write_registration(REQUEST, FULL),
    write_error(REQUEST, "00-trace", "overloaded", "the queue is full", '{"queued":9}'),
    write_ping(REQUEST),
    write_pong(REQUEST, WORKER, 9),
]


@settings(deadline=None, derandomize=True)
@given(REGISTRATIONS)
def test_a_registration_that_is_written_is_read(registration: Registration) -> None:
    assert read_registration(write_registration(REQUEST, registration)) == registration


def test_the_envelope_carries_the_request_id_in_two_little_endian_halves() -> None:
    assert halves(REQUEST) == (0x0706050403020100, 0x0F0E0D0C0B0A0908)
    assert identifier_of(*halves(REQUEST)) == REQUEST
    for body in WRITTEN:
        found = read_capnp(body, Envelope).id
        assert (found.low, found.high) == halves(REQUEST)


def test_a_hootenanny_workers_registration_has_one_slot_and_no_methods() -> None:
    # Its struct ends after the seventh field: one data word, five pointers. The enum is that word.
    envelope = Envelope.new_message(payload={"register": {"workerName": "holler", "capabilities": ["sing"]}})
    assert read_registration(write_capnp(envelope)) == Registration(
        worker_id=bytes(16), name="holler", capabilities=("sing",)
    )


@pytest.mark.parametrize(
    ("register", "field"),
    [
        ({"slots": 0}, "slots"),
        ({"workerName": "n" * 256}, "workerName"),
        ({"hostname": "é" * 128}, "hostname"),
        ({"version": "n" * 256}, "version"),
        ({"capabilities": ["ok", "n" * 256]}, "capabilities[1]"),
        ({"capabilities": [""] * 1025}, "capabilities"),
        ({"methods": [{"name": "n" * 256}]}, "methods[0].name"),
        ({"methods": [{}] * 1025}, "methods"),
        ({"workerName": b"\xff"}, "payload.register.workerName"),
        ({"methods": [{"name": b"\xff"}]}, "payload.register.methods[0].name"),
    ],
)
def test_a_registration_out_of_bounds_is_refused_with_its_field(register: dict[str, object], field: str) -> None:
    with pytest.raises(BodyError) as caught:
        read_registration(write_capnp(Envelope.new_message(payload={"register": register})))
    assert caught.value.field == field


def test_the_bounds_hold_for_writing_too() -> None:
    for wrong in (
        Registration(worker_id=b"short", name="n"),
        Registration(worker_id=WORKER, name="n", slots=0),
        Registration(worker_id=WORKER, name="n" * 256),
    ):
        with pytest.raises(BodyError):
            write_registration(REQUEST, wrong)


def test_the_largest_registration_is_within_the_bound() -> None:
    largest = Registration(
        worker_id=WORKER,
        name="n" * 255,
        capabilities=tuple(["c" * 255] * 1024),
        methods=tuple([Method(name="m" * 255)] * 1024),
    )
    assert read_registration(write_registration(REQUEST, largest)) == largest


def test_a_body_that_is_no_registration_is_refused() -> None:
    for body in (b"", b"{}", *WRITTEN[1:], write_capnp(Envelope.new_message()), bytes(1 << 20 | 8)):
        with pytest.raises(BodyError):
            read_registration(body)


def test_an_error_that_is_written_is_read() -> None:
    assert read_error(WRITTEN[1]) == WireError("overloaded", "the queue is full", '{"queued":9}')
    assert read_capnp(WRITTEN[1], Envelope).traceparent == "00-trace"
    body = write_error_json("overloaded", "the queue is full")
    assert body == b'{"error":{"code":"overloaded","details":"","message":"the queue is full"}}'
    assert read_error_json(body) == WireError("overloaded", "the queue is full")


def test_an_error_does_not_fail_over_its_own_text() -> None:
    assert read_error(write_error(REQUEST, "", "handler_error", "no file \udcff", "\udcff")) == WireError(
        "handler_error", "no file ?", "?"
    )
    assert read_error_json(write_error_json("handler_error", "no file \udcff", "\udcff")) == WireError(
        "handler_error", "no file ?", "?"
    )


def test_a_reply_that_is_no_error_has_none() -> None:
    clip = standard.demo.AudioFeatures.new_message(title="kick", peak=1.0, sampleCount=25)
    for body in (*WRITTEN[:1], *WRITTEN[2:], write_capnp(clip), write_capnp(Envelope.new_message())):
        assert read_error(body) is None
    values: list[object] = [None, 1, [], {}, {"error": "text"}, {"error": {}}, {"error": {"code": 5}}]
    for value in values:
        assert read_error_json(write_json(value)) is None


def test_another_brokers_details_may_be_any_json() -> None:
    body = write_json({"error": {"code": "x", "message": None, "details": {"a": [1]}}})
    assert read_error_json(body) == WireError("x", "null", '{"a":[1]}')
    assert read_error_json(b'{"error":{"code":"x"}}') == WireError("x", "")


def test_a_ping_is_a_ping_and_nothing_else_is() -> None:
    assert is_ping(write_ping(REQUEST))
    for body in (b"", b"junk" * 4, b"{}", WRITTEN[0], WRITTEN[1], WRITTEN[3], write_capnp(Envelope.new_message())):
        assert not is_ping(body)


def test_a_pong_that_is_written_is_read() -> None:
    assert read_pong(WRITTEN[3]) == Pong(WORKER, 9)
    assert read_pong(WRITTEN[2]) is None


def test_an_arm_from_a_newer_peer_is_survived() -> None:
    body = bytearray(write_ping(REQUEST))
    ping = standard.envelope.Payload.schema.fields["ping"].proto.discriminantValue
    at = max(index for index in range(8, len(body), 8) if body[index] == ping and not any(body[index + 1 : index + 8]))
    body[at] = 99
    assert not is_ping(body)
    assert read_error(body) is None
    with pytest.raises(BodyError, match="not a registration"):
        read_registration(body)


def read_everything(body: bytes) -> None:
    for read in (read_registration, read_error, read_pong, read_error_json):
        with contextlib.suppress(BodyError):
            read(body)
    is_ping(body)


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_a_body_error(body: bytes) -> None:
    read_everything(body)
    # The same once more, with a segment table that lets them through to the pointers.
    padded = body + b"\0" * (-len(body) % 8)
    read_everything((len(padded) // 8 << 32).to_bytes(8, "little") + padded)


@settings(deadline=None, derandomize=True, max_examples=500)
@given(
    body=st.sampled_from(WRITTEN),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_any_mutated_envelope_is_read_or_a_body_error(body: bytes, changes: list[tuple[int, int]]) -> None:
    mutated = bytearray(body)
    for at, value in changes:
        mutated[at % len(body)] = value
    read_everything(bytes(mutated))
