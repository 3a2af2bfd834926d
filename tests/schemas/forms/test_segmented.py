"""Messages over many segments: whatever the segments' size, they mean the same."""

import random

import pytest

from conformance.capnp_tool import convert, needs_tool
from conformance.everything import FORMS
from conformance.layouts import random_struct, written
from hootbus.schemas import BodyError, segments, write_fields
from hootbus.schemas.canonical import canonical
from hootbus.schemas.forms import split_body


@pytest.mark.parametrize("words", [1, 2, 3, 7, 20, 1000])
def test_any_message_means_the_same_in_segments_of_any_size(words: int) -> None:
    rng = random.Random(words)
    for _ in range(60):
        body = written(random_struct(rng), rng)
        assert canonical(split_body(body, words)) == canonical(body)


@needs_tool
def test_the_tool_reads_them() -> None:
    rng = random.Random(1)
    bodies = [written(random_struct(rng), rng) for _ in range(200)]
    split = b"".join(split_body(body, rng.choice((1, 4, 30))) for body in bodies)
    assert convert("binary:binary", split) == convert("binary:binary", b"".join(map(_joined, bodies)))


def _joined(body: bytes) -> bytes:
    return split_body(body, 1 << 29)


def test_a_segment_is_no_larger_than_asked_for_unless_an_object_is() -> None:
    rng = random.Random(2)
    for _ in range(50):
        body = written(random_struct(rng), rng)
        # Of this message no object has more than 40 words and a landing pad.
        sizes = [len(part) // 8 for part in segments(split_body(body, 50))]
        assert max(sizes) <= 50
        assert len(segments(_joined(body))) == 1


def test_more_segments_than_a_body_may_have_are_refused() -> None:
    body = write_fields(FORMS.Everything, {"texts": ["text"] * 600}).buffer
    assert len(segments(split_body(body, 1200))) == 2
    with pytest.raises(BodyError, match="603 segments of 1 words, at most 512"):
        split_body(body, 1)
