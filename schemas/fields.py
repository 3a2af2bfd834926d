"""The attributes of readers: each knows where its field lies and how to make a value of it.

Descriptors, one per field of a struct, so that asking for a field is one step, and `dir` and completion know them all.
A field that lies behind the end of what was sent has its default: that is how an older peer's struct is read.
"""

import struct
from collections.abc import Callable
from operator import xor
from typing import Any, Final, TypeAlias

from hootbus.schemas.enumerant import Enumerant, enumerants
from hootbus.schemas.layout import Field, PointerDefault
from hootbus.schemas.place import Place
from hootbus.schemas.pointers import Target, Trail, follow, malformed
from hootbus.schemas.segments import Segments
from hootbus.schemas.types import Bool, Enum, Number, Void

HALF_WORD: Final = struct.Struct("<H")

ReadPointer: TypeAlias = Callable[[Segments, Target | None, int, Trail], object]
"""From a pointer's target, None for null, to the value; with the depth that is left, and the way there."""


class FieldReader:
    """The attribute of a field without bits, and the base of all others."""

    def __init__(self, name: str, arm: int, discriminant: int) -> None:
        self.name = name
        self._arm = arm
        self._discriminant = discriminant

    def __get__(self, owner: Any, kind: object = None) -> Any:  # noqa: ANN401  # whatever the schema says
        if owner is None:
            return self
        if self._arm >= 0:
            self.check_set(owner)
        return self.value(owner)

    def value(self, owner: Place) -> object:
        """The field's value, if it is not in a union or known to be set."""
        return None

    def has(self, owner: Place) -> bool:
        """Whether it is set: of a union's member, that it is the one; of a pointer, that it is not null."""
        return self._arm < 0 or discriminant_of(owner, self._discriminant) == self._arm

    def check_set(self, owner: Place) -> None:
        """Raises BodyError if another member of the union is set."""
        if self._arm < 0:
            return
        found = discriminant_of(owner, self._discriminant)
        if found != self._arm:
            arms = owner._layout.arms
            other = arms[found].name if found in arms else f"({found})"
            raise malformed(owner._parts, (owner._trail, self.name), f"another member of the union is set: {other}")


class BoolReader(FieldReader):
    """One bit, the other way round if its default is true."""

    def __init__(self, name: str, arm: int, discriminant: int, bit: int, default: bool) -> None:
        super().__init__(name, arm, discriminant)
        self._bit = bit
        self._default = default

    def value(self, owner: Place) -> object:
        ref = owner._ref
        bit = self._bit
        if bit >= ref.data_bits:
            return self._default
        return bool(owner._parts[ref.segment][ref.data + (bit >> 3)] >> (bit & 7) & 1) != self._default


class NumberReader(FieldReader):
    """An integer or a float. Cap'n Proto stores it XORed with its default."""

    def __init__(self, name: str, arm: int, discriminant: int, bit: int, kind: Number, default: Any) -> None:  # noqa: ANN401  # an int stays one
        super().__init__(name, arm, discriminant)
        self._at = bit >> 3
        self._end = bit + kind.bits
        self._default = default
        self._unpack = kind.unpack
        encoded = struct.pack("<" + kind.code, default)
        self._mask = encoded if any(encoded) else b""

    def value(self, owner: Place) -> object:
        ref = owner._ref
        if self._end > ref.data_bits:
            return self._default
        at = ref.data + self._at
        part = owner._parts[ref.segment]
        if not self._mask:
            return self._unpack(part, at)[0]
        return self._unpack(memoryview(bytes(map(xor, part[at : at + len(self._mask)], self._mask))), 0)[0]


class EnumReader(FieldReader):
    """An enum's value."""

    def __init__(self, name: str, arm: int, discriminant: int, bit: int, kind: Enum, default: int) -> None:
        super().__init__(name, arm, discriminant)
        self._at = bit >> 3
        self._end = bit + 16
        self._default = default
        self._known = enumerants(kind.names)

    def value(self, owner: Place) -> object:
        ref = owner._ref
        raw = self._default
        if self._end <= ref.data_bits:
            raw = HALF_WORD.unpack_from(owner._parts[ref.segment], ref.data + self._at)[0] ^ raw
        return self._known[raw] if raw < len(self._known) else Enumerant(raw, None)


class PointerReader(FieldReader):
    """Whatever lies behind a pointer."""

    def __init__(
        self, name: str, arm: int, discriminant: int, index: int, default: PointerDefault | None, read: ReadPointer
    ) -> None:
        super().__init__(name, arm, discriminant)
        self._index = index
        self._default = default
        self._read = read

    def value(self, owner: Place) -> object:
        parts, target, trail = self.target(owner)
        return self._read(parts, target, owner._depth, trail)

    def target(self, owner: Place) -> tuple[Segments, Target | None, Trail]:
        """What it points to, in which message: a null pointer's default is in one of its own."""
        ref = owner._ref
        trail: Trail = (owner._trail, self.name)
        target = None
        if self._index < ref.pointers:
            target = follow(owner._parts, ref.segment, ref.at + self._index, trail)
        if target is None and self._default is not None:
            return self._default.parts, self._default.target, trail
        return owner._parts, target, trail

    def has(self, owner: Place) -> bool:
        if self._arm >= 0 and not super().has(owner):
            return False
        ref = owner._ref
        trail: Trail = (owner._trail, self.name)
        return self._index < ref.pointers and follow(owner._parts, ref.segment, ref.at + self._index, trail) is not None


class GroupReader(FieldReader):
    """A group: fields of the same struct under a name of their own."""

    def __init__(self, name: str, arm: int, discriminant: int, read: Callable[[Place, Trail], object]) -> None:
        super().__init__(name, arm, discriminant)
        self._read = read

    def value(self, owner: Place) -> object:
        return self._read(owner, (owner._trail, self.name))


def data_reader(field: Field, discriminant: int) -> FieldReader | None:
    """The attribute of a field in the data section; None for one that is a pointer or a group."""
    kind = field.type
    if isinstance(kind, Void):
        return FieldReader(field.name, field.arm, discriminant)
    if isinstance(kind, Bool):
        return BoolReader(field.name, field.arm, discriminant, field.offset, field.default)
    if isinstance(kind, Number):
        return NumberReader(field.name, field.arm, discriminant, field.offset, kind, field.default)
    if isinstance(kind, Enum):
        return EnumReader(field.name, field.arm, discriminant, field.offset, kind, field.default)
    return None


def discriminant_of(owner: Place, bit: int) -> int:
    """Which member of the union is set, by its number."""
    ref = owner._ref
    if bit + 16 > ref.data_bits:
        return 0
    found: int = HALF_WORD.unpack_from(owner._parts[ref.segment], ref.data + (bit >> 3))[0]
    return found
