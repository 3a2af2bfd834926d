"""What generated modules are made of: a schema that a module carries within itself, and the types in its stub.

A module `clip_capnp.py` needs neither the `.capnp` file nor a compiler: it carries the compiled schema, which becomes
part of those that this process has loaded. If that has another version of the same declarations already, each keeps to
its own. A file with another version that is to be loaded afterwards is refused by the loader.
"""

import base64
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypeVar, Union

import capnp
import msgspec
import numpy as np
from capnp.lib.capnp import _StructModule

from hootbus.schemas import model
from hootbus.schemas.copies import CAPNP_OWN
from hootbus.schemas.enumerant import Enumerant, EnumValue, enum_class
from hootbus.schemas.forms.packed import unpack
from hootbus.schemas.layout import pointer_default, type_in
from hootbus.schemas.loaded import LOADED
from hootbus.schemas.model import undocumented
from hootbus.schemas.pointers import NESTING_MAX
from hootbus.schemas.readers import AnyReader, StructReader, TypedReader, read_pointer
from hootbus.schemas.segments import split
from hootbus.schemas.structs import Builder, SchemaStruct
from hootbus.schemas.transfer import encode_node, read_request
from hootbus.schemas.types import Bool, Enum, Number, Void
from hootbus.schemas.writer import write_fields

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "BUILDER_NAMES",
    "AnyReader",
    "DataInput",
    "EnumValue",
    "Enumerant",
    "GeneratedSchema",
    "ListBuilder",
    "Numbers",
    "StructInput",
    "TypedBuilder",
    "TypedReader",
    "undocumented",
    "value_in",
]

R = TypeVar("R", bound=TypedReader)
N = TypeVar("N", int, float)
T = TypeVar("T")

StructInput: TypeAlias = "R | TypedBuilder | Mapping[str, object] | msgspec.Struct"
"""What a struct may be written from."""

Numbers: TypeAlias = "Sequence[N] | np.ndarray[Any, Any]"
"""What a list of numbers may be written from."""

DataInput: TypeAlias = "Buffer | Sequence[int]"
"""What a Data may be written from."""

# What pycapnp's builders have for themselves: a field of such a name is not to be had as their attribute.
BUILDER_NAMES: Final = frozenset(
    {
        *("adopt", "copy", "disown", "init", "name", "schema", "which", "write"),
    }
)


class TypedBuilder:
    """What `new_message` gives, as type checkers know it: pycapnp's builder."""

    if TYPE_CHECKING:

        def to_dict(self) -> dict[str, Any]: ...
        def to_bytes(self) -> bytes: ...


class ListBuilder(Generic[T]):
    """A list in a builder, as type checkers know it: pycapnp's."""

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[T]: ...
        def __getitem__(self, index: int) -> T: ...
        def __setitem__(self, index: int, value: object) -> None: ...
        def init(self, index: int, size: int) -> T: ...


class GeneratedStruct(SchemaStruct):
    """A struct of a generated module. To type checkers it is the class of its readers, and to `isinstance`."""

    __slots__ = ("_embedded",)

    def __init__(self, embedded: "GeneratedSchema", node_id: int) -> None:
        super().__init__(embedded.schema, node_id)
        self._embedded: Final = embedded

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # another type, or a constant's value
        if name.startswith("_"):
            return super().__getattr__(name)
        return self._embedded.nested(self.node, name, self)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, StructReader) and value._layout.type_id == self.node.id

    def __getitem__(self, parameters: object) -> Self:
        """What a generic struct's parameters stand for is said to type checkers alone: it is the same struct."""
        if not self.node.is_generic:
            raise TypeError(f"{self.node.display_name} has no parameters")
        return self

    # There is nothing to go through, whatever Python takes of an object with items.
    __iter__ = None

    def __or__(self, other: object) -> Any:  # noqa: ANN401  # an annotation, `Clip | None`
        return Union[self, other]  # noqa: UP007  # the operator is what is being defined

    def __ror__(self, other: object) -> Any:  # noqa: ANN401  # likewise
        return Union[other, self]  # noqa: UP007  # likewise

    def new_message(self, **fields: object) -> Builder:
        """pycapnp's builder of such a message, with these fields, which are those that `write_struct` takes."""
        return self._embedded.builders.new_message(self, fields)


class Namespace:
    """An interface, for what is declared in it."""

    def __init__(self, embedded: "GeneratedSchema", node: model.Node) -> None:
        self._embedded = embedded
        self.node: Final = node

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # as above
        return self._embedded.nested(self.node, name, self)

    def __repr__(self) -> str:
        return f"<interface {self.node.display_name}>"


