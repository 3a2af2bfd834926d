"""Lists of numbers as numpy views over the message: pycapnp takes 130 ms to read a million floats one by one."""

from typing import TypeAlias

import numpy as np

from hootbus.schemas.pointers import ListRef
from hootbus.schemas.segments import Segments

Array: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.generic]]"


def numbers(parts: Segments, found: ListRef, dtype: "np.dtype[np.generic]") -> Array:
    """A read-only view of the list, which keeps the body alive; `dtype` must not be larger than its elements are.

    It has gaps (strides) if the sender's schema made the list one of structs whose first field is the number.
    """
    if not found.count:
        # It may start just behind the segment's end, where numpy takes no offset.
        return np.frombuffer(b"", dtype)
    # Through `frombuffer`, whose array keeps the view, and so the body, pinned and read-only. If the view itself were
    # the ndarray's `buffer`, numpy would look through it to what is behind, and pin neither.
    memory = np.frombuffer(parts[found.segment], np.uint8)
    return np.ndarray((found.count,), dtype, buffer=memory, offset=found.start, strides=(found.step >> 3,))
