"""What a default says, and which defaults have no end.

`struct User { name @0 :Text; deputy @1 :User = (name = "nobody"); }`: whoever reads the deputy of a deputy finds
another one. A reader is asked step by step; a record would have them all.
"""

from collections.abc import Iterator
from typing import TypeAlias

from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.layout import Field, StructLayout
from hootbus.schemas.lists import ListReader
from hootbus.schemas.pointers import NESTING_MAX
from hootbus.schemas.readers import StructReader, read_pointer
from hootbus.schemas.types import List, Struct

_Place: TypeAlias = tuple[StructLayout, Field]


def stated_fields(reader: StructReader) -> Iterator[Field]:
    """The fields of a default that say something: groups, the union's member, and what is not as it would be anyway."""
    for field in _present(reader):
        if field.arm >= 0 or field.is_group:
            yield field
        elif not field.is_data:
            if reader._has(field.name):
                yield field
        else:
            value = reader._get(field.name)
            if (value.raw if isinstance(value, Enumerant) else value) != field.default:
                yield field


def is_endless(struct: StructLayout, name: str) -> bool:
    """Whether reading a field that is null, and all that its default leads to, comes to the same field again, null."""
    start = struct.field(name)
    seen: set[tuple[StructLayout, str]] = set()
    waiting = list(_null_within(_default(start)))
    while waiting:
        owner, field = waiting.pop()
        if (owner.type_id, field.name) == (struct.type_id, name):
            return True
        if (owner, field.name) not in seen:
            seen.add((owner, field.name))
            waiting += _null_within(_default(field))
    return False


def _default(field: Field) -> object:
    """What is read where the field is null."""
    default = field.pointer_default
    if default is None:
        return None
    return read_pointer(field.type)(default.parts, default.target, NESTING_MAX, None)


def _null_within(value: object) -> Iterator[_Place]:
    """The fields that are null anywhere in a default, and have one themselves."""
    if isinstance(value, ListReader):
        for item in value:
            yield from _null_within(item)
    if not isinstance(value, StructReader):
        return
    for field in _present(value):
        if field.is_data or not isinstance(field.type, Struct | List):
            continue
        if field.is_group or value._has(field.name):
            yield from _null_within(value._get(field.name))
        elif field.arm < 0 and field.pointer_default is not None:
            yield value._layout, field


def _present(reader: StructReader) -> Iterator[Field]:
    """The fields of a struct, of its union the member that is set."""
    layout = reader._layout
    arm = reader.which().raw if layout.discriminant >= 0 else -1
    return (field for field in layout.fields.values() if field.arm in (-1, arm))
