"""Values by their path: "clip.channels[1].samples", from the root of a message, through structs, groups and lists."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from hootbus.schemas.arrays import Array
from hootbus.schemas.errors import FieldError
from hootbus.schemas.layout import Field, StructLayout, layout_of
from hootbus.schemas.lists import ArrayList, ListReader, PointerList
from hootbus.schemas.pointers import bytes_of, text_of
from hootbus.schemas.readers import StructReader, root_reader
from hootbus.schemas.segments import Segments, segments
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import Bool, Data, Enum, List, Number, Struct, Text, Type, spelled

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Of one struct: a program names few paths, but may put indices into them as it goes.
PATHS_MAX: Final = 1024

_STEP: Final = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<index>-?[0-9]{1,9})\]")


class Path(msgspec.Struct, frozen=True):
    """A path that the schema has: names and indices, and the type of what is at its end."""

    text: str
    schema: str
    steps: tuple[str | int, ...]
    leaf: Type


def array(body: "Buffer | Segments", struct: StructType, path: str) -> Array:
    """A read-only view of a list of numbers (or enums, or Data as bytes), over the body's memory.

    Shape (n,), dtype of the schema's element, no copy. `path` may lead through structs, groups and lists:
    "clips[2].samples". A list that was not set is the field's default, mostly empty. Valid as long as the array lives:
    it holds the body. The view has gaps (strides) if the sender's schema made the list one of structs whose first field
    is the number. Raises BodyError if a pointer on the way leaves the message or is of another kind, if a list is
    shorter than the path says, or if the field is in a union and another member is set; FieldError if the schema has
    no such path, or there is no list of numbers at its end.
    """
    found = path_in(struct, path)
    if isinstance(found.leaf, Data):
        return np.frombuffer(_view(body, struct, found), np.uint8)
    if not isinstance(found.leaf, List) or not isinstance(found.leaf.element, Number | Enum):
        raise FieldError(found.schema, path, f"is {_no_numbers(found.leaf)}")
    values = _at(body, struct, found.steps)
    assert isinstance(values, ArrayList)
    return values._view()


def view(body: "Buffer | Segments", struct: StructType, path: str) -> memoryview:
    """A read-only view of a Data, or of a Text's bytes without its terminator, over the body's memory.

    Nothing is copied, and a text's UTF-8 is not checked. Paths and errors are those of `array`.
    """
    found = path_in(struct, path)
    if not isinstance(found.leaf, Data | Text):
        raise FieldError(found.schema, path, f"is {spelled(found.leaf)}, not Data or Text")
    return _view(body, struct, found)


def _view(body: "Buffer | Segments", struct: StructType, path: Path) -> memoryview:
    *way, last = path.steps
    around = _at(body, struct, way)
    if isinstance(last, str):
        assert isinstance(around, StructReader)
        parts, target, trail = around._target(last)
    else:
        assert isinstance(around, PointerList)
        around._check_index(last)
        parts, target, trail = around._target(last)
    if target is None:
        return parts[0][:0]
    return text_of(parts, target, trail) if isinstance(path.leaf, Text) else bytes_of(parts, target, trail)


def _at(body: "Buffer | Segments", struct: StructType, steps: Sequence[str | int]) -> object:
    value: object = root_reader(body if isinstance(body, tuple) else segments(body), layout_of(struct))
    for step in steps:
        if isinstance(value, StructReader):
            assert isinstance(step, str)
            value = value._get(step)
        else:
            assert isinstance(value, ListReader)
            assert isinstance(step, int)
            value = value._at(step)
    return value


def path_in(struct: StructType, text: str) -> Path:
    """The path's steps. Raises FieldError if the schema has no such path."""
    layout = layout_of(struct)
    paths: dict[str, Path] | None = layout.derived.get(Path)
    if paths is None:
        paths = layout.derived[Path] = {}
    found = paths.get(text)
    if found is None:
        if len(paths) >= PATHS_MAX:
            paths.clear()
        found = paths[text] = _path_in(layout, text)
    return found


def _path_in(layout: StructLayout, text: str) -> Path:
    name = layout.display_name
    kind: Type = Struct(layout)
    steps: list[str | int] = []
    at = 0
    while at < len(text) or not steps:
        if at and text[at] == "." and at + 1 < len(text):
            at += 1
        found = _STEP.match(text, at)
        if found is None or (found["index"] is None) != (text[at - 1 : at] in ("", ".")):
            raise FieldError(name, text, 'is no path such as "clips[2].samples"')
        so_far = text[: found.end()]
        if found["index"] is not None:
            if found["index"].startswith("-"):
                raise FieldError(name, so_far, "indices count from 0, and none from the end")
            if not isinstance(kind, List):
                raise FieldError(name, so_far, f"an index into {spelled(kind)}, which is no list")
            kind = kind.element
            steps.append(int(found["index"]))
        else:
            if not isinstance(kind, Struct):
                raise FieldError(name, text[:at].rstrip("."), f"is {spelled(kind)}, not a struct to go into")
            kind = _field(name, so_far, kind.layout, found["name"]).type
            steps.append(found["name"])
        at = found.end()
    return Path(text, name, tuple(steps), kind)


def _field(root: str, so_far: str, layout: StructLayout, name: str) -> Field:
    """A field on the way. Raises FieldError, which has the path from the root that the program has named."""
    try:
        return layout.field(name)
    except FieldError as error:
        raise FieldError(root, so_far, error.reason) from None


def _no_numbers(kind: Type) -> str:
    if isinstance(kind, List) and isinstance(kind.element, Bool):
        return "List(Bool), eight to a byte, which numpy cannot view"
    return f"{spelled(kind)}, not a list of numbers"
