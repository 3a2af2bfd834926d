"""From a field's path to the pointers to follow: what the walker needs of the schema, worked out once per path.

pycapnp's view of a schema is slow (a microsecond per attribute) and shaped like the compiler's output; a plan is a
handful of numbers. Whatever is wrong here is wrong in our own program, so it is a `FieldError`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
import numpy as np

from hootbus.schemas.errors import FieldError
from hootbus.schemas.segments import Segments, segments
from hootbus.schemas.structs import Node, StructType, struct_name

Array: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.generic]]"

# The schema compiler's mark of a field that is in no union.
NO_DISCRIMINANT: Final = 0xFFFF
# A program names few paths. The bound is for one that makes them up as it goes.
PLANS_MAX: Final = 1024

DTYPES: Final[dict[str, np.dtype[np.generic]]] = {
    "int8": np.dtype("<i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "uint8": np.dtype("<u1"),
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
    "uint64": np.dtype("<u8"),
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "enum": np.dtype("<u2"),
}


class Member(msgspec.Struct, frozen=True):
    """A union's member that must be set: the two bytes at `discriminant_at` of the data have this value."""

    path: str
    discriminant_at: int
    value: int


class StructStep(msgspec.Struct, frozen=True):
    """Go through the struct pointer of this index. `default` is the message to go on in if it is null."""

    path: str
    members: tuple[Member, ...]
    pointer: int
    default: Segments | None


class LeafPlan(msgspec.Struct, frozen=True):
    """The list pointer at the end. `default` is the array if it is null, mostly the same as `empty`."""

    path: str
    members: tuple[Member, ...]
    pointer: int
    dtype: np.dtype[np.generic]
    is_data: bool
    default: Array
    empty: Array


class Plan(msgspec.Struct, frozen=True):
    steps: tuple[StructStep, ...]
    leaf: LeafPlan


@lru_cache(maxsize=PLANS_MAX)
def plan_of(struct_type: StructType, path: str) -> Plan:
    """The plan for "a.b.samples". Raises FieldError if that is no path to a list of numbers in this schema."""
    name = struct_name(struct_type)
    schema = struct_type.schema
    steps: list[StructStep] = []
    members: list[Member] = []
    *inner, last = path.split(".")
    for depth, part in enumerate(inner, 1):
        here = ".".join(inner[:depth])
        field = _field(schema, part, name, here)
        members += _member(schema, field, here)
        if field.proto.which() == "slot":
            if field.proto.slot.type.which() != "struct":
                raise FieldError(name, here, f"is {field.proto.slot.type.which()}, not a struct to go into")
            steps.append(
                StructStep(
                    path=here, members=tuple(members), pointer=field.proto.slot.offset, default=_struct_default(field)
                )
            )
            members = []
        # A group has no pointer of its own: its fields lie in the struct around it, and its union too.
        schema = field.schema
    field = _field(schema, last, name, path)
    members += _member(schema, field, path)
    return Plan(steps=tuple(steps), leaf=_leaf(field, tuple(members), name, path))


def _field(schema: Node, part: str, name: str, path: str) -> Node:
    if part not in schema.fieldnames:
        raise FieldError(name, path, f"no such field; there are {', '.join(schema.fieldnames) or 'none'}")
    return schema.fields[part]


def _member(schema: Node, field: Node, path: str) -> list[Member]:
    if field.proto.discriminantValue == NO_DISCRIMINANT:
        return []
    # The compiler counts discriminants in units of two bytes.
    at = schema.node.struct.discriminantOffset * 2
    return [Member(path=path, discriminant_at=at, value=field.proto.discriminantValue)]


def _struct_default(field: Node) -> Segments | None:
    slot = field.proto.slot
    if not slot.hadExplicitDefault:
        return None
    # From the schema, not from a peer: safe to build from.
    return segments(slot.defaultValue.struct.as_struct(field.schema).as_builder().to_bytes())


def _leaf(field: Node, members: tuple[Member, ...], name: str, path: str) -> LeafPlan:
    if field.proto.which() != "slot":
        raise FieldError(name, path, "is a group, not a list of numbers")
    slot = field.proto.slot
    kind = slot.type.which()
    if kind == "data":
        element = "uint8"
    elif kind == "list":
        element = slot.type.list.elementType.which()
    else:
        raise FieldError(name, path, f"is {kind}, not a list of numbers")
    if element == "bool":
        raise FieldError(name, path, "is a list of Bool, eight to a byte, which numpy cannot view")
    if element not in DTYPES:
        raise FieldError(name, path, f"is a list of {element}, not of numbers")
    dtype = DTYPES[element]
    empty = _constant((), dtype)
    return LeafPlan(
        path=path,
        members=members,
        pointer=slot.offset,
        dtype=dtype,
        is_data=kind == "data",
        default=_list_default(field, dtype) if slot.hadExplicitDefault else empty,
        empty=empty,
    )


def _list_default(field: Node, dtype: np.dtype[np.generic]) -> Array:
    value = field.proto.slot.defaultValue
    if value.which() == "data":
        return np.frombuffer(value.data, dtype)
    items = value.list.as_list(field.schema)
    return _constant([getattr(item, "raw", item) for item in items], dtype)


def _constant(items: Sequence[int | float], dtype: np.dtype[np.generic]) -> Array:
    # Over bytes, since every caller gets the same one: an array that owns its memory could be made writable again.
    return np.frombuffer(np.array(items, dtype).tobytes(), dtype)
