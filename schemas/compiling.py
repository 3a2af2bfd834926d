"""Schema files as the model has them, apart from all that this process works with.

Two versions of a file have the same ids, and a parser takes each id once. So these have a parser of their own, which is
given up once the model has been made.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from hootbus.schemas import model
from hootbus.schemas.loaded import LoadedSchema
from hootbus.schemas.loader import Loader


def compile_files(
    paths: Sequence[str | Path], imports: Sequence[str | Path] = (), names: Sequence[str] = ()
) -> model.Schema:
    """The schema of the files and of all that they import; its `files` are those given.

    These are called by their paths, or by `names`, one for each, if that is what people know them by.
    Compiled first in a child process, as a file that does not compile would end this one. Raises SchemaError.
    """
    known = LoadedSchema()
    loader = Loader(known, bare=True)
    modules = loader.load([Path(path) for path in paths], imports)
    files = [
        model.RequestedFile(_id(module), name, tuple(model.Import(*each) for each in loader.imports(module)))
        for name, module in zip(names or [os.fspath(path) for path in paths], modules, strict=True)
    ]
    return model.Schema(_named(known, {file.id: file.name for file in files}), files)


def _id(module: ModuleType) -> int:
    return int(module.schema.node.id)


def _named(known: LoadedSchema, names: Mapping[int, str]) -> list[model.Node]:
    """All nodes; those of the files that were given under the names these have for who gave them."""
    nodes = known.nodes
    shown = {nodes[file_id].display_name: name for file_id, name in names.items()}
    return [_renamed(node, shown[node.file_name]) if node.file_name in shown else node for node in nodes.values()]


def _renamed(node: model.Node, file_name: str) -> model.Node:
    display_name = file_name + node.display_name[len(node.file_name) :]
    name = display_name if isinstance(node.body, model.File) else node.name
    return msgspec.structs.replace(node, display_name=display_name, name=name)
