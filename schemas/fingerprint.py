"""Fingerprints: 64 bits that say what a type means on the wire, for two peers to compare in a word.

A fingerprint is that of a description, which is text, of the type and of all that its messages can contain. In it are
type ids, the places, types, defaults, unions' numbers and names of fields, the names of an enum's values, and what the
parameters of generics stand for. So it changes with a field that is added, wherever in the message.

Names of fields and enumerants leave no trace in the bytes, but they are what the bytes mean: a reader for whom 0 is
"left" and a writer for whom it is "right" must not be taken for equal. And they are what a body in JSON is written in.

Not in it is what neither bits nor meaning have: names of types and files, comments, annotations, constants, the order
in the text, groups that only group, fields of type Void outside of unions, and the numbers of fields, as their places
follow from these. A capability is described by its interface's id and what the parameters of that stand for: methods
are called by name, and are in no message.
"""

import hashlib
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from hootbus.schemas import model
from hootbus.schemas.bits import ANY, bindings_of, is_unset, leaves_of
from hootbus.schemas.structs import StructType, declaration_of

# Part of what is hashed, so that another description can never have the same fingerprint by intent.
_VERSION: Final = "hootbus fingerprint 1"
_ANY_NAMES: Final = {"anyKind": "any", "struct": "anyStruct", "list": "anyList", "capability": "capability"}


class _Known(NamedTuple):
    """What was worked out of a schema: the fingerprints, and for each type its description's hash and what it names."""

    fingerprints: dict[int, int]
    described: dict[int, tuple[bytes, tuple[int, ...]]]


_KNOWN: Final = (_Known,)


def fingerprint(schema: model.Schema, type_id: int) -> int:
    """The fingerprint of a struct or an enum, never 0. Raises LookupError where the schema lacks a type."""
    known: _Known | None = schema.derived.get(_KNOWN)
    if known is None:
        known = schema.derived.setdefault(_KNOWN, _Known({}, {}))
        assert known is not None
    found = known.fingerprints.get(type_id)
    if found is None:
        types = sorted(_reachable(schema, known, type_id))
        whole = f"{_VERSION}\n{_id(type_id)}\n".encode() + b"".join(known.described[each][0] for each in types)
        found = known.fingerprints[type_id] = _number(hashlib.sha256(whole).digest())
    return found


def fingerprint_of(struct_type: StructType) -> int:
    """The fingerprint of a struct type, wherever it comes from; worked out once."""
    return fingerprint(*declaration_of(struct_type))


def describe(schema: model.Schema, type_id: int) -> str:
    """What a fingerprint is made of: of each type that a message can contain its bits, a line for each fact.

    For whoever wonders why two fingerprints differ. Raises LookupError where the schema lacks a type.
    """
    types = sorted(_reachable(schema, _Known({}, {}), type_id))
    return "\n".join(line for each in types for line in facts_of(schema, schema.node(each)))


@lru_cache(4096)
def method_fingerprint(request: int, reply: int) -> int:
    """The fingerprint of a method, from those of its types; 0 for one without a type. The wire has its name as such."""
    return _number(hashlib.sha256(f"{_VERSION}\nmethod {_id(request)} {_id(reply)}\n".encode()).digest())


def _reachable(schema: model.Schema, known: _Known, type_id: int) -> set[int]:
    found: set[int] = set()
    waiting = [type_id]
    while waiting:
        each = waiting.pop()
        if each in found:
            continue
        found.add(each)
        if each not in known.described:
            node = schema.node(each)
            digest = hashlib.sha256("\n".join(facts_of(schema, node)).encode()).digest()
            known.described[each] = digest, tuple(set(contained(schema, node)))
        waiting += known.described[each][1]
    return found


def contained(schema: model.Schema, node: model.Node) -> Iterator[int]:
    """The ids of the structs and enums that a message of this struct can contain next."""
    if isinstance(node.body, model.Struct):
        for leaf in leaves_of(schema, node.body):
            yield from _contained(schema, leaf.slot.type)


def _contained(schema: model.Schema, kind: model.Type) -> Iterator[int]:
    if isinstance(kind, model.ListType):
        yield from _contained(schema, kind.element)
    elif isinstance(kind, model.EnumType):
        yield kind.id
    elif isinstance(kind, model.StructType):
        yield kind.id
        for types in bindings_of(schema, kind).values():
            for each in types:
                yield from _contained(schema, each)


def facts_of(schema: model.Schema, node: model.Node) -> list[str]:
    """The lines that describe one type, without those that it contains."""
    body = node.body
    if isinstance(body, model.Enum):
        return [f"enum {_id(node.id)}", *(f"value {enumerant.name}" for enumerant in body.enumerants)]
    if not isinstance(body, model.Struct):
        return [f"{type(body).__name__.lower()} {_id(node.id)}"]
    lines = set()
    for leaf in leaves_of(schema, body):
        # Each member of a union, whether or not there is more in it than that it is set.
        lines |= {
            f"member {_arms(leaf.arms[:depth])} {leaf.path[length - 1]}" for depth, length in enumerate(leaf.depths, 1)
        }
        kind, slot = leaf.slot.type, leaf.slot
        if kind != model.SimpleType("void"):
            default = "" if is_unset(kind, slot.default) else f" = {_value(slot.default)}"
            inside = f" in {_arms(leaf.arms)}" if leaf.arms else ""
            lines.add(f"field {leaf.name} {_type(schema, kind)} {slot.offset}{inside}{default}")
    return [f"struct {_id(node.id)}", *sorted(lines)]


def _type(schema: model.Schema, kind: model.Type) -> str:
    if isinstance(kind, model.SimpleType):
        return kind.name
    if isinstance(kind, model.ListType):
        return f"list({_type(schema, kind.element)})"
    if isinstance(kind, model.EnumType):
        return f"enum {_id(kind.id)}"
    if isinstance(kind, model.StructType | model.InterfaceType):
        what = "struct" if isinstance(kind, model.StructType) else "interface"
        bound = sorted(bindings_of(schema, kind).items())
        scopes = [f"{_id(scope)}: {', '.join(_type(schema, each) for each in types)}" for scope, types in bound]
        return f"{what} {_id(kind.id)}" + (f"({'; '.join(scopes)})" if scopes else "")
    if isinstance(kind, model.ParameterType):
        return f"parameter {_id(kind.scope_id)}.{kind.index}"
    if isinstance(kind, model.AnyType):
        return _ANY_NAMES.get(kind.kind, "any")
    # Of a generic method: whoever calls it says what it stands for.
    return _ANY_NAMES[ANY.kind]


def _value(value: model.Value) -> str:
    if isinstance(value, model.Pointed):
        return value.segment.hex()
    if isinstance(value, float):
        # By its bits: one float equals another that is not the same, and one does not equal itself.
        return struct.pack("<d", value).hex()
    return str(int(value)) if value is not None else "null"


def _arms(arms: tuple[tuple[int, int], ...]) -> str:
    return "/".join(f"{place}:{value}" for place, value in arms)


def _id(number: int) -> str:
    return f"@{number:#018x}"


def _number(digest: bytes) -> int:
    # 0 says on the wire that there is none.
    return int.from_bytes(digest[:8], "little") or 1
