"""`…_capnp.py`: the structs, enums and constants of a file at run time, with the schema that they are made from."""

import base64
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from hootbus.schemas import model
from hootbus.schemas.codegen.literals import plain_literal, quoted
from hootbus.schemas.codegen.names import inner_ids, module_path, nodes_within, plain_name
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.text import WIDTH, Text
from hootbus.schemas.codegen.types import CAPNP, SUPPORT, Types
from hootbus.schemas.forms.packed import pack
from hootbus.schemas.generated import undocumented, value_in
from hootbus.schemas.transfer import write_request

ANNOTATIONS: Final = "capnp_annotations"


def write_runtime(names: Names, file_id: int, taken: frozenset[str], doc: str) -> str:
    """The text of the module."""
    schema = names.schema
    file = schema.node(file_id)
    text = Text(taken)
    made = text.name(SUPPORT, "GeneratedSchema")
    nodes = [*nodes_within(schema, file_id)]
    within = [node for node in nodes if node.id != file_id]
    members = dict(_members(names, within))
    text.line(f"_SCHEMA = {made}.packed(")
    with text.indented():
        text.line('"""')
    for line in textwrap.wrap(_embedded(names, schema, within), WIDTH):
        text.line(line)
    with text.indented():
        text.line('""",')
        if members:
            with text.block("{"):
                for name, node_id in members.items():
                    text.line(f'"{name}": 0x{node_id:016X},')
            text.line("},")
    text.line(")")
    text.blank()
    for nested in file.nested:
        node = schema.find(nested.id)
        if node is not None and not isinstance(node.body, model.AnnotationDeclaration | model.File):
            text.line(f"{plain_name(nested.name)} = _SCHEMA.declared(0x{nested.id:016X})")
    annotations = annotated(schema, nodes)
    if annotations:
        types = Types(names, file_id, text, CAPNP)
        text.blank()
        with text.block(f"{ANNOTATIONS} = {{"):
            for path, values in annotations.items():
                items = [f"{quoted(name)}: {plain_literal(value, types)}" for name, value in values.items()]
                text.call(f"{quoted(path)}: {{", items, "},")
        text.line("}")
    return text.written(doc)


def annotated(schema: model.Schema, within: Sequence[model.Node]) -> dict[str, dict[str, object]]:
    """The annotations of a file: for each declaration and member that has any, their values by their names.

    Both are as the schema has them: "Clip.samples", "units.unit".
    """
    found: dict[str, dict[str, object]] = {}
    for node in within:
        members: Sequence[model.Field | model.Enumerant | model.Method] = ()
        if isinstance(node.body, model.Struct):
            members = node.body.fields
        elif isinstance(node.body, model.Enum):
            members = node.body.enumerants
        elif isinstance(node.body, model.Interface):
            members = node.body.methods
        for path, annotations in (
            (node.path, node.annotations),
            *((f"{node.path}.{member.name}", member.annotations) for member in members),
        ):
            for annotation in annotations:
                name, value = _annotation(schema, annotation)
                found.setdefault(path, {})[name] = value
    return found


def _annotation(schema: model.Schema, annotation: model.Annotation) -> tuple[str, object]:
    declared = schema.find(annotation.id)
    if declared is None or not isinstance(declared.body, model.AnnotationDeclaration):
        return f"@{annotation.id:#018x}", None
    file = module_path(declared.file_name).rpartition("/")[2]
    return f"{file}.{declared.path}", value_in(schema, declared.body.type, annotation.value)


def _members(names: Names, within: list[model.Node]) -> Iterator[tuple[str, int]]:
    """What has a class of its own without being declared: groups, parameter lists."""
    for node in within:
        for inner in inner_ids(names.schema, node):
            yield f"{node.path}.{names.place(inner).path[-1]}", inner


def _embedded(names: Names, schema: model.Schema, within: list[model.Node]) -> str:
    closure = schema.closure(node.id for node in within)
    nodes = [_bare(names, node) for node in closure.nodes.values()]
    return base64.b64encode(pack(write_request(model.Schema(nodes)))).decode()


def _bare(names: Names, node: model.Node) -> model.Node:
    """A node without comments, and its file's name without the folder in which that happened to be compiled."""
    file = f"{names.module(names.place(node.id).file_id)}.capnp"
    display_name = file + node.display_name[len(node.file_name) :]
    name = display_name if isinstance(node.body, model.File) else node.name
    return msgspec.structs.replace(undocumented(node), display_name=display_name, name=name)
