"""What the text and JSON forms of a struct say of it: which fields, in which order, and how long that may take."""

import struct
from typing import Final

from hootbus.schemas.layout import Field
from hootbus.schemas.lists import ListReader
from hootbus.schemas.pointers import Trail, Walk
from hootbus.schemas.readers import StructReader
from hootbus.schemas.segments import WORD

_FLOAT32: Final = struct.Struct("<f")
_FLOAT32_NORMAL_MIN: Final = 2.0**-126


def arm_of(reader: StructReader) -> Field | None:
    """The member of the union that is set; None if there is no union, or if only newer peers know what is set."""
    layout = reader._layout
    return layout.arms.get(reader.which().raw) if layout.discriminant >= 0 else None


def is_present(reader: StructReader, field: Field) -> bool:
    """Whether there is something to say: of a pointer, that it is not null."""
    return field.is_data or field.is_group or reader._has(field.name)


def spend_struct(walk: Walk, reader: StructReader) -> None:
    """Counts a struct, but not a group, which lies in one. Raises BodyError when it is too much."""
    if reader._trail is not None and isinstance(reader._trail[1], int):
        # The elements of a list are counted with the list.
        return
    ref = reader._ref
    walk.spend(1 + (ref.data_bits >> 6) + ref.pointers, reader._trail)


def spend_list(walk: Walk, found: ListReader) -> None:
    """Counts a list. Raises BodyError when it is too much."""
    walk.spend(1 + found._ref.words, found._trail)


def spend_bytes(walk: Walk, found: str | memoryview, trail: Trail) -> None:
    """Counts a Text or Data. Raises BodyError when it is too much."""
    walk.spend(1 + len(found) // WORD, trail)


def spelled_float(value: float, *, single: bool) -> str:
    """A finite number as Cap'n Proto's tools print it: `1`, `0.1`, `1e-05`, `1e22`.

    A Float32 has at most eight digits there, which is one too few for some.
    """
    few, many = (6, 8) if single else (15, 17)
    text = f"{value:.{few}g}"
    if single:
        # The tool has the C library read it again, to which any such number is a range error.
        is_same = single_precision(float(text)) == value and not 0 < abs(value) < _FLOAT32_NORMAL_MIN
    else:
        is_same = float(text) == value
    return (text if is_same else f"{value:.{many}g}").replace("e+", "e")


def single_precision(value: float) -> float:
    """The nearest Float32."""
    found: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    return found
