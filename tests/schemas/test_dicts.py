"""Whole messages as plain values: what is counted while they are walked, and what is left out."""

from pathlib import Path
from typing import Final

import pytest

from hootbus.schemas import load, read_capnp, write_json, write_struct
from hootbus.schemas.forms import write_capnp_json
from hootbus.schemas.forms.text import write_text
from hootbus.schemas.pointers import WALK_WORDS_MIN

SHAPES = load(Path(__file__).with_name("shapes.capnp"))
# More than what is free in a walk through a small message.
LONG: Final = WALK_WORDS_MIN * 5 // 4


@pytest.mark.parametrize("tree", [{}, {"children": []}, {"children": [{}]}])
def test_a_long_list_of_small_structs_is_no_amplification(tree: dict[str, object]) -> None:
    found = read_capnp(write_struct(SHAPES.Tree, children=[tree] * LONG).buffer, SHAPES.Tree)
    assert len(found.to_dict()["children"]) == LONG
    assert write_text(found).count("(") == write_capnp_json(found).count("{") >= LONG


def test_a_member_of_a_union_that_is_a_null_pointer_is_set_all_the_same() -> None:
    found = read_capnp(write_struct(SHAPES.Shapes, left=None).buffer, SHAPES.Shapes)
    assert (found.which(), list(found.left)) == ("left", [])
    assert found.to_dict()["left"] is None


def test_enumerants_are_their_names_in_json_also_as_they_are_read() -> None:
    found = read_capnp(write_struct(SHAPES.Shapes, colours=["red", "blue", 7]).buffer, SHAPES.Shapes)
    assert (
        write_json({"colours": list(found.colours), found.colours[0]: 1}) == b'{"colours":["red","blue","(7)"],"red":1}'
    )