class GeneratedSchema:
    """The schema that a generated module brings along: a compiler's request.

    `members` are the structs in it that are not declared under a name, by the name that the module gives them.
    """

    def __init__(self, request: bytes, members: Mapping[str, int] = MappingProxyType({})) -> None:
        self.own: Final = read_request(request)
        self.schema: Final = _agreed(self.own)
        self.builders: Final = _BUILDERS if self.schema is LOADED else Builders()
        self.builders.add(self.own)
        self._members = members
        self._made: dict[int, Any] = {}

    @classmethod
    def packed(cls, text: str, members: Mapping[str, int] = MappingProxyType({})) -> "GeneratedSchema":
        """Of a request that is packed, and in base 64, as it stands in a module."""
        return cls(unpack(base64.b64decode(text)), members)

    def struct(self, node_id: int) -> GeneratedStruct:
        """The struct type with this id. Raises LookupError."""
        found = self.declared(node_id)
        if not isinstance(found, GeneratedStruct):
            raise LookupError(f"@{node_id:#018x} is no struct")
        return found

    def declared(self, node_id: int) -> Any:  # noqa: ANN401  # a type, or a constant's value
        """A declaration: a struct's type, an enum's class, a constant's value, an interface's namespace."""
        found = self._made.get(node_id)
        if found is None:
            found = self._made[node_id] = self._declared(self.own.node(node_id))
        return found

    def nested(self, node: model.Node, name: str, owner: object) -> Any:  # noqa: ANN401  # as above
        """What is declared in a node under this name. Raises AttributeError."""
        for nested in node.nested:
            if nested.name == name.removesuffix("_") and self.own.find(nested.id) is not None:
                return self.declared(nested.id)
        if (node_id := self._members.get(f"{node.path}.{name}")) is not None:
            return self.declared(node_id)
        raise AttributeError(f"{node.display_name} declares no {name!r}", name=name, obj=owner)

    def _declared(self, node: model.Node) -> object:
        body = node.body
        if isinstance(body, model.Struct):
            return GeneratedStruct(self, node.id)
        if isinstance(body, model.Enum):
            return enum_class(node.name, tuple(each.name for each in body.enumerants), node.doc or None)
        if isinstance(body, model.Const):
            return value_in(self.schema, body.type, body.value)
        return Namespace(self, node)


class Builders:
    """Schemas as pycapnp knows them. They are those that this program carries, never a peer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loader: Any = None
        self._waiting: list[model.Schema] = []
        self._known: dict[int, Any] = {}

    def add(self, schema: model.Schema) -> None:
        """A schema of which pycapnp is told once somebody builds with it."""
        self._waiting.append(schema)

    def new_message(self, struct: SchemaStruct, fields: Mapping[str, object]) -> Builder:
        """As `GeneratedStruct.new_message`."""
        with self._lock:
            known = self._struct(struct.node)
        if not fields:
            return known.new_message()
        # By our own writer, so that it takes what that takes, and says what that says.
        parts = split(memoryview(write_fields(struct, fields).buffer))
        return known.from_segments([*parts]).as_builder()

    def _struct(self, node: model.Node) -> Any:  # noqa: ANN401  # pycapnp's type
        found = self._known.get(node.id)
        if found is None:
            while self._waiting:
                self._load(self._waiting.pop())
            schema = self._loader.get(node.id).as_struct()
            found = self._known[node.id] = _StructModule(schema, node.name)
        return found

    def _load(self, schema: model.Schema) -> None:
        if self._loader is None:
            self._loader = capnp.SchemaLoader()
        for node in schema.nodes.values():
            self._loader.load_dynamic(_node_type().from_segments([*split(memoryview(encode_node(node)))]))


@cache
def _node_type() -> Any:  # noqa: ANN401  # pycapnp's type
    """pycapnp's view of nodes. It comes with this file, in which there are no mistakes."""
    parser = capnp.SchemaParser()
    _KEPT.append(parser)
    return parser.load(str(CAPNP_OWN / "schema.capnp"), imports=[str(CAPNP_OWN.parent)]).Node


_BUILDERS: Final = Builders()
# What belongs to a parser that was collected dangles.
_KEPT: Final[list[object]] = []
_SHARING: Final = threading.Lock()


def _agreed(own: model.Schema) -> model.Schema:
    """The schema to work with: that of the whole process, unless it has other versions of these declarations."""
    with _SHARING:
        if any(_differs(node, LOADED.find(node.id)) for node in own.nodes.values()):
            return own
        LOADED.add_schema(own)
    return LOADED


def _differs(node: model.Node, known: model.Node | None) -> bool:
    return known is not None and undocumented(node).body != undocumented(known).body


def value_in(schema: model.Schema, kind: model.Type, value: model.Value) -> Any:  # noqa: ANN401  # what the schema says
    """A constant, a default or an annotation's value, as a reader would give it."""
    found = type_in(schema, kind)
    if isinstance(found, Enum):
        raw = int(value) if isinstance(value, int) else 0
        return Enumerant(raw, found.names[raw] if raw < len(found.names) else None)
    if isinstance(found, Void | Bool | Number):
        return value
    pointed = pointer_default(value)
    parts, target = (pointed.parts, pointed.target) if pointed is not None else (_NOTHING, None)
    return read_pointer(found)(parts, target, NESTING_MAX, None)


_NOTHING: Final = (memoryview(b""),)
