"""Thousands of broken messages, of the million of `make fuzz`: each is read or refused, in a process that lives on."""

import os
import signal
from typing import Final

import pytest

from conformance.capnp.fuzz import AGREE, PROBE, Finding, case, hunt
from conformance.capnp.mutations import Message
from conformance.capnp.probe import probe
from hootbus.schemas import BodyError, StructType, segments

SEED: Final = 20
CASES: Final = 5000
PLANTED: Final = "conformance.capnp.test_mutations:planted"


def planted(body: bytes, struct: StructType) -> None:
    """A judge with something to find."""
    if body == case(SEED, 3)[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    if body == case(SEED, 5)[1]:
        raise LookupError("planted")


def findings(judge_name: str, count: int) -> list[Finding]:
    chunks = list(hunt(judge_name, SEED, count, jobs=2))
    assert [number for chunk, _ in chunks for number in chunk] == list(range(count))
    return [finding for _, found in chunks for finding in found]


def test_whatever_is_done_with_a_broken_message_gives_a_value_or_a_body_error() -> None:
    assert findings(PROBE, CASES) == []


def test_pycapnp_and_we_agree_on_which_messages_are_sound() -> None:
    assert findings(AGREE, CASES) == []


def test_a_judge_that_dies_or_complains_is_found_with_the_case_it_was_at() -> None:
    (first, died), (second, complaint) = findings(PLANTED, 40)
    assert (first, died) == (3, f"the process died, status {-signal.SIGKILL}: ")
    assert second == 5
    assert "LookupError: planted" in complaint


def test_many_of_the_mutated_messages_are_messages_still() -> None:
    """Otherwise nothing but the segment table would be tried."""
    sound = [probe(body, struct).passed("validate") for struct, body in (case(SEED, number) for number in range(400))]
    assert 60 < sum(sound) < 300


def test_the_same_number_is_the_same_message() -> None:
    assert case(SEED, 7) == case(SEED, 7)
    assert case(SEED, 7) != case(SEED, 8) != case(SEED + 1, 8)


@pytest.mark.parametrize("number", range(50))
def test_a_message_taken_apart_and_put_together_is_the_same(number: int) -> None:
    body = case(SEED, number)[1]
    try:
        segments(body)
    except BodyError:
        return
    again = Message.parse(body).body()
    assert [bytes(part) for part in segments(again)] == [bytes(part) for part in segments(body)]
