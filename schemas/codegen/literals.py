"""Values of a schema, defaults and annotations, as Python writes them."""

import math

from hootbus.schemas import model
from hootbus.schemas.codegen.defaults import stated_fields
from hootbus.schemas.codegen.types import CAPNP, Types
from hootbus.schemas.enumerant import Enumerant, enumerant_attribute
from hootbus.schemas.generated import value_in
from hootbus.schemas.layout import type_in
from hootbus.schemas.lists import ListReader
from hootbus.schemas.readers import StructReader, attribute_name
from hootbus.schemas.types import Enum, List, Struct, Type


class Literals:
    """Literals of one generated module."""

    def __init__(self, schema: model.Schema, types: Types) -> None:
        self._schema = schema
        self._types = types

    def default(self, kind: model.Type, value: model.Value) -> str:
        """The expression for a field's default, structs as records."""
        return self._spelled(type_in(self._schema, kind), value_in(self._schema, kind, value))

    def _spelled(self, kind: Type, value: object) -> str:
        """A value of a type in which whatever parameters it has are in place."""
        if isinstance(kind, Enum) and isinstance(value, Enumerant):
            own = self._types.declared(kind.id, CAPNP)
            return f"{own}.{enumerant_attribute(value)}" if value.known else f"{own}({value.raw})"
        if isinstance(kind, List) and isinstance(value, ListReader):
            return f"[{', '.join(self._spelled(kind.element, item) for item in value)}]"
        if isinstance(kind, Struct) and isinstance(value, StructReader):
            return f"{self._types.declared(kind.layout.type_id)}({', '.join(self._fields(value))})"
        return plain_literal(value, self._types)

    def _fields(self, reader: StructReader) -> list[str]:
        found: list[str] = []
        for field in stated_fields(reader):
            value = reader._get(field.name)
            if field.is_group and field.arm < 0 and not self._fields(value):
                continue
            # A member of a union that is set to a null pointer is set all the same.
            is_null = isinstance(field.type, Struct) and not field.is_group and not reader._has(field.name)
            spelled = "None" if is_null else self._spelled(field.type, value)
            found.append(f"{attribute_name(field.name)}={spelled}")
        return found


def plain_literal(value: object, types: Types) -> str:
    """A value in Python's own types: structs as dicts, enums as their names, Data as bytes."""
    if isinstance(value, float):
        if math.isfinite(value):
            return repr(value).replace("e+", "e")
        return f'{types.builtin("float")}("{value}")'
    if isinstance(value, memoryview | bytes):
        return "b" + quoted(bytes(value).decode("latin-1"), bytes(value))
    if isinstance(value, StructReader):
        return plain_literal(value.to_dict(), types)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quoted(str(key))}: {plain_literal(item, types)}' for key, item in value.items())}}}"
    if isinstance(value, ListReader | list):
        return f"[{', '.join(plain_literal(item, types) for item in value)}]"
    if isinstance(value, str):
        return quoted(str(value))
    if isinstance(value, bool | int) or value is None:
        return repr(value)
    return "None"


def quoted(text: str, value: str | bytes | None = None) -> str:
    """A string, or bytes without their `b`, in those quotes that need fewer escapes, double ones if it is the same."""
    spelled = repr(text if value is None else value).removeprefix("b")
    if spelled.startswith('"') or text.count('"') > text.count("'"):
        return spelled
    inner = spelled[1:-1].replace("\\'", "'").replace('"', '\\"')
    return f'"{inner}"'
