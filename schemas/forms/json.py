"""The JSON form of a message: the mapping of Cap'n Proto's own JsonCodec, as `capnp convert binary:json` writes it.

64-bit integers are strings, as JavaScript's numbers have 53 bits; so are NaN and the infinities. Data is a list of
numbers, Void is null, a group an object, and of a union there is the member that is set, behind all other fields. What
is read is held to the schema: a field that it does not have is an error, never dropped.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hootbus.schemas.body import CapnpBody
from hootbus.schemas.errors import BodyError, FieldError
from hootbus.schemas.forms.members import (
    arm_of,
    by_ordinal,
    is_present,
    single_precision,
    spelled_float,
    spend_bytes,
    spend_list,
    spend_struct,
)
from hootbus.schemas.layout import Field, StructLayout, layout_of
from hootbus.schemas.lists import ListReader
from hootbus.schemas.pointers import NESTING_MAX, Trail, Walk, path_of
from hootbus.schemas.readers import AnyReader, StructReader
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import AnyPointer, Bool, Data, Enum, List, Number, Struct, Text, Type, Void, spelled
from hootbus.schemas.values import SHOWN_MAX
from hootbus.schemas.writer import write_fields

_LARGE_BITS: Final = 64
_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_FLOAT: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
# As long as any integer that a schema has room for, and longer than that for floats.
_DIGITS_MAX: Final = 400


def write_capnp_json(reader: StructReader) -> str:
    """The struct as JSON, on one line, as `capnp convert --short` writes it.

    Null pointers are left out, but for a union's member. Raises FieldError if there is a pointer of no stated type that
    is not null, as JSON has no form for it; BodyError if anything in the struct is malformed, or walking it would take
    far longer than the message is.
    """
    return _Writer(reader).struct(reader)


def read_capnp_json(text: str, struct: StructType) -> CapnpBody:
    """The message that a JSON object describes.

    Numbers are also taken as strings, enums by name or number, null for any pointer. Raises BodyError, whose field is
    the path, for what is no JSON object and for what the schema does not have or has no room for.
    """
    bodies = read_capnp_jsons(text, struct)
    body = next(bodies, None)
    if body is None:
        raise BodyError("", "no JSON object, but nothing at all")
    if next(bodies, None) is not None:
        raise BodyError("", "more than one JSON object")
    return body


def read_capnp_jsons(text: str, struct: StructType) -> Iterator[CapnpBody]:
    """The messages that several JSON objects in a row describe, one after the other. Raises as `read_capnp_json`."""
    layout = layout_of(struct)
    at = _skip_space(text, 0)
    while at < len(text):
        value, at = _decoded(text, at)
        fields = _struct(layout, value, None, NESTING_MAX)
        try:
            body = write_fields(struct, fields)
        except FieldError as error:
            raise BodyError(error.field, error.reason) from None
        yield body
        at = _skip_space(text, at)


class _Writer:
    """One walk through a message."""

    def __init__(self, reader: StructReader) -> None:
        self._walk = Walk(reader._parts)
        self._schema = reader._layout.display_name

    def struct(self, reader: StructReader) -> str:
        if not reader._layout.is_group:
            spend_struct(self._walk, reader)
        fields = [field for field in by_ordinal(reader._layout) if field.arm < 0 and is_present(reader, field)]
        if (arm := arm_of(reader)) is not None:
            fields.append(arm)
        return f"{{{','.join(self._member(reader, field) for field in fields)}}}"

    def _member(self, reader: StructReader, field: Field) -> str:
        kind = field.type
        if isinstance(kind, Struct) and not is_present(reader, field) and _is_endless(kind.layout):
            return f'"{field.name}":null'
        return f'"{field.name}":{self._value(kind, reader._get(field.name), (reader._trail, field.name))}'

    def _value(self, kind: Type, value: Any, trail: Trail) -> str:  # noqa: ANN401  # as `kind` says
        if isinstance(kind, Struct):
            return self.struct(value)
        if isinstance(kind, List):
            return self._list(kind.element, value)
        if isinstance(kind, Text):
            spend_bytes(self._walk, value, trail)
            return json.dumps(str(value), ensure_ascii=False)
        if isinstance(kind, Data):
            spend_bytes(self._walk, value, trail)
            return f"[{','.join(map(str, value))}]"
        if isinstance(kind, AnyPointer):
            if value is None or (isinstance(value, AnyReader) and not value):
                return "null"
            raise FieldError(self._schema, path_of(trail), "a pointer of no stated type has no JSON form")
        if isinstance(kind, Enum):
            return f'"{value}"' if value.known else str(value.raw)
        return _simple(kind, value)

    def _list(self, element: Type, found: ListReader) -> str:
        spend_list(self._walk, found)
        items = (self._value(element, item, (found._trail, index)) for index, item in enumerate(found))
        return f"[{','.join(items)}]"


def _is_endless(layout: StructLayout, above: tuple[StructLayout, ...] = ()) -> bool:
    """Whether a struct in which nothing is set would be written without end: null members of unions by their defaults.

    The tool does that until its stack is full.
    """
    return layout in above or any(_is_endless(first, (*above, layout)) for first in _first_members(layout))


def _first_members(layout: StructLayout) -> Iterator[StructLayout]:
    """The structs that are set, to null, in a struct in which nothing is set."""
    for field in layout.fields.values():
        if field.arm <= 0 and isinstance(field.type, Struct):
            if field.is_group:
                yield from _first_members(field.type.layout)
            elif field.arm == 0:
                yield field.type.layout


def _simple(kind: Void | Bool | Number, value: Any) -> str:  # noqa: ANN401  # as `kind` says
    if isinstance(kind, Void):
        return "null"
    if isinstance(kind, Bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isfinite(value):
            return spelled_float(value, single=False)
        return '"NaN"' if math.isnan(value) else f'"{"-" * (value < 0)}Infinity"'
    return f'"{value}"' if kind.bits == _LARGE_BITS else str(value)


def _skip_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _decoded(text: str, at: int) -> tuple[object, int]:
    """The JSON value that begins there, and where it ends."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise BodyError("", f"no JSON: {error}") from None
    except RecursionError:
        raise BodyError("", "no JSON of a message: nested too deeply") from None


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in members:
        if name in found:
            raise BodyError("", f"an object has {name!r} twice")
        found[name] = value
    return found


