"""The types of the schema language, as reading and writing tell them apart."""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import numpy as np

if TYPE_CHECKING:
    from hootbus.schemas.layout import StructLayout


class Void(msgspec.Struct, frozen=True):
    """Nothing, in no bits."""


class Bool(msgspec.Struct, frozen=True):
    """One bit."""


class Number(msgspec.Struct, frozen=True):
    """An integer or a float. `code` is its letter in the formats of `struct`, `unpack` reads one out of a buffer."""

    name: str
    bits: int
    code: str
    dtype: "np.dtype[np.generic]"
    unpack: Callable[[memoryview, int], tuple[Any]]


class Enum(msgspec.Struct, frozen=True):
    """An enumeration: its enumerants' names, each at its ordinal."""

    name: str
    names: tuple[str, ...]
    id: int


class Text(msgspec.Struct, frozen=True):
    """UTF-8 that ends with a zero byte."""


class Data(msgspec.Struct, frozen=True):
    """Any bytes."""


class List(msgspec.Struct, frozen=True):
    """Elements of one type."""

    element: "Type"


class Struct(msgspec.Struct, frozen=True):
    """A struct behind a pointer, or a group, which lies in the struct around it."""

    layout: "StructLayout"


class AnyPointer(msgspec.Struct, frozen=True):
    """A pointer of which the schema says no more than its kind: "anyKind", "struct", "list" or "capability"."""

    kind: str


Type: TypeAlias = Void | Bool | Number | Enum | Text | Data | List | Struct | AnyPointer

NUMBERS: Final = {
    name: Number(name, np.dtype(spelled).itemsize * 8, code, np.dtype(spelled), struct.Struct("<" + code).unpack_from)
    for name, code, spelled in (
        ("int8", "b", "<i1"),
        ("int16", "h", "<i2"),
        ("int32", "i", "<i4"),
        ("int64", "q", "<i8"),
        ("uint8", "B", "<u1"),
        ("uint16", "H", "<u2"),
        ("uint32", "I", "<u4"),
        ("uint64", "Q", "<u8"),
        ("float32", "f", "<f4"),
        ("float64", "d", "<f8"),
    )
}
# As enums travel, and the unknown among them stay.
ENUM_NUMBER: Final = NUMBERS["uint16"]

SIMPLE: Final[dict[str, Type]] = {**NUMBERS, "void": Void(), "bool": Bool(), "text": Text(), "data": Data()}
ANY: Final = AnyPointer("anyKind")
CAPABILITY: Final = AnyPointer("capability")


def spelled(kind: Type) -> str:
    """A type as the schema language has it."""
    if isinstance(kind, Number):
        return kind.name.capitalize().replace("Ui", "UI")
    if isinstance(kind, Enum):
        return kind.name
    if isinstance(kind, List):
        return f"List({spelled(kind.element)})"
    if isinstance(kind, Struct):
        return "a group" if kind.layout.is_group else kind.layout.name
    if isinstance(kind, AnyPointer):
        return {"struct": "AnyStruct", "list": "AnyList", "capability": "Capability"}.get(kind.kind, "AnyPointer")
    return type(kind).__name__
