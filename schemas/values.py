"""A program's values as the types of the schema language: what fits, and why the rest does not."""

import re
import struct
from collections.abc import Iterator, Sequence, Set
from typing import Any, Final

import numpy as np

from hootbus.schemas.arena import ELEMENTS_MAX
from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.types import NUMBERS, Bool, Enum, Number, Type, spelled

SHOWN_MAX: Final = 60

# How an enumerant that this process does not know is spelled.
_UNKNOWN: Final = re.compile(r"\(([0-9]{1,5})\)")


class Unfit(Exception):
    """A value that is not what the schema wants. The text says why; whoever knows the field adds it."""


def boolean(kind: Bool, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise Unfit(f"{shown(value)} is no Bool")
    return bool(value)


def number(kind: Number, value: object) -> bytes:
    """The bytes of one number. A float that is a whole number is an integer, as in JSON."""
    found = value.item() if isinstance(value, np.generic) else value
    if isinstance(found, float) and kind.code not in "fd" and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise Unfit(f"{shown(value)} is no {spelled(kind)}")
    try:
        return struct.pack("<" + kind.code, found)
    except (struct.error, OverflowError):
        raise Unfit(f"{shown(value)} does not fit into {spelled(kind)}") from None


def enumerant(kind: Enum, value: object) -> int:
    """The number of an enumerant, given by its name or number. One that is not known here goes on as the number."""
    if isinstance(value, str) and value in kind.names:
        return kind.names.index(value)
    if isinstance(value, Enumerant):
        value = value.raw
    elif isinstance(value, str) and (unknown := _UNKNOWN.fullmatch(value)):
        value = int(unknown[1])
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
        return int(value)
    raise Unfit(f"{shown(value)} is no {kind.name}; there are {', '.join(kind.names)}")


def text(kind: Type, value: object) -> bytes:
    """The UTF-8 of a text, without its terminator."""
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise Unfit(f"a text that UTF-8 cannot say, at character {error.start}") from None
    if isinstance(value, bytes | bytearray | memoryview):
        found = bytes(value)
        try:
            found.decode()
        except UnicodeDecodeError as error:
            raise Unfit(f"bytes that are not UTF-8 at byte {error.start}") from None
        return found
    raise Unfit(f"{shown(value)} is no Text")


def data(kind: Type, value: object) -> "np.ndarray[Any, Any]":
    """The bytes of a Data: of any buffer, whatever its elements, or of a list of numbers below 256."""
    if isinstance(value, list | tuple):
        return array_of(NUMBERS["uint8"], value)
    try:
        view = memoryview(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value)  # type: ignore[arg-type]  # that is the question
        found = np.frombuffer(view.cast("B"), np.uint8) if view.nbytes else np.empty(0, np.uint8)
    except (TypeError, ValueError):
        raise Unfit(f"{shown(value)} is no Data; a buffer in one piece or a list of numbers is") from None
    _check_count(len(found))
    return found


def items_of(kind: Type, value: object) -> Sequence[Any]:
    """The elements of a list that is none of numbers."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        _check_count(len(value))
        return list(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview):
        _check_count(len(value))
        return value
    raise _no_list(value, "list")


def array_of(kind: Number, value: object) -> "np.ndarray[Any, Any]":
    """The numbers as an array that can be cast to this type without becoming other numbers (rounding aside)."""
    try:
        found = np.frombuffer(value, np.uint8) if isinstance(value, bytes | bytearray) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise Unfit(f"no list of {spelled(kind)}: {error}") from None
    if not found.ndim:
        raise _no_list(value, "list of numbers")
    if found.ndim != 1:
        raise Unfit(f"{found.ndim} dimensions, not 1")
    _check_count(len(found))
    if not len(found):
        return found
    if kind.code not in "fd" and (found.dtype.kind in "iu" or _are_all(value, found, int)):
        # Whether an integer fits is a matter of its value: a plain list of them is int64 to numpy.
        exact = found if found.dtype.kind in "iu" else np.array(value, object)
        bounds = np.iinfo(kind.dtype.name)
        least, most = int(exact.min()), int(exact.max())
        if least < bounds.min or most > bounds.max:
            raise Unfit(f"{shown(least)} to {shown(most)} does not fit into {spelled(kind)}")
        return exact
    if found.dtype.kind == "O" and _are_all(value, found, int, float):
        found = _floats(kind, value)
    if found.dtype.kind not in "iuf" or not np.can_cast(found.dtype, kind.dtype, "same_kind"):
        raise Unfit(f"{found.dtype.name} does not become {spelled(kind)}")
    return found


def shown(value: object) -> str:
    """A value for an error's text, not all of it."""
    try:
        said = repr(value)
    except ValueError:
        # Python does not spell integers of thousands of digits.
        said = f"{type(value).__name__} of too many digits"
    return said if len(said) <= SHOWN_MAX else said[:SHOWN_MAX] + "…"


def _floats(kind: Number, value: object) -> "np.ndarray[Any, Any]":
    try:
        return np.array(value, np.float64)
    except OverflowError:
        raise Unfit(f"a number in it does not fit into {spelled(kind)}") from None


def _no_list(value: object, what: str) -> Unfit:
    # These have elements, but no order, or no count before the last one was taken.
    hint = "; make it one with list()" if isinstance(value, Set | Iterator) else ""
    return Unfit(f"{shown(value)} is no {what}{hint}")


def _check_count(count: int) -> None:
    if count > ELEMENTS_MAX:
        raise Unfit(f"{count} elements, more than a list can count")


def _are_all(value: object, found: "np.ndarray[Any, Any]", *kinds: type) -> bool:
    """Whether these are Python's numbers that numpy has found no common type for, such as [-1, 2**63]."""
    return found.dtype.kind in "fO" and isinstance(value, list | tuple) and all(type(item) in kinds for item in value)
