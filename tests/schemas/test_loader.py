"""Loading `.capnp` files: once each, and never at the cost of the process."""

from pathlib import Path

import pytest

from hootbus.schemas import SchemaError, load, read_capnp, schema_of, standard, type_id, write_capnp

SHAPES = load(Path(__file__).with_name("shapes.capnp"))

COMMON = Path(standard.common.__file__ or "").read_text()
GOOD = "@0xe5a1c2f3b4d59687;\nstruct Point { x @0 :Float64; y @1 :Float64; }\n"
STREAM = (
    '@0xe5a1c2f3b4d59688;\nusing Cxx = import "/capnp/c++.capnp";\ninterface Sink { put @0 (b :Data) -> stream; }\n'
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_loaded_once_however_it_is_spelled(tmp_path: Path) -> None:
    path = write(tmp_path, "point.capnp", GOOD)
    module = load(path)
    assert load(str(tmp_path / "." / "point.capnp")) is module
    assert schema_of(type_id(module.Point)) == module.Point
    assert read_capnp(write_capnp(module.Point.new_message(x=1.5)), module.Point).x == 1.5


def test_stream_methods_and_capnps_own_imports_compile(tmp_path: Path) -> None:
    assert hasattr(load(write(tmp_path, "sink.capnp", STREAM)), "Sink")


def test_imports_are_looked_for_in_the_given_folders(tmp_path: Path) -> None:
    write(tmp_path, "unit.capnp", "@0xe5a1c2f3b4d59689;\nstruct Unit { name @0 :Text; }\n")
    text = '@0xe5a1c2f3b4d5968a;\nusing U = import "/unit.capnp";\nstruct Value { unit @0 :U.Unit; }\n'
    folder = tmp_path / "sub"
    folder.mkdir()
    module = load(write(folder, "value.capnp", text), imports=[tmp_path])
    assert module.Value.new_message(unit={"name": "Hz"}).unit.name == "Hz"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("@0xe5a1c2f3b4d5968b;\n\nstruct C { v @0 :Undefined; }\n", 3, "Not defined: Undefined"),
        ("@0xe5a1c2f3b4d5968b;\nstruct C { v @1 :Text; }\n", 2, "Skipped ordinal"),
        ('@0xe5a1c2f3b4d5968b;\nusing X = import "no.capnp";\nstruct C { v @0 :X.Y; }', 2, "Import failed: no.capnp"),
        (COMMON, 1, "Duplicate ID"),
        ("this is no schema", 1, "Parse error"),
        ("", 1, "does not declare an ID"),
        ("\0\1\2", 1, ""),
    ],
)
def test_a_bad_file_is_an_error_with_its_line_and_the_process_lives(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    path = write(tmp_path, "bad.capnp", text)
    with pytest.raises(SchemaError) as caught:
        load(path)
    assert (caught.value.path, caught.value.line) == (path.resolve(), line)
    assert message in caught.value.message


def test_a_fault_in_an_imported_file_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, "broken.capnp", "@0xe5a1c2f3b4d5968c;\nstruct Broken { v @0 :Nope; }\n")
    text = '@0xe5a1c2f3b4d5968d;\nusing B = import "broken.capnp";\nstruct C { v @0 :B.Broken; }\n'
    with pytest.raises(SchemaError) as caught:
        load(write(tmp_path, "outer.capnp", text))
    assert caught.value.line == 0
    assert "broken.capnp:2: " in caught.value.message


def test_a_bad_file_can_be_mended_and_loaded(tmp_path: Path) -> None:
    path = write(tmp_path, "mended.capnp", "@0xe5a1c2f3b4d5968e;\nstruct M { v @0 :Nope; }\n")
    with pytest.raises(SchemaError):
        load(path)
    write(tmp_path, "mended.capnp", "@0xe5a1c2f3b4d5968e;\nstruct M { v @0 :Text; }\n")
    assert load(path).M.new_message(v="well").v == "well"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such file"):
        load(tmp_path / "nowhere.capnp")


def test_foreign_and_packaged_schemas_live_in_one_process() -> None:
    assert list(SHAPES.Shapes.new_message().longs) == [1, -2]
    assert schema_of(type_id(SHAPES.Shapes)) is SHAPES.Shapes
    assert schema_of(type_id(standard.common.Uuid)) is standard.common.Uuid
