"""Schemas as messages: what goes out comes back, what the tool says is what we say, what a peer breaks is named."""

import subprocess
from pathlib import Path
from random import Random

import msgspec
import pytest

from conformance.capnp.mutations import mutated
from conformance.capnp_tool import needs_tool
from hootbus.schemas import BodyError, model
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.copies import CAPNP_IMPORTS, CAPNP_OWN, PACKAGED
from hootbus.schemas.layout import layout_in
from hootbus.schemas.transfer import read_request, write_request

HERE = Path(__file__).parent
OWN = sorted(PACKAGED.glob("*.capnp"))
# With generics, groups within unions, defaults of all kinds, annotations, `-> stream`, keywords as names.
HARD = [HERE / "shapes.capnp", HERE.parent / "conformance/forms.capnp", HERE.parent / "conformance/capnp/corpus.capnp"]
CAPNPS = [path for path in sorted(CAPNP_OWN.glob("*.capnp")) if path.name != "c++.capnp"]

SCHEMA = compile_files([*OWN, *HARD])
REQUEST = write_request(SCHEMA)


def test_a_schema_comes_back_as_it_went() -> None:
    again = read_request(REQUEST)

    # As text: some defaults are NaN.
    assert {key: repr(node) for key, node in again.nodes.items()} == {
        key: repr(node) for key, node in SCHEMA.nodes.items()
    }
    assert again.files == SCHEMA.files
    assert write_request(again) == REQUEST


@needs_tool
@pytest.mark.parametrize("paths", [OWN, HARD, CAPNPS], ids=["own", "hard", "capnp's"])
def test_what_we_compile_is_what_the_tool_compiles_with_its_comments(paths: list[Path]) -> None:
    ours = compile_files(paths)
    command = ["capnp", "compile", f"-I{CAPNP_IMPORTS}", "-o-", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)

    theirs = read_request(done.stdout)

    assert [file.id for file in theirs.files] == [file.id for file in ours.files]
    assert len(theirs.nodes) >= len(paths)
    for node in theirs.nodes.values():
        # The file's name is what it was called when it was imported.
        assert _nameless(ours.node(node.id)) == _nameless(node)


@needs_tool
def test_a_files_name_may_have_letters_of_several_bytes(tmp_path: Path) -> None:
    path = tmp_path / "größe.capnp"
    path.write_text("@0xdb8db2f1bd2bd105; struct A { struct B {} }")
    done = subprocess.run(["capnp", "compile", "-o-", path], capture_output=True, check=True, timeout=60)

    theirs = read_request(done.stdout)

    assert {node.name for node in theirs.nodes.values() if node.path} == {"A", "B"}
    assert dict(read_request(write_request(theirs)).nodes) == dict(theirs.nodes)


def test_the_closure_of_a_struct_is_what_it_needs_and_no_more() -> None:
    envelope = next(node for node in SCHEMA.nodes.values() if node.path == "WorkerRegistration")

    found = SCHEMA.closure([envelope.id])

    assert {node.path for node in found.nodes.values()} == {
        "",
        "WorkerRegistration",
        "Method",
        "Uuid",
        "WorkerType",
    }
    assert dict(read_request(write_request(found)).nodes) == dict(found.nodes)


def test_broken_requests_are_refused_or_sound() -> None:
    request = write_request(compile_files([HARD[0]]))
    sound = 0
    for seed in range(1000):
        try:
            schema = read_request(mutated(Random(seed), request))
        except BodyError:
            continue
        sound += 1
        for node in schema.nodes.values():
            if isinstance(node.body, model.Struct):
                # Whatever it is, it can be read and written by.
                assert len(layout_in(schema, node.id).fields) == len(node.body.fields)
        write_request(schema)
    assert 0 < sound < 1000


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(BodyError, match="at most 16777216 for a schema"):
        read_request(bytes(16 * 1024 * 1024 + 8))


def _nameless(node: model.Node) -> str:
    name = "" if isinstance(node.body, model.File) else node.name
    return repr(msgspec.structs.replace(node, display_name=node.path, name=name))
