"""Hootenanny's events."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hootbus.schemas import BodyError, read_broadcast, standard, write_broadcast, write_capnp


def test_a_broadcast_that_is_written_is_read() -> None:
    found = read_broadcast(write_broadcast("beatTick", timestamp={"nanos": 5}, beat=3, tempoBpm=120.0).buffer)
    assert found is not None
    arm, tick = found
    assert (arm, tick.timestamp.nanos, tick.beat, tick.tempoBpm) == ("beatTick", 5, 3, 120.0)


def test_an_arm_without_known_fields_and_an_arm_there_is_not_are_refused() -> None:
    with pytest.raises(ValueError, match="are not known here"):
        write_broadcast("streamError")
    with pytest.raises(ValueError, match="no broadcast is called 'nothing'"):
        write_broadcast("nothing")


def test_an_arm_from_a_newer_sender_is_survived() -> None:
    body = bytearray(write_broadcast("log", message="hi").buffer)
    assert body[16] == standard.broadcast.Broadcast.schema.fields["log"].proto.discriminantValue
    body[16] = 99
    assert read_broadcast(bytes(body)) is None


def test_an_arm_whose_struct_is_not_known_is_passed_on() -> None:
    message = standard.broadcast.Broadcast.new_message()
    message.streamError = standard.common.Error.new_message(code="x").as_reader()
    found = read_broadcast(write_capnp(message))
    assert found is not None
    assert (found[0], found[1].as_struct(standard.common.Error).code) == ("streamError", "x")


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_a_body_error(raw: bytes) -> None:
    padded = raw + b"\0" * (-len(raw) % 8)
    for body in (raw, (len(padded) // 8 << 32).to_bytes(8, "little") + padded):
        try:
            read_broadcast(body)
        except BodyError:
            continue
