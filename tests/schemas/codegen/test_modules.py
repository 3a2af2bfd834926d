"""Generated modules at run time: what they carry within them, and what they are to the rest of hootbus."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import numpy as np
import pytest

from generated import odd_capnp, other_capnp
from hootbus.schemas import (
    FieldError,
    StructReader,
    array,
    is_builder,
    is_struct_type,
    load,
    read_capnp,
    type_id,
    write_capnp,
    write_fields,
    write_struct,
)

Modules: TypeAlias = tuple[ModuleType, ModuleType]

FOLDER = Path(__file__).parents[2] / "generated"


def test_a_module_needs_no_schema_file_and_no_compiler(tmp_path: Path) -> None:
    (tmp_path / "odd_capnp.py").write_bytes((FOLDER / "odd_capnp.py").read_bytes())
    program = (
        "import sys, subprocess; subprocess.Popen = subprocess.run = None\n"
        "import odd_capnp; from hootbus.schemas import read_capnp, write_struct\n"
        "print(read_capnp(write_struct(odd_capnp.Point, x=2).buffer, odd_capnp.Point))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "(x = 2, y = -0.5)\n"


def test_constants_are_what_the_schema_says() -> None:
    assert (odd_capnp.answer, odd_capnp.ratio, odd_capnp.greeting) == (42, float("inf"), 'héllo "you"')
    assert (bytes(odd_capnp.bits), list(odd_capnp.primes)) == (b"\0\xff\\", [2, 3, 5])
    assert odd_capnp.start == odd_capnp.Step.split_
    assert (odd_capnp.origin.x, odd_capnp.origin.y, list(odd_capnp.origin.tags)) == (1.5, -0.5, ["a", "b"])
    assert odd_capnp.Shape.sides == 4


def test_annotations_are_data() -> None:
    assert odd_capnp.capnp_annotations == {
        "Note": {"odd.marked": None},
        "Step": {"odd.note": {"text": "of an enum", "level": "right"}},
        "Step.class": {"odd.marked": None},
        "Point.x": {"odd.unit": "mm"},
    }


def test_a_struct_is_the_class_of_its_readers() -> None:
    point = read_capnp(write_struct(odd_capnp.Point, x=1).buffer, odd_capnp.Point)
    kinds: list[type] = [odd_capnp.Point, StructReader, odd_capnp.Words]
    assert [isinstance(point, kind) for kind in kinds] == [True, True, False]
    assert is_struct_type(odd_capnp.Point)
    assert is_struct_type(odd_capnp.Meter.MeasureParams)
    assert is_struct_type(odd_capnp.Shape.Circle)


def test_arrays_are_views_of_the_message() -> None:
    body = write_struct(odd_capnp.Defaults, numbers=np.arange(5)).buffer
    numbers = array(body, odd_capnp.Defaults, "numbers")
    assert numbers.tolist() == [0, 1, 2, 3, 4]
    assert np.shares_memory(numbers, np.frombuffer(body, np.uint8))


def test_a_word_of_python_has_an_underscore_behind_it() -> None:
    body = write_struct(odd_capnp.Words, from_="a", class_=2, which_=True).buffer
    words = read_capnp(body, odd_capnp.Words)
    assert (words.from_, words.class_, words.which_) == ("a", 2, True)
    assert write_fields(odd_capnp.Words, {"from": "a", "class": 2, "which": True}).buffer == body


def test_a_builder_is_pycapnps() -> None:
    built = odd_capnp.Shape.new_message(name="n", circle={"radius": 2.0})
    assert is_builder(built)
    built.circle.init("centre").index = 3
    built.fill.colour = other_capnp.Colour.new_message(red=9)
    shape = read_capnp(write_capnp(built), odd_capnp.Shape)
    assert (shape.name, shape.circle.radius, shape.circle.centre.index, shape.fill.colour.red) == ("n", 2.0, 3, 9)
    with pytest.raises(FieldError, match="no such field"):
        odd_capnp.Shape.new_message(nam="n")  # type: ignore[call-arg]  # that is the question


def test_modules_of_one_schema_know_each_others_parts() -> None:
    colour = read_capnp(write_struct(other_capnp.Colour, green=5).buffer, other_capnp.Colour)
    body = write_struct(odd_capnp.Shape, fill={"colour": colour}).buffer
    assert read_capnp(body, odd_capnp.Shape).fill.colour.green == 5


def test_another_version_of_the_same_schema_is_kept_apart(tmp_path: Path) -> None:
    """In a process of its own, as this one keeps what it has loaded."""
    text = (FOLDER / "odd.capnp").read_text()
    (tmp_path / "odd.capnp").write_text(text.replace("x @0 :Float32", "ex @0 :Float32").replace("(x =", "(ex ="))
    (tmp_path / "other.capnp").write_bytes((FOLDER / "other.capnp").read_bytes())
    (tmp_path / "odd_capnp.py").write_bytes((FOLDER / "odd_capnp.py").read_bytes())
    program = (
        "from hootbus.schemas import load, read_capnp, write_struct\n"
        "loaded = load('odd.capnp').Point; import odd_capnp\n"
        "body = write_struct(odd_capnp.Point, x=2).buffer\n"
        "print(read_capnp(body, odd_capnp.Point).x, read_capnp(body, loaded).ex)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "2.0 2.0\n"


def test_a_loaded_file_and_its_module_are_one_type_to_the_bus(generated_forms: Modules) -> None:
    loaded = load(Path(__file__).parents[2] / "conformance/forms.capnp")
    capnp, _ = generated_forms
    assert type_id(capnp.Inner) == type_id(loaded.Inner)
    inner = read_capnp(write_struct(loaded.Inner, number=4).buffer, loaded.Inner)
    body = write_struct(capnp.Everything, inner=inner).buffer
    assert read_capnp(body, capnp.Everything).inner.number == 4


def test_a_generic_struct_takes_its_parameters_and_no_other_does() -> None:
    body = write_struct(odd_capnp.Boxes, text={"content": "t"}).buffer
    assert odd_capnp.Box[str] is odd_capnp.Box
    assert isinstance(read_capnp(body, odd_capnp.Boxes).text, odd_capnp.Box)
    assert read_capnp(body, odd_capnp.Boxes).text.content == "t"
    for name in ("Point", "Meter"):
        with pytest.raises(TypeError):
            getattr(odd_capnp, name)[str]
    with pytest.raises(TypeError, match="not iterable"):
        list(odd_capnp.Box)  # type: ignore[call-overload]  # that is the question


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Lid"):
        getattr(odd_capnp.Point, "Lid")  # noqa: B009  # to type checkers it is one as well
