"""numpy's numbers as Python's own, since neither msgspec nor pycapnp knows any others."""

from typing import Any, Final

import numpy as np

# Two bytes of JSON at least for each, its comma and a digit: more would not fit into a message of 256 MiB. A list of
# Python's numbers takes twenty times the memory, so it is asked before it is made.
ITEMS_MAX: Final = 1 << 27


def plain_numpy(value: object) -> Any:  # noqa: ANN401  # a number, a str, a list of them…
    """A scalar or an array of numpy's as Python has it. Raises TypeError for anything else, ValueError if too large."""
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


def plain(value: Any) -> Any:  # noqa: ANN401  # whatever a dict may hold
    """Dicts, lists and tuples with all that is numpy's in them made plain. Everything else stays what it is."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return plain_numpy(value) if isinstance(value, np.generic | np.ndarray) else value
