"""The corpus: values in the schema language, and the messages that the `capnp` tool makes of them."""

import math
import shutil
import struct
from collections import defaultdict
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from conformance.capnp_tool import binaries, convert
from hootbus.schemas import StructType, load
from hootbus.schemas.layout import StructLayout, layout_of
from hootbus.schemas.types import AnyPointer, List, Number, Struct, Type

SCHEMA: Final = Path(__file__).with_name("corpus.capnp")
CORPUS: Final[ModuleType] = load(SCHEMA)
# So often is the one message with pointers of any kind among those that are mutated.
ANYTHING_SHARE: Final = 8
TRAVERSAL_WORDS_MAX: Final = 1 << 40


def _values() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in SCHEMA.with_name("values.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition(" ")
            found[name].append(value)
    return dict(found)


VALUES: Final = _values()
"""By struct, its values as text."""


def struct_type(name: str) -> StructType:
    found: StructType = getattr(CORPUS, name)
    return found


@cache
def messages(name: str, *options: str) -> tuple[bytes, ...]:
    """The values of a struct as binary messages; options say how large their segments are."""
    return tuple(binaries(convert("text:binary", "\n".join(VALUES[name]).encode(), *options, of=(SCHEMA, name))))


def anything() -> bytes:
    """What neither text nor JSON can say."""
    built = CORPUS.Anything.new_message(name="named")
    built.any = CORPUS.Point.new_message(x=1)
    built.struct = CORPUS.Tree.new_message(name="a", children=[{"name": "b"}])
    built.list = CORPUS.Lists.new_message(points=[{"x": 1}, {"y": 2}]).points
    built.init("unbound").value = "unbound"
    made: bytes = built.to_bytes()
    return made


@cache
def every_message() -> tuple[tuple[str, bytes], ...]:
    """All messages with their structs' names, of one segment and of many; without the tool, what pycapnp makes."""
    if shutil.which("capnp") is None:
        return tuple((name, _default(name)) for name in VALUES)
    segmented = [("--segment-size=1",), ("--segment-size=7",), ()]
    made = [(name, message) for name in VALUES for options in segmented for message in messages(name, *options)]
    return (*made, *[("Anything", anything())] * ANYTHING_SHARE)


def _default(name: str) -> bytes:
    made: bytes = struct_type(name).new_message().to_bytes()
    return made


def by_pycapnp(message: bytes, struct: StructType) -> dict[str, Any]:
    """What pycapnp's own reader makes of a message. The reader lives no longer than the call."""
    reader: Any = struct
    with reader.from_bytes(message, traversal_limit_in_words=TRAVERSAL_WORDS_MAX) as root:
        found: dict[str, Any] = root.to_dict()
    return found


def same(ours: object, theirs: object) -> bool:
    """Whether two trees of plain values are the same, to the sign of a zero.

    The order of a dict's keys does not count: pycapnp names the member of a union first. And a union's member that is a
    null pointer is None to us, while pycapnp and the tool show what it would be read as.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return (math.isnan(ours) and math.isnan(theirs)) or struct.pack("d", ours) == struct.pack("d", theirs)
    if ours is None:
        return theirs is None or isinstance(theirs, str | bytes | list | dict)
    return isinstance(ours, bool) == isinstance(theirs, bool) and ours == theirs


def as_json(value: object, kind: Type) -> object:
    """A plain value as the tool's JSON has it: 64 bits and what is no number as text, Data as a list of numbers."""
    if value is None:
        return None
    if isinstance(kind, Struct):
        assert isinstance(value, dict)
        return _fields_as_json(value, kind.layout)
    if isinstance(kind, List):
        assert isinstance(value, list)
        return [as_json(item, kind.element) for item in value]
    if isinstance(value, bytes):
        return list(value)
    if isinstance(kind, Number) and kind.name in ("int64", "uint64"):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    assert not isinstance(kind, AnyPointer), "JSON cannot say it"
    return value


def _fields_as_json(value: dict[str, object], layout: StructLayout) -> dict[str, object]:
    return {name: as_json(inner, layout.fields[name].type) for name, inner in value.items()}


def message_as_json(value: dict[str, object], struct: StructType) -> dict[str, object]:
    """A message's `to_dict()` as the tool's JSON has it."""
    return _fields_as_json(value, layout_of(struct))
