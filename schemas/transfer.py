"""Schemas as messages: what a compiler's plugin reads, what a peer sends that is asked what it speaks.

Both are a `CodeGeneratorRequest` of Cap'n Proto's own `/capnp/schema.capnp`, so that one form does for all. The bytes
may be a peer's: they are read by our readers alone, within limits, and what comes out is sound (see `sound`).
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from hootbus.schemas import model
from hootbus.schemas.body import read_capnp
from hootbus.schemas.copies import CAPNP_OWN
from hootbus.schemas.errors import BodyError
from hootbus.schemas.layout import pointer_default
from hootbus.schemas.loaded import LoadedSchema
from hootbus.schemas.loader import Loader
from hootbus.schemas.nodes import NO_DISCRIMINANT, POINTERS, TARGETS, read_node
from hootbus.schemas.pointers import NESTING_MAX
from hootbus.schemas.readers import AnyReader, StructReader
from hootbus.schemas.segments import segments
from hootbus.schemas.sound import check_sound
from hootbus.schemas.structs import SchemaStruct
from hootbus.schemas.validate import validate
from hootbus.schemas.writer import write_struct

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The largest published schemas, compiled, have some hundred kilobytes.
REQUEST_BYTES_MAX: Final = 16 * 1024 * 1024
NODES_MAX: Final = 100_000


def read_request(body: "Buffer") -> model.Schema:
    """The schema in a `CodeGeneratorRequest`. Raises BodyError for what is none, too large, or not sound."""
    size = memoryview(body).nbytes
    if size > REQUEST_BYTES_MAX:
        raise BodyError("", f"{size} bytes, at most {REQUEST_BYTES_MAX} for a schema")
    # If it was received it was within a message, which is counted already.
    parts = segments(body, received=False)
    validate(parts, _REQUEST)
    request = read_capnp(parts, _REQUEST)
    if len(request.nodes) > NODES_MAX:
        raise BodyError("nodes", f"{len(request.nodes)} of them, at most {NODES_MAX}")
    docs = {int(info.id): info for info in request.sourceInfo}
    nodes = [_node(node, docs.get(node.id)) for node in request.nodes]
    files = [
        model.RequestedFile(
            file.id, str(file.filename), tuple(model.Import(each.id, str(each.name)) for each in file.imports)
        )
        for file in request.requestedFiles
    ]
    check_sound(nodes, files)
    return model.Schema(nodes, files)


def write_request(schema: model.Schema) -> bytes:
    """The schema as a `CodeGeneratorRequest`: the same schema, the same bytes."""
    nodes = [schema.nodes[node_id] for node_id in sorted(schema.nodes)]
    body = write_struct(
        _REQUEST,
        nodes=[_written(node) for node in nodes],
        sourceInfo=[info for node in nodes if (info := _source_info(node)) is not None],
        requestedFiles=[
            {
                "id": file.id,
                "filename": file.name,
                "imports": [{"id": each.id, "name": each.name} for each in file.imports],
            }
            for file in schema.files
        ],
    )
    return bytes(body.buffer)


def encode_node(node: model.Node) -> bytes:
    """One node as a message of schema.capnp's `Node`."""
    return bytes(write_struct(_NODE, **_written(node)).buffer)


def _schema_language() -> Mapping[str, SchemaStruct]:
    """The structs of schema.capnp, which has a parser of its own: a user's file may be another version of it."""
    known = LoadedSchema()
    Loader(known, bare=True).load_own(CAPNP_OWN / "schema.capnp")
    return {
        node.path: SchemaStruct(known, node.id) for node in known.nodes.values() if isinstance(node.body, model.Struct)
    }


_LANGUAGE: Final = _schema_language()
_NODE: Final = _LANGUAGE["Node"]
_REQUEST: Final = _LANGUAGE["CodeGeneratorRequest"]


# Reading


def _node(node: StructReader, info: StructReader | None) -> model.Node:
    if info is None:
        return read_node(node)
    return read_node(node, str(info.docComment), tuple(str(member.docComment) for member in info.members))


# Writing: what `nodes` reads, the other way round.


def _written(node: model.Node) -> dict[str, object]:
    return {
        "id": node.id,
        "displayName": node.display_name,
        "displayNamePrefixLength": len(node.display_name.encode()) - len(node.name.encode()),
        "scopeId": node.scope_id,
        "nestedNodes": [{"name": nested.name, "id": nested.id} for nested in node.nested],
        "parameters": [{"name": name} for name in node.parameters],
        "isGeneric": node.is_generic,
        "annotations": _annotations(node.annotations),
        **_body(node.body),
    }


def _body(body: model.Body) -> dict[str, object]:
    if isinstance(body, model.Struct):
        return {"struct": _struct(body)}
    if isinstance(body, model.Enum):
        return {"enum": {"enumerants": [_named(enumerant) for enumerant in body.enumerants]}}
    if isinstance(body, model.Interface):
        superclasses = [{"id": each.id, "brand": _brand(each.brand)} for each in body.superclasses]
        return {"interface": {"methods": [_method(method) for method in body.methods], "superclasses": superclasses}}
    if isinstance(body, model.Const):
        return {"const": {"type": _type(body.type), "value": _value(value_kind(body.type), body.value)}}
    if isinstance(body, model.AnnotationDeclaration):
        targets = {f"targets{target.capitalize()}": target in body.targets for target in TARGETS}
        return {"annotation": {"type": _type(body.type), **targets}}
    return {"file": None}