def _integer(digits: str) -> float:
    if len(digits) > _DIGITS_MAX:
        raise BodyError("", f"a number of {len(digits)} digits")
    # Zero has a sign in floats.
    return -0.0 if digits == "-0" else int(digits)


def _finite(digits: str) -> float:
    found = float(digits)
    if math.isinf(found):
        raise BodyError("", f"{digits[:20]} is more than a Float64 has room for")
    return found


def _no_number(name: str) -> float:
    raise BodyError("", f'no JSON: {name}; it is the string "{name}"')


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_finite, parse_constant=_no_number
)


def _struct(layout: StructLayout, value: object, trail: Trail, depth: int) -> Mapping[str, object]:
    """The fields as the writer takes them. What is left for it to check are names and what is set in unions."""
    if not isinstance(value, dict):
        raise _unfit(trail, value, f"{layout.name}, which is an object")
    fields: dict[str, object] = {}
    for name, inner in value.items():
        field = layout.fields.get(name)
        # The writer says what fields there are.
        fields[name] = inner if field is None else _value(field.type, inner, (trail, name), depth)
    return fields


def _value(kind: Type, value: object, trail: Trail, depth: int) -> object:
    if isinstance(kind, Number):
        return _number(kind, value, trail)
    if isinstance(kind, Void | Bool):
        if value is not None if isinstance(kind, Void) else not isinstance(value, bool):
            raise _unfit(trail, value, spelled(kind))
        return value
    if isinstance(kind, Enum):
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise _unfit(trail, value, kind.name)
        return value
    if isinstance(kind, Struct) and kind.layout.is_group:
        return _struct(kind.layout, value, trail, depth)
    if value is None:
        return None
    if isinstance(kind, Text):
        if not isinstance(value, str):
            raise _unfit(trail, value, "Text")
        return value
    if isinstance(kind, AnyPointer):
        raise BodyError(path_of(trail), "a pointer of no stated type has no JSON form")
    if depth <= 0:
        raise BodyError(path_of(trail), f"nested deeper than {NESTING_MAX}")
    if isinstance(kind, Struct):
        return _struct(kind.layout, value, trail, depth - 1)
    if not isinstance(value, list):
        raise _unfit(trail, value, f"{spelled(kind)}, which is a list")
    if isinstance(kind, Data):
        return _data(value, trail)
    return [_value(kind.element, item, (trail, index), depth - 1) for index, item in enumerate(value)]


def _number(kind: Number, value: object, trail: Trail) -> float:
    if isinstance(value, str):
        value = _number_of(kind, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _unfit(trail, value, spelled(kind))
    if kind.code in "fd":
        return _float(kind, value, trail)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or not _has_room(kind, value):
        raise _unfit(trail, value, spelled(kind))
    return value


def _number_of(kind: Number, text: str) -> object:
    """The number that a string spells, else the string."""
    if kind.code in "fd":
        if text in _NON_FINITE:
            return _NON_FINITE[text]
        return _finite(text) if _FLOAT.fullmatch(text) else text
    return int(text) if _INTEGER.fullmatch(text) else text


def _float(kind: Number, value: float, trail: Trail) -> float:
    try:
        found = float(value)
        return single_precision(found) if kind.bits == 32 else found
    except OverflowError:
        raise _unfit(trail, value, spelled(kind)) from None


def _has_room(kind: Number, value: int) -> bool:
    if kind.code.islower():
        return -1 << kind.bits - 1 <= value < 1 << kind.bits - 1
    return 0 <= value < 1 << kind.bits


def _data(value: list[object], trail: Trail) -> bytes:
    found = [item for item in value if type(item) is int and 0 <= item <= 255]
    if len(found) < len(value):
        raise BodyError(path_of(trail), "is no Data, which is a list of numbers from 0 to 255")
    return bytes(found)


def _unfit(trail: Trail, value: object, what: str) -> BodyError:
    if isinstance(value, dict | list):
        shown = "an object" if isinstance(value, dict) else "a list"
    else:
        shown = json.dumps(value, ensure_ascii=False)
    return BodyError(path_of(trail), f"{shown if len(shown) <= SHOWN_MAX else shown[:SHOWN_MAX] + '…'} is no {what}")
