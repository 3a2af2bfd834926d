"""Whose fault it was: whether a body is malformed, asked once somebody has failed over it.

pycapnp raises one exception for a peer's malformed bytes and for our own program's mistakes with a message it builds,
and says nothing of which message it was. The body itself can be asked instead: one that reads well to its end is not
to blame.
"""

from collections.abc import Iterator
from typing import Final

from hootbus.schemas import standard
from hootbus.schemas.body import checked_copy, walkable
from hootbus.schemas.errors import BodyError
from hootbus.schemas.segments import Segments
from hootbus.schemas.structs import CapnpError, Reader, StructType, is_list_reader, is_reader, reading

# Fields and elements that are looked at one by one: some 20 ms. Lists of numbers count as one.
STEPS_MAX: Final = 10_000


def find_fault(parts: Segments, struct: StructType | None) -> BodyError | None:
    """The first malformed field of a body, None if there is none.

    Where pointers lead is checked in the whole message. Whether they lead to what the schema says, and whether text is
    text, is checked if `struct` is given, for the first STEPS_MAX fields.
    """
    try:
        if struct is not None:
            _walk(walkable(parts, struct))
        checked_copy(walkable(parts, standard.envelope.Envelope))
    except BodyError as error:
        return error
    return None


def _walk(root: Reader) -> None:
    # A stack of its own instead of recursion, and iterators on it: a small message may say that it has a large list.
    pending = [_fields("", root)]
    for _ in range(STEPS_MAX):
        if not pending:
            return
        found = next(pending[-1], None)
        if found is None:
            pending.pop()
        elif is_reader(found[1]):
            pending.append(_fields(*found))
        elif is_list_reader(found[1]):
            pending.append(_elements(*found))


def _fields(path: str, reader: Reader) -> Iterator[tuple[str, Reader]]:
    schema = reader.schema
    names = [*schema.non_union_fields]
    if schema.union_fields:
        try:
            names.append(str(reader.which()))
        except CapnpError as error:
            raise BodyError(path, "a member of the union is set that is not known here") from error
    for name in names:
        here = f"{path}.{name}" if path else name
        with reading(here):
            # A null pointer reads as its default, which may have null pointers again, without end.
            value = reader._get(name) if reader._has(name) else None
        yield here, value


def _elements(path: str, items: Reader) -> Iterator[tuple[str, Reader]]:
    for index in range(len(items)):
        here = f"{path}[{index}]"
        with reading(here):
            item = items[index]
        if not (isinstance(item, str | bytes) or is_reader(item) or is_list_reader(item)):
            # Numbers: they lie in the list, and its bounds were checked.
            return
        yield here, item
