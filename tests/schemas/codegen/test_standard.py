"""hootbus's own schemas as generated modules: `hoot schema gen schemas/*.capnp -o workers/standard` renews them."""

from pathlib import Path
from typing import Final

from hootbus.schemas import read_capnp, standard, write_struct
from hootbus.schemas.codegen.generate import apart, generate, left_out
from hootbus.schemas.codegen.standard import STANDARD
from hootbus.schemas.compiling import compile_files
from hootbus.workers.standard import common_capnp, garden_capnp, garden_types

ROOT: Final = Path(__file__).parents[3]
SCHEMAS: Final = sorted((ROOT / "schemas").glob("*.capnp"))


def test_the_modules_are_what_the_schemas_say() -> None:
    schema = apart(compile_files(SCHEMAS))
    made = generate(schema, is_package=True)
    folder = ROOT / "workers" / "standard"
    there = {path.name: path.read_text() for path in folder.glob("*_*.py*") if path.stem != "__init__"}
    assert sorted(there) == sorted(made)
    assert there == made, "hoot schema gen schemas/*.capnp -o workers/standard"
    assert {file.id: file.name.removesuffix(".capnp") for file in schema.files} == STANDARD


def test_a_schema_that_imports_one_of_them_has_it_from_there(tmp_path: Path) -> None:
    (tmp_path / "common.capnp").write_bytes((ROOT / "schemas/common.capnp").read_bytes())
    own = tmp_path / "own.capnp"
    own.write_text(
        '@0xa6de3f1c40b57e21;\nusing Common = import "common.capnp";\nstruct Own { at @0 :Common.Timestamp; }\n'
    )
    schema = apart(compile_files([own]))
    assert left_out(schema) == []
    assert "\nfrom hootbus.workers.standard import common_capnp\n" in generate(schema)["own_capnp.pyi"]
    assert "\nfrom hootbus.workers.standard import common_types\n" in generate(schema)["own_types.py"]


def test_their_types_are_those_that_are_loaded() -> None:
    now = read_capnp(write_struct(common_capnp.Timestamp, nanos=5).buffer, common_capnp.Timestamp)
    body = write_struct(standard.garden.Position, timestamp=now, state=garden_capnp.TransportState.playing.raw)
    position = garden_types.Position.from_capnp(read_capnp(body.buffer, garden_capnp.Position))
    assert (position.timestamp and position.timestamp.nanos, position.state) == (5, 1)