def _struct(struct: model.Struct) -> dict[str, object]:
    arms = [field.arm for field in struct.fields if field.arm >= 0]
    return {
        "dataWordCount": struct.data_words,
        "pointerCount": struct.pointers,
        "preferredListEncoding": "inlineComposite",
        "isGroup": struct.is_group,
        "discriminantCount": len(arms),
        "discriminantOffset": max(struct.discriminant, 0),
        "fields": [_field(field) for field in struct.fields],
    }


def _field(field: model.Field) -> dict[str, object]:
    place = field.place
    written: dict[str, object]
    if isinstance(place, model.Group):
        written = {"group": {"typeId": place.id}}
    else:
        slot = {
            "offset": place.offset,
            "type": _type(place.type),
            "defaultValue": _value(value_kind(place.type), place.default),
            "hadExplicitDefault": place.default not in (None, False, 0),
        }
        written = {"slot": slot}
    return {
        **_named(field),
        "discriminantValue": NO_DISCRIMINANT if field.arm < 0 else field.arm,
        "ordinal": {"implicit": None} if field.ordinal < 0 else {"explicit": field.ordinal},
        **written,
    }


def _method(method: model.Method) -> dict[str, object]:
    return {
        **_named(method),
        "implicitParameters": [{"name": name} for name in method.parameters],
        "paramStructType": method.request.id,
        "paramBrand": _brand(method.request.brand),
        "resultStructType": method.reply.id,
        "resultBrand": _brand(method.reply.brand),
    }


def _named(member: model.Field | model.Enumerant | model.Method) -> dict[str, object]:
    return {
        "name": member.name,
        "codeOrder": member.order,
        "annotations": _annotations(member.annotations),
    }


def _type(kind: model.Type) -> dict[str, object]:
    if isinstance(kind, model.SimpleType):
        return {kind.name: None}
    if isinstance(kind, model.ListType):
        return {"list": {"elementType": _type(kind.element)}}
    if isinstance(kind, model.EnumType):
        return {"enum": _reference(kind)}
    if isinstance(kind, model.StructType):
        return {"struct": _reference(kind)}
    if isinstance(kind, model.InterfaceType):
        return {"interface": _reference(kind)}
    if isinstance(kind, model.AnyType):
        return {"anyPointer": {"unconstrained": {kind.kind: None}}}
    if isinstance(kind, model.ParameterType):
        return {"anyPointer": {"parameter": {"scopeId": kind.scope_id, "parameterIndex": kind.index}}}
    return {"anyPointer": {"implicitMethodParameter": {"parameterIndex": kind.index}}}


def _reference(kind: model.EnumType | model.StructType | model.InterfaceType) -> dict[str, object]:
    return {"typeId": kind.id, "brand": _brand(kind.brand)}


def _brand(brand: model.Brand) -> dict[str, object]:
    return {"scopes": [_scope(scope) for scope in brand]}


def _scope(scope: model.Scope) -> dict[str, object]:
    if scope.bound is None:
        return {"scopeId": scope.scope_id, "inherit": None}
    bound = [{"unbound": None} if kind is None else {"type": _type(kind)} for kind in scope.bound]
    return {"scopeId": scope.scope_id, "bind": bound}


def value_kind(kind: model.Type) -> str:
    """Which member of a Value holds values of this type."""
    if isinstance(kind, model.SimpleType):
        return kind.name
    names = {
        model.ListType: "list",
        model.EnumType: "enum",
        model.StructType: "struct",
        model.InterfaceType: "interface",
    }
    return names.get(type(kind), "anyPointer")


def _value(kind: str, value: model.Value) -> dict[str, object]:
    if kind not in POINTERS:
        return {kind: value}
    found = pointer_default(value)
    if found is None:
        return {kind: None}
    reader = AnyReader(found.parts, found.target, NESTING_MAX, None)
    if kind == "text":
        return {kind: reader.as_text()}
    return {kind: reader.as_data() if kind == "data" else reader}


def _annotations(annotations: Iterable[model.Annotation]) -> list[dict[str, object]]:
    return [{"id": each.id, "value": _value(each.kind, each.value)} for each in annotations]


def _source_info(node: model.Node) -> dict[str, object] | None:
    body = node.body
    members: tuple[model.Field | model.Enumerant | model.Method, ...] = ()
    if isinstance(body, model.Struct):
        members = body.fields
    elif isinstance(body, model.Enum):
        members = body.enumerants
    elif isinstance(body, model.Interface):
        members = body.methods
    if not node.doc and not any(member.doc for member in members):
        return None
    return {"id": node.id, "docComment": node.doc, "members": [{"docComment": member.doc} for member in members]}
