"""A message from the JSON that `jsonwrite` writes, held to the schema: what this does not have is an error.

Nothing is dropped and nothing is guessed: not a field that is not there, nor a name that is there twice, nor which
member of a union is meant. Errors name the path in the JSON, under the names that things have there.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from hootbus.schemas.body import CapnpBody
from hootbus.schemas.errors import BodyError, FieldError
from hootbus.schemas.forms.jsonnames import Member, Spelling, spelling_of
from hootbus.schemas.forms.members import single_precision
from hootbus.schemas.layout import layout_of
from hootbus.schemas.pointers import NESTING_MAX, Trail, path_of
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import AnyPointer, Bool, Data, Enum, Number, Struct, Text, Type, Void, spelled
from hootbus.schemas.values import SHOWN_MAX
from hootbus.schemas.writer import write_fields

_NON_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER: Final = re.compile(r"-?[0-9]{1,20}")
_FLOAT: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
# As long as any integer that a schema has room for, and longer than that for floats.
_DIGITS_MAX: Final = 400
_ENUMERANT_MAX: Final = 2**16 - 1


def read_capnp_json(text: str, struct: StructType) -> CapnpBody:
    """The message that a JSON object describes.

    Numbers are also taken as strings, enums by name or number, null for any pointer. Raises BodyError, whose field is
    the path, for what is no JSON object and for what the schema does not have or has no room for; FieldError if it is
    the schema's annotations that make no sense.
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
    spelling = spelling_of(layout_of(struct))
    at = _skip_space(text, 0)
    while at < len(text):
        value, at = _decoded(text, at)
        fields = _struct(spelling, value, None, NESTING_MAX)
        try:
            body = write_fields(struct, fields)
        except FieldError as error:
            raise BodyError(error.field, error.reason) from None
        yield body
        at = _skip_space(text, at)


# The text.


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


# Structs and their names.


def _struct(spelling: Spelling, value: object, trail: Trail, depth: int) -> Mapping[str, object]:
    """The fields as the writer takes them."""
    if not isinstance(value, dict):
        raise _unfit(trail, value, f"{spelling.layout.name}, which is an object")
    left = dict(value)
    fields = _fields(spelling, left, "", trail, depth)
    for name in left:
        if name in spelling.names:
            raise BodyError(path_of((trail, name)), "belongs to a member of a union that is not the one that is set")
        raise BodyError(path_of((trail, name)), f"no such field; there are {', '.join(spelling.names) or 'none'}")
    return fields


def _fields(spelling: Spelling, left: dict[str, object], prefix: str, trail: Trail, depth: int) -> dict[str, object]:
    """The fields of a struct, and of those that are flattened into it. What it understands it takes out of `left`."""
    fields: dict[str, object] = {}
    for member in spelling.plain:
        if member.flat:
            if inner := _flat(member, left, prefix, trail, depth):
                fields[member.field.name] = inner
        elif (name := prefix + member.name) in left:
            fields[member.field.name] = _member(member, left.pop(name), (trail, name), depth)
    if spelling.arms:
        _union(spelling, fields, left, prefix, trail, depth)
    return fields


def _flat(member: Member, left: dict[str, object], prefix: str, trail: Trail, depth: int) -> dict[str, object]:
    assert member.inner is not None
    return _fields(member.inner, left, prefix + member.prefix, trail, depth if member.field.is_group else depth - 1)


def _union(
    spelling: Spelling, fields: dict[str, object], left: dict[str, object], prefix: str, trail: Trail, depth: int
) -> None:
    """The member of the union that is set, if anything is said of it."""
    about = [name for name in left if name.startswith(prefix) and spelling.names.get(name[len(prefix) :])]
    if not about:
        return
    if spelling.tag is None:
        member = _only(spelling, about, prefix, trail)
    else:
        member = _said(spelling, left, prefix + spelling.tag, trail)
    name = prefix + member.name
    if member.flat:
        inner = _flat(member, left, prefix, trail, depth)
        fields[member.field.name] = inner if inner or member.field.is_group else None
    elif name in left:
        fields[member.field.name] = _member(member, left.pop(name), (trail, name), depth)
    else:
        fields[member.field.name] = {} if member.field.is_group else member.field.default


