"""A schema's files in, the modules for each out."""

import posixpath
from collections.abc import Collection
from pathlib import Path

import msgspec

from hootbus.schemas import model
from hootbus.schemas.codegen.interfaces import STREAM_RESULT, has_services
from hootbus.schemas.codegen.names import declared_names, nodes_within
from hootbus.schemas.codegen.records import has_records, write_records
from hootbus.schemas.codegen.runtime import write_runtime
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.services import write_services
from hootbus.schemas.codegen.standard import STANDARD
from hootbus.schemas.codegen.stubs import write_stub
from hootbus.schemas.codegen.types import CAPNP, SERVICES, TYPES
from hootbus.schemas.errors import SchemaError


def generate(schema: model.Schema, *, is_package: bool = False) -> dict[str, str]:
    """The modules of the schema's files: their text by their path, relative to where they are to be.

    `is_package` has them import each other relatively, as modules of one package; else by their names.
    Those of hootbus's own files that are not asked for are `hootbus.workers.standard`'s. Raises SchemaError for two
    files whose names are the same in Python.
    """
    names = Names(schema, is_package)
    made: dict[str, str] = {}
    whose: dict[str, str] = {}
    for file in schema.files:
        taken = declared_names(schema, file.id)
        path = names.module(file.id)
        if (other := whose.setdefault(path, file.name)) != file.name:
            raise SchemaError(Path(file.name), 0, 0, f"its modules would have the names of those of {other}")
        shown = f"{path.rpartition('/')[2]}.capnp"
        made[f"{path}{CAPNP}.py"] = write_runtime(names, file.id, taken, f"The types of {shown}.")
        if has_records(names, file.id):
            made[f"{path}{TYPES}.py"] = write_records(names, file.id, taken, f"The structs of {shown} as records.")
        if has_services(names, file.id):
            made[f"{path}{SERVICES}.py"] = write_services(names, file.id, taken, f"The services of {shown}.")
        made[f"{path}{CAPNP}.pyi"] = write_stub(names, file.id, taken, f"The types of {shown}.")
    return made


def never_made(made: Collection[str]) -> list[str]:
    """The modules that the same files would have with structs and interfaces in them; once there were, perhaps."""
    stems = [path.removesuffix(f"{CAPNP}.py") for path in made if path.endswith(f"{CAPNP}.py")]
    return [path for stem in stems for path in (f"{stem}{TYPES}.py", f"{stem}{SERVICES}.py") if path not in made]


def apart(schema: model.Schema) -> model.Schema:
    """The schema, its files named as they are in the folder that they have in common, wherever that is."""
    names = [posixpath.abspath(file.name) for file in schema.files]
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names]) if names else ""
    files = [
        msgspec.structs.replace(file, name=posixpath.relpath(name, folder))
        for file, name in zip(schema.files, names, strict=True)
    ]
    return model.Schema(schema.nodes.values(), files)


def left_out(schema: model.Schema) -> list[str]:
    """The files whose declarations are needed by those that were asked for, and which were not."""
    names = Names(schema, is_package=False)
    asked = {file.id for file in schema.files}
    needed = {
        names.place(node_id).file_id
        for file in schema.files
        for node in nodes_within(schema, file.id)
        for node_id in model.named_by(node)
        if node_id and node_id != STREAM_RESULT
    }
    return sorted(f"{names.module(file_id)}.capnp" for file_id in needed - asked - STANDARD.keys())
