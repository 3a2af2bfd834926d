"""What reading and writing need of a schema: where each field lies, as what, and what it is when nobody set it.

pycapnp's view of a schema is slow (a microsecond per attribute) and shaped like the compiler's output. A layout is
worked out once per struct, field by field when it is first asked for, as structs refer to each other in circles. The
parameters of generics are put in place here: a `Box(Text)` has a layout of its own.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from hootbus.schemas import model
from hootbus.schemas.errors import FieldError
from hootbus.schemas.pointers import Target, follow
from hootbus.schemas.segments import Segments
from hootbus.schemas.structs import SchemaStruct, StructType, declaration_of, is_struct_type
from hootbus.schemas.types import (
    ANY,
    CAPABILITY,
    SIMPLE,
    AnyPointer,
    Bool,
    Enum,
    List,
    Number,
    Struct,
    Type,
    Void,
)

# Nobody writes `Box(Box(Box(…)))` deeper than that; but where a struct grows its own parameters, each step that a
# peer's message takes into it would make a layout, and layouts stay. What is deeper is read as AnyPointer.
BINDING_DEPTH_MAX: Final = 16


class PointerDefault(msgspec.Struct, frozen=True):
    """What a null pointer is read as: an object in a message of the schema's own."""

    parts: Segments
    target: Target


class Field(msgspec.Struct, frozen=True):
    """A field of a struct.

    `offset` counts bits of the data section for data, pointers for pointers. `default` is the value of data that nobody
    set, None for pointers, whose default is `pointer_default`. `arm` is the union's discriminant while this field is
    set, -1 outside of unions.
    """

    name: str
    type: Type
    offset: int
    default: Any = None
    pointer_default: PointerDefault | None = None
    arm: int = -1
    is_group: bool = False

    @property
    def is_data(self) -> bool:
        """Whether it lies in the data section: it always has a value."""
        return isinstance(self.type, Void | Bool | Number | Enum)


class StructLayout:
    """A struct's sizes in words and pointers, and its fields. `discriminant` is the bit of its union's, -1 for none.

    `schema` and `node` are what it was made from, `derived` what others have worked out of it, as in `model.Schema`.
    """

    def __init__(self, schema: model.Schema, node: model.Node, bound: "_Bound") -> None:
        struct = node.body
        assert isinstance(struct, model.Struct), node
        self.schema = schema
        self.node = node
        self.derived: Final[dict[object, Any]] = {}
        self.type_id = node.id
        self.display_name = node.display_name
        self.name = node.name
        self.is_group = struct.is_group
        self.data_words = struct.data_words
        self.pointers = struct.pointers
        # The compiler counts discriminants in units of two bytes.
        self.discriminant = struct.discriminant * 16 if struct.discriminant >= 0 else -1
        self._declared = struct.fields
        self._bound = bound

    def __repr__(self) -> str:
        return f"<layout of {self.display_name}>"

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """All fields by name, in the order of the schema's text."""
        made = {field.name: field for field in self.by_number}
        declared = sorted(self._declared, key=lambda field: field.order)
        return {field.name: made[field.name] for field in declared}

    @cached_property
    def by_number(self) -> tuple[Field, ...]:
        """All fields in the order of their numbers, as Cap'n Proto's own printers go through them."""
        return tuple(map(self._field, self._declared))

    @cached_property
    def arms(self) -> Mapping[int, Field]:
        """The fields of the union by discriminant."""
        return {field.arm: field for field in self.fields.values() if field.arm >= 0}

    @cached_property
    def plain_fields(self) -> tuple[Field, ...]:
        """The fields that are in no union."""
        return tuple(field for field in self.fields.values() if field.arm < 0)

    @cached_property
    def only_numbers(self) -> bool:
        """Whether any bits are right for it: it has neither pointers, enums nor a union."""
        return self.discriminant < 0 and all(
            field.type.layout.only_numbers
            if isinstance(field.type, Struct) and field.is_group
            else isinstance(field.type, Void | Bool | Number)
            for field in self.fields.values()
        )

    def field(self, name: str) -> Field:
        """The field of this name. Raises FieldError."""
        field = self.fields.get(name)
        if field is None:
            have = ", ".join(self.fields) or "none"
            raise FieldError(self.display_name, name, f"no such field; there are {have}")
        return field

    def _field(self, field: model.Field) -> Field:
        place = field.place
        if isinstance(place, model.Group):
            group = Struct(_layout(self.schema, place.id, self._bound))
            return Field(field.name, group, 0, arm=field.arm, is_group=True)
        kind = _type(self.schema, place.type, self._bound)
        if isinstance(kind, Void):
            return Field(field.name, kind, 0, arm=field.arm)
        if isinstance(kind, Bool):
            return Field(field.name, kind, place.offset, place.default, arm=field.arm)
        if isinstance(kind, Number):
            return Field(field.name, kind, place.offset * kind.bits, place.default, arm=field.arm)
        if isinstance(kind, Enum):
            return Field(field.name, kind, place.offset * 16, place.default, arm=field.arm)
        return Field(field.name, kind, place.offset, pointer_default=pointer_default(place.default), arm=field.arm)


