"""One node of Cap'n Proto's own form of a schema, `/capnp/schema.capnp`, as the model's.

What is read is anything with the fields of that file as attributes: pycapnp's view of what it has compiled, or a reader
of ours over what came from elsewhere. Of the ids nothing is checked here (`transfer` does that), of values their type.
"""

from typing import Any, Final, TypeAlias

from hootbus.schemas import model
from hootbus.schemas.canonical import TreeCopier
from hootbus.schemas.errors import BodyError
from hootbus.schemas.place import Place
from hootbus.schemas.pointers import follow, struct_of
from hootbus.schemas.segments import WORD, split
from hootbus.schemas.types import NUMBERS

Reader: TypeAlias = Any
"""A struct of schema.capnp, read by pycapnp or by us."""

# The schema compiler's mark of a field that is in no union.
NO_DISCRIMINANT: Final = 0xFFFF

# The declarations on which an annotation may stand, each a bit of its own in the node.
TARGETS: Final = (
    "file",
    "const",
    "enum",
    "enumerant",
    "struct",
    "field",
    "union",
    "group",
    "interface",
    "method",
    "param",
    "annotation",
)

# The members of a Value that are pointers.
POINTERS: Final = frozenset({"text", "data", "list", "struct", "anyPointer"})
_PLAIN: Final = frozenset({"bool", "enum", *NUMBERS})


def read_node(node: Reader, doc: str = "", members: tuple[str, ...] = ()) -> model.Node:
    """The node. `doc` is its comment, `members` those of its fields, enumerants or methods, by their numbers."""
    display_name = str(node.displayName)
    return model.Node(
        id=int(node.id),
        display_name=display_name,
        # The compiler takes what follows a file's last dot for its name, and counts bytes.
        name=display_name
        if str(node.which()) == "file"
        else display_name.encode()[int(node.displayNamePrefixLength) :].decode(errors="replace"),
        scope_id=int(node.scopeId),
        body=_body(node, members),
        nested=tuple(model.Nested(str(nested.name), int(nested.id)) for nested in node.nestedNodes),
        parameters=tuple(str(parameter.name) for parameter in node.parameters),
        is_generic=bool(node.isGeneric),
        annotations=_annotations(node.annotations),
        doc=doc,
    )


def _body(node: Reader, docs: tuple[str, ...]) -> model.Body:
    which = str(node.which())
    if which == "struct":
        return _struct(node.struct, docs)
    if which == "enum":
        return model.Enum(
            tuple(
                model.Enumerant(
                    name=str(enumerant.name),
                    order=int(enumerant.codeOrder),
                    annotations=_annotations(enumerant.annotations),
                    doc=_doc(docs, number),
                )
                for number, enumerant in enumerate(node.enum.enumerants)
            )
        )
    if which == "interface":
        return model.Interface(
            tuple(_method(method, _doc(docs, number)) for number, method in enumerate(node.interface.methods)),
            tuple(model.InterfaceType(int(each.id), _brand(each.brand)) for each in node.interface.superclasses),
        )
    if which == "const":
        return model.Const(read_type(node.const.type), read_value(node.const.value))
    if which == "annotation":
        declared = node.annotation
        targets = tuple(target for target in TARGETS if getattr(declared, f"targets{target.capitalize()}"))
        return model.AnnotationDeclaration(read_type(declared.type), targets)
    if which == "file":
        return model.File()
    raise _unknown("a declaration", which)


def _struct(struct: Reader, docs: tuple[str, ...]) -> model.Struct:
    return model.Struct(
        data_words=int(struct.dataWordCount),
        pointers=int(struct.pointerCount),
        is_group=bool(struct.isGroup),
        discriminant=int(struct.discriminantOffset) if int(struct.discriminantCount) else -1,
        fields=tuple(_field(field, _doc(docs, number)) for number, field in enumerate(struct.fields)),
    )


