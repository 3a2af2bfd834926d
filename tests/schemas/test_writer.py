"""Arrays into messages: equal to what pycapnp builds, in memory that is sent as it is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from hootbus.schemas import FieldError, array, load, read_capnp, segments, standard, type_id, write_arrays, write_capnp

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

AudioClip = standard.demo.AudioClip


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(width=32, allow_nan=False), max_size=50), st.text(max_size=40))
def test_the_message_is_what_pycapnp_builds(samples: list[float], title: str) -> None:
    body = write_arrays(AudioClip, {"samples": samples}, title=title, sampleRate=8000)
    assert isinstance(body.buffer, memoryview)
    assert body.buffer.readonly
    assert body.type_id == type_id(AudioClip)
    assert len(body.buffer) == len(write_capnp(AudioClip.new_message(title=title, sampleRate=8000, samples=samples)))
    reader = read_capnp(body.buffer, AudioClip)
    assert (reader.title, reader.sampleRate, list(reader.samples)) == (title, 8000, samples)


def test_arrays_go_into_structs_groups_and_unions() -> None:
    values: dict[str, ArrayLike] = {
        "inner.deeper.values": [1, 2],
        "right.values": [3],
        "plain.doubles": np.arange(4.0),
        "longs": [],
    }
    body = write_arrays(SHAPES.Shapes, values, title="all")
    assert len(segments(body.buffer)) == 1
    for path, numbers in values.items():
        assert array(body.buffer, SHAPES.Shapes, path).tolist() == np.asarray(numbers).tolist()


def test_numbers_are_converted_within_their_kind_only() -> None:
    body = write_arrays(AudioClip, {"samples": np.array([0.5, 1.5], np.float64)[::-1]})
    assert array(body.buffer, AudioClip, "samples").tolist() == [1.5, 0.5]
    with pytest.raises(TypeError, match="longs: float64 does not become int64"):
        write_arrays(SHAPES.Shapes, {"longs": np.array([0.5])})
    with pytest.raises(OverflowError, match="blob: -1 to 7 does not fit into uint8"):
        write_arrays(SHAPES.Shapes, {"blob": [7, -1]})
    with pytest.raises(TypeError, match="samples: 2 dimensions, not 1"):
        write_arrays(AudioClip, {"samples": np.zeros((2, 2))})


def test_a_field_that_is_no_list_of_numbers_is_refused() -> None:
    with pytest.raises(FieldError, match="is text, not a list of numbers"):
        write_arrays(AudioClip, {"title": [1]})
