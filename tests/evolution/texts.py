"""Schemas as short texts, compiled in this process, each in a parser of its own: two versions have the same ids."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import capnp

from hootbus.schemas import model
from hootbus.schemas.copies import CAPNP_IMPORTS
from hootbus.schemas.loaded import LoadedSchema

FILE_ID: Final = 0xD5D5_0102_0304_0506
FILE_NAME: Final = "a.capnp"
# Fields of all sorts.
SHAPES: Final = """
struct A {
  number @0 :UInt32 = 7;
  name @1 :Text = "x";
  list @2 :List(A);
  kind @3 :E;
  box @4 :Box(Text);
  choice :union { none @5 :Void; rate @6 :Float32 = 1.5; pair :group { left @7 :Int8; right @8 :Int8; } }
  any @9 :AnyPointer;
  peer @10 :I;
  empty @11 :Void;
}
struct Box(T) { value @0 :T; next @1 :Box(T); }
enum E { x @0; y @1; }
interface I {}
"""
# What a parser has compiled lives as long as the parser.
_PARSERS: Final[list[Any]] = []


@cache
def module_of(text: str, file_id: int = FILE_ID) -> Any:  # noqa: ANN401  # what a schema has depends on its text
    """pycapnp's module of a text without a file id. One that does not compile ends the process."""
    parser = capnp.SchemaParser()
    _PARSERS.append(parser)
    with _file(text, file_id) as file:
        return parser.load(file, imports=[CAPNP_IMPORTS])


@cache
def schema_of(text: str, file_id: int = FILE_ID) -> model.Schema:
    """The schema of a text without a file id."""
    known = LoadedSchema()
    with parsed(text, file_id) as module:
        known.add(module, text.encode)
        return model.Schema(known.nodes.values(), [model.RequestedFile(file_id, FILE_NAME)])


@contextmanager
def parsed(text: str, file_id: int = FILE_ID) -> Iterator[ModuleType]:
    """A module with nothing but pycapnp's view of what it has parsed, `schema`.

    A whole one would keep the parser and its open files until garbage is collected.
    """
    parser = capnp.SchemaParser()
    module = ModuleType(FILE_NAME)
    with _file(text, file_id) as file:
        module.__dict__["schema"] = parser._parse_disk_file(FILE_NAME, file, [CAPNP_IMPORTS])
        yield module


@contextmanager
def _file(text: str, file_id: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hootbus") as folder:
        file = Path(folder, FILE_NAME)
        file.write_text(f"@{file_id:#x};\n{text}\n")
        yield str(file)


def id_of(schema: model.Schema, path: str) -> int:
    """The id of what is declared under this name."""
    return next(node.id for node in schema.nodes.values() if node.path == path)
