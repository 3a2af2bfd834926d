"""The interfaces of a file as the bus has them: which structs are the bodies, and what comes bit by bit."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from hootbus.schemas import model
from hootbus.schemas.codegen.names import nodes_within
from hootbus.schemas.codegen.scope import Names

# `/capnp/stream.capnp:StreamResult`, which `-> stream` stands for.
STREAM_RESULT: Final = 0x995F9A3377C0B16E


class Method(msgspec.Struct, frozen=True):
    """A method as the bus has it. `takes` and `gives` are None without fields; `items` is the list in a result.

    `is_stream` has `gives` be what the items are, None if the schema does not say.
    """

    name: str
    doc: str
    takes: model.StructType | None
    fields: tuple[model.Field, ...]
    gives: model.StructType | None
    is_stream: bool
    items: model.Field | None


class Service(msgspec.Struct, frozen=True):
    """An interface, with what its classes' names begin with."""

    node: model.Node
    name: str
    methods: tuple[Method, ...]
    superclasses: tuple[int, ...]

    @property
    def service_name(self) -> str:
        """What it is called on the bus: `ToolHost` is `tool-host`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.node.name).lower()

    @property
    def classes(self) -> tuple[str, str, str]:
        """What is made of it."""
        return f"{self.name}Client", f"Async{self.name}Client", f"{self.name}Worker"


def has_services(names: Names, file_id: int) -> bool:
    """Whether a file has any interface with methods, its own or others'."""
    return any(
        isinstance(node.body, model.Interface) and (node.body.methods or node.body.superclasses)
        for node in nodes_within(names.schema, file_id)
    )


def services_of(names: Names, file_id: int) -> Iterator[Service]:
    """A file's interfaces, those that others extend first."""
    schema = names.schema
    found = {node.id: node for node in nodes_within(schema, file_id) if isinstance(node.body, model.Interface)}
    done: set[int] = set()

    def visit(node: model.Node) -> Iterator[Service]:
        if node.id in done:
            return
        done.add(node.id)
        assert isinstance(node.body, model.Interface), node
        superclasses = tuple(superclass.id for superclass in node.body.superclasses)
        for superclass in superclasses:
            if superclass in found:
                yield from visit(found[superclass])
        methods = (_method(schema, method) for method in sorted(node.body.methods, key=lambda each: each.order))
        yield Service(node, names.place(node.id).dotted.replace(".", "_"), tuple(methods), superclasses)

    for node in found.values():
        yield from visit(node)


def above(schema: model.Schema, node_id: int) -> set[int]:
    """All interfaces that one extends, by itself or by others."""
    body = schema.node(node_id).body
    assert isinstance(body, model.Interface), body
    direct = {superclass.id for superclass in body.superclasses}
    return direct.union(*(above(schema, each) for each in direct))


def _method(schema: model.Schema, method: model.Method) -> Method:
    takes = _fields(schema, method.request)
    fields = tuple(sorted((field for field in takes if not _is_capability(field)), key=lambda each: each.order))
    is_stream = method.reply.id == STREAM_RESULT
    gives: model.StructType | None = method.reply
    if is_stream:
        gives = _items_of(schema, takes)
    elif not _fields(schema, method.reply):
        gives = None
    only = _fields(schema, gives) if gives is not None and not is_stream else ()
    items = only[0] if len(only) == 1 and _is_list(only[0]) else None
    return Method(method.name, method.doc, method.request if fields else None, fields, gives, is_stream, items)


def _items_of(schema: model.Schema, takes: tuple[model.Field, ...]) -> model.StructType | None:
    """What a stream's items are: the parameters of the one method of the sink that it is given."""
    for field in takes:
        if isinstance(field.place, model.Slot) and isinstance(field.place.type, model.InterfaceType):
            sink = schema.node(field.place.type.id).body
            if isinstance(sink, model.Interface) and len(sink.methods) == 1:
                return sink.methods[0].request
    return None


def _fields(schema: model.Schema, kind: model.StructType) -> tuple[model.Field, ...]:
    body = schema.node(kind.id).body
    assert isinstance(body, model.Struct), body
    return body.fields


def _is_capability(field: model.Field) -> bool:
    kind = field.place.type if isinstance(field.place, model.Slot) else None
    return isinstance(kind, model.InterfaceType) or (isinstance(kind, model.AnyType) and kind.kind == "capability")


def _is_list(field: model.Field) -> bool:
    return isinstance(field.place, model.Slot) and isinstance(field.place.type, model.ListType)