def _only(spelling: Spelling, about: list[str], prefix: str, trail: Trail) -> Member:
    """The union's member that is there."""
    for name in about:
        if name[len(prefix) :] not in spelling.by_name:
            reason = "nobody can tell which member of a union it belongs to: the schema names no discriminator"
            raise BodyError(path_of((trail, name)), reason)
    if len(about) > 1:
        raise BodyError(path_of((trail, about[1])), f"of a union only one member can be set, and {about[0]} is")
    return spelling.by_name[about[0][len(prefix) :]]


def _said(spelling: Spelling, left: dict[str, object], tag: str, trail: Trail) -> Member:
    """The union's member that the discriminator says."""
    here = path_of((trail, tag))
    there_are = f"there are {', '.join(member.said for member in spelling.arms.values())}"
    if tag not in left:
        raise BodyError(here, f"it is missing, and says which member of a union is set; {there_are}")
    said = left.pop(tag)
    member = spelling.arm_called(said) if isinstance(said, str) else None
    if member is None:
        raise BodyError(here, f"{_shown(said)} is no member of the union; {there_are}")
    return member


# Values.


def _member(member: Member, value: object, trail: Trail, depth: int) -> object:
    if member.inner is not None:
        return _struct(member.inner, value, trail, depth)
    if member.coding and value is not None:
        return _coded(member.coding, value, trail)
    return _value(member.type, value, trail, depth)


def _value(kind: Type, value: object, trail: Trail, depth: int) -> object:
    if isinstance(kind, Number):
        return _number(kind, value, trail)
    if isinstance(kind, Void | Bool):
        if value is not None if isinstance(kind, Void) else not isinstance(value, bool):
            raise _unfit(trail, value, spelled(kind))
        return value
    if isinstance(kind, Enum):
        return _enumerant(kind, value, trail)
    if value is None:
        return None
    if isinstance(kind, Text):
        return _text(value, trail)
    if isinstance(kind, AnyPointer):
        raise BodyError(path_of(trail), "a pointer of no stated type has no JSON form")
    if depth <= 0:
        raise BodyError(path_of(trail), f"nested deeper than {NESTING_MAX}")
    if isinstance(kind, Struct):
        return _struct(spelling_of(kind.layout), value, trail, depth - 1)
    if not isinstance(value, list):
        raise _unfit(trail, value, f"{spelled(kind)}, which is a list")
    if isinstance(kind, Data):
        return _data(value, trail)
    return [_value(kind.element, item, (trail, index), depth - 1) for index, item in enumerate(value)]


def _text(value: object, trail: Trail) -> str:
    if not isinstance(value, str):
        raise _unfit(trail, value, "Text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BodyError(path_of(trail), f"a text that UTF-8 cannot say, at character {error.start}") from None
    return value


def _enumerant(kind: Enum, value: object, trail: Trail) -> int:
    if isinstance(value, str) and value in kind.names:
        return kind.names.index(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _ENUMERANT_MAX:
        raise _unfit(trail, value, f"{kind.name}; there are {', '.join(kind.names)}")
    return value


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


def _coded(coding: str, value: object, trail: Trail) -> bytes:
    """Data as a string, spelled as it would be written, but for capitals in hex: nothing in it is passed over."""
    if isinstance(value, str) and coding == "hex" and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    if isinstance(value, str) and coding == "base64":
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            found = None
        if found is not None and base64.b64encode(found).decode() == value:
            return found
    raise _unfit(trail, value, f"Data, which is a string in {coding}")


def _unfit(trail: Trail, value: object, what: str) -> BodyError:
    return BodyError(path_of(trail), f"{_shown(value)} is no {what}")


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= SHOWN_MAX else shown[:SHOWN_MAX] + "…"
