"""A whole message as dicts, lists and plain values."""

from collections.abc import Iterator
from typing import Any

from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.layout import Field
from hootbus.schemas.lists import ListReader, NumberList, StructList
from hootbus.schemas.pointers import Walk, malformed
from hootbus.schemas.readers import StructReader
from hootbus.schemas.segments import WORD


def as_dict(reader: StructReader) -> dict[str, Any]:
    """As `StructReader.to_dict`."""
    return _struct(reader, Walk(reader._parts))


def _struct(reader: StructReader, walk: Walk) -> dict[str, Any]:
    ref = reader._ref
    walk.spend(1 + (ref.data_bits >> 6) + ref.pointers, reader._trail)
    return _fields(reader, walk)


def set_fields(reader: StructReader) -> dict[str, Any]:
    """The fields that are set, by name, as a reader gives them. Raises BodyError if a newer peer's arm is set."""
    if reader._layout.discriminant >= 0 and not (arm := reader.which()).known:
        raise malformed(reader._parts, reader._trail, f"a member of the union is set that is not known here: {arm}")
    return {field.name: _value(reader, field) for field in _set(reader)}


def _set(reader: StructReader) -> Iterator[Field]:
    """The fields of a struct that are set."""
    layout = reader._layout
    # By its number: two threads may both have worked out the fields, and one of them the union's.
    arm = reader.which().raw if layout.discriminant >= 0 else -1
    for field in layout.fields.values():
        if field.arm not in (-1, arm):
            continue
        if field.arm >= 0 or field.is_data or field.is_group or reader._has(field.name):
            yield field


def _value(reader: StructReader, field: Field) -> Any:  # noqa: ANN401  # what the schema says
    # A member of a union that is set to a null pointer is set all the same.
    if field.arm >= 0 and not reader._has(field.name):
        return None
    return reader._get(field.name)


def _fields(reader: StructReader, walk: Walk) -> dict[str, Any]:
    return {
        field.name: _fields(reader._get(field.name), walk) if field.is_group else _plain(_value(reader, field), walk)
        for field in _set(reader)
    }


def _plain(value: object, walk: Walk) -> object:
    if isinstance(value, StructReader):
        return _struct(value, walk)
    if isinstance(value, ListReader):
        walk.spend(1 + value._ref.words, value._trail)
        if isinstance(value, StructList):
            # The structs lie in the list, and are counted with it.
            return [_fields(item, walk) for item in value]
        return list(value) if isinstance(value, NumberList) else [_plain(item, walk) for item in value]
    if isinstance(value, memoryview):
        walk.spend(1 + value.nbytes // WORD, None)
        return bytes(value)
    if isinstance(value, Enumerant):
        # It lies in the struct or list around it, and is counted with that. One that this process does not know stays
        # one that can be written again.
        return str(value) if value.known else value
    if isinstance(value, str):
        walk.spend(1 + len(value) // WORD, None)
        return value
    return value
