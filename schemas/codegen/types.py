"""The types of a schema as Python's annotations: of what is read, of what may be given, of what a builder has."""

import builtins
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.codegen.names import nodes_within
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.text import Text, joined

SUPPORT: Final = "hootbus.schemas.generated"
CAPNP: Final = "_capnp"
TYPES: Final = "_types"
SERVICES: Final = "_bus"

_SIMPLE: Final = {"bool": "bool", "text": "str", "float32": "float", "float64": "float"}
_INTEGERS: Final = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_FLOATS: Final = frozenset({"float32", "float64"})


class Types:
    """The annotations of one generated module: of `file_id`, whose text is being written."""

    def __init__(self, names: Names, file_id: int, text: Text, ending: str) -> None:
        self.names: Final = names
        self._file_id = file_id
        self._text = text
        self._ending = ending
        # What a class has within it hides the file's own declaration of that name from its annotations.
        places = [names.place(node.id).path for node in nodes_within(names.schema, file_id)]
        self._shadowed = {path[-1] for path in places if len(path) > 1} | {"Builder", "Builder_"}
        # In front of its declaration, such a name is the builtin to a type checker.
        self._shadowed |= set(dir(builtins))
        self.aliases: Final[set[str]] = set()

    def builtin(self, name: str) -> str:
        return self._text.name("builtins", name)

    def typing(self, name: str) -> str:
        return self._text.name("typing", name)

    def write_aliases(self) -> None:
        """The names behind which the classes stand that others hide, at the end of a module."""
        if self.aliases:
            self._text.blank(2)
        for alias in sorted(self.aliases):
            self._text.line(f"_{alias}_ = {alias}")

    def support(self, name: str) -> str:
        return self._text.name(SUPPORT, name)

    def literal(self, names: list[str]) -> str:
        quoted = ", ".join(f'"{name}"' for name in names)
        return f"{self.typing('Literal')}[{quoted}]"

    def sequence(self, element: str) -> str:
        return f"{self._text.name('collections.abc', 'Sequence')}[{element}]"

    def declared(self, node_id: int, ending: str | None = None) -> str:
        """The name of a declaration here, imported if it is another module's."""
        place = self.names.place(node_id)
        wanted = self._ending if ending is None else ending
        if place.file_id == self._file_id and wanted == self._ending:
            if place.path[0] in self._shadowed:
                self.aliases.add(place.path[0])
                return f"_{place.path[0]}_{place.dotted.removeprefix(place.path[0])}"
            return place.dotted
        statement, module = self.names.import_of(self._file_id, place.file_id, wanted)
        self._text.module(statement)
        return f"{module}.{place.dotted}"

    def read(self, kind: model.Type, within: model.Node) -> str:
        """What a reader gives."""
        if isinstance(kind, model.SimpleType):
            return self._simple(kind, "memoryview")
        if isinstance(kind, model.ListType):
            return self.sequence(self.read(kind.element, within))
        if isinstance(kind, model.EnumType):
            return self.declared(kind.id, CAPNP)
        if isinstance(kind, model.StructType):
            return self.struct(kind, within)
        if isinstance(kind, model.ParameterType):
            return self.names.typevar(within, kind) or self.typing("Any")
        if isinstance(kind, model.InterfaceType) or (isinstance(kind, model.AnyType) and kind.kind == "capability"):
            return f"{self.builtin('int')} | None"
        return self.support("AnyReader")

    def struct(self, kind: model.StructType, within: model.Node, suffix: str = "") -> str:
        """A struct's class, with what its parameters stand for."""
        name = self.declared(kind.id, CAPNP) + suffix
        bound = self.names.bound(kind)
        if not bound:
            return name
        spelled = [self.typing("Any") if given is None else self.read(given, within) for given in bound]
        return f"{name}[{', '.join(spelled)}]"

    def given(self, kind: model.Type, within: model.Node) -> str:
        """What `write_struct` takes."""
        if isinstance(kind, model.SimpleType):
            if kind.name == "data":
                return joined([self.support("DataInput"), "None"])
            return joined([self._simple(kind, ""), *(["None"] if kind.name == "text" else [])])
        if isinstance(kind, model.ListType):
            element = kind.element
            if isinstance(element, model.SimpleType) and element.name in _INTEGERS | _FLOATS:
                inner = f"{self.support('Numbers')}[{self._simple(element, '')}]"
            else:
                inner = self.sequence(self.given(element, within))
            return f"{inner} | None"
        if isinstance(kind, model.EnumType):
            return f"{self.declared(kind.id, CAPNP)} | {self.declared(kind.id, CAPNP)}._Name | {self.builtin('int')}"
        if isinstance(kind, model.StructType):
            return f"{self.support('StructInput')}[{self.struct(kind, within)}] | None"
        return self.builtin("object")

    def built(self, kind: model.Type, within: model.Node) -> str:
        """What an attribute of pycapnp's builder gives."""
        if isinstance(kind, model.SimpleType):
            return self._simple(kind, "bytes")
        if isinstance(kind, model.ListType):
            return f"{self.support('ListBuilder')}[{self.built(kind.element, within)}]"
        if isinstance(kind, model.EnumType):
            return self.builtin("str")
        if isinstance(kind, model.StructType):
            return f"{self.declared(kind.id, CAPNP)}.{self.builder_of(kind.id)}"
        return self.typing("Any")

    def builder_of(self, node_id: int) -> str:
        """The name of the builder's class in a struct's: `Builder`, unless something in the struct is called so."""
        node = self.names.schema.node(node_id)
        return "Builder_" if any(nested.name == "Builder" for nested in node.nested) else "Builder"

    def _simple(self, kind: model.SimpleType, data: str) -> str:
        if kind.name == "void":
            return "None"
        if kind.name == "data":
            return self.builtin(data)
        return self.builtin("int" if kind.name in _INTEGERS else _SIMPLE[kind.name])
