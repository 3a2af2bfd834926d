"""Struct types, messages being built, and pycapnp's words for its errors: pycapnp's objects, named and told apart.

A struct type is pycapnp's, of a file that was loaded, or one of ours, of a schema that came as nodes: out of a
generated module, or from a peer. Where `StructType` is asked for, either will do.

pycapnp ships no types, and a builder has the schema's fields as attributes, which no static type can say before stubs
are generated. Hence the alias of Any: it documents, it does not check. Messages and schemas of peers are never given to
pycapnp: its readers abort the process over malformed bytes (`repr`, `as_builder`), leak them (`get_data_as_view`), and
stop reading after so many accesses.
"""

import re
from typing import Any, Final, ParamSpec, Protocol, TypeAlias, TypeGuard

import capnp

from hootbus.schemas import model
from hootbus.schemas.loaded import LOADED

P = ParamSpec("P")

Builder: TypeAlias = Any

CapnpError: type[Exception] = capnp.KjException
"""What pycapnp raises for a value that does not fit a message being built."""

# "capnp/layout.c++:2390: failed: expected boundsCheck(...); Message contains ...", and then "\nstack: 7f50... 7f51...".
_PLACE: Final = re.compile(r"\S{1,100}\.(?:c\+\+|h):\d+: failed: (?:expected .*?; )?")
_STACK: Final = "\nstack:"
# A handler may raise an error with a whole file in it, and the search takes a hundred steps for each character.
_TEXT_MAX: Final = 4096


class StructType(Protocol):
    """A struct of a schema, such as `standard.envelope.Envelope`."""

    def new_message(self, *_: Any, **fields: Any) -> Builder: ...  # noqa: ANN401  # this alone says: of any signature


class Writable(Protocol[P]):
    """A struct type whose fields type checkers know, if it is a generated module's: they are the keywords of
    `new_message`."""

    def new_message(self, *_: P.args, **fields: P.kwargs) -> Builder: ...


class SchemaStruct:
    """A struct of a schema that came as nodes. The structs nested in it are its attributes.

    Messages are read and written by it as by any other type (`read_capnp`, `write_struct`); pycapnp does not know it.
    """

    __slots__ = ("_layout", "node", "schema")

    def __init__(self, schema: model.Schema, node_id: int) -> None:
        node = schema.node(node_id)
        if not isinstance(node.body, model.Struct):
            raise TypeError(f"{node.display_name} is no struct")
        self.schema: Final = schema
        self.node: Final = node
        # Its layout, once `layout` has made it.
        self._layout: object = None

    def __getattr__(self, name: str) -> "SchemaStruct":
        if name.startswith("_"):
            # No declaration's name, and asked of copies before they have a node.
            raise AttributeError(f"a struct has no {name!r}", name=name, obj=self)
        nested = {nested.name: nested.id for nested in self.node.nested}
        found = self.schema.find(nested.get(name, 0))
        if found is None or not isinstance(found.body, model.Struct):
            raise AttributeError(f"{self.node.display_name} has no struct {name!r}", name=name, obj=self)
        return self._nested(found.id)

    def _nested(self, node_id: int) -> "SchemaStruct":
        return SchemaStruct(self.schema, node_id)

    def new_message(self, **fields: object) -> Builder:
        """Not for this one: raises TypeError."""
        raise TypeError(f"{self.node.display_name} is not known to pycapnp: write it with write_struct")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SchemaStruct) and self.schema is other.schema and self.node is other.node

    def __hash__(self) -> int:
        return id(self.node)

    def __repr__(self) -> str:
        return f"<struct {self.node.display_name}>"


def is_struct_type(value: object) -> TypeGuard[StructType]:
    """Whether this, an annotation perhaps, is a Cap'n Proto struct type."""
    return isinstance(value, capnp._StructModule | SchemaStruct)


def declaration_of(struct: StructType) -> tuple[model.Schema, int]:
    """The schema that declares a struct type, and its id there."""
    if isinstance(struct, SchemaStruct):
        return struct.schema, struct.node.id
    assert isinstance(struct, capnp._StructModule), struct
    return LOADED, int(struct.schema.node.id)


def is_builder(value: object) -> bool:
    return isinstance(value, capnp._DynamicStructBuilder)


def type_id(struct: StructType) -> int:
    """The 64-bit id by which options and registrations name a body's root struct."""
    return declaration_of(struct)[1]


def reason_of(error: BaseException) -> str:
    """What an error says, and where Cap'n Proto speaks, also out of a text that quotes it, one line for people.

    Without the C++ source line, the failed expression and the stack addresses. Of a long text, the beginning.
    """
    text = str(error)[:_TEXT_MAX]
    said, places = _PLACE.subn("", text)
    if not places and not isinstance(error, CapnpError):
        return text
    said = said.partition(_STACK)[0]
    if said.startswith("expected "):
        # There is nothing but the expression; what follows it are the values in it, bytes of a peer perhaps.
        said = said.partition(" [")[0]
    return " ".join(said.split()).rstrip(".")
