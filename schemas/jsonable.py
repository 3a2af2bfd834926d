"""What msgspec does not know how to write as JSON: numpy's numbers, and parts of messages."""

from typing import Any, Final

import numpy as np

from hootbus.schemas.lists import ListReader
from hootbus.schemas.readers import AnyReader, StructReader

# Two bytes of JSON at least for each, its comma and a digit: more would not fit into a message of 256 MiB. A list of
# Python's numbers takes twenty times the memory, so it is asked before it is made.
ITEMS_MAX: Final = 1 << 27

# What Cap'n Proto's own tools say of a pointer of which the schema does not say what it leads to.
OPAQUE: Final = "<opaque pointer>"


def jsonable(value: object) -> Any:  # noqa: ANN401  # a number, a str, a list of them…
    """A scalar or an array of numpy's, or a part of a message, as Python has it.

    Heirs of `str`, such as the enumerants of a message, are texts: msgspec asks about them too. Raises TypeError for
    anything else, ValueError if too large, BodyError for a part of a message that is malformed.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, StructReader):
        return value.to_dict()
    if isinstance(value, ListReader):
        return list(value)
    if isinstance(value, AnyReader):
        return OPAQUE
    if isinstance(value, np.ndarray):
        if value.size > ITEMS_MAX:
            raise ValueError(f"an array of {value.size} numbers, more than {ITEMS_MAX}")
        return value.tolist()
    if isinstance(value, np.longdouble):
        # Python has no such number; `item` would give the same object again.
        return float(value)
    if isinstance(value, np.generic) and not isinstance(value, np.complexfloating):
        return value.item()
    raise TypeError(f"a {type(value).__qualname__} cannot be written")
