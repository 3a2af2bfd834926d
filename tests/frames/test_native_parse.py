"""The native shortcut for parsing says what `message.parse` says, of whatever frames arrive."""

from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames import message
from hootbus.frames.context import aligned_context
from hootbus.frames.message import Frames, MalformedMessage, Message
from hootbus.frames.options import NO_OPTIONS, Options, write_options

native = pytest.importorskip("hootbus.frames._native", reason="the native module is not compiled (no C compiler?)")

OPTIONS = st.builds(
    Options,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
NUMBERS = st.sampled_from([bytes((0, number)) for number in range(12)] + [b"", b"\0", b"\1\0", b"\0\0\2"])
COMMON = st.tuples(
    st.just(b"HOOT01"),
    NUMBERS,
    NUMBERS,
    st.sampled_from([bytes(16), b"i" * 16, b"i" * 15, b"i" * 17]),
    st.sampled_from([b"", b"text/upper", b"\xff", b"s" * 255, b"s" * 256, b"s" * 2000]),
    st.sampled_from([b"", b"00-t", b"t" * 512, b"t" * 513]),
    st.binary(max_size=40),
)
OPTION_FRAMES = OPTIONS.map(write_options) | st.just(write_options(NO_OPTIONS)) | st.binary(max_size=40)
ROUTES = st.lists(st.sampled_from([b"", b"address", b"HOOT01", b"a" * 256]), max_size=10)
TAILS: st.SearchStrategy[list[bytes]] = st.just([]) | st.builds(
    lambda first, rest: [first, *rest], OPTION_FRAMES, st.lists(st.binary(max_size=9))
)
MESSAGES = st.builds(lambda route, common, tail: [*route, *common, *tail], ROUTES, COMMON, TAILS)


@pytest.fixture(scope="module")
def wires() -> Iterator[tuple[Any, Any]]:
    context = aligned_context()
    here, there = native.Wire(context.socket(zmq.PAIR)), native.Wire(context.socket(zmq.PAIR))
    here.socket.bind("inproc://parse")
    there.socket.connect("inproc://parse")
    yield here, there
    here.close(0)
    there.close(0)
    context.term()


def said(parse: "object", frames: Frames, start: int) -> tuple[object, ...]:
    try:
        parsed: Message = parse(frames, start)  # type: ignore[operator]  # either of the two
    except MalformedMessage as error:
        return str(error), error.field, error.route, error.request_id, error.content_type
    return (parsed,)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=12) | MESSAGES, st.sampled_from([0, 1]))
def test_both_say_the_same(wires: tuple[Any, Any], frames: list[bytes], start: int) -> None:
    wires[0].send(list(frames))
    received = wires[1].receive()
    assert received is not None
    assert said(native.parse, received, start) == said(message.parse, received, start)
