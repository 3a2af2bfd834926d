"""What of a schema reaches the wire: fields without the groups around them, types without what leaves no trace.

Two versions of a struct are the same to every message if these are the same, whatever its text looks like.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from hootbus.schemas import model
from hootbus.schemas.types import NUMBERS

ANY: Final = model.AnyType("anyKind")

# The bits of a value in the data section; what is not here is behind a pointer, but for Void, which is nowhere.
DATA_BITS: Final = {"bool": 1} | {name: number.bits for name, number in NUMBERS.items()}
ENUM_BITS: Final = 16

Arms: TypeAlias = tuple[tuple[int, int], ...]
"""The members of unions that have to be set, from the outermost: the place of the discriminant, and its value."""

Bindings: TypeAlias = Mapping[int, tuple[model.Type, ...]]
"""What parameters stand for, by the scope that has them."""


class Member(msgspec.Struct, frozen=True):
    """A field, seen from the struct: `path` leads through the groups to it.

    `arms` are the members of unions that have to be set for it, and `depths` how much of the path names each of these.
    """

    path: tuple[str, ...]
    field: model.Field
    arms: Arms = ()
    depths: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Its own name."""
        return self.field.name


class Leaf(Member, frozen=True):
    """A field with a place of its own, which is `slot`."""

    slot: model.Slot = model.Slot(model.SimpleType("void"), 0, None)


class GroupMember(Member, frozen=True):
    """A field that is a group; what is in it comes as members, too."""


def members_of(schema: model.Schema, struct: model.Struct) -> Iterator[Leaf | GroupMember]:
    """The fields of a struct, those of its groups among them. Raises LookupError if a group's node is missing."""
    # A group belongs to one field. Where a peer says otherwise it is met once: there may be circles.
    seen: set[int] = set()
    waiting: list[tuple[model.Struct, Member | None]] = [(struct, None)]
    while waiting:
        body, around = waiting.pop()
        for field in body.fields:
            path = (*around.path, field.name) if around is not None else (field.name,)
            arms, depths = (around.arms, around.depths) if around is not None else ((), ())
            if field.arm >= 0:
                arms, depths = (*arms, (body.discriminant, field.arm)), (*depths, len(path))
            place = field.place
            if isinstance(place, model.Slot):
                yield Leaf(path, field, arms, depths, place)
            elif place.id not in seen:
                seen.add(place.id)
                group = GroupMember(path, field, arms, depths)
                yield group
                inner = schema.node(place.id).body
                if isinstance(inner, model.Struct):
                    waiting.append((inner, group))


def leaves_of(schema: model.Schema, struct: model.Struct) -> Iterator[Leaf]:
    """The fields of a struct that have places of their own. Raises LookupError if a group's node is missing."""
    return (member for member in members_of(schema, struct) if isinstance(member, Leaf))


def bits_of(kind: model.Type) -> int | None:
    """How many bits of the data section a value takes: 0 for Void, None for what is behind a pointer."""
    if isinstance(kind, model.EnumType):
        return ENUM_BITS
    if isinstance(kind, model.SimpleType):
        return 0 if kind.name == "void" else DATA_BITS.get(kind.name)
    return None


def bindings_of(schema: model.Schema, kind: model.StructType | model.InterfaceType) -> Bindings:
    """What the parameters of a type and of the scopes around it stand for; without those that stand for anything."""
    found = {}
    for scope in kind.brand:
        bound = scope.bound
        if bound is None:
            around = schema.find(scope.scope_id)
            count = len(around.parameters) if around is not None else 0
            bound = tuple(model.ParameterType(scope.scope_id, index) for index in range(count))
        types = [ANY if each is None else each for each in bound]
        while types and types[-1] == ANY:
            types.pop()
        if types:
            found[scope.scope_id] = tuple(types)
    return found


def is_unset(kind: model.Type, default: model.Value) -> bool:
    """Whether a default is what is read anyway where nobody has set anything: zero, or nothing behind the pointer."""
    if not isinstance(default, model.Pointed):
        # -0.0 is equal to zero, but other bits.
        return not default and str(default) != "-0.0"
    pointer = int.from_bytes(default.segment[:8], "little")
    if pointer & 3 == 0:
        return not pointer >> 32
    # The terminator of an empty text is there.
    return not pointer >> 35 or (kind == model.SimpleType("text") and pointer >> 35 == 1)
