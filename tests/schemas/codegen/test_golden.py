"""What is generated, to the letter: `hoot schema gen tests/generated/*.capnp -o tests/generated` renews it."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from hootbus.schemas import model
from hootbus.schemas.codegen.generate import apart, generate, left_out
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.transfer import read_request, write_request

GOLDEN: Final = Path(__file__).parents[2] / "generated"
FILES: Final = sorted(GOLDEN.glob("*.capnp"))


@pytest.fixture(scope="module")
def schema() -> model.Schema:
    return apart(compile_files(FILES))


def test_the_golden_modules_are_what_is_generated(schema: model.Schema) -> None:
    made = generate(schema, is_package=True)
    assert sorted(made) == sorted(path.name for path in GOLDEN.glob("o*_*.py*"))
    for path, text in made.items():
        assert (GOLDEN / path).read_text() == text, f"{path}: renew it, if it is meant"


def test_the_order_of_nodes_makes_no_difference(schema: model.Schema) -> None:
    nodes = list(schema.nodes.values())
    random.Random(5).shuffle(nodes)
    assert generate(model.Schema(nodes, reversed(schema.files))) == generate(schema)


def test_a_request_of_the_compiler_leads_to_the_same(schema: model.Schema) -> None:
    assert generate(read_request(write_request(schema))) == generate(schema)


def test_ten_times_the_structs_are_ten_times_the_work(tmp_path: Path) -> None:
    assert work(tmp_path, 100) < 12 * work(tmp_path, 10)


def work(folder: Path, count: int) -> int:
    """How many calls it takes to generate so many structs that refer to each other."""
    text = "".join(
        f"struct S{at} {{ a @0 :List(S{(at * 7) % count}); union {{ b @1 :Text; c @2 :S{(at + 1) % count}; }} }}\n"
        for at in range(count)
    )
    path = folder / f"many{count}.capnp"
    path.write_text(f"@{0xF0AA11BB22CC3300 + count:#x};\n{text}")
    schema = compile_files([path])
    calls = 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(called)
    try:
        generate(schema)
    finally:
        sys.setprofile(None)
    return calls


def test_modules_of_a_package_import_each_other_relatively(schema: model.Schema) -> None:
    names = {"odd.capnp": "deep/odd.capnp", "other.capnp": "other.capnp"}
    files = [msgspec.structs.replace(file, name=names[file.name]) for file in schema.files]
    moved = model.Schema(schema.nodes.values(), files)
    package, apart_ = generate(moved, is_package=True), generate(moved)
    assert "\nfrom .. import other_types\n" in package["deep/odd_types.py"]
    assert "\nfrom .deep import odd_types\n" in package["other_types.py"]
    assert "\nimport other_types\n" in apart_["deep/odd_types.py"]
    assert "\nfrom deep import odd_types\n" in apart_["other_types.py"]


def test_what_a_file_needs_of_others_is_named(schema: model.Schema) -> None:
    assert left_out(schema) == []
    assert left_out(model.Schema(schema.nodes.values(), schema.files[:1])) == ["other.capnp"]


def test_a_formatter_and_a_linter_have_nothing_to_say() -> None:
    """Nothing but that documentation is as long as its author has made it."""
    for command in (["format", "--diff"], ["check", "--select", "E4,E7,E9,F"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(GOLDEN)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
