"""Struct types of a schema that came as nodes: read, written, built, and found by their ids."""

from copy import copy
from pathlib import Path

import pytest

from hootbus.schemas import (
    FieldError,
    SchemaError,
    is_builder,
    is_struct_type,
    load,
    read_capnp,
    schema_of,
    type_id,
    validate,
    write_capnp,
    write_struct,
)
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.generated import GeneratedSchema
from hootbus.schemas.structs import SchemaStruct
from hootbus.schemas.transfer import read_request, write_request

TEXT = """@0xdb8db2f1bd2bd010;
struct Clip {
  title @0 :Text = "untitled";
  samples @1 :List(Float32);
  channel @2 :Channel;
  box @3 :Box(Text);
  struct Channel { side :union { left @0 :Void; right @1 :UInt8; } }
  enum Kind { a @0; }
}
struct Box(T) { value @0 :T; }
"""


@pytest.fixture(scope="module")
def request_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("generated") / "clip.capnp"
    path.write_text(TEXT)
    return write_request(compile_files([path]))


def struct_id(request: bytes, name: str) -> int:
    return next(node.id for node in read_request(request).nodes.values() if node.name == name)


def test_a_struct_of_nodes_reads_writes_and_validates(request_bytes: bytes) -> None:
    schema = read_request(request_bytes)
    Clip = SchemaStruct(schema, struct_id(request_bytes, "Clip"))

    body = write_struct(Clip, samples=[1, 2], channel={"side": {"right": 7}}, box={"value": "deep"})
    reader = read_capnp(body.buffer, Clip)

    assert is_struct_type(Clip)
    assert body.type_id == type_id(Clip)
    assert (reader.title, list(reader.samples), reader.channel.side.right) == ("untitled", [1, 2], 7)
    assert reader.box.value == "deep"
    assert validate(body.buffer, Clip) == ()


def test_nested_structs_are_attributes_and_nothing_else_is(request_bytes: bytes) -> None:
    Clip = SchemaStruct(read_request(request_bytes), struct_id(request_bytes, "Clip"))

    assert is_struct_type(Clip.Channel)
    assert Clip.Channel == Clip.Channel
    assert hash(Clip.Channel) == hash(Clip.Channel)
    for name in ("Kind", "title", "None"):
        with pytest.raises(AttributeError, match=f"has no struct {name!r}"):
            getattr(Clip, name)


def test_a_copy_of_a_struct_type_is_equal(request_bytes: bytes) -> None:
    clip = struct_id(request_bytes, "Clip")
    for Clip in (SchemaStruct(read_request(request_bytes), clip), GeneratedSchema(request_bytes).struct(clip)):
        assert copy(Clip) == Clip


def test_a_schema_of_a_peer_is_never_given_to_pycapnp(request_bytes: bytes) -> None:
    Clip = SchemaStruct(read_request(request_bytes), struct_id(request_bytes, "Clip"))

    with pytest.raises(TypeError, match="write it with write_struct"):
        Clip.new_message(title="x")


def test_what_is_no_struct_is_no_struct_type(request_bytes: bytes) -> None:
    with pytest.raises(TypeError, match="Kind is no struct"):
        SchemaStruct(read_request(request_bytes), struct_id(request_bytes, "Kind"))


def test_a_generated_schema_has_builders_and_is_found_by_its_ids(request_bytes: bytes) -> None:
    generated = GeneratedSchema(request_bytes)
    Clip = generated.struct(struct_id(request_bytes, "Clip"))

    builder = Clip.new_message(title="x", samples=[0.5])
    builder.channel.side.right = 3
    found = schema_of(type_id(Clip))

    assert is_builder(builder)
    assert read_capnp(write_capnp(builder), Clip).to_dict() == {
        "title": "x",
        "samples": [0.5],
        "channel": {"side": {"right": 3}},
    }
    assert read_capnp(write_struct(Clip, channel=builder.channel).buffer, Clip).channel.side.right == 3
    assert found is not None
    assert read_capnp(write_capnp(builder), found).title == "x"
    assert Clip.Channel.new_message(side={"left": None}) is not None


def test_a_file_with_another_version_of_what_a_generated_module_has_is_not_loaded(tmp_path: Path) -> None:
    """Layouts are kept by id: one of them would be read as the other."""
    same, other = tmp_path / "same.capnp", tmp_path / "other.capnp"
    same.write_text("@0xdb8db2f1bd2bd011; struct Tone @0xdb8db2f1bd2bd012 { hertz @0 :Float32; }  # As generated.")
    other.write_text("@0xdb8db2f1bd2bd013; struct Tone @0xdb8db2f1bd2bd012 { hertz @0 :Float32; gain @1 :Float32; }")
    Tone = GeneratedSchema(write_request(compile_files([same]))).struct(0xDB8DB2F1BD2BD012)

    for _ in range(2):
        with pytest.raises(SchemaError, match=r"other\.capnp: a generated module has brought another version of Tone"):
            load(other)

    assert read_capnp(write_struct(load(same).Tone, hertz=440).buffer, Tone).hertz == 440


def test_of_a_file_that_was_loaded_first_a_generated_module_keeps_its_own_version(tmp_path: Path) -> None:
    loaded, own = tmp_path / "loaded.capnp", tmp_path / "own.capnp"
    loaded.write_text("@0xdb8db2f1bd2bd014; struct Tone @0xdb8db2f1bd2bd015 { hertz @0 :Float32; }")
    own.write_text("@0xdb8db2f1bd2bd014; struct Tone @0xdb8db2f1bd2bd015 { hertz @0 :Float32; gain @1 :Float32; }")
    Loaded = load(loaded).Tone
    Own = GeneratedSchema(write_request(compile_files([own]))).struct(0xDB8DB2F1BD2BD015)

    assert read_capnp(write_struct(Own, hertz=440, gain=2).buffer, Own).gain == 2
    with pytest.raises(FieldError, match="no such field"):
        write_struct(Loaded, gain=2)
