"""Messages read in place: structs and lists whose fields are looked up in the received bytes when they are asked for.

A reader is the segments, a place in them, and how deep that is. It holds the segments, and so the frame, for as long as
it lives. Nothing is decoded ahead and nothing is kept; every access checks the pointers it follows. So a field may be
read any number of times, and whatever a peer has sent, an access gives a value or raises `BodyError`.

Each struct of a schema has a class of its own here, made when it is first met, whose attributes are the struct's
fields.
"""

import keyword
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from hootbus.schemas.canonical import TreeCopier
from hootbus.schemas.enumerant import Enumerant, enumerants
from hootbus.schemas.errors import FieldError
from hootbus.schemas.fields import (
    FieldReader,
    GroupReader,
    PointerReader,
    ReadPointer,
    data_reader,
    discriminant_of,
)
from hootbus.schemas.layout import StructLayout, layout_of
from hootbus.schemas.lists import BoolList, EnumList, ListReader, NumberList, PointerList, StructList
from hootbus.schemas.place import Place
from hootbus.schemas.pointers import (
    EMPTY,
    NESTING_MAX,
    OTHER,
    STRUCT,
    ListRef,
    Target,
    Trail,
    bytes_of,
    expect_elements,
    follow,
    list_of,
    malformed,
    struct_of,
    text_of,
    too_deep,
)
from hootbus.schemas.segments import Segments
from hootbus.schemas.structs import StructType
from hootbus.schemas.types import (
    SIMPLE,
    AnyPointer,
    Bool,
    Data,
    Enum,
    List,
    Number,
    Struct,
    Text,
    Type,
    Void,
)


class TypedReader(Place):
    """A struct in a message, of a type that a generated module has put down: type checkers know its fields.

    They are attributes; nothing is copied but text and numbers. One whose name is a word of Python's, or `which`, has
    an underscore behind it: `from_`. Cap'n Proto's names have none.
    """

    __slots__ = ()

    _fields: ClassVar[dict[str, FieldReader]]

    def to_dict(self) -> dict[str, Any]:
        """The struct as dicts, lists and plain values: Data as bytes, enums as their names.

        Pointers that are null are left out, and of a union all but the member that is set, which is None if it is a
        null pointer; one that is not known here is left out as well. A pointer of no stated type stays an `AnyReader`.
        Raises BodyError if anything in it is malformed, or if walking it would take far longer than the message is.
        """
        from hootbus.schemas.dicts import as_dict

        assert isinstance(self, StructReader)
        return as_dict(self)

    def __str__(self) -> str:
        """The struct as text on one line. Raises as `to_dict`."""
        from hootbus.schemas.forms.text import write_text

        assert isinstance(self, StructReader)
        return write_text(self)

    def _get(self, name: str) -> Any:  # noqa: ANN401  # what the schema says
        return self._field(name).__get__(self)

    def _has(self, name: str) -> bool:
        return self._field(name).has(self)

    def _target(self, name: str) -> tuple[Segments, Target | None, Trail]:
        """What a pointer field points to, None for null without a default."""
        field = self._field(name)
        assert isinstance(field, PointerReader)
        field.check_set(self)
        return field.target(self)

    def _field(self, name: str) -> FieldReader:
        found = self._fields.get(name)
        if found is None:
            self._layout.field(name)
            raise AssertionError(name)
        return found

    def __repr__(self) -> str:
        return f"<{self._layout.name} in a message>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a reader of {self._layout.name} is a place in a message; pickle its to_dict()")


