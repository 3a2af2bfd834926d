"""Values into messages: dicts, lists and arrays as a schema's struct, each array copied once, into the memory sent.

pycapnp sets a list element by element (124 ms for a million floats), and copies the message once more when it is done.
What does not fit the schema is our own program's mistake, so it is a `FieldError` that names the field.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, ParamSpec, TypeVar

import msgspec
import numpy as np

from hootbus.schemas.arena import ROOT, Arena, TooLarge
from hootbus.schemas.body import CapnpBody, read_builder
from hootbus.schemas.canonical import TreeCopier
from hootbus.schemas.dicts import set_fields
from hootbus.schemas.errors import FieldError
from hootbus.schemas.layout import Field, StructLayout, layout_of
from hootbus.schemas.lists import ListReader, StructList
from hootbus.schemas.pointers import BIT, BYTE, NESTING_MAX, POINTER, VOID, WALK_WORDS_MIN, Trail, path_of
from hootbus.schemas.readers import AnyReader, StructReader, reader_class
from hootbus.schemas.segments import WORD, Segments
from hootbus.schemas.structs import StructType, Writable, is_builder
from hootbus.schemas.types import (
    ENUM_NUMBER,
    NUMBERS,
    AnyPointer,
    Bool,
    Data,
    Enum,
    List,
    Number,
    Struct,
    Text,
    Type,
    Void,
    spelled,
)
from hootbus.schemas.values import Unfit, array_of, boolean, data, enumerant, items_of, number, shown, text

T = TypeVar("T")
P = ParamSpec("P")

# A list pointer's element size by the bits of an element.
SIZES: Final = {8: BYTE, 16: 3, 32: 4, 64: 5}

# Where a record keeps the number of a union's member that only newer peers know. No field's name has an underscore.
UNKNOWN_ARM: Final = "unknown_arm"

_BYTE: Final = NUMBERS["uint8"]

# By the two low bits of a pointer.
_KINDS: Final = ("struct", "list", "", "capability")

_HALF_WORD: Final = struct.Struct("<H")


def write_struct(struct_type: Writable[P], /, *_: P.args, **fields: P.kwargs) -> CapnpBody:
    """A message with these fields, ready to be sent.

    `write_struct(AudioClip, title="kick", samples=samples)`. Structs are given as dicts, groups too, unions by the
    member that is set, enums by name or number, Data as any buffer or a list of numbers; `None` leaves a pointer null.
    Lists of numbers may be numpy arrays or whatever numpy makes an array of; they are copied once, however large, and
    converted within their kind: float64 to float32, integers where they fit. A part of another message (a reader) is
    copied as it is. Raises FieldError for what the schema does not have or what does not fit.
    """
    if _:
        raise TypeError("a message's fields are given by name")
    # Compiled, a parameter's name clashes with a field's, positional or not. No field's name has an underscore.
    return write_fields(struct_type, fields)


def write_fields(struct: StructType, fields: Mapping[str, object]) -> CapnpBody:
    """As `write_struct`, its fields in a mapping."""
    return write_record(struct, fields)


def write_record(struct: StructType, fields: object) -> CapnpBody:
    """As `write_struct`, its fields in whatever a field of this struct could be given as."""
    layout = layout_of(struct)
    message = _Message(layout)
    try:
        message.struct(layout, ROOT, fields, None, NESTING_MAX)
        return CapnpBody(message.arena.body(), layout.type_id, layout.schema)
    except TooLarge as error:
        reason = "a number in it is too large for the list's type"
        raise FieldError(layout.display_name, path_of(error.trail), reason) from None


class _Message:
    """A message while it is written. Places are the arena's, trails lead to what is being written, for errors."""

    def __init__(self, layout: StructLayout) -> None:
        self.arena = Arena()
        self._schema = layout.display_name

    def struct(self, layout: StructLayout, pointer: int, value: object, trail: Trail, depth: int) -> None:
        """A struct for the pointer at this place."""
        fields = self._mapping(layout, value, trail)
        if depth <= 0:
            raise self._error(trail, f"nested deeper than {NESTING_MAX}, which no reader follows")
        at = self.arena.struct(pointer, layout.data_words, layout.pointers)
        self._fields(layout, at, fields, trail, depth - 1)

    def _fields(self, layout: StructLayout, at: int, fields: Mapping[str, object], trail: Trail, depth: int) -> None:
        """The fields of the struct at this place."""
        arm: Field | None = None
        for name, value in fields.items():
            here: Trail = (trail, name)
            field = layout.fields.get(name) or layout.fields.get(name.removesuffix("_"))
            if field is None:
                if name == UNKNOWN_ARM:
                    raise self._error(trail, f"a member of the union that is not known here is set: ({value})")
                raise self._error(here, f"no such field; there are {', '.join(layout.fields) or 'none'}")
            if field.arm >= 0:
                if arm is not None:
                    raise self._error(here, f"of a union only one member can be set, and {arm.name} is")
                arm = field
                _HALF_WORD.pack_into(self.arena.small, at + (layout.discriminant >> 3), field.arm)
            if field.is_data:
                self._data(field, at, value, here)
            elif field.is_group:
                assert isinstance(field.type, Struct)
                group = field.type.layout
                self._fields(group, at, self._mapping(group, value, here), here, depth)
            else:
                self._pointer(field.type, at + (layout.data_words + field.offset) * WORD, value, here, depth)

    def _data(self, field: Field, at: int, value: object, trail: Trail) -> None:
        """A field of the data section of the struct at this place, XORed with its default."""
        kind, small = field.type, self.arena.small
        place = at + (field.offset >> 3)
        if isinstance(kind, Number):
            encoded = self._fitting(number, kind, value, trail)
            # By its bits: -0.0 counts as no default to Python.
            default = struct.pack("<" + kind.code, field.default)
            if any(default):
                encoded = bytes(one ^ other for one, other in zip(encoded, default, strict=True))
            small[place : place + len(encoded)] = encoded
        elif isinstance(kind, Bool):
            if self._fitting(boolean, kind, value, trail) != field.default:
                small[place] |= 1 << (field.offset & 7)
        elif isinstance(kind, Enum):
            _HALF_WORD.pack_into(small, place, self._fitting(enumerant, kind, value, trail) ^ field.default)
        elif value is not None:
            raise self._error(trail, f"{shown(value)} is no Void; None is")

    def _pointer(self, kind: Type, pointer: int, value: object, trail: Trail, depth: int) -> None:
        if value is None:
            return
        if isinstance(kind, Text):
            self.arena.text(pointer, self._fitting(text, kind, value, trail))
        elif isinstance(kind, Data):
            self._numbers(_BYTE, pointer, self._fitting(data, kind, value, trail), trail)
        elif isinstance(kind, List):
            if depth <= 0:
                raise self._error(trail, f"nested deeper than {NESTING_MAX}, which no reader follows")
            self._list(kind.element, pointer, value, trail, depth - 1)
        elif isinstance(kind, Struct):
            reader = _message_of(value, kind.layout)
            if reader is not None and reader._layout is kind.layout:
                self._copy(pointer, reader)
            else:
                self.struct(kind.layout, pointer, value, trail, depth)
        else:
            assert isinstance(kind, AnyPointer), kind
            self._any(kind, pointer, value, trail)

    def _any(self, kind: AnyPointer, pointer: int, value: object, trail: Trail) -> None:
        """A value that says itself what it is, if it is of the kind that the schema wants."""
        reader = _message_of(value)
        found = _pointer_kind(value if reader is None else reader)
        if found and kind.kind not in ("anyKind", found):
            raise self._error(trail, f"{shown(value)} is a {found}, not {spelled(kind)}")
        if reader is not None:
            if reader._layout.is_group:
                raise self._error(trail, f"{reader._layout.name} is a group, no struct of its own")
            self._copy(pointer, reader)
        elif isinstance(value, AnyReader):
            value._copy_to(self.arena.small, pointer)
        elif isinstance(value, ListReader):
            self._copier(value._parts).copy_list(value._ref, pointer, value._trail)
        elif isinstance(value, str):
            self.arena.text(pointer, self._fitting(text, kind, value, trail))
        elif isinstance(value, bytes | bytearray | memoryview):
            self._numbers(_BYTE, pointer, self._fitting(data, kind, value, trail), trail)
        else:
            raise self._error(trail, f"{shown(value)} does not say its type; give a message, a text or bytes")

    def _list(self, element: Type, pointer: int, value: object, trail: Trail, depth: int) -> None:
        if isinstance(element, Number):
            self._numbers(element, pointer, self._fitting(array_of, element, value, trail), trail)
            return
        if isinstance(element, Enum):
            self._numbers(ENUM_NUMBER, pointer, self._enumerants(element, value, trail), trail)
            return
        if isinstance(element, Bool):
            self._bits(element, pointer, value, trail)
            return
        if isinstance(element, Struct) and isinstance(value, StructList) and value._kind._layout is element.layout:
            # Of another message, as it is, also what is not known of it here.
            self._copier(value._parts).copy_list(value._ref, pointer, value._trail)
            return
        items = self._fitting(items_of, element, value, trail)
        count = len(items)
        if isinstance(element, Struct):
            if depth <= 0:
                raise self._error(trail, f"nested deeper than {NESTING_MAX}, which no reader follows")
            layout = element.layout
            step = (layout.data_words + layout.pointers) * WORD
            if not step:
                self._check_sizeless(count, trail)
            at = self.arena.structs(pointer, count, layout.data_words, layout.pointers)
            for index, item in enumerate(items):
                here: Trail = (trail, index)
                self._fields(layout, at + index * step, self._mapping(layout, item, here), here, depth - 1)
        elif isinstance(element, Void):
            self._check_sizeless(count, trail)
            self.arena.list(pointer, VOID, count, 0)
        else:
            at = self.arena.list(pointer, POINTER, count, count * WORD)
            for index, item in enumerate(items):
                self._pointer(element, at + index * WORD, item, (trail, index), depth)

    def _numbers(self, kind: Number, pointer: int, values: "np.ndarray[Any, Any]", trail: Trail) -> None:
        self.arena.numbers(pointer, SIZES[kind.bits], values, kind.dtype, trail)

    def _enumerants(self, kind: Enum, value: object, trail: Trail) -> "np.ndarray[Any, Any]":
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
            return self._fitting(array_of, ENUM_NUMBER, value, trail)
        items = self._fitting(items_of, kind, value, trail)
        raw = [self._fitting(enumerant, kind, item, (trail, index)) for index, item in enumerate(items)]
        return np.array(raw, np.uint16)

    def _bits(self, kind: Bool, pointer: int, value: object, trail: Trail) -> None:
        if not (isinstance(value, np.ndarray) and value.dtype.kind == "b" and value.ndim == 1):
            items = self._fitting(items_of, kind, value, trail)
            value = np.array([self._fitting(boolean, kind, item, (trail, at)) for at, item in enumerate(items)], bool)
        bits = np.packbits(value, bitorder="little").tobytes()
        at = self.arena.list(pointer, BIT, len(value), len(bits))
        self.arena.small[at : at + len(bits)] = bits

    def _check_sizeless(self, count: int, trail: Trail) -> None:
        if count > WALK_WORDS_MIN:
            raise self._error(trail, f"{count} elements without size, which no reader takes; at most {WALK_WORDS_MIN}")

    def _mapping(self, layout: StructLayout, value: object, trail: Trail) -> Mapping[str, object]:
        if isinstance(value, Mapping):
            return value
        if isinstance(value, msgspec.Struct):
            # Under the names that they have when they are encoded, as `rename="camel"` makes them the schema's.
            given = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
            return {name: found for name, own in given if (found := getattr(value, own)) is not msgspec.UNSET}
        reader = _message_of(value, layout)
        if reader is not None and reader._layout is layout:
            return set_fields(reader)
        raise self._error(trail, f"{shown(value)} is no {layout.name}; a dict of its fields is")

    def _copy(self, pointer: int, reader: StructReader) -> None:
        """What another message has, copied as it is, also what is not known of it here."""
        self._copier(reader._parts).copy_struct(reader._ref, pointer, reader._trail)

    def _copier(self, parts: Segments) -> TreeCopier:
        return TreeCopier(parts, self.arena.small)

    def _fitting(self, convert: Callable[[Any, object], T], kind: Type, value: object, trail: Trail) -> T:
        """The value as this type has it. Raises FieldError."""
        try:
            return convert(kind, value)
        except Unfit as error:
            raise self._error(trail, str(error)) from None

    def _error(self, trail: Trail, reason: str) -> FieldError:
        return FieldError(self._schema, path_of(trail), reason)


def _message_of(value: object, layout: StructLayout | None = None) -> StructReader | None:
    """A message, or a part of one, that is there already, as a reader; a builder as one of this layout, if it can be.

    A builder of a generic struct does not say what its parameters are.
    """
    if isinstance(value, StructReader):
        return value
    if not is_builder(value):
        return None
    reader = read_builder(value)
    if layout is None or layout.type_id != reader._layout.type_id:
        return reader
    return reader_class(layout)(reader._parts, reader._ref, reader._depth, reader._trail)


def _pointer_kind(value: object) -> str:
    """What a pointer to this value points to, as the schema language's AnyPointer types tell kinds apart."""
    if isinstance(value, AnyReader):
        return _KINDS[value._target.pointer & 3] if value._target is not None else ""
    if isinstance(value, StructReader):
        return "struct"
    return "list" if isinstance(value, str | bytes | bytearray | memoryview | ListReader) else ""
