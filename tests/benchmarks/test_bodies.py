"""The encodings that are compared say the same thing, and ours says it without a copy."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.bench import Bench
from benchmarks.messages import graph, reading, samples
from benchmarks.messages.crossing import Crossing
from benchmarks.messages.encoding import IN_PLACE, Encoding
from benchmarks.questions import bodies
from benchmarks.results import Settings
from hootbus.frames import address_of

IN_PLACE_SAMPLES = next(encoding for encoding in samples.ENCODINGS if encoding.name == IN_PLACE)


@pytest.fixture
def crossing(tmp_path: Path) -> Iterator[Crossing]:
    with Crossing(tmp_path) as crossing:
        yield crossing


@pytest.mark.parametrize("encoding", graph.ENCODINGS, ids=lambda encoding: encoding.name)
def test_a_graph_is_read_as_it_was_written(encoding: Encoding[graph.Graph], crossing: Crossing) -> None:
    sent = graph.example()
    received = crossing.cross(encoding.build(sent))
    read = encoding.read_all(received)
    assert msgspec.structs.asdict(read).keys() == msgspec.structs.asdict(sent).keys()
    for name, value in msgspec.structs.asdict(sent).items():
        np.testing.assert_array_equal(getattr(read, name), value)
    assert read.features.dtype == np.float32
    assert read.features.shape == (200, 32)
    assert encoding.read_two is not None
    assert encoding.read_two(received) == (sent.id, sent.label)


@pytest.mark.parametrize("encoding", reading.ENCODINGS, ids=lambda encoding: encoding.name)
def test_a_tiny_message_is_read_as_it_was_written(encoding: Encoding[reading.Reading], crossing: Crossing) -> None:
    sent = reading.example()
    received = crossing.cross(encoding.build(sent))
    assert encoding.read_all(received) == sent
    assert encoding.read_two is not None
    assert encoding.read_two(received) == (sent.sensor, sent.unit)


@pytest.mark.parametrize("encoding", samples.ENCODINGS, ids=lambda encoding: encoding.name)
def test_samples_are_read_as_they_were_written(encoding: Encoding[samples.Samples], crossing: Crossing) -> None:
    sent = samples.example()[:1000]
    np.testing.assert_array_equal(encoding.read_all(crossing.cross(encoding.build(sent))), sent, strict=True)


class Payload(bytearray):
    """A body of which it can be known whether it is still there."""


@pytest.mark.parametrize("encoding", samples.ENCODINGS, ids=lambda encoding: encoding.name)
def test_an_array_keeps_what_it_shows(encoding: Encoding[samples.Samples]) -> None:
    """A way to read that is fast because it lets go of the memory too early is none to compare with."""
    payload = Payload(encoding.build(samples.example()[:1000]))
    whole = np.frombuffer(payload, np.uint8)
    begin, end = whole.ctypes.data, whole.ctypes.data + whole.nbytes
    del whole
    is_there = weakref.ref(payload)
    read = encoding.read_all(payload)
    del payload
    gc.collect()
    is_a_view = begin <= read.ctypes.data < end
    assert is_a_view == (is_there() is not None) == (encoding.name == IN_PLACE)


def test_examples_are_the_same_in_every_run() -> None:
    np.testing.assert_array_equal(graph.example().features, graph.example().features)
    np.testing.assert_array_equal(samples.example(), samples.example())


def test_a_million_are_written_with_one_copy_and_read_with_none(crossing: Crossing) -> None:
    million = samples.example()
    assert bodies.copies(lambda: IN_PLACE_SAMPLES.build(million), million.nbytes) == 1
    received = crossing.cross(IN_PLACE_SAMPLES.build(million))
    assert bodies.copies(lambda: IN_PLACE_SAMPLES.read_all(received), million.nbytes) == 0
    read = IN_PLACE_SAMPLES.read_all(received)
    assert 0 <= read.ctypes.data - address_of(received) <= len(received) - read.nbytes


def test_a_copy_is_seen() -> None:
    million = samples.example()
    assert bodies.copies(million.copy, million.nbytes) == 1
    assert bodies.copies(lambda: [million.copy(), million.copy()], million.nbytes) == 2


def test_every_step_of_every_encoding_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [bodies.Subject(bodies.TINY, reading.example(), reading.ENCODINGS)]
    million: tuple[Encoding[Any], ...] = (IN_PLACE_SAMPLES,)
    few.append(bodies.Subject(bodies.MILLION, samples.example(), million))
    monkeypatch.setattr(bodies, "subjects", lambda: iter(few))
    found = list(bodies.run(Bench(Settings(rounds=2, seconds=0.01), (), tmp_path)))
    assert all(len(result.samples) == 2 for result in found)
    assert {result.system for result in found} == {encoding.name for encoding in reading.ENCODINGS}
    steps = {
        (result.case["message"], result.case["step"], result.unit) for result in found if result.system == IN_PLACE
    }
    timed = {bodies.BUILD, bodies.SEND, bodies.READ_ALL, bodies.ALL}
    assert steps == {
        *((bodies.TINY, step, "µs") for step in {*timed, bodies.READ_TWO}),
        *((bodies.MILLION, step, "µs") for step in timed),
        *((message, "body", "bytes") for message in (bodies.TINY, bodies.MILLION)),
        *((bodies.MILLION, step, bodies.COPIED) for step in (bodies.BUILD, bodies.READ_ALL)),
    }