class _Bound(msgspec.Struct, frozen=True):
    """What the parameters of generics stand for: by the scope that declares them, the types given, each with what its
    own parameters stand for. `key` tells one binding from another, `depth` is how many lie within each other."""

    key: int = 0
    depth: int = 0
    scopes: Mapping[int, tuple[tuple[model.Type, "_Bound"] | None, ...]] = {}


_UNBOUND: Final = _Bound()


class _Layouts(dict[StructType, StructLayout]):
    """Those of pycapnp's types, which stay loaded. One of ours has its own, and both go with the schema."""

    def __missing__(self, struct: StructType) -> StructLayout:
        if isinstance(struct, SchemaStruct):
            found = struct._layout
            if found is None:
                found = struct._layout = layout_in(struct.schema, struct.node.id)
            assert isinstance(found, StructLayout)
            return found
        if not is_struct_type(struct):
            raise TypeError(f"{struct!r} is no struct of a loaded schema")
        return self.setdefault(struct, layout_in(*declaration_of(struct)))


_LAYOUTS: Final = _Layouts()


layout_of: Callable[[StructType], StructLayout] = _LAYOUTS.__getitem__
"""The layout of a struct type. Raises TypeError for what is none, such as an enum or a whole file."""


def layout_in(schema: model.Schema, node_id: int) -> StructLayout:
    """The layout of the struct with this id. Raises LookupError."""
    return _layout(schema, node_id, _UNBOUND)


def type_in(schema: model.Schema, kind: model.Type) -> Type:
    """A type as reading and writing know it. What is a parameter is any pointer."""
    return _type(schema, kind, _UNBOUND)


def pointer_default(value: model.Value) -> PointerDefault | None:
    """The object that a value is, None for a null pointer."""
    if not isinstance(value, model.Pointed):
        return None
    parts = (memoryview(value.segment),)
    target = follow(parts, 0, 0, None)
    return PointerDefault(parts, target) if target is not None else None


def _layout(schema: model.Schema, node_id: int, bound: _Bound) -> StructLayout:
    # By type id and binding, and never given up before the schema is.
    key = (StructLayout, node_id, bound.key)
    found = schema.derived.get(key)
    if found is None:
        found = schema.derived.setdefault(key, StructLayout(schema, schema.node(node_id), bound))
    assert isinstance(found, StructLayout)
    return found


def _type(schema: model.Schema, kind: model.Type, bound: _Bound) -> Type:
    if isinstance(kind, model.SimpleType):
        return SIMPLE[kind.name]
    if isinstance(kind, model.ListType):
        return List(_type(schema, kind.element, bound))
    if isinstance(kind, model.EnumType):
        enum = schema.node(kind.id)
        assert isinstance(enum.body, model.Enum), enum
        return Enum(enum.name, tuple(enumerant.name for enumerant in enum.body.enumerants), kind.id)
    if isinstance(kind, model.StructType):
        return Struct(_layout(schema, kind.id, _bind(schema, kind.brand, bound)))
    if isinstance(kind, model.AnyType):
        return AnyPointer(kind.kind)
    if isinstance(kind, model.ParameterType):
        given = _given(kind, bound)
        if given is not None:
            return _type(schema, *given)
    return CAPABILITY if isinstance(kind, model.InterfaceType) else ANY


def _given(parameter: model.ParameterType, bound: _Bound) -> tuple[model.Type, _Bound] | None:
    types = bound.scopes.get(parameter.scope_id, ())
    return types[parameter.index] if parameter.index < len(types) else None


def _bind(schema: model.Schema, brand: model.Brand, around: _Bound) -> _Bound:
    if not brand:
        return _UNBOUND
    scopes: dict[int, tuple[tuple[model.Type, _Bound] | None, ...]] = {}
    for scope in brand:
        if scope.bound is None:
            scopes[scope.scope_id] = around.scopes.get(scope.scope_id, ())
        else:
            scopes[scope.scope_id] = tuple(_binding(binding, around) for binding in scope.bound)
    depth = 1 + max((given[1].depth for types in scopes.values() for given in types if given), default=0)
    if depth > BINDING_DEPTH_MAX:
        return _UNBOUND
    spelled = tuple((scope, tuple(map(_spelled, types))) for scope, types in scopes.items())
    # Numbered: a `Box(Box(T))` within a `Box(T)` grows with every step that a message takes into it, and one that was
    # spelled out would double.
    keys = schema.derived.setdefault((_Bound,), {})
    return _Bound(keys.setdefault(spelled, len(keys) + 1), depth, scopes)


def _binding(binding: model.Type | None, around: _Bound) -> tuple[model.Type, _Bound] | None:
    if binding is None:
        return None
    if isinstance(binding, model.ParameterType):
        # A parameter of the place around it: what that stands for, as nobody will ask there again.
        return _given(binding, around)
    return binding, around


def _spelled(given: tuple[model.Type, _Bound] | None) -> tuple[model.Type, int] | None:
    return None if given is None else (given[0], given[1].key)
