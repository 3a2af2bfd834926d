"""The schemas of this process as the model has them: nodes by id, made when they are first asked for."""

import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, TypeAlias

from hootbus.schemas import model
from hootbus.schemas.comments import doc_comments
from hootbus.schemas.nodes import read_node

Node: TypeAlias = Any


class LoadedSchema(model.Schema):
    """What pycapnp has compiled, and what generated modules have brought.

    A file's nodes are looked through when something is asked that no file before it has, and turned into the model's
    one by one.
    """

    def __init__(self) -> None:
        super().__init__(())
        self._waiting: list[tuple[Any, Callable[[], bytes]]] = []
        # pycapnp's nodes that nobody has asked for yet, each with its file's comments.
        self._compiled: dict[int, tuple[Node, Callable[[], Mapping[str, str]]]] = {}
        self._others: list[model.Schema] = []
        # With their parser, without which nodes dangle.
        self._files: list[ModuleType] = []
        self._lock = threading.Lock()

    @property
    def nodes(self) -> Mapping[int, model.Node]:
        """All nodes by id, as of now."""
        with self._lock:
            self._look_through()
        for node_id in [*self._compiled]:
            self.find(node_id)
        return {node_id: node for other in self._others for node_id, node in other.nodes.items()} | self._nodes

    def add(self, module: ModuleType, source: Callable[[], bytes]) -> None:
        """A file that was loaded; `source` gives its text, for the comments."""
        self._files.append(module)
        self._waiting.append((module, source))

    @property
    def has_generated(self) -> bool:
        """Whether any generated module has brought a schema."""
        return bool(self._others)

    def clash(self, module: ModuleType) -> str | None:
        """A declaration of a file, of which a generated module has brought another version; None if all agree.

        Layouts are kept by id, so one of them would be read as the other.
        """
        for node in _all_nodes(module.schema):
            known = self._other(int(node.id))
            if known is not None and read_node(node).body != model.undocumented(known).body:
                return known.path
        return None

    def add_schema(self, schema: model.Schema) -> None:
        """A schema that was not compiled here. What was, comes first."""
        self._others.append(schema)

    def find(self, node_id: int) -> model.Node | None:
        """The node with this id, if anything that was loaded has it."""
        found = self._nodes.get(node_id)
        return found if found is not None else self._find(node_id)

    def _find(self, node_id: int) -> model.Node | None:
        with self._lock:
            if node_id not in self._compiled:
                self._look_through()
            found = self._compiled.pop(node_id, None)
            if found is not None:
                self._nodes[node_id] = _node(*found)
        if (node := self._nodes.get(node_id)) is not None:
            return node
        return self._other(node_id)

    def _other(self, node_id: int) -> model.Node | None:
        return next((node for other in self._others if (node := other.find(node_id)) is not None), None)

    def _look_through(self) -> None:
        while self._waiting:
            module, source = self._waiting.pop()
            comments = _Comments(source)
            for node in _all_nodes(module.schema):
                self._compiled.setdefault(int(node.id), (node, comments))


class _Comments:
    """A file's comments, looked for when they are first asked for."""

    def __init__(self, source: Callable[[], bytes]) -> None:
        self._source = source
        self._found: Mapping[str, str] | None = None

    def __call__(self) -> Mapping[str, str]:
        if self._found is None:
            self._found = doc_comments(self._source())
        return self._found


def _node(node: Node, comments: Callable[[], Mapping[str, str]]) -> model.Node:
    docs = comments()
    which = str(node.which())
    path = str(node.displayName).rpartition(":")[2] if which != "file" else ""
    if which == "struct":
        members = node.struct.fields
    elif which == "enum":
        members = node.enum.enumerants
    else:
        members = node.interface.methods if which == "interface" else ()
    return read_node(node, docs.get(path, ""), tuple(docs.get(f"{path}.{member.name}", "") for member in members))


def _all_nodes(parsed: Any) -> list[Node]:  # noqa: ANN401  # pycapnp's view of a file, or of anything in it
    """The node, those nested in it, and those that have no name of their own: groups, and a method's parameters."""
    node = parsed.node
    found = [node]
    for nested in node.nestedNodes:
        found += _all_nodes(parsed.get_nested(nested.name))
    which = str(node.which())
    if which == "struct":
        found += _groups(parsed.as_struct())
    elif which == "interface":
        for method in parsed.as_interface().methods.values():
            found += [kind.node for kind in (method.param_type, method.result_type) if not kind.node.scopeId]
    return found


def _groups(struct: Node) -> list[Node]:
    found: list[Node] = []
    for field in struct.node.struct.fields:
        if str(field.which()) == "group":
            group = struct.fields[field.name].schema
            found += [group.node, *_groups(group)]
    return found


LOADED: Final = LoadedSchema()