def _field(field: Reader, doc: str) -> model.Field:
    arm = int(field.discriminantValue)
    place: model.Slot | model.Group
    which = str(field.which())
    if which == "group":
        place = model.Group(int(field.group.typeId))
    elif which != "slot":
        raise _unknown("a field", which)
    else:
        slot = field.slot
        place = model.Slot(read_type(slot.type), int(slot.offset), read_value(slot.defaultValue))
    ordinal = field.ordinal
    return model.Field(
        name=str(field.name),
        order=int(field.codeOrder),
        place=place,
        arm=-1 if arm == NO_DISCRIMINANT else arm,
        ordinal=int(ordinal.explicit) if str(ordinal.which()) == "explicit" else -1,
        annotations=_annotations(field.annotations),
        doc=doc,
    )


def _method(method: Reader, doc: str) -> model.Method:
    return model.Method(
        name=str(method.name),
        order=int(method.codeOrder),
        request=model.StructType(int(method.paramStructType), _brand(method.paramBrand)),
        reply=model.StructType(int(method.resultStructType), _brand(method.resultBrand)),
        parameters=tuple(str(parameter.name) for parameter in method.implicitParameters),
        annotations=_annotations(method.annotations),
        doc=doc,
    )


def read_type(kind: Reader) -> model.Type:
    """A type. Raises BodyError for what only newer compilers know."""
    which = str(kind.which())
    if which == "list":
        return model.ListType(read_type(kind.list.elementType))
    if which == "enum":
        return model.EnumType(int(kind.enum.typeId), _brand(kind.enum.brand))
    if which == "struct":
        return model.StructType(int(kind.struct.typeId), _brand(kind.struct.brand))
    if which == "interface":
        return model.InterfaceType(int(kind.interface.typeId), _brand(kind.interface.brand))
    if which != "anyPointer":
        return model.SimpleType(which)
    pointer = kind.anyPointer
    which = str(pointer.which())
    if which == "parameter":
        return model.ParameterType(int(pointer.parameter.scopeId), int(pointer.parameter.parameterIndex))
    if which == "implicitMethodParameter":
        return model.MethodParameterType(int(pointer.implicitMethodParameter.parameterIndex))
    if which != "unconstrained":
        raise _unknown("a pointer", which)
    return model.AnyType(str(pointer.unconstrained.which()))


def read_value(value: Reader) -> model.Value:
    """A default, a constant, an annotation's value. Raises BodyError for what only newer compilers know."""
    which = str(value.which())
    if which in POINTERS:
        return _pointed(value)
    if which in ("void", "interface"):
        return None
    if which not in _PLAIN:
        raise _unknown("a value", which)
    found: bool | int | float = getattr(value, which)
    return found


def _pointed(value: Reader) -> model.Pointed | None:
    """What the only pointer of a Value points to."""
    if isinstance(value, Place):
        parts, struct = value._parts, value._ref
    else:
        # pycapnp's, so it is what it has compiled itself: safe to build from.
        parts = split(memoryview(value.as_builder().to_bytes()))
        root = follow(parts, 0, 0, None)
        assert root is not None
        struct = struct_of(parts, root, None)
    if not struct.pointers or follow(parts, struct.segment, struct.at, None) is None:
        return None
    words = bytearray(WORD)
    TreeCopier(parts, words).copy_pointer(struct.segment, struct.at, 0, None)
    return model.Pointed(bytes(words))


def _brand(brand: Reader) -> model.Brand:
    return tuple(
        model.Scope(
            int(scope.scopeId),
            tuple(map(_binding, scope.bind)) if str(scope.which()) == "bind" else None,
        )
        for scope in brand.scopes
    )


def _binding(binding: Reader) -> model.Type | None:
    return read_type(binding.type) if str(binding.which()) == "type" else None


def _annotations(annotations: Reader) -> tuple[model.Annotation, ...]:
    return tuple(
        model.Annotation(int(each.id), str(each.value.which()), read_value(each.value)) for each in annotations
    )


def _unknown(what: str, which: str) -> BodyError:
    return BodyError("", f"{what} of a kind that is not known here: {which}")


def _doc(docs: tuple[str, ...], number: int) -> str:
    return docs[number] if number < len(docs) else ""
