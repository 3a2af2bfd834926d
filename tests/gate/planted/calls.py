"""A broker that parses each message with a hundred calls more than it takes."""

from unittest import mock

from hootbus.frames.buffer import Frames
from hootbus.frames.message import Message, parse

_CALLS = 100


def wasteful(frames: Frames, start: int = 0) -> Message:
    """As a slip would do it: the right thing, the long way."""
    for _ in range(_CALLS):
        needless()
    return parse(frames, start)


def needless() -> None:
    """Nothing."""


mock.patch("hootbus.bus.serving.parse", wasteful).start()
