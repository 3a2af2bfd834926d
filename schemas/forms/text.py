"""The text form of a message: the struct literals of the schema language, as `capnp decode` writes them.

`(title = "kick", samples = [0, 0.5], state = playing)`: fields in the order of their numbers, null pointers left out,
of a union the member that is set. Byte for byte the tool's output, also where it breaks lines; `textparse` reads it.
"""

import math
from typing import Any, Final, TypeAlias

from hootbus.schemas.forms.members import (
    arm_of,
    is_present,
    spelled_float,
    spend_bytes,
    spend_list,
    spend_struct,
)
from hootbus.schemas.jsonable import OPAQUE
from hootbus.schemas.layout import Field
from hootbus.schemas.lists import ListReader
from hootbus.schemas.pointers import Trail, Walk
from hootbus.schemas.readers import StructReader
from hootbus.schemas.types import AnyPointer, Bool, Data, Enum, List, Number, Struct, Text, Type, Void

# What the tool puts on one line: values so long, in bytes, and of a struct all values together so long.
INLINE_VALUE_BYTES_MAX: Final = 24
INLINE_STRUCT_BYTES_MAX: Final = 64

_NAMED_ESCAPES: Final = {
    "\a": r"\a",
    "\b": r"\b",
    "\f": r"\f",
    "\n": r"\n",
    "\r": r"\r",
    "\t": r"\t",
    "\v": r"\v",
    "'": r"\'",
    '"': r"\"",
    "\\": r"\\",
}
_ESCAPES: Final = {
    ord(char): _NAMED_ESCAPES.get(char, f"\\{ord(char):03o}") for char in map(chr, [*range(32), 127])
} | {ord(char): escape for char, escape in _NAMED_ESCAPES.items()}
_ESCAPED_BYTES: Final = tuple(chr(byte).translate(_ESCAPES) if byte < 128 else f"\\{byte:03o}" for byte in range(256))

_Indent: TypeAlias = int
"""How many levels deep, from 1 on; 0 for all on one line."""


def write_text(reader: StructReader, *, pretty: bool = False) -> str:
    """The struct as text, in one line, or (`pretty`) broken as by `capnp decode`, without a line end.

    Pointers of no stated type are `<opaque pointer>`, which cannot be read again. Raises BodyError if anything in the
    struct is malformed, or walking it would take far longer than the message is.
    """
    return _Writer(reader).struct(reader, int(pretty), after_name=False)


class _Writer:
    """One walk through a message."""

    def __init__(self, reader: StructReader) -> None:
        self._walk = Walk(reader._parts)

    def struct(self, reader: StructReader, indent: _Indent, *, after_name: bool) -> str:
        if not reader._layout.is_group:
            spend_struct(self._walk, reader)
        arm = arm_of(reader)
        if arm is not None and arm.arm == 0 and not is_present(reader, arm):
            # As in a struct in which nothing was set.
            arm = None
        items = [
            f"{field.name} = {self._member(reader, field, _deeper(indent))}"
            for field in reader._layout.by_number
            if (is_present(reader, field) if field.arm < 0 else arm is not None and field.arm == arm.arm)
        ]
        inline = all(map(_is_short, items)) and sum(map(_byte_count, items)) <= INLINE_STRUCT_BYTES_MAX
        return f"({_joined(items, indent, inline, after_name)})"

    def _member(self, reader: StructReader, field: Field, indent: _Indent) -> str:
        trail: Trail = (reader._trail, field.name)
        return self._value(field.type, reader._get(field.name), indent, True, trail)

    def _value(self, kind: Type, value: Any, indent: _Indent, after_name: bool, trail: Trail) -> str:  # noqa: ANN401  # as `kind` says
        if isinstance(kind, Struct):
            return self.struct(value, indent, after_name=after_name)
        if isinstance(kind, List):
            return self._list(kind.element, value, indent, after_name)
        if isinstance(kind, Text | Data):
            spend_bytes(self._walk, value, trail)
            escaped = (
                value.translate(_ESCAPES) if isinstance(value, str) else "".join(map(_ESCAPED_BYTES.__getitem__, value))
            )
            return f'"{escaped}"'
        if isinstance(kind, AnyPointer):
            return OPAQUE
        return _simple(kind, value)

    def _list(self, element: Type, found: ListReader, indent: _Indent, after_name: bool) -> str:
        spend_list(self._walk, found)
        inner = _deeper(indent)
        trail = found._trail
        items = [self._value(element, item, inner, False, (trail, index)) for index, item in enumerate(found)]
        return f"[{_joined(items, indent, all(map(_is_short, items)), after_name)}]"


def _simple(kind: Void | Bool | Number | Enum, value: Any) -> str:  # noqa: ANN401  # as `kind` says
    if isinstance(kind, Void):
        return "void"
    if isinstance(kind, Bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # nan, inf and -inf are spelled as Python does it.
        assert isinstance(kind, Number)
        return spelled_float(value, single=kind.bits == 32) if math.isfinite(value) else str(value)
    # An enumerant that is not known here is spelled `(17)`.
    return str(value)


def _joined(items: list[str], indent: _Indent, inline: bool, after_name: bool) -> str:
    if not indent or inline:
        return ", ".join(items)
    line = "\n" + " " * (2 * indent)
    # What follows a name begins on a line of its own, everything else behind its bracket.
    return (line if after_name else " ") + f",{line}".join(items) + " "


def _deeper(indent: _Indent) -> _Indent:
    return indent + 1 if indent else 0


def _is_short(text: str) -> bool:
    return len(text) <= INLINE_VALUE_BYTES_MAX and "\n" not in text and _byte_count(text) <= INLINE_VALUE_BYTES_MAX


def _byte_count(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
