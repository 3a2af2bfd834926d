"""The table of errors: one number and one code each, as the wire says, and never used for another."""

import pickle
import re

import pytest

from hootbus.frames import errors
from hootbus.frames.errors import ERRORS, HootError, Overloaded, WorkerLost, error_from_wire

# WIRE section 2. A line may be added here, never changed: peers of every version read these numbers.
WIRE = """
1 bad_frame · 2 bad_body · 3 unknown_service · 4 unknown_method · 5 unsupported_content_type · 6 overloaded
7 deadline_exceeded · 8 cancelled · 9 worker_lost · 10 quarantined · 11 denied · 12 schema_mismatch
13 handler_error · 14 broker_stopping
"""
NUMBERED = {code: int(number) for number, code in re.findall(r"(\d+) (\w+)", WIRE)}


def test_numbers_and_codes_are_the_wires() -> None:
    assert {kind.code: kind.number for kind in ERRORS} == NUMBERED
    assert sorted(NUMBERED.values()) == list(range(1, 15))
    assert len(ERRORS) == len(NUMBERED)


def test_every_error_class_of_the_module_is_in_the_table() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HootError)}
    assert kinds == {*ERRORS, HootError}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_back_by_its_number_or_by_its_code(kind: type[HootError]) -> None:
    for error in (
        error_from_wire(number=kind.number, message="so", details="because"),
        error_from_wire(code=kind.code, message="so", details="because"),
    ):
        assert type(error) is kind
        assert (error.message, error.details) == ("so", "because")
        assert str(error) == f"{kind.code}: so"


def test_the_number_decides_where_the_code_says_something_else() -> None:
    assert type(error_from_wire(number=6, code="worker_lost")) is Overloaded


def test_an_unknown_number_with_a_known_code_is_the_codes() -> None:
    assert type(error_from_wire(number=999, code="worker_lost")) is WorkerLost


def test_a_newer_peers_error_keeps_what_it_said() -> None:
    error = error_from_wire(number=99, code="out_of_tea", message="none left")
    assert type(error) is HootError
    assert (error.number, error.code, str(error)) == (99, "out_of_tea", "out_of_tea: none left")
    assert error_from_wire(number=99).code == "error_99"
    # The classes themselves keep theirs.
    assert (HootError.number, HootError.code) == (0, "error")


def test_an_error_that_says_nothing_still_has_words() -> None:
    assert str(error_from_wire()) == "error: the peer reported an error"
    assert str(error_from_wire(number=9)) == "worker_lost: worker lost"


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(error_from_wire(number=99, code="out_of_tea", message="none", details="at all")))
    assert (error.number, error.code, error.message, error.details) == (99, "out_of_tea", "none", "at all")
