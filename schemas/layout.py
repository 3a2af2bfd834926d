"""What reading and writing need of a schema: where each field lies, as what, and what it is when nobody set it.

pycapnp's view of a schema is slow (a microsecond per attribute) and shaped like the compiler's output. A layout is
worked out once per struct, field by field when it is first asked for, as structs refer to each other in circles. The
parameters of generics are put in place here: a `Box(Text)` has a layout of its own.
"""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import count
from typing import Any, Final

import msgspec

from hootbus.schemas.errors import FieldError
from hootbus.schemas.pointers import Target, follow, struct_of
from hootbus.schemas.segments import Segments, split
from hootbus.schemas.structs import Node, StructType, is_struct_type
from hootbus.schemas.types import ANY, CAPABILITY, SIMPLE, AnyPointer, Bool, Enum, List, Number, Struct, Type, Void

# Nobody writes `Box(Box(Box(…)))` deeper than that; but where a struct grows its own parameters, each step that a
# peer's message takes into it would make a layout, and layouts stay. What is deeper is read as AnyPointer.
BINDING_DEPTH_MAX: Final = 16

# The schema compiler's mark of a field that is in no union.
NO_DISCRIMINANT: Final = 0xFFFF


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
    """A struct's sizes in words and pointers, and its fields. `discriminant` is the bit of its union's, -1 for none."""

    def __init__(self, schema: Node, bound: "_Bound") -> None:
        node = schema.node
        self.schema: Node = schema
        self.type_id = int(node.id)
        self.display_name = str(node.displayName)
        self.name = self.display_name[int(node.displayNamePrefixLength) :]
        self.is_group = bool(node.struct.isGroup)
        self.data_words = int(node.struct.dataWordCount)
        self.pointers = int(node.struct.pointerCount)
        # The compiler counts discriminants in units of two bytes.
        self.discriminant = int(node.struct.discriminantOffset) * 16 if int(node.struct.discriminantCount) else -1
        self._bound = bound

    def __repr__(self) -> str:
        return f"<layout of {self.display_name}>"

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """All fields by name, in the order of the schema's text."""
        found = self.schema.fields
        declared = sorted(self.schema.node.struct.fields, key=lambda proto: int(proto.codeOrder))
        return {str(proto.name): self._field(found[str(proto.name)]) for proto in declared}

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

    def _field(self, field: Node) -> Field:
        proto = field.proto
        name, arm = str(proto.name), int(proto.discriminantValue)
        arm = -1 if arm == NO_DISCRIMINANT else arm
        if proto.which() == "group":
            return Field(name, Struct(_layout(field.schema, self._bound)), 0, arm=arm, is_group=True)
        slot = proto.slot
        kind = _type(slot.type, lambda: field.schema, self._bound)
        if isinstance(kind, Void):
            return Field(name, kind, 0, arm=arm)
        offset = int(slot.offset)
        if isinstance(kind, Bool):
            return Field(name, kind, offset, bool(slot.defaultValue.bool), arm=arm)
        if isinstance(kind, Number):
            return Field(name, kind, offset * kind.bits, getattr(slot.defaultValue, kind.name), arm=arm)
        if isinstance(kind, Enum):
            return Field(name, kind, offset * 16, int(slot.defaultValue.enum), arm=arm)
        return Field(name, kind, offset, pointer_default=_pointer_default(slot), arm=arm)


class _Bound(msgspec.Struct, frozen=True):
    """What the parameters of generics stand for: by the scope that declares them, the types given, each with what its
    own parameters stand for. `key` tells one binding from another, `depth` is how many lie within each other."""

    key: int = 0
    depth: int = 0
    scopes: Mapping[int, tuple[tuple[Node, "_Bound"] | None, ...]] = {}


_UNBOUND: Final = _Bound()

# Bindings by what they bind, numbered: a `Box(Box(T))` within a `Box(T)` grows with every step that a message takes
# into it, and one that was spelled out would double.
_KEYS: Final[dict[object, int]] = {}
_NEW_KEYS: Final = count(1)

# By type id and binding. Never given up: schemas live as long as the process, and programs name few of them.
_LAYOUTS: Final[dict[tuple[int, int], StructLayout]] = {}


