"""What a schema says, as plain values: the one form on which layouts, comparison, fingerprints and generation work.

It follows Cap'n Proto's own form of a compiled schema, `/capnp/schema.capnp`, node for node, and is made from that by
`nodes`, wherever the nodes come from: a `.capnp` file, a request to a compiler's plugin, a peer. Nodes refer to each
other by their 64-bit ids, so a node means something only within its `Schema`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

# Types


class SimpleType(msgspec.Struct, frozen=True):
    """A type that needs no more than its name: "void", "bool", "int8" … "float64", "text", "data"."""

    name: str


class ListType(msgspec.Struct, frozen=True):
    """A list of elements of one type."""

    element: "Type"


class EnumType(msgspec.Struct, frozen=True):
    """An enum, by its id. `brand` is only there because it may be nested in something generic."""

    id: int
    brand: "Brand" = ()


class StructType(msgspec.Struct, frozen=True):
    """A struct, by its id, and what the parameters of it and of the scopes around it stand for."""

    id: int
    brand: "Brand" = ()


class InterfaceType(msgspec.Struct, frozen=True):
    """An interface: on the wire a capability."""

    id: int
    brand: "Brand" = ()


class AnyType(msgspec.Struct, frozen=True):
    """A pointer of which no more is said than its kind: "anyKind", "struct", "list" or "capability"."""

    kind: str


class ParameterType(msgspec.Struct, frozen=True):
    """A parameter of a generic scope, by the scope's id and the parameter's place."""

    scope_id: int
    index: int


class MethodParameterType(msgspec.Struct, frozen=True):
    """A parameter of a generic method, by its place."""

    index: int


Type: TypeAlias = (
    SimpleType | ListType | EnumType | StructType | InterfaceType | AnyType | ParameterType | MethodParameterType
)


class Scope(msgspec.Struct, frozen=True):
    """What a scope's parameters stand for: a type each, None where nothing is said.

    `bound` is None if they are those of the place in which the type is named ("inherit").
    """

    scope_id: int
    bound: "tuple[Type | None, ...] | None"


Brand: TypeAlias = tuple[Scope, ...]

# Values


class Pointed(msgspec.Struct, frozen=True):
    """A value behind a pointer: Text, Data, a list or a struct.

    `segment` is a message's only segment, without a table, in canonical form (but that its root may be a list): equal
    values are equal bytes.
    """

    segment: bytes


Value: TypeAlias = bool | int | float | Pointed | None
"""None for Void, for capabilities and for null pointers; an enum's is its ordinal."""


class Annotation(msgspec.Struct, frozen=True):
    """An annotation as it is applied: `$name(value)`.

    `id` is that of its declaration, which says the value's type; `kind` says as much of it as the value itself does:
    "void", "bool" … "float64", "text", "data", "list", "enum", "struct", "anyPointer".
    """

    id: int
    kind: str
    value: Value


# Nodes


class Slot(msgspec.Struct, frozen=True):
    """A field with a place of its own. `offset` counts values of the type's size, pointers for pointers."""

    type: Type
    offset: int
    default: Value


class Group(msgspec.Struct, frozen=True):
    """A field that is a group: a struct's node, whose fields lie in the struct around it."""

    id: int


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a struct.

    `order` is its place in the text. `arm` is the union's discriminant while it is set, -1 outside of unions. `ordinal`
    is its number, -1 for a group.
    """

    name: str
    order: int
    place: Slot | Group
    arm: int = -1
    ordinal: int = -1
    annotations: tuple[Annotation, ...] = ()
    doc: str = ""


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """A struct or a group. `fields` are in the order of their numbers.

    `discriminant` is the place of the union's in units of 16 bits, -1 without a union.
    """

    data_words: int
    pointers: int
    is_group: bool = False
    discriminant: int = -1
    fields: tuple[Field, ...] = ()


class Enumerant(msgspec.Struct, frozen=True, kw_only=True):
    """A value of an enum; `order` is its place in the text."""

    name: str
    order: int
    annotations: tuple[Annotation, ...] = ()
    doc: str = ""


class Enum(msgspec.Struct, frozen=True):
    """An enum; an enumerant's number is its index."""

    enumerants: tuple[Enumerant, ...]


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A method; its number is its index in the interface. `request` and `reply` are structs.

    `parameters` are the names of its own type parameters.
    """

    name: str
    order: int
    request: StructType
    reply: StructType
    parameters: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    doc: str = ""


class Interface(msgspec.Struct, frozen=True):
    """An interface and those that it extends."""

    methods: tuple[Method, ...]
    superclasses: tuple[InterfaceType, ...] = ()


class Const(msgspec.Struct, frozen=True):
    """A constant."""

    type: Type
    value: Value


class AnnotationDeclaration(msgspec.Struct, frozen=True):
    """What may be written behind a `$`: the type of its value, and on what it may stand: "field", "struct"…"""

    type: Type
    targets: tuple[str, ...]


class File(msgspec.Struct, frozen=True):
    """A file: only what is nested in it."""


Body: TypeAlias = File | Struct | Enum | Interface | Const | AnnotationDeclaration


class Nested(msgspec.Struct, frozen=True):
    """A declaration within another: its name there, and its node."""

    name: str
    id: int


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration.

    `display_name` is the file's name, a colon and the names of the scopes: "demo.capnp:Clip.Channel". `scope_id` is the
    node around it, 0 for a file and for the structs that a method's parameter list makes.
    """

    id: int
    display_name: str
    name: str
    scope_id: int
    body: Body
    nested: tuple[Nested, ...] = ()
    parameters: tuple[str, ...] = ()
    is_generic: bool = False
    annotations: tuple[Annotation, ...] = ()
    doc: str = ""

    @property
    def path(self) -> str:
        """Its name with those of the scopes around it, without the file: "Clip.Channel". Empty for a file."""
        return "" if isinstance(self.body, File) else self.display_name.rpartition(":")[2]

    @property
    def file_name(self) -> str:
        """The file's name, as it was given to the compiler."""
        return self.display_name if isinstance(self.body, File) else self.display_name.rpartition(":")[0]


