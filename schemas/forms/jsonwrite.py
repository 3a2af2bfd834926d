"""A message as JSON: the mapping of Cap'n Proto's own JsonCodec, as `capnp convert binary:json` writes it.

64-bit integers are strings, as JavaScript's numbers have 53 bits; so are NaN and the infinities. Data is a list of
numbers, Void is null, a group an object, and of a union there is the member that is set, behind all other fields. What
the annotations of `/capnp/compat/json.capnp` change about that is `jsonnames`' affair.
"""

import base64
import json
import math
from collections.abc import Iterator
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from hootbus.schemas.errors import FieldError
from hootbus.schemas.forms.jsonnames import Member, Spelling, spelling_of
from hootbus.schemas.forms.members import arm_of, is_present, spelled_float, spend_bytes, spend_list, spend_struct
from hootbus.schemas.layout import StructLayout
from hootbus.schemas.lists import ListReader
from hootbus.schemas.pointers import Trail, Walk, path_of
from hootbus.schemas.readers import AnyReader, StructReader
from hootbus.schemas.types import AnyPointer, Bool, Data, Enum, List, Number, Struct, Text, Type, Void

_LARGE_BITS: Final = 64


def write_capnp_json(reader: StructReader) -> str:
    """The struct as JSON, on one line, as `capnp convert --short` writes it.

    Null pointers are left out, but for a union's member. Raises FieldError if there is a pointer of no stated type that
    is not null, as JSON has no form for it, and for annotations that make no sense; BodyError if anything in the struct
    is malformed, or walking it would take far longer than the message is.
    """
    return _Writer(reader).struct(reader, spelling_of(reader._layout))


class _Writer:
    """One walk through a message."""

    def __init__(self, reader: StructReader) -> None:
        self._walk = Walk(reader._parts)
        self._schema = reader._layout.display_name

    def struct(self, reader: StructReader, spelling: Spelling) -> str:
        return f"{{{','.join(self._members(reader, spelling, ''))}}}"

    def _members(self, reader: StructReader, spelling: Spelling, prefix: str) -> Iterator[str]:
        """The fields of a struct, and of those that are flattened into it, each with its name."""
        if not reader._layout.is_group:
            spend_struct(self._walk, reader)
        for member in spelling.plain:
            if is_present(reader, member.field):
                yield from self._member(reader, member, prefix)
        if (arm := arm_of(reader)) is None:
            return
        member = spelling.arms[arm.arm]
        if spelling.tag is not None:
            yield f"{_name(prefix + spelling.tag)}:{_name(member.said)}"
            if isinstance(member.type, Void):
                return
        yield from self._member(reader, member, prefix)

    def _member(self, reader: StructReader, member: Member, prefix: str) -> Iterator[str]:
        field, kind = member.field, member.type
        if isinstance(kind, Struct) and not is_present(reader, field) and _is_endless(kind.layout):
            if not member.flat:
                yield f"{_name(prefix + member.name)}:null"
            return
        value = reader._get(field.name)
        if member.flat:
            assert member.inner is not None
            yield from self._members(value, member.inner, prefix + member.prefix)
            return
        trail: Trail = (reader._trail, field.name)
        if member.coding:
            spend_bytes(self._walk, value, trail)
            written = f'"{value.hex() if member.coding == "hex" else base64.b64encode(value).decode()}"'
        elif member.inner is not None:
            written = self.struct(value, member.inner)
        else:
            written = self._value(kind, value, trail)
        yield f"{_name(prefix + member.name)}:{written}"

    def _value(self, kind: Type, value: Any, trail: Trail) -> str:  # noqa: ANN401  # as `kind` says
        if isinstance(kind, Struct):
            return self.struct(value, spelling_of(kind.layout))
        if isinstance(kind, List):
            return self._list(kind.element, value)
        if isinstance(kind, Text):
            spend_bytes(self._walk, value, trail)
            return _text(value)
        if isinstance(kind, Data):
            spend_bytes(self._walk, value, trail)
            return f"[{','.join(map(str, value))}]"
        if isinstance(kind, AnyPointer):
            if value is None or (isinstance(value, AnyReader) and not value):
                return "null"
            raise FieldError(self._schema, path_of(trail), "a pointer of no stated type has no JSON form")
        if isinstance(kind, Enum):
            return _name(kind.names[value.raw]) if value.known else str(value.raw)
        return _simple(kind, value)

    def _list(self, element: Type, found: ListReader) -> str:
        spend_list(self._walk, found)
        items = (self._value(element, item, (found._trail, index)) for index, item in enumerate(found))
        return f"[{','.join(items)}]"


def _is_endless(layout: StructLayout) -> bool:
    """Whether a struct in which nothing is set would be written without end: null members of unions by their defaults.

    The tool does that until its stack is full.
    """
    found: bool | None = layout.derived.get(_is_endless)
    if found is None:
        found = layout.derived[_is_endless] = _leads_to_itself(layout)
    return found


def _leads_to_itself(layout: StructLayout) -> bool:
    firsts: dict[StructLayout, set[StructLayout]] = {}
    waiting = [layout]
    while waiting:
        each = waiting.pop()
        if each not in firsts:
            firsts[each] = _first_members(each)
            waiting += firsts[each]
    try:
        TopologicalSorter(firsts).prepare()
    except CycleError:
        return True
    return False


def _first_members(layout: StructLayout) -> set[StructLayout]:
    """The groups, and the structs that are set, to null, in a struct in which nothing is set."""
    return {
        field.type.layout
        for field in layout.fields.values()
        if isinstance(field.type, Struct) and (field.arm == 0 or (field.arm < 0 and field.is_group))
    }


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


# There are few, and they come again and again.
_name: Final = lru_cache(maxsize=4096)(_text)


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
