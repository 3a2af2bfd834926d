"""Where the declarations of a schema are to be found in Python: in which module, under which name, of which type."""

import posixpath
from collections.abc import Iterator
from typing import Final

import msgspec

from hootbus.schemas import model
from hootbus.schemas.codegen.names import (
    class_name,
    inner_ids,
    is_parameter_list,
    local_path,
    module_path,
    params_name,
    plain_name,
)
from hootbus.schemas.codegen.standard import STANDARD


class Place(msgspec.Struct, frozen=True):
    """A declaration in Python: its file's module, without the ending that says which kind, and its name there."""

    file_id: int
    path: tuple[str, ...]

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


class Names:
    """The places of all declarations of a schema that a generated module may speak of."""

    def __init__(self, schema: model.Schema, is_package: bool) -> None:
        self.schema: Final = schema
        self._is_package = is_package
        asked = {file.id for file in schema.files}
        self._standard = {file_id: name for file_id, name in STANDARD.items() if file_id not in asked}
        self._modules = dict(self._module_paths())
        self._places: dict[int, Place] = {}
        for node in schema.nodes.values():
            if isinstance(node.body, model.File):
                self._place(node, node.id, ())
        for node in schema.nodes.values():
            if is_parameter_list(node) and node.id not in self._places:
                self._place_apart(node)

    def module(self, file_id: int) -> str:
        """The path of a file's modules, "studio/clip"."""
        return self._modules[file_id]

    def place(self, node_id: int) -> Place:
        """Where a declaration is. Raises LookupError for one whose file is not in the schema."""
        return self._places[node_id]

    def import_of(self, importing: int, imported: int, ending: str) -> tuple[str, str]:
        """The statement that imports a file's module into another one's, and the name that it then has there."""
        if imported in self._standard:
            module = self._standard[imported] + ending
            return f"from hootbus.workers.standard import {module}", module
        folder, _, name = self._modules[imported].rpartition("/")
        module = name + ending
        if self._is_package:
            here = posixpath.dirname(self._modules[importing])
            way = posixpath.relpath(folder or ".", here or ".")
            ups = [part for part in way.split("/") if part == ".."]
            downs = [part for part in way.split("/") if part not in ("..", ".")]
            return f"from {'.' * (len(ups) + 1)}{'.'.join(downs)} import {module}", module
        return (f"from {folder.replace('/', '.')} import {module}" if folder else f"import {module}"), module

    def typevars(self, node: model.Node) -> tuple[str, ...]:
        """The names of the type variables of a declaration: those of the scopes around it first."""
        return tuple(name for scope, index, name in self._variables(node))

    def typevar(self, node: model.Node, parameter: model.ParameterType) -> str | None:
        """The type variable for a parameter within a declaration; None if that is not within its scope."""
        for scope, index, name in self._variables(node):
            if (scope, index) == (parameter.scope_id, parameter.index):
                return name
        return None

    def bound(self, kind: model.StructType) -> list[model.Type | None]:
        """What the type variables of a struct stand for, in the order of `typevars`; None where it does not say."""
        brand = {scope.scope_id: scope for scope in kind.brand}
        found: list[model.Type | None] = []
        for scope_id, index, _ in self._variables(self.schema.node(kind.id)):
            scope = brand.get(scope_id)
            if scope is None:
                found.append(None)
            elif scope.bound is None:
                found.append(model.ParameterType(scope_id, index))
            else:
                found.append(scope.bound[index] if index < len(scope.bound) else None)
        return found

    def _variables(self, node: model.Node) -> list[tuple[int, int, str]]:
        found: list[tuple[int, int, str]] = []
        current: model.Node | None = node
        while current is not None:
            own = [(current.id, index, name) for index, name in enumerate(current.parameters)]
            found = own + found
            if is_parameter_list(current):
                break
            current = self.schema.find(current.scope_id) if current.scope_id else None
        if all(scope == node.id for scope, _, _ in found):
            return [(scope, index, f"_{name}") for scope, index, name in found]
        # A class within a generic one must not use that one's variables, but has as many of its own.
        prefix = "_" + "_".join(self._places[node.id].path)
        names = [name for _, _, name in found]
        return [
            (scope, index, f"{prefix}_{name}" if names.count(name) == 1 else f"{prefix}_{name}{at}")
            for at, (scope, index, name) in enumerate(found)
        ]

    def _module_paths(self) -> Iterator[tuple[int, str]]:
        asked = {file.id: file for file in self.schema.files}
        for node in self.schema.nodes.values():
            if isinstance(node.body, model.File):
                yield node.id, module_path(node.file_name)
        for file in asked.values():
            for imported in file.imports:
                if imported.id not in asked:
                    yield imported.id, module_path(local_path(file.name, imported.name))
        for file in asked.values():
            yield file.id, module_path(file.name)

    def _place(self, node: model.Node, file_id: int, path: tuple[str, ...]) -> None:
        self._places[node.id] = Place(file_id, path)
        for nested in node.nested:
            inner = self.schema.find(nested.id)
            if inner is not None:
                self._place(inner, file_id, (*path, plain_name(nested.name)))
        taken = {nested.name for nested in node.nested}
        for inner_id in inner_ids(self.schema, node):
            inner = self.schema.node(inner_id)
            name = params_name(inner)[1] if is_parameter_list(inner) else inner.name
            made = class_name(name, frozenset(taken))
            taken.add(made)
            self._place(inner, file_id, (*path, made))

    def _place_apart(self, node: model.Node) -> None:
        """A parameter list whose interface is not in the schema."""
        scope, name = params_name(node)
        for file in self.schema.nodes.values():
            if isinstance(file.body, model.File) and file.file_name == node.file_name:
                self._place(node, file.id, (*filter(None, scope.split(".")), name))
