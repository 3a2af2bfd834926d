"""Schemas that nobody thought of: structs with random fields, groups, unions, lists and defaults, and values for them.

A schema is a tree of members. It is written as text whole, and again as it was when it had fewer fields: a prefix of
the ordinals is what an older peer has.
"""

import math
import struct
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import msgspec

STRUCTS: Final = 12
ENUMS: Final = (("red", "green", "blue"), tuple(f"value{number}" for number in range(40)))
DEPTH_MAX: Final = 3

INTEGERS: Final = {f"{sign}Int{bits}": (sign == "", bits) for bits in (8, 16, 32, 64) for sign in ("", "U")}
FLOATS: Final = {"Float32": "f", "Float64": "d"}
_TEXTS: Final = ("", "a", "tempo", "grüße 世界 😀", 'quoted "text" \\ with\n\ttrimmings', "x" * 100)


class Field(msgspec.Struct):
    """A field. A type is its name; ("List", type) is a list."""

    name: str
    type: Any
    ordinal: int = 0
    default: Any = None
    note: str = ""


class Group(msgspec.Struct):
    """Fields under one name; `is_union`: one of them at a time, without a name perhaps."""

    name: str
    members: list["Field | Group"]
    is_union: bool
    note: str = ""


class SchemaMaker:
    """Draws structs. The same seed draws the same ones; groups and unions lie `nesting` deep in each other.

    Where unions lie in each other, there are some that the compiler refuses ("previous contained a bug"), which ends
    the process.
    """

    def __init__(self, seed: int, nesting: int = 2) -> None:
        self._random = Random(seed)
        self._nesting = nesting
        self.structs = [self._members(f"s{number}", 0) for number in range(STRUCTS)]
        for members in self.structs:
            fields = _fields(members)
            ordinals = list(range(len(fields)))
            self._random.shuffle(ordinals)
            for field, ordinal in zip(fields, ordinals, strict=True):
                field.ordinal = ordinal

    def text(self, file_id: int) -> str:
        """A file of all of them, `S0` and so on, each with what it was before, `S0Before`."""
        lines = [f"@0x{file_id:016x};", *_enums()]
        for number, members in enumerate(self.structs):
            count = len(_fields(members))
            lines += [f"struct S{number} {{", *_lines(members, count), "}"]
            lines += [f"struct S{number}Before {{", *_lines(members, count * 2 // 3), "}"]
        return "\n".join(lines) + "\n"

    def annotated(self, file_id: int) -> str:
        """A file of the structs alone, with annotations for JSON wherever they may stand."""
        random = Random(f"{file_id}")
        lines = [f"@0x{file_id:016x};", 'using Json = import "/capnp/compat/json.capnp";']
        for number, names in enumerate(ENUMS):
            enumerants = " ".join(f'{name} @{at} $Json.name("{name}!");' for at, name in enumerate(names))
            lines.append(f"enum E{number} {{ {enumerants} }}")
        for number, members in enumerate(self.structs):
            note = _discriminator(random, f"s{number}") if any(not member.name for member in members) else ""
            _annotate(random, members, number, bool(note))
            lines += [f"struct S{number}{note} {{", *_lines(members, len(_fields(members))), "}"]
        return "\n".join(lines) + "\n"

    def version(self, file_id: int, share: float = 1.0) -> str:
        """A file of all of them as they were when they had this share of their fields."""
        lines = [f"@0x{file_id:016x};", *_enums()]
        for number, members in enumerate(self.structs):
            lines += [f"struct S{number} {{", *_lines(members, int(len(_fields(members)) * share)), "}"]
        return "\n".join(lines) + "\n"

    def _members(self, prefix: str, depth: int, is_union: bool = False) -> list[Field | Group]:
        random = self._random
        members: list[Field | Group] = []
        unnamed = is_union
        for index in range(random.randint(2, 4 if depth else 9)):
            name = f"{prefix}x{index}"
            kind = random.random()
            if depth < self._nesting and kind < 0.12:
                members.append(Group(name, self._members(name, depth + 1), is_union=False))
            elif depth < self._nesting and kind < 0.28:
                # A struct has one union without a name at most, and a union may not have one in it.
                name, unnamed = (name, True) if unnamed or random.random() < 0.5 else ("", True)
                members.append(Group(name, self._members(f"{prefix}u{index}", depth + 1, is_union=True), is_union=True))
            else:
                kind = self._type()
                members.append(Field(name, kind, default=self._default(kind)))
        return members

    def _type(self, depth: int = 0) -> Any:  # noqa: ANN401  # as in Field
        random = self._random
        drawn = random.random()
        if drawn < 0.3 and depth < 3:
            return ("List", self._type(depth + 1))
        if drawn < 0.42:
            return f"S{random.randrange(STRUCTS)}"
        if drawn < 0.5:
            return f"E{random.randrange(len(ENUMS))}"
        return random.choice((*INTEGERS, *FLOATS, "Bool", "Bool", "Bool", "Void", "Text", "Text", "Data"))

    def _default(self, kind: Any) -> Any:  # noqa: ANN401  # a value of that type
        values = ValueMaker(self._random, self)
        if self._random.random() < 0.6 or isinstance(kind, tuple) or kind == "Void" or kind[0] == "S":
            return None
        return values.value(kind, DEPTH_MAX)


class ValueMaker:
    """Draws values of the structs."""

    def __init__(self, random: Random, schema: SchemaMaker) -> None:
        self._random = random
        self._schema = schema

    def struct(self, number: int, depth: int = 0) -> dict[str, Any]:
        """Some of the fields of this struct, as `write_struct` takes them and `to_dict` gives them."""
        return self._group(self._schema.structs[number], depth, is_union=False)

    def value(self, kind: Any, depth: int) -> Any:  # noqa: ANN401  # a value of that type
        random = self._random
        if isinstance(kind, tuple):
            count = random.choice((0, 1, 2, 3, 9)) if depth < DEPTH_MAX else 0
            return [self.value(kind[1], depth + 1) for _ in range(count)]
        if kind in INTEGERS:
            signed, bits = INTEGERS[kind]
            least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            return random.choice((least, most, 0, 1, random.randint(least, most)))
        if kind in FLOATS:
            drawn = random.choice((0.0, -0.0, 1.5, -1e30, math.inf, -math.inf, math.nan, random.random()))
            return struct.unpack(FLOATS[kind], struct.pack(FLOATS[kind], drawn))[0]
        if kind[0] == "S":
            return self.struct(int(kind[1:]), depth + 1) if depth < DEPTH_MAX else {}
        if kind[0] == "E":
            return random.choice(ENUMS[int(kind[1:])])
        simple: dict[str, Any] = {
            "Bool": random.random() < 0.5,
            "Void": None,
            "Text": random.choice(_TEXTS),
            "Data": random.randbytes(random.choice((0, 1, 7, 8, 9, 50))),
        }
        return simple[kind]

    def _group(self, members: Sequence[Field | Group], depth: int, *, is_union: bool) -> dict[str, Any]:
        random = self._random
        given = [random.choice(members)] if is_union else [member for member in members if random.random() < 0.6]
        value: dict[str, Any] = {}
        for member in given:
            if isinstance(member, Field):
                value[member.name] = self.value(member.type, depth)
            elif member.name:
                value[member.name] = self._group(member.members, depth, is_union=member.is_union)
            else:
                value |= self._group(member.members, depth, is_union=True)
        return value


def _enums() -> list[str]:
    return [
        f"enum E{number} {{ {' '.join(f'{name} @{at};' for at, name in enumerate(names))} }}"
        for number, names in enumerate(ENUMS)
    ]


def _fields(members: Sequence[Field | Group]) -> list[Field]:
    found: list[Field] = []
    for member in members:
        found += [member] if isinstance(member, Field) else _fields(member.members)
    return found


def _lines(members: Sequence[Field | Group], count: int) -> list[str]:
    """The text of these members, as far as there are fields among the first so many."""
    lines = []
    for member in members:
        if isinstance(member, Field):
            if member.ordinal < count:
                default = "" if member.default is None else f" = {_literal(member.default)}"
                kind = _spelled(member.type)
                lines.append(f"  {member.name} @{member.ordinal} :{kind}{default}{member.note};")
            continue
        inner = [part for part in member.members if any(field.ordinal < count for field in _fields([part]))]
        if not inner:
            continue
        if member.is_union and len(inner) > 1:
            lines += [f"  {member.name and member.name + ' :'}union{member.note} {{", *_lines(inner, count), "  }"]
        elif member.name:
            lines += [f"  {member.name} :group{member.note} {{", *_lines(inner, count), "  }"]
        else:
            # It was there before the union was.
            lines += _lines(inner, count)
    return lines


def _annotate(random: Random, members: Sequence[Field | Group], number: int, discriminated: bool) -> None:
    """Annotations for the members of a struct or group; `discriminated` says whether those of its unnamed union may be
    flattened. What is flattened has names that are nowhere else: but for structs, these are so already.
    """
    for member in members:
        flat = random.random() < 0.4
        if isinstance(member, Group):
            if not member.name:
                _annotate_union(random, member.members, number, discriminated)
                continue
            note = _discriminator(random, member.name) if member.is_union else ""
            member.note = note + (_flattened(random, member.name) if flat else "")
            if member.is_union:
                _annotate_union(random, member.members, number, bool(note))
            else:
                _annotate(random, member.members, number, discriminated=False)
        elif isinstance(member.type, str) and member.type[0] == "S" and int(member.type[1:]) > number and flat:
            # Only into those before it, as else there would be circles.
            member.note = f' $Json.flatten(prefix="{member.name}.")'
        else:
            member.note = random.choice(("", f' $Json.name("{member.name}\\xc3\\xa9/")'))
            if member.type == "Data":
                member.note += random.choice(("", " $Json.base64", " $Json.hex"))


def _annotate_union(random: Random, members: Sequence[Field | Group], number: int, discriminated: bool) -> None:
    _annotate(random, members, number, discriminated=False)
    if not discriminated:
        for member in members:
            if "flatten" in member.note:
                member.note = ""


def _flattened(random: Random, name: str) -> str:
    return random.choice((" $Json.flatten()", f' $Json.flatten(prefix="{name}-")'))


def _discriminator(random: Random, name: str) -> str:
    """Mostly one, with a name: a value's name alone does not say what is set."""
    value = random.choice(("", f', valueName = "{name} value"'))
    return random.choice(("", f' $Json.discriminator(name = "{name} is"{value})'))


def _spelled(kind: Any) -> str:  # noqa: ANN401  # as in Field
    return f"List({_spelled(kind[1])})" if isinstance(kind, tuple) else str(kind)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return f'0x"{value.hex()}"' if value else '""'
    if isinstance(value, str) and value not in (name for names in ENUMS for name in names):
        return '"' + "".join(f"\\x{octet:02x}" for octet in value.encode()) + '"'
    return str(value)