class Import(msgspec.Struct, frozen=True):
    """A file that another one imports, under the name that stands there."""

    id: int
    name: str


class RequestedFile(msgspec.Struct, frozen=True):
    """A file that was asked for, as opposed to those that it needs."""

    id: int
    name: str
    imports: tuple[Import, ...] = ()


class Schema:
    """Nodes that belong together.

    `files` are those that were asked for: what is compared or generated. The nodes are all that these need.
    """

    def __init__(self, nodes: Iterable[Node], files: Iterable[RequestedFile] = ()) -> None:
        self._nodes: dict[int, Node] = {node.id: node for node in nodes}
        self.files: Final = tuple(files)
        # What others work out of it, under keys that begin with who does. Kept here so that it goes with the schema:
        # a cache of theirs would keep every schema that was ever fetched.
        self.derived: Final[dict[tuple[object, ...], Any]] = {}

    def __repr__(self) -> str:
        return f"<schema of {len(self._nodes)} nodes>"

    @property
    def nodes(self) -> Mapping[int, Node]:
        """All nodes by id."""
        return self._nodes

    def find(self, node_id: int) -> Node | None:
        """The node with this id, if it is here."""
        return self._nodes.get(node_id)

    def node(self, node_id: int) -> Node:
        """The node with this id. Raises LookupError."""
        found = self.find(node_id)
        if found is None:
            raise LookupError(f"the schema has nothing with the id @{node_id:#018x}")
        return found

    def closure(self, roots: Iterable[int]) -> "Schema":
        """The nodes that these need: all they name, the files around them, and not what happens to lie beside them."""
        found: dict[int, Node] = {}
        waiting = list(roots)
        while waiting:
            node_id = waiting.pop()
            if node_id and node_id not in found:
                found[node_id] = node = self.node(node_id)
                waiting += named_by(node)
        return Schema([found[node_id] for node_id in sorted(found)])


def named_by(node: Node) -> Iterator[int]:
    """The ids of the nodes that a node cannot be understood without: its types, its groups, its scope."""
    yield node.scope_id
    body = node.body
    if isinstance(body, Struct):
        for field in body.fields:
            if isinstance(field.place, Group):
                yield field.place.id
            else:
                yield from named_by_type(field.place.type)
    elif isinstance(body, Interface):
        for superclass in body.superclasses:
            yield from named_by_type(superclass)
        for method in body.methods:
            yield from named_by_type(method.request)
            yield from named_by_type(method.reply)
    elif isinstance(body, Const | AnnotationDeclaration):
        yield from named_by_type(body.type)


def named_by_type(kind: Type) -> Iterator[int]:
    """The ids in a type."""
    if isinstance(kind, ListType):
        yield from named_by_type(kind.element)
    elif isinstance(kind, EnumType | StructType | InterfaceType):
        yield kind.id
        for scope in kind.brand:
            for bound in scope.bound or ():
                if bound is not None:
                    yield from named_by_type(bound)


def undocumented(node: Node) -> Node:
    """A node without its comments."""
    replace = msgspec.structs.replace
    body = node.body
    if isinstance(body, Struct):
        body = replace(body, fields=tuple(replace(field, doc="") for field in body.fields))
    elif isinstance(body, Enum):
        body = replace(body, enumerants=tuple(replace(each, doc="") for each in body.enumerants))
    elif isinstance(body, Interface):
        body = replace(body, methods=tuple(replace(method, doc="") for method in body.methods))
    return replace(node, body=body, doc="")
