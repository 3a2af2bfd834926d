"""pycapnp's objects, named and told apart, so that no other package needs to import capnp.

pycapnp ships no types, and a builder has the schema's fields as attributes, which no static type can say before stubs
are generated. Hence the two aliases of Any: they document, they do not check. Messages of peers are never given to
pycapnp: its readers abort the process over malformed bytes (`repr`, `as_builder`), leak them (`get_data_as_view`), and
stop reading after so many accesses.
"""

import re
from typing import Any, Final, Protocol, TypeAlias, TypeGuard

import capnp

Builder: TypeAlias = Any
Node: TypeAlias = Any
"""pycapnp's view of a compiled schema: `.node`, `.fields`, `.fieldnames`."""

CapnpError: type[Exception] = capnp.KjException
"""What pycapnp raises for a value that does not fit a message being built."""

# "capnp/layout.c++:2390: failed: expected boundsCheck(...); Message contains ...", and then "\nstack: 7f50... 7f51...".
_PLACE: Final = re.compile(r"\S{1,100}\.(?:c\+\+|h):\d+: failed: (?:expected .*?; )?")
_STACK: Final = "\nstack:"
# A handler may raise an error with a whole file in it, and the search takes a hundred steps for each character.
_TEXT_MAX: Final = 4096


class StructType(Protocol):
    """A struct of a loaded `.capnp` file, such as `standard.envelope.Envelope`."""

    def __hash__(self) -> int: ...

    @property
    def schema(self) -> Node: ...

    def new_message(self, **fields: object) -> Builder: ...


def is_struct_type(value: object) -> TypeGuard[StructType]:
    """Whether this, an annotation perhaps, is a Cap'n Proto struct type."""
    return isinstance(value, capnp._StructModule)


def is_builder(value: object) -> bool:
    return isinstance(value, capnp._DynamicStructBuilder)


def type_id(struct: StructType) -> int:
    """The 64-bit id by which options and registrations name a body's root struct."""
    return int(struct.schema.node.id)


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
