"""What it means that a field's type has become another one.

The rules are the encoding's: the bits that one version writes, as the other reads them, in Cap'n Proto's own library
and in ours. None is no change; the kind of change says the rest.
"""

from typing import Final

from hootbus.schemas import model
from hootbus.schemas.bits import ANY, Bindings, bindings_of, bits_of, is_unset, leaves_of
from hootbus.schemas.evolution import changes
from hootbus.schemas.evolution.changes import Kind, Verdict
from hootbus.schemas.evolution.versions import Versions

_VOID: Final = model.SimpleType("void")
_BOOL: Final = model.SimpleType("bool")
_TEXT: Final = model.SimpleType("text")
_DATA: Final = model.SimpleType("data")
_UINT16: Final = model.SimpleType("uint16")
_OCTETS: Final = (model.SimpleType("uint8"), model.SimpleType("int8"))
_SEVERITY: Final = (Verdict.COMPATIBLE, Verdict.CARE, Verdict.BREAKING)


def retyped(versions: Versions, old: model.Type, new: model.Type, *, is_element: bool = False) -> Kind | None:
    """The kind of change that this is. `is_element`: these are the elements of a list, which lie in it side by side."""
    if isinstance(old, model.ListType) and isinstance(new, model.ListType):
        return retyped(versions, old.element, new.element, is_element=True)
    if isinstance(old, model.EnumType) and isinstance(new, model.EnumType):
        return None if versions.same(old.id, new.id) else changes.FIELD_TYPE_CHANGED
    if (isinstance(old, model.StructType) and isinstance(new, model.StructType)) or (
        isinstance(old, model.InterfaceType) and isinstance(new, model.InterfaceType)
    ):
        return _rebound(versions, old, new) if versions.same(old.id, new.id) else changes.FIELD_TYPE_CHANGED
    if isinstance(old, model.ParameterType) and isinstance(new, model.ParameterType):
        same = versions.same(old.scope_id, new.scope_id) and old.index == new.index
        return None if same else changes.FIELD_TYPE_CHANGED
    if old == new:
        return None
    if (becomes := _same_bytes(old, new)) is not None:
        return becomes
    if is_element and isinstance(new, model.StructType):
        is_first = _is_first_field(versions, versions.new, new, old, of_new=True)
        return changes.ELEMENTS_TO_STRUCTS if is_first else _generality(versions, old, new, is_element)
    if is_element and isinstance(old, model.StructType):
        is_first = _is_first_field(versions, versions.old, old, new, of_new=False)
        return changes.ELEMENTS_FROM_STRUCTS if is_first else _generality(versions, old, new, is_element)
    if not is_element and old == _VOID:
        return changes.FIELD_FROM_VOID
    if not is_element and new == _VOID:
        return changes.FIELD_TO_VOID
    return _generality(versions, old, new, is_element)


def _same_bytes(old: model.Type, new: model.Type) -> Kind | None:
    """What is written alike, if not meant alike."""
    if (old == _UINT16 and isinstance(new, model.EnumType)) or (new == _UINT16 and isinstance(old, model.EnumType)):
        return changes.FIELD_RESPELLED
    old_is_octets = old == _DATA or (isinstance(old, model.ListType) and old.element in _OCTETS)
    new_is_octets = new == _DATA or (isinstance(new, model.ListType) and new.element in _OCTETS)
    if old_is_octets and new_is_octets:
        return changes.FIELD_RESPELLED
    if old == _TEXT and new_is_octets:
        return changes.TEXT_TO_DATA
    return changes.DATA_TO_TEXT if old_is_octets and new == _TEXT else None


def _is_first_field(
    versions: Versions, schema: model.Schema, kind: model.StructType, element: model.Type, *, of_new: bool
) -> bool:
    """Whether a list of such elements can be read as one of these structs, each with its first field."""
    struct = schema.node(kind.id).body
    if element == _BOOL or not isinstance(struct, model.Struct) or isinstance(element, model.StructType):
        return False
    for leaf in leaves_of(schema, struct):
        if leaf.field.ordinal == 0:
            first = leaf.slot.type
            change = retyped(versions, element, first) if of_new else retyped(versions, first, element)
            return (
                leaf.slot.offset == 0
                and is_unset(first, leaf.slot.default)
                # Where nothing says which member of a union is set, it is the first.
                and all(arm == 0 for _, arm in leaf.arms)
                and (change is None or change is changes.FIELD_RESPELLED)
            )
    # A struct without fields is as little as nothing.
    return element == _VOID


def _generality(versions: Versions, old: model.Type, new: model.Type, is_element: bool) -> Kind | None:
    """Between a pointer to anything, a pointer to anything of a kind, and what such a pointer may point to."""
    if isinstance(new, model.ParameterType) and versions.is_new(new):
        replaced = versions.replaced(new)
        if replaced == old:
            # Unbound, it stands for any pointer.
            return None if old == ANY else changes.FIELD_GENERIC
    old_reach, new_reach = _reach(old), _reach(new)
    if old_reach is None or new_reach is None:
        return changes.FIELD_TYPE_CHANGED
    if is_element and (old_reach == "struct") != (new_reach == "struct"):
        # Structs lie in a list side by side, and not behind pointers.
        return changes.FIELD_TYPE_CHANGED
    if _is_open(new) and new_reach in ("anyKind", old_reach):
        return changes.FIELD_WIDENED
    if _is_open(old) and old_reach in ("anyKind", new_reach):
        return changes.FIELD_SPECIALISED
    return changes.FIELD_TYPE_CHANGED


def _reach(kind: model.Type) -> str | None:
    """What a pointer of this type may point to, as an AnyType names it; None for what is no pointer."""
    if isinstance(kind, model.AnyType):
        return kind.kind
    if isinstance(kind, model.ParameterType | model.MethodParameterType):
        return ANY.kind
    if isinstance(kind, model.StructType):
        return "struct"
    if isinstance(kind, model.InterfaceType):
        return "capability"
    return "list" if bits_of(kind) is None else None


def _is_open(kind: model.Type) -> bool:
    return isinstance(kind, model.AnyType | model.ParameterType | model.MethodParameterType)


def _rebound(
    versions: Versions, old: model.StructType | model.InterfaceType, new: model.StructType | model.InterfaceType
) -> Kind | None:
    """What it means that a generic type's parameters stand for something else: the worst of them."""
    was = {versions.twins.get(scope, scope): types for scope, types in bindings_of(versions.old, old).items()}
    now = bindings_of(versions.new, new)
    found: list[Kind] = []
    for scope_id in was.keys() | now.keys():
        scope = versions.new.find(scope_id)
        for index in range(len(scope.parameters) if scope is not None else 0):
            parameter = model.ParameterType(scope_id, index)
            before = versions.replaced(parameter) if versions.is_new(parameter) else _at(was, parameter)
            after = _at(now, parameter)
            # It stands for nothing that was there, or for itself: this is within the struct that has become generic.
            if before is not None and after != parameter and (change := retyped(versions, before, after)) is not None:
                found.append(change)
    return max(found, key=lambda kind: _SEVERITY.index(kind.verdict), default=None)


def _at(bindings: Bindings, parameter: model.ParameterType) -> model.Type:
    types = bindings.get(parameter.scope_id, ())
    return types[parameter.index] if parameter.index < len(types) else ANY
