"""Schema files apart from all that this process works with."""

import gc
import os
from pathlib import Path

import pytest

from hootbus.schemas import SchemaError, model
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.copies import CAPNP_OWN, PACKAGED


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def fields(schema: model.Schema, path: str) -> list[str]:
    body = next(node.body for node in schema.nodes.values() if node.path == path)
    assert isinstance(body, model.Struct)
    return [field.name for field in body.fields]


def test_two_versions_of_a_file_can_both_be_had(tmp_path: Path) -> None:
    path = written(tmp_path, "a.capnp", "@0xdb8db2f1bd2bd001; struct A { x @0 :Text; }")
    before = compile_files([path])
    path.write_text("@0xdb8db2f1bd2bd001; struct A { x @0 :Text; y @1 :Text; }")

    after = compile_files([path])

    assert (fields(before, "A"), fields(after, "A")) == (["x"], ["x", "y"])


def test_another_version_of_one_of_our_own_files_can_be_had(tmp_path: Path) -> None:
    text = (PACKAGED / "demo.capnp").read_text()
    path = written(tmp_path, "demo.capnp", text + "struct Another {}")

    assert fields(compile_files([path]), "Another") == []


def test_another_version_of_capnps_own_files_can_be_had(tmp_path: Path) -> None:
    """They import each other as "/capnp/c++.capnp", which is then the one that was given."""
    folder = tmp_path / "capnp"
    folder.mkdir()
    for path in CAPNP_OWN.glob("*.capnp"):
        if path.name != "stream.capnp":
            (folder / path.name).write_text(path.read_text() + "\n# another version\n")

    schema = compile_files(sorted(folder.glob("*.capnp")))

    assert {Path(file.name).name for file in schema.files} >= {"c++.capnp", "rpc.capnp", "schema.capnp"}
    assert "slot" in fields(schema, "Field")


def test_files_have_the_names_by_which_they_were_given_and_import_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "v/a.capnp", '@0xdb8db2f1bd2bd002; struct A { b @0 :import "sub/b.capnp".B; }')
    written(tmp_path, "v/sub/b.capnp", '@0xdb8db2f1bd2bd003; struct B { a @0 :import "/v/a.capnp".A; }')
    monkeypatch.chdir(tmp_path)

    schema = compile_files(["v/a.capnp"], imports=[tmp_path])

    (file,) = schema.files
    assert (file.name, file.imports) == ("v/a.capnp", (model.Import(0xDB8DB2F1BD2BD003, "sub/b.capnp"),))
    assert {node.display_name for node in schema.nodes.values()} == {"v/a.capnp", "v/a.capnp:A", "b.capnp", "b.capnp:B"}


def test_what_is_of_capnps_own_comes_along(tmp_path: Path) -> None:
    text = '@0xdb8db2f1bd2bd004; $import "/capnp/c++.capnp".namespace("n"); interface I { m @0 () -> stream; }'

    schema = compile_files([written(tmp_path, "a.capnp", text)])

    assert {node.name for node in schema.nodes.values()} >= {"I", "m$Params", "StreamResult", "namespace"}


def test_constants_annotations_and_comments_are_there(tmp_path: Path) -> None:
    text = """@0xdb8db2f1bd2bd005;
    annotation unit(field) :Text;
    struct A {  # of A
      x @0 :Float32 = 1.5 $unit("m");  # of x
    }
    const n :UInt8 = 3;
    """
    schema = compile_files([written(tmp_path, "a.capnp", text)])

    by_name = {node.name: node for node in schema.nodes.values()}
    struct = by_name["A"].body
    assert isinstance(struct, model.Struct)
    (field,) = struct.fields
    (annotation,) = field.annotations
    assert (by_name["A"].doc, field.doc) == ("of A\n", "of x\n")
    assert (annotation.id, annotation.kind) == (by_name["unit"].id, "text")
    assert field.place == model.Slot(model.SimpleType("float32"), 0, 1.5)
    assert by_name["n"].body == model.Const(model.SimpleType("uint8"), 3)
    assert by_name["unit"].body == model.AnnotationDeclaration(model.SimpleType("text"), ("field",))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="there is no /proc to count descriptors in")
def test_nothing_is_left_open_though_no_garbage_is_collected(tmp_path: Path) -> None:
    path = written(tmp_path, "a.capnp", "@0xdb8db2f1bd2bd009; struct A {} interface I { m @0 () -> stream; }")
    gc.disable()
    try:
        compile_files([path])
        before = len(os.listdir("/proc/self/fd"))
        compile_files([path])
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


def test_a_mistake_is_where_it_is(tmp_path: Path) -> None:
    good = written(tmp_path, "good.capnp", "@0xdb8db2f1bd2bd006;")
    bad = written(tmp_path, "bad.capnp", "@0xdb8db2f1bd2bd007;\nstruct A { x @0 :Nope; }")
    with pytest.raises(SchemaError) as caught:
        compile_files([good, bad])

    assert (caught.value.path, caught.value.line, caught.value.column) == (bad, 2, 18)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no such file"):
        compile_files([tmp_path / "none.capnp"])
