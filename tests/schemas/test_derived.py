"""What is worked out of a schema goes with it: a program that fetches schemas does not grow by them."""

import gc
import weakref
from pathlib import Path
from typing import Final

import pytest

from hootbus.schemas import CapnpBody, array, read_capnp, write_struct
from hootbus.schemas.compiling import compile_files
from hootbus.schemas.fieldpath import PATHS_MAX, path_in
from hootbus.schemas.forms.jsonread import read_capnp_json
from hootbus.schemas.forms.jsonwrite import write_capnp_json
from hootbus.schemas.layout import layout_of
from hootbus.schemas.stated import declaration_of_message, method_fingerprint, proof, stated_method
from hootbus.schemas.structs import SchemaStruct, declaration_of
from hootbus.schemas.transfer import read_request, write_request

CLIP: Final = 0xDB8DB2F1BD2BD0A1
TEXT: Final = f"""@0xdb8db2f1bd2bd0a0;
struct Clip @{CLIP:#x} {{
  samples @0 :List(Float32);
  kind @1 :Kind;
  box @2 :Box(Box(Text));
  notes @3 :List(Box(Text));
  enum Kind {{ spoken @0; sung @1; }}
}}
struct Box(T) {{ value @0 :T; }}
"""


@pytest.fixture(scope="module")
def request_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("derived") / "clip.capnp"
    path.write_text(TEXT)
    return write_request(compile_files([path]))


def test_a_schema_that_was_fetched_worked_with_and_dropped_is_collected(request_bytes: bytes) -> None:
    def work() -> weakref.ref[object]:
        schema = read_request(request_bytes)
        Clip = SchemaStruct(schema, CLIP)
        declared = declaration_of(Clip)
        body = write_struct(Clip, samples=[1, 2], kind="sung", box={"value": {"value": "x"}}, notes=[{"value": "y"}])
        reader = read_capnp(body.buffer, Clip)
        assert reader.box.value.value == "x"
        assert array(body.buffer, Clip, "samples").tolist() == [1, 2]
        assert reader.notes[0].value == "y"
        read_capnp_json(write_capnp_json(reader), Clip)
        assert declaration_of_message(CapnpBody(body.buffer, CLIP, schema)) == declared
        assert method_fingerprint(declared, declared)
        stated_method("play", False, Clip, Clip)
        proof([declared])
        return weakref.ref(layout_of(Clip).schema)

    fetched = work()
    gc.collect()
    assert fetched() is None


def test_paths_with_many_indices_are_not_all_kept(request_bytes: bytes) -> None:
    Clip = SchemaStruct(read_request(request_bytes), CLIP)
    for index in range(PATHS_MAX + 10):
        path_in(Clip, f"notes[{index}]")
    assert [len(kept) for kept in layout_of(Clip).derived.values()] == [10]
