"""Contexts whose frames can be read in place, and the probe that says whether they can."""

import os
import subprocess
import sys
from array import array

import numpy as np
import pytest
import zmq

from hootbus.frames.context import Alignment, address_of, aligned_context, probe


def test_every_frame_of_an_aligned_context_is_aligned() -> None:
    with aligned_context() as context:
        alignment = probe(context)
    assert alignment.holds
    assert alignment.aligned == alignment.probed == 80


def test_a_plain_contexts_frames_lie_anywhere() -> None:
    """What the option is for; were it no longer so, it could be dropped."""
    with zmq.Context() as context:
        alignment = probe(context)
    assert alignment.probed == 80
    assert not alignment.holds


@pytest.mark.parametrize("native", ["0", "1"])
def test_the_probe_works_behind_both_doors(native: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", "from hootbus.frames import *; print(probe(aligned_context()).holds)"],
        env=os.environ | {"HOOT_NATIVE": native},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (said.stdout, said.stderr) == ("True\n", "")


def test_the_probe_leaves_the_context_as_it_was() -> None:
    context = aligned_context()
    probe(context)
    context.term()  # would hang if a socket were left open


def test_alignment_holds_only_if_every_probe_was_aligned_and_some_were_made() -> None:
    assert Alignment(aligned=3, probed=3).holds
    assert not Alignment(aligned=2, probed=3).holds
    assert not Alignment(aligned=0, probed=0).holds


def test_an_address_is_where_the_buffer_begins() -> None:
    numbers = array("d", [1.0, 2.0])
    begins, _ = numbers.buffer_info()
    assert address_of(memoryview(numbers)) == begins
    assert address_of(memoryview(numbers)[1:]) == begins + 8
    assert address_of(memoryview(numbers).cast("B")[3:].toreadonly()) == begins + 3


def test_the_address_of_bytes_is_theirs() -> None:
    text = b"some bytes of a header"
    assert address_of(text) == np.frombuffer(text, np.uint8).__array_interface__["data"][0]
    assert address_of(memoryview(text)[5:]) == address_of(text) + 5
    assert address_of(memoryview(zmq.Frame(text)).toreadonly()) % 8 in range(8)  # type: ignore[arg-type]  # pyzmq's stub misstates its buffer protocol


def test_an_empty_buffer_has_some_address() -> None:
    assert isinstance(address_of(b""), int)
