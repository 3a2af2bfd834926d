"""Lists of numbers into a message with one copy, in the very memory that is sent.

pycapnp sets a list element by element (124 ms for a million floats), and its `to_bytes` copies the message once more.
Here the message is built in a buffer of ours that has room in front for the segment table; the walker finds where the
list lies, and numpy copies into it.
"""

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from hootbus.schemas.body import CapnpBody
from hootbus.schemas.fieldpath import NO_DISCRIMINANT, plan_of
from hootbus.schemas.segments import WORD, Segments
from hootbus.schemas.structs import Builder, StructType, type_id
from hootbus.schemas.walker import array

_TABLE: Final = struct.Struct("<II")


def write_arrays(struct_type: StructType, arrays: Mapping[str, ArrayLike], **fields: object) -> CapnpBody:
    """A stream-framed message with these fields and, at these paths, these one-dimensional arrays, ready to be sent.

    `write_arrays(AudioClip, {"samples": samples}, title="kick", sampleRate=48_000)`. Numbers are converted within
    their kind: float64 to float32, integers where they fit. Raises TypeError or OverflowError where they cannot be, and
    FieldError as `array` does.
    """
    values = {path: _fitting(path, given, plan_of(struct_type, path).leaf.dtype) for path, given in arrays.items()}
    memory = _Memory()
    words = _words(struct_type, values, fields)
    builder = struct_type.new_message(num_first_segment_words=words, allocate_seg_callable=memory.allocate, **fields)
    for path, numbers in values.items():
        _init(builder, path, len(numbers))
    for path, numbers in values.items():
        if len(numbers):
            _copy_into(memory.segments(), struct_type, path, numbers)
    if len(memory.buffers) > 1:
        # The first segment did not hold everything after all; capnp joins what it has.
        return CapnpBody(builder.to_bytes(), type_id(struct_type))
    body = memory.buffers[0]
    _TABLE.pack_into(body, 0, 0, len(body) // WORD - 1)
    return CapnpBody(memoryview(body).toreadonly(), type_id(struct_type))


class _Memory:
    """Where capnp builds: zeroed buffers with a word in front of the first for the segment table."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []

    def allocate(self, words: int) -> memoryview:
        self.buffers.append(bytearray((words + 1) * WORD))
        return memoryview(self.buffers[-1])[WORD:]

    def segments(self) -> Segments:
        return tuple(memoryview(buffer)[WORD:] for buffer in self.buffers)


def _words(struct_type: StructType, values: Mapping[str, np.ndarray], fields: Mapping[str, object]) -> int:
    """The exact size of the message: without the lists' contents by building that, and then their contents."""
    sketch = struct_type.new_message(**fields)
    for path in values:
        _init(sketch, path, 0)
    bare = sum(len(segment) for segment in sketch.to_segments()) // WORD
    sizes = (len(numbers) * plan_of(struct_type, path).leaf.dtype.itemsize for path, numbers in values.items())
    return bare + sum((size + WORD - 1) // WORD for size in sizes)


def _init(builder: Builder, path: str, count: int) -> None:
    *inner, last = path.split(".")
    for part in inner:
        # A union's member that is not set yet cannot be got, only made; what is set shall keep its fields.
        field = builder.schema.fields[part]
        is_set = field.proto.discriminantValue == NO_DISCRIMINANT or builder.which() == part
        builder = getattr(builder, part) if is_set else builder.init(part)
    builder.init(last, count)


def _copy_into(parts: Segments, struct_type: StructType, path: str, numbers: np.ndarray) -> None:
    # `array` reads; what it returns over memory of our own may be written to all the same. `_fitting` allowed the cast.
    np.copyto(array(parts, struct_type, path), numbers, casting="unsafe")


def _fitting(path: str, given: ArrayLike, dtype: np.dtype[np.generic]) -> np.ndarray:
    """The numbers as an array that can be cast to this type without becoming other numbers (rounding aside)."""
    numbers = np.asarray(given)
    if numbers.ndim != 1:
        raise TypeError(f"{path}: {numbers.ndim} dimensions, not 1")
    if not len(numbers):
        return numbers
    if numbers.dtype.kind in "iu" and dtype.kind in "iu":
        # Whether an integer fits is a matter of its value: a plain list of them is int64 to numpy.
        bounds = np.iinfo(dtype.name)
        least, most = int(numbers.min()), int(numbers.max())
        if least < bounds.min or most > bounds.max:
            raise OverflowError(f"{path}: {least} to {most} does not fit into {dtype.name}")
    elif not np.can_cast(numbers.dtype, dtype, "same_kind"):
        raise TypeError(f"{path}: {numbers.dtype.name} does not become {dtype.name}")
    return numbers
