"""Loading `.capnp` files: once each, and never at the cost of the process."""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from hootbus.schemas import SchemaError, load, read_capnp, schema_of, standard, type_id, write_capnp
from hootbus.schemas.copies import CAPNP_IMPORTS, PACKAGED
from hootbus.schemas.loaded import LoadedSchema
from hootbus.schemas.loader import Loader
from hootbus.schemas.structs import StructType, declaration_of, is_struct_type


def struct_name(struct: StructType) -> str:
    schema, struct_id = declaration_of(struct)
    return schema.node(struct_id).display_name


SHAPES = load(Path(__file__).with_name("shapes.capnp"))

COMMON = Path(standard.common.__file__ or "").read_text()

# A file that was loaded has taken its id for the life of the process.
FILES = count(0xE5A1C2F3B4D60000)

# What a loader has loaded must not dangle.
LOADERS: list[Loader] = []


def write(folder: Path, name: str, text: str) -> Path:
    """A schema with an id of its own."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"@{next(FILES):#x};\n{text}")
    return path


def error_of(path: Path) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        load(path)
    return caught.value


def run(program: str, *arguments: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_file_is_loaded_once_however_it_is_spelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "point.capnp", "struct Point { x @0 :Float64; y @1 :Float64; }")
    (tmp_path / "link.capnp").symlink_to(path)
    module = load(path)
    monkeypatch.chdir(tmp_path)
    assert load("point.capnp") is load(str(tmp_path / "." / "point.capnp")) is load(Path("link.capnp")) is module
    assert schema_of(type_id(module.Point)) == module.Point
    assert read_capnp(write_capnp(module.Point.new_message(x=1.5)), module.Point).x == 1.5


def test_what_a_file_declares_are_attributes_of_its_module(tmp_path: Path) -> None:
    text = """
        const answer :Int32 = 42;
        const primes :List(UInt8) = [2, 3, 5];
        const origin :Outer.Inner = (x = 7);
        enum Colour { red @0; green @1; }
        interface Shop { buy @0 (name :Text) -> (price :Float64); }
        annotation unit @0xf5a1c2f3b4d5a001 (field) :Text;
        struct Outer $kind("outer") {
            inner @0 :Inner $unit("Hz");
            annotation note (struct) :Text;
            struct Inner { x @0 :Int8; const half :Float32 = 0.5; enum Deep { far @0; } }
        }
        annotation kind (struct) :Text;
    """
    path = write(tmp_path, "kinds.capnp", text)
    module = load(path)
    assert (module.answer, list(module.primes), module.origin.x, module.Outer.Inner.half) == (42, [2, 3, 5], 7, 0.5)
    assert (module.Colour.green, module.Outer.Inner.Deep.far) == (1, 0)
    assert "buy" in module.Shop.schema.methods
    assert (module.__file__, struct_name(module.Outer.Inner)) == (str(path), "kinds.capnp:Outer.Inner")
    assert module.Outer.schema.node.annotations[0].value.text == "outer"
    assert module.Outer.schema.fields["inner"].proto.annotations[0].id == 0xF5A1C2F3B4D5A001


def test_stream_methods_and_capnps_own_imports_compile(tmp_path: Path) -> None:
    text = (
        'using Cxx = import "/capnp/c++.capnp";\n$Cxx.namespace("x");\ninterface Sink { put @0 (b :Data) -> stream; }'
    )
    assert (
        load(write(tmp_path, "sink.capnp", text)).Sink.schema.methods["put"].result_type.node.id == 0x995F9A3377C0B16E
    )
    text = 'import "/capnp/stream.capnp".StreamResult'
    module = load(write(tmp_path, "result.capnp", f"struct R {{ r @0 :{text}; }} interface S {{ s @0 () -> stream; }}"))
    assert module.R.schema.fields["r"].schema.node.id == 0x995F9A3377C0B16E


def test_capnps_annotations_for_json_are_there_and_those_of_others_are_not_taken(tmp_path: Path) -> None:
    write(tmp_path, "capnp/compat/json.capnp", "annotation name(field) :Int8;")
    text = 'using Json = import "/capnp/compat/json.capnp"; struct S { a @0 :Text $Json.name("b"); }'
    for name in ("one.capnp", "two.capnp"):
        (annotation,) = load(write(tmp_path, name, text), imports=[tmp_path]).S.schema.fields["a"].proto.annotations
        assert (annotation.id, annotation.value.text) == (0xFA5B1FD61C2E7C3D, "b")
    with pytest.raises(SchemaError, match=r"Import failed: /capnp/compat/xml\.capnp"):
        load(write(tmp_path, "three.capnp", 'using Xml = import "/capnp/compat/xml.capnp"; struct T {}'))


def test_any_version_of_capnps_annotations_for_cxx_is_the_one_that_is_here(tmp_path: Path) -> None:
    """Many projects have a copy of it, and `-> stream` imports it, too; its ids can be there but once."""
    for name in ("first", "second"):
        text = f"@0xbdf87d7bb8304e81; annotation namespace(file) :Text;  # {name}"
        (tmp_path / name / "include").mkdir(parents=True)
        (tmp_path / name / "include" / "c++.capnp").write_text(text)
        text = '$import "include/c++.capnp".namespace("x"); interface Sink { put @0 (b :Data) -> stream; }'
        assert "put" in load(write(tmp_path, f"{name}/sink.capnp", text)).Sink.schema.methods


def test_another_version_of_what_is_imported_unasked_is_an_error(tmp_path: Path) -> None:
    stream = Path(CAPNP_IMPORTS, "capnp", "stream.capnp").read_text()
    (tmp_path / "stream.capnp").write_text(f"{stream}\n# another version\n")
    text = 'struct R { r @0 :import "stream.capnp".StreamResult; } interface Sink { put @0 (b :Data) -> stream; }'
    error = error_of(write(tmp_path, "sink.capnp", text))
    assert error.message.startswith("Duplicate ID @0x86c366a91393f3f8")


def test_imports_are_looked_for_beside_the_file_and_in_the_given_folders_in_order(tmp_path: Path) -> None:
    write(tmp_path, "one/unit.capnp", "struct Unit { name @0 :Text; }")
    write(tmp_path, "two/unit.capnp", "struct Unit { wrong @0 :Text; }")
    write(tmp_path, "two/scale/unit.capnp", "struct Unit { scale @0 :Int8; }")
    write(tmp_path, "sub/unit.capnp", "struct Unit { beside @0 :Text; }")
    write(tmp_path, "unit.capnp", "struct Unit { above @0 :Text; }")
    text = """struct Value {
        a @0 :import "/unit.capnp".Unit; b @1 :import "unit.capnp".Unit; c @2 :import "../unit.capnp".Unit;
        d @3 :import "/scale/unit.capnp".Unit;
    }"""
    module = load(
        write(tmp_path, "sub/value.capnp", text), imports=[tmp_path / "none", tmp_path / "one", tmp_path / "two"]
    )
    value = {"a": {"name": "Hz"}, "b": {"beside": "m"}, "c": {"above": "s"}, "d": {"scale": 3}}
    assert module.Value.new_message(**value).to_dict() == value


def test_a_file_may_be_imported_by_several_paths_in_a_circle_and_be_loaded_too(tmp_path: Path) -> None:
    text = (
        'struct A { a @0 :import "a.capnp".A; b @1 :import "/b.capnp".B; c @2 :import "c/../b.capnp".B; d @3 :Int8; }'
    )
    a = write(tmp_path, "a.capnp", text)
    b = write(tmp_path, "b.capnp", 'struct B { a @0 :import "/a.capnp".A; l @1 :import "l.capnp".A; }')
    (tmp_path / "l.capnp").symlink_to(a)
    module = load(a, imports=[tmp_path])
    assert module.A.new_message(b={"l": {"c": {"a": {"d": 3}}}}).b.l.c.a.d == 3
    assert load(b).B.schema == module.A.schema.fields["b"].schema


def test_a_linked_file_imports_the_links_neighbours(tmp_path: Path) -> None:
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "main.capnp").symlink_to(
        write(tmp_path, "store/1", 'struct M { n @0 :import "next.capnp".N; }')
    )
    (tmp_path / "link" / "next.capnp").symlink_to(write(tmp_path, "store/2", "struct N { x @0 :Int8; }"))
    assert load(tmp_path / "link" / "main.capnp").M.new_message(n={"x": 1}).n.x == 1


def test_our_own_files_can_be_imported_by_any_path(tmp_path: Path) -> None:
    relative = os.path.relpath(PACKAGED, tmp_path.resolve())
    text = f'struct A {{ a @0 :import "/common.capnp".Uuid; b @1 :import "{relative}/common.capnp".Uuid; }}'
    fields = load(write(tmp_path, "ours.capnp", text), imports=[PACKAGED]).A.schema.fields
    assert fields["a"].schema == fields["b"].schema == standard.common.Uuid.schema


def test_files_are_embedded(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(bytes(range(256)))
    text = 'const blob :Data = embed "blob"; const text :Text = embed "blob.capnp";'
    module = load(write(tmp_path, "blob.capnp", text))
    assert module.blob == bytes(range(256))
    assert module.text.endswith(text)


def test_names_may_have_any_characters(tmp_path: Path) -> None:
    write(tmp_path, 'a b:3: failed: "é"/ü.capnp', "struct U { v @0 :Nope; }")
    path = write(tmp_path, "a b:3: failed: é/x y:7.capnp", 'struct X { u @0 :import "z z".Z; }')
    write(tmp_path, "a b:3: failed: é/z z", "struct Z { x @0 :Int8; }\n const n :No = 1;")
    error = error_of(path)
    assert (error.path.name, error.line, error.column) == ("z z", 3, 11)


def test_structs_of_imported_files_and_nested_ones_are_found_by_their_ids(tmp_path: Path) -> None:
    write(tmp_path, "far.capnp", "struct Far @0xf5a1c2f3b4d5a101 { struct In @0xf5a1c2f3b4d5a102 { x @0 :Int8; } }")
    text = 'struct Unused @0xf5a1c2f3b4d5a103 {} struct Near { far @0 :import "far.capnp".Far; }'
    write(tmp_path, "near.capnp", text)
    load(write(tmp_path, "main.capnp", 'struct Main { near @0 :import "near.capnp".Near; }'))
    found = [schema_of(0xF5A1C2F3B4D5A100 + number) for number in (1, 2, 3)]
    assert all(is_struct_type(struct) for struct in found)
    assert [struct_name(s) for s in found if s] == ["far.capnp:Far", "far.capnp:Far.In", "near.capnp:Unused"]
    assert found[1] is load(tmp_path / "far.capnp").Far.In
    assert schema_of(0xF5A1C2F3B4D5A104) is None


def test_a_fault_in_an_imported_file_names_that_file(tmp_path: Path) -> None:
    broken = write(tmp_path, "broken.capnp", "struct Broken {}\nstruct Unused { v @0 :Nope; }\n")
    error = error_of(write(tmp_path, "outer.capnp", 'struct C { v @0 :import "broken.capnp".Broken; }\n'))
    assert str(error) == f"{broken.resolve()}:3:23: Not defined: Nope"


def test_a_copy_of_one_of_our_own_files_is_that_one_however_it_is_reached(tmp_path: Path) -> None:
    common, garden = (tmp_path / name for name in ("common.capnp", "garden.capnp"))
    common.write_text(COMMON)
    garden.write_bytes((PACKAGED / garden.name).read_bytes())
    outer = write(tmp_path, "outer.capnp", 'struct Outer { id @0 :import "common.capnp".Uuid; }')
    assert load(outer).Outer.schema.fields["id"].schema == standard.common.Uuid.schema
    assert load(garden) is standard.garden
    assert load(common) is standard.common
    # A file that was loaded stays what it was.
    common.write_text("changed")
    assert load(common) is standard.common
    again = write(tmp_path, "again.capnp", 'struct Again { id @0 :import "common.capnp".Uuid; }')
    assert load(again).Again.schema.fields["id"].schema == standard.common.Uuid.schema


def test_a_copy_that_is_embedded_is_no_schema(tmp_path: Path) -> None:
    (tmp_path / "common.capnp").write_text(COMMON)
    text = 'const text :Text = embed "common.capnp";'
    assert load(write(tmp_path, "embeds.capnp", text)).text == COMMON


def test_an_id_that_is_taken_is_an_error_that_names_who_has_it(tmp_path: Path) -> None:
    first = write(tmp_path, "first.capnp", "struct F {}")
    load(first)
    copy = tmp_path / "common.capnp"
    ours = f"hootbus brings a schema with this id already, {PACKAGED / 'common.capnp'}"
    for taken, who in ((f"{COMMON}#", ours), (first.read_text(), f"{first.resolve()} has it, too")):
        copy.write_text(taken)
        error = error_of(copy)
        assert (error.path, error.line, error.column) == (copy.resolve(), 1, 1)
        assert error.message == f"Duplicate ID {re.findall('@0x[0-9a-f]+', taken)[0]}: {who}"


def test_files_that_are_loaded_together_may_share_no_id_either(tmp_path: Path) -> None:
    one = write(tmp_path, "one.capnp", "struct One @0xf5a1c2f3b4d5a201 {}")
    two = write(tmp_path, "two.capnp", 'struct Two @0xf5a1c2f3b4d5a201 { one @0 :import "one.capnp".One; }')
    error = error_of(two)
    other = {one.resolve(): two.resolve(), two.resolve(): one.resolve()}[error.path]
    assert error.message == f"Duplicate ID @0xf5a1c2f3b4d5a201: {other} has it, too"


def test_a_copy_of_ours_with_other_bytes_is_refused_where_it_is_imported_too(tmp_path: Path) -> None:
    (tmp_path / "common.capnp").write_text(f"{COMMON}# mine")
    error = error_of(write(tmp_path, "outer.capnp", 'struct Outer { id @0 :import "common.capnp".Uuid; }'))
    assert error.path == (tmp_path / "common.capnp").resolve()
    assert "hootbus brings a schema with this id already" in error.message


def test_a_bad_file_can_be_mended_and_loaded(tmp_path: Path) -> None:
    write(tmp_path, "mended.capnp", "struct M { v @0 :Nope; }\n")
    path = write(tmp_path, "outer.capnp", 'struct O { m @0 :import "mended.capnp".M; }\n')
    assert error_of(path).message == "Not defined: Nope"
    write(tmp_path, "mended.capnp", "struct M { v @0 :Text; }\n")
    assert load(path).O.new_message(m={"v": "well"}).m.v == "well"


def test_what_is_no_file_is_an_error_without_a_place(tmp_path: Path) -> None:
    (tmp_path / "folder.capnp").mkdir()
    (tmp_path / "circle.capnp").symlink_to("circle.capnp")
    os.mkfifo(tmp_path / "pipe.capnp")
    assert str(error_of(tmp_path / "nowhere.capnp")) == f"{tmp_path.resolve()}/nowhere.capnp: no such file"
    assert (error_of(tmp_path / "folder.capnp").message, error_of(tmp_path / "pipe.capnp").message) == (
        "not a file",
    ) * 2
    assert (error_of(tmp_path / "circle.capnp").line, error_of(tmp_path / "circle.capnp").column) == (0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.capnp", "struct S {}")
    secret.chmod(0)
    assert str(error_of(write(tmp_path, "open.capnp", 'using S = import "secret.capnp";'))).endswith(
        "permission denied"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"const c :Text = \"\xc3\";", "not UTF-8"),
        (b"\x7fELF\2\1\1\0" + bytes(100), "Parse error"),
        (b"const c :" + b"List(" * 20000 + b"Int8" + b")" * 20000 + b" = [];", "nested too deeply"),
        (b"struct A { " * 20000 + b"}" * 20000, "nested too deeply"),
        (b'const c :Text = ' + b'"\\" ' * 20000, "Parse error"),
        (b" " * (8 << 20), "are no schema"),
    ],
)  # fmt: skip
def test_what_is_no_schema_at_all_is_an_error(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, "bad.capnp", "")
    path.write_bytes(path.read_bytes() + content)
    assert message in error_of(path).message


def test_what_is_loaded_is_what_was_checked_whoever_writes_to_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = write(tmp_path, "inner.capnp", "struct In { v @0 :Text; }")
    outer = write(tmp_path, "outer.capnp", 'struct Out { i @0 :import "inner.capnp".In; }')
    copies = tmp_path / "temporary"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))
    loader = Loader(LoadedSchema())
    LOADERS.append(loader)

    loaded = Event()

    def spoil() -> None:
        while not any(copies.iterdir()) and not loaded.is_set():
            pass
        inner.write_text("bad")
        outer.unlink()

    writer = Thread(target=spoil)
    writer.start()
    try:
        module = loader.load([outer], ())[0]
    finally:
        loaded.set()
        writer.join()
    assert module.Out.new_message(i={"v": "as it was"}).i.v == "as it was"
    assert not any(copies.iterdir())
    later = write(tmp_path, "later.capnp", 'struct Later { i @0 :import "inner.capnp".In; }')
    assert loader.load([later], ())[0].Later.schema.fields["i"].schema == module.Out.schema.fields["i"].schema
    with pytest.raises(SchemaError):
        loader.load([write(tmp_path, "bad.capnp", "bad")], ())
    assert not any(copies.iterdir())


def test_schemas_outlive_their_files(tmp_path: Path) -> None:
    write(tmp_path, "sub/inner.capnp", "struct In { v @0 :Text; union { a @1 :Int8; b @2 :List(In); } }")
    path = write(tmp_path, "sub/outer.capnp", 'struct Out { i @0 :import "inner.capnp".In; }')
    module = load(path)
    message = {"i": {"v": "x", "b": [{"v": "y", "b": []}]}}
    for file in (tmp_path / "sub").iterdir():
        file.unlink()
    (tmp_path / "sub").rmdir()
    assert module.Out.new_message(**message).to_dict() == message
    assert load(path) is module
    assert load(write(tmp_path, "other.capnp", "struct O {}")).O


def test_threads_may_load_at_once(tmp_path: Path) -> None:
    common = write(tmp_path, "common.capnp", "struct C { x @0 :Int8; }")
    paths = [write(tmp_path, f"{name}.capnp", 'struct S { c @0 :import "common.capnp".C; }') for name in "abc"]
    start = Barrier(8)

    def load_all(turn: int) -> list[object]:
        start.wait()
        order = [common, *paths] if turn % 2 else [*paths, common]
        loaded = {path: load(path) for path in order}
        return [loaded[path] for path in (common, *paths)]

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(load_all, range(8)))
    assert all(result == results[0] for result in results)
    assert len({id(module) for module in results[0]}) == 4


def test_a_folder_that_was_deleted_under_us_is_no_crash(tmp_path: Path) -> None:
    path = write(tmp_path, "point.capnp", "struct Point {}")
    (tmp_path / "gone").mkdir()
    program = "import os, sys; {} os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); from hootbus.schemas import load; {}"
    after = run(program.format("import hootbus.schemas;", "print(load(sys.argv[2]).Point)"), tmp_path / "gone", path)
    assert (after.returncode, after.stderr) == (0, "")
    (tmp_path / "gone").mkdir()
    before = run(program.format("", ""), tmp_path / "gone")
    assert before.returncode == 1
    assert "FileNotFoundError" in before.stderr


def test_foreign_and_packaged_schemas_live_in_one_process() -> None:
    assert list(SHAPES.Shapes.new_message().longs) == [1, -2]
    assert schema_of(type_id(SHAPES.Shapes)) is SHAPES.Shapes
    assert schema_of(type_id(standard.common.Uuid)) is standard.common.Uuid
    assert load(PACKAGED / "common.capnp") is standard.common
    assert load(Path(CAPNP_IMPORTS, "capnp", "schema.capnp")).Node.new_message(id=1).id == 1