class StructReader(TypedReader):
    """A struct in a message, of any type: only its schema knows its fields, which are its attributes all the same."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401  # what the schema says

    def which(self) -> Enumerant:
        """The name of the union's member that is set; for one of a newer peer an unknown one, `(17)`.

        Raises FieldError for a struct without a union.
        """
        layout = self._layout
        if layout.discriminant < 0:
            raise FieldError(layout.display_name, "which", "the struct has no union")
        found = discriminant_of(self, layout.discriminant)
        arm = layout.arms.get(found)
        return Enumerant(found, arm.name if arm is not None else None)


class AnyReader:
    """A pointer of which the schema does not say what it points to. False if it is null."""

    __slots__ = ("_depth", "_parts", "_target", "_trail")

    def __init__(self, parts: Segments, target: Target | None, depth: int, trail: Trail) -> None:
        self._parts = parts
        self._target = target
        self._depth = depth
        self._trail = trail

    def __bool__(self) -> bool:
        return self._target is not None

    def as_struct(self, struct: StructType) -> StructReader:
        """What it points to as this struct. Raises BodyError if it points to no struct."""
        found = read_pointer(Struct(layout_of(struct)))(self._parts, self._target, self._depth, self._trail)
        assert isinstance(found, StructReader)
        return found

    def as_list(self, element: StructType | str) -> ListReader:
        """What it points to as a list: of a struct, or of "text", "data", "float32"… Raises BodyError if it is none."""
        kind = element_type(element)
        found = read_pointer(List(kind))(self._parts, self._target, self._depth, self._trail)
        assert isinstance(found, ListReader)
        return found

    def as_text(self) -> str:
        """What it points to as text. Raises BodyError."""
        return _text(self._parts, self._target, self._depth, self._trail)

    def as_data(self) -> memoryview:
        """What it points to as bytes, a read-only view. Raises BodyError."""
        return _data(self._parts, self._target, self._depth, self._trail)

    def _copy_to(self, words: bytearray, at: int) -> None:
        """Copies what it points to behind the words of another message, where the pointer at byte `at` will lead."""
        if self._target is not None:
            copier = TreeCopier(self._parts, words)
            if self._target.pointer & 3 == STRUCT:
                copier.copy_struct(struct_of(self._parts, self._target, self._trail), at, self._trail)
            else:
                copier.copy_list(list_of(self._parts, self._target, self._trail), at, self._trail)

    def __repr__(self) -> str:
        return "<any pointer in a message>" if self else "<null pointer>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an AnyReader is a place in a message and cannot be pickled")


def root_reader(parts: Segments, layout: StructLayout) -> StructReader:
    """The root of a message. Raises BodyError if it is no struct."""
    target = follow(parts, 0, 0, None)
    ref = EMPTY if target is None else struct_of(parts, target, None)
    return reader_class(layout)(parts, ref, NESTING_MAX - 1, None)


def reader_class(layout: StructLayout) -> type[StructReader]:
    """The class whose attributes are the fields of this struct."""
    found: type[StructReader] | None = layout.derived.get(StructReader)
    if found is None:
        fields: dict[str, FieldReader] = {}
        for field in layout.fields.values():
            reader = data_reader(field, layout.discriminant)
            if reader is None and field.is_group:
                assert isinstance(field.type, Struct)
                group = partial(_group, field.type.layout)
                reader = GroupReader(field.name, field.arm, layout.discriminant, group)
            elif reader is None:
                pointer = read_pointer(field.type)
                reader = PointerReader(
                    field.name, field.arm, layout.discriminant, field.offset, field.pointer_default, pointer
                )
            fields[field.name] = reader
        attributes = {name: reader for name, reader in fields.items() if name not in _TAKEN}
        attributes |= {attribute_name(name): reader for name, reader in fields.items()}
        names = {"__slots__": (), "__doc__": None, "_layout": layout, "_fields": fields}
        made = type(layout.name.rpartition(".")[2], (StructReader,), names | attributes)
        found = layout.derived.setdefault(StructReader, made)
        assert found is not None
    return found


def attribute_name(name: str) -> str:
    """What a field is called as an attribute."""
    return f"{name}_" if name in _TAKEN or keyword.iskeyword(name) else name


def read_pointer(kind: Type) -> ReadPointer:
    """What makes a value of this type from a pointer's target."""
    if isinstance(kind, Text):
        return _text
    if isinstance(kind, Data):
        return _data
    if isinstance(kind, Struct):
        return partial(_struct, kind.layout)
    if isinstance(kind, List):
        return _list_reader(kind.element)
    assert isinstance(kind, AnyPointer), kind
    return _capability if kind.kind == "capability" else AnyReader


def element_type(element: StructType | str) -> Type:
    """A list's element by its struct, or by the name of a simple type. Raises TypeError for another name."""
    if not isinstance(element, str):
        return Struct(layout_of(element))
    found = SIMPLE.get(element)
    if found is None:
        raise TypeError(f"{element!r} is no type of elements; there are {', '.join(SIMPLE)}, and structs")
    return found


# Not by `hasattr`, to which a class has what its metaclass has, `mro` for one.
_TAKEN: Final = frozenset(dir(StructReader))
_NO_ELEMENTS: Final = ListRef(0, 0, 0, 0, 0, 0)


def _text(parts: Segments, target: Target | None, depth: int, trail: Trail) -> str:
    if target is None:
        return ""
    try:
        return str(text_of(parts, target, trail), "utf-8")
    except UnicodeDecodeError as error:
        raise malformed(parts, trail, f"not UTF-8 at byte {error.start}") from error


def _data(parts: Segments, target: Target | None, depth: int, trail: Trail) -> memoryview:
    return parts[0][:0] if target is None else bytes_of(parts, target, trail)


def _struct(layout: StructLayout, parts: Segments, target: Target | None, depth: int, trail: Trail) -> StructReader:
    if target is None:
        # It is as empty all the way down, and nothing is followed there.
        return reader_class(layout)(parts, EMPTY, depth, trail)
    if depth <= 0:
        raise too_deep(parts, trail)
    return reader_class(layout)(parts, struct_of(parts, target, trail), depth - 1, trail)


def _group(layout: StructLayout, owner: Place, trail: Trail) -> StructReader:
    return reader_class(layout)(owner._parts, owner._ref, owner._depth, trail)


def _capability(parts: Segments, target: Target | None, depth: int, trail: Trail) -> int | None:
    """A capability's index in the table of a call. No message of the bus has such a table."""
    if target is None:
        return None
    if target.pointer & 3 != OTHER or target.pointer & 0xFFFF_FFFC:
        raise malformed(parts, trail, "not a capability")
    return target.pointer >> 32


def _list_reader(element: Type) -> ReadPointer:
    """What makes a list of such elements from a pointer's target."""
    if isinstance(element, Void):
        return partial(_list, ListReader, None, 0, 0)
    if isinstance(element, Bool):
        return partial(_list, BoolList, None, 1, 0)
    if isinstance(element, Number):
        return partial(_list, NumberList, element, element.bits, 0)
    if isinstance(element, Enum):
        return partial(_list, EnumList, enumerants(element.names), 16, 0)
    if isinstance(element, Struct):
        return partial(_struct_list, element.layout)
    return partial(_list, PointerList, read_pointer(element), 0, 1)


def _list(
    made: type[ListReader],
    kind: object,
    bits: int,
    pointers: int,
    parts: Segments,
    target: Target | None,
    depth: int,
    trail: Trail,
) -> ListReader:
    if target is None:
        return made(parts, _NO_ELEMENTS, depth, trail, kind)
    if depth <= 0:
        raise too_deep(parts, trail)
    return made(
        parts, expect_elements(parts, list_of(parts, target, trail), bits, pointers, trail), depth - 1, trail, kind
    )


def _struct_list(layout: StructLayout, parts: Segments, target: Target | None, depth: int, trail: Trail) -> ListReader:
    return _list(StructList, reader_class(layout), 0, 0, parts, target, depth, trail)
