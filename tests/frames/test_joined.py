"""Joined events, native and fallback: whatever goes in comes out, whatever does not fit is named."""

import gc
import importlib.util
import pickle
import weakref
from array import array
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames import event as fallback
from hootbus.frames.errors import BadFrame
from hootbus.frames.event import JOINED_BYTES, JOINED_MAX
from hootbus.frames.protocol import ContentType

native: ModuleType | None = None
if importlib.util.find_spec("hootbus.frames._joined") is not None:
    from hootbus.frames import _joined as native

needs_native = pytest.mark.skipif(native is None, reason="the native module is not compiled (no C compiler?)")
both = pytest.mark.parametrize("joining", [pytest.param(native, marks=needs_native, id="native"), fallback])
bodies = st.lists(st.binary(max_size=40), max_size=12)
RAW = ContentType.RAW_BINARY


@both
@given(bodies)
def test_what_was_joined_comes_apart_the_same(joining: ModuleType, several: list[bytes]) -> None:
    joined = joining.join(several)
    assert joined == fallback.join(several)
    assert [bytes(part) for part in joining.split(joined, len(several))] == several


@both
@given(bodies.filter(bool), st.data())
def test_a_joined_body_with_any_byte_changed_comes_apart_alike(
    joining: ModuleType, several: list[bytes], data: st.DataObject
) -> None:
    damaged = bytearray(fallback.join(several))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    count = data.draw(st.integers(0, len(several) + 2))
    assert outcome(joining, bytes(damaged), count) == outcome(fallback, bytes(damaged), count)


@both
@given(st.binary(max_size=100), st.integers(0, 20))
def test_any_bytes_come_apart_alike(joining: ModuleType, body: bytes, count: int) -> None:
    assert outcome(joining, body, count) == outcome(fallback, body, count)


@both
@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 8, 2**63, 2**63 - 1, 9])
def test_a_length_that_is_none_is_refused(joining: ModuleType, size: int) -> None:
    with pytest.raises(BadFrame, match=f"announces {size} bytes"):
        joining.split(size.to_bytes(8, "little") + bytes(8), 1)


@both
def test_what_is_no_bytes_is_joined_too(joining: ModuleType) -> None:
    samples = array("d", [0.0, 1.0, 2.0])
    assert joining.join([b"a", bytearray(b"b"), memoryview(samples)]) == fallback.join([b"a", b"b", samples.tobytes()])


@both
def test_a_part_is_read_only_memory_of_the_body_and_keeps_it(joining: ModuleType) -> None:
    class Memory(np.ndarray):  # any array that can be watched
        pass

    whole = np.frombuffer(fallback.join([b"one", b"two"]), np.uint8).view(Memory)
    watched = weakref.ref(whole)
    parts = joining.split(whole, 2)
    address = whole.__array_interface__["data"][0]
    del whole
    first = memoryview(parts[0])
    assert first.readonly
    assert np.frombuffer(first, np.uint8).__array_interface__["data"][0] == address + 8
    del parts
    gc.collect()
    assert watched() is not None
    assert bytes(first) == b"one"
    del first
    gc.collect()
    assert watched() is None


@needs_native
def test_a_part_says_what_it_is_and_stays_in_its_process() -> None:
    assert native is not None
    (part,) = native.split(fallback.join([b"one"]), 1)
    assert (len(part), repr(part)) == (3, "<Part of 3 bytes>")
    with pytest.raises(TypeError, match="memory of this process"):
        pickle.dumps(part)


@both
def test_a_run_takes_what_is_like_it_while_there_is_room(joining: ModuleType) -> None:
    run = joining.Run("a", b"a", RAW, 7, 1, b"first")
    assert not run.follow("a", b"no room yet", 7)
    run.room = 2
    for name, body, schema_id in [
        ("b", b"", 7),
        ("a", b"", 0),
        ("a", "text", 7),
        ("a", bytearray(), 7),
        ("a", None, 7),
    ]:
        assert not run.follow(name, body, schema_id)
    assert run.follow("a", b"second", 7)
    assert run.follow("a", b"", 7)
    assert not run.follow("a", b"", 7)
    assert (run.bodies, run.size, run.room) == ([b"first", b"second", b""], 11, 0)
    assert run.add(b"by the long way")
    json = joining.Run("a", b"a", ContentType.JSON, 0, 1, b"1")
    json.room = 1
    assert not json.follow("a", b"2", 0), "bytes are no JSON"


@both
def test_a_run_is_no_more_than_a_message_may_be(joining: ModuleType) -> None:
    run = joining.Run("a", b"a", RAW, 0, 1, b"")
    run.room = 2 * JOINED_MAX
    assert sum(run.follow("a", b"", 0) for _ in range(JOINED_MAX)) == JOINED_MAX - 1
    run = joining.Run("a", b"a", RAW, 0, 1, bytes(JOINED_BYTES - 1))
    run.room = 2
    assert not run.follow("a", b"12", 0)
    assert run.follow("a", b"1", 0)
    assert not run.add(b"1")


def outcome(joining: ModuleType, body: bytes, count: int) -> list[bytes] | str:
    """The bodies, or what is said of a bad one."""
    try:
        return [bytes(part) for part in joining.split(body, count)]
    except BadFrame as error:
        return error.message
