"""Names and types as the schema language spells them, for people."""

from typing import Final

from hootbus.schemas import model
from hootbus.schemas.bits import bindings_of

_SIMPLE: Final = {"uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64"}
_ANY: Final = {"struct": "AnyStruct", "list": "AnyList", "capability": "Capability"}
_KINDS: Final[dict[type, str]] = {
    model.File: "file",
    model.Struct: "struct",
    model.Enum: "enum",
    model.Interface: "interface",
    model.Const: "constant",
    model.AnnotationDeclaration: "annotation",
}
# A peer's type may be large.
_TEXT_MAX: Final = 200
_VALUE_MAX: Final = 60


def spelled(schema: model.Schema, kind: model.Type) -> str:
    """A type."""
    text = _spelled(schema, kind)
    return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"


def kind_of(node: model.Node) -> str:
    """What a node is: "struct", "enum"…"""
    return _KINDS[type(node.body)]


def a_kind_of(node: model.Node) -> str:
    """The same with its article."""
    kind = kind_of(node)
    return f"an {kind}" if kind[0] in "aei" else f"a {kind}"


def id_of(number: int) -> str:
    """An id."""
    return f"@{number:#018x}"


def value_of(kind: model.Type, value: model.Value) -> str:
    """A default, as far as it can be said in a word."""
    if isinstance(value, model.Pointed):
        return "its own" if len(value.segment) > _VALUE_MAX else f"0x{value.segment.hex()}"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    return f"enumerant {value}" if isinstance(kind, model.EnumType) else str(value)


def _spelled(schema: model.Schema, kind: model.Type) -> str:
    if isinstance(kind, model.SimpleType):
        return _SIMPLE.get(kind.name, kind.name.capitalize())
    if isinstance(kind, model.ListType):
        return f"List({_spelled(schema, kind.element)})"
    if isinstance(kind, model.ParameterType):
        scope = schema.find(kind.scope_id)
        names = scope.parameters if scope is not None else ()
        return names[kind.index] if kind.index < len(names) else f"parameter {kind.index}"
    if isinstance(kind, model.AnyType):
        return _ANY.get(kind.kind, "AnyPointer")
    if isinstance(kind, model.MethodParameterType):
        return f"the method's parameter {kind.index}"
    node = schema.find(kind.id)
    name = (node.path or node.display_name) if node is not None else id_of(kind.id)
    if isinstance(kind, model.EnumType):
        return name
    types = [each for bound in bindings_of(schema, kind).values() for each in bound]
    return name + (f"({', '.join(_spelled(schema, each) for each in types)})" if types else "")