@lru_cache(maxsize=1024)
def layout_of(struct: StructType) -> StructLayout:
    """The layout of a loaded struct. Raises TypeError for what is none, such as an enum or a whole file."""
    if not is_struct_type(struct):
        raise TypeError(f"{struct!r} is no struct of a loaded schema")
    return _layout(struct.schema, _UNBOUND)


def layout_of_schema(schema: Node) -> StructLayout:
    """The layout of what pycapnp calls a schema, a builder's for instance."""
    return _layout(schema, _UNBOUND)


def _layout(schema: Node, bound: _Bound) -> StructLayout:
    key = (int(schema.node.id), bound.key)
    found = _LAYOUTS.get(key)
    if found is None:
        found = _LAYOUTS.setdefault(key, StructLayout(schema, bound))
    return found


def _type(proto: Node, schema: Any, bound: _Bound) -> Type:  # noqa: ANN401  # gives the pycapnp schema, where there is one
    kind = str(proto.which())
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind == "list":
        return List(_type(proto.list.elementType, lambda: schema().elementType, bound))
    if kind == "enum":
        found = schema()
        return Enum(_short_name(found), tuple(sorted(found.enumerants, key=found.enumerants.__getitem__)))
    if kind == "struct":
        return Struct(_layout(schema(), _bind(proto.struct.brand, bound)))
    if kind == "interface":
        return CAPABILITY
    if proto.anyPointer.which() == "unconstrained":
        return AnyPointer(str(proto.anyPointer.unconstrained.which()))
    if proto.anyPointer.which() == "parameter":
        given = _given(proto.anyPointer.parameter, bound)
        if given is not None:
            return _type(given[0], schema, given[1])
    return ANY


def _given(parameter: Node, bound: _Bound) -> tuple[Node, _Bound] | None:
    types = bound.scopes.get(int(parameter.scopeId), ())
    index = int(parameter.parameterIndex)
    return types[index] if index < len(types) else None


def _bind(brand: Node, around: _Bound) -> _Bound:
    if not len(brand.scopes):
        return _UNBOUND
    scopes: dict[int, tuple[tuple[Node, _Bound] | None, ...]] = {}
    for scope in brand.scopes:
        scope_id = int(scope.scopeId)
        if scope.which() == "inherit":
            scopes[scope_id] = around.scopes.get(scope_id, ())
        else:
            scopes[scope_id] = tuple(_binding(binding, around) for binding in scope.bind)
    depth = 1 + max((given[1].depth for types in scopes.values() for given in types if given), default=0)
    if depth > BINDING_DEPTH_MAX:
        return _UNBOUND
    spelled = tuple((scope, tuple(map(_spelled, types))) for scope, types in scopes.items())
    return _Bound(_KEYS.setdefault(spelled, next(_NEW_KEYS)), depth, scopes)


def _binding(binding: Node, around: _Bound) -> tuple[Node, _Bound] | None:
    if binding.which() == "unbound":
        return None
    proto = binding.type
    if proto.which() == "anyPointer" and proto.anyPointer.which() == "parameter":
        # A parameter of the place around it: what that stands for, as nobody will ask there again.
        return _given(proto.anyPointer.parameter, around)
    return proto, around


def _spelled(given: tuple[Node, _Bound] | None) -> tuple[str, int] | None:
    return None if given is None else (str(given[0]), given[1].key)


def _short_name(schema: Node) -> str:
    return str(schema.node.displayName)[int(schema.node.displayNamePrefixLength) :]


def _pointer_default(slot: Node) -> PointerDefault | None:
    if not slot.hadExplicitDefault:
        return None
    # A `Value` of the schema language has one pointer, which is the default. It is the schema's, not a peer's: safe to
    # build from.
    parts = split(memoryview(slot.defaultValue.as_builder().to_bytes()))
    root = follow(parts, 0, 0, None)
    assert root is not None
    value = struct_of(parts, root, None)
    target = follow(parts, value.segment, value.at, None) if value.pointers else None
    return PointerDefault(parts, target) if target is not None else None
