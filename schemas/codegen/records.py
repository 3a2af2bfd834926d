"""`…_types.py`: a record for each struct of a file, read from a message and written into one by plain statements."""

from collections.abc import Sequence
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.codegen.defaults import is_endless
from hootbus.schemas.codegen.literals import Literals
from hootbus.schemas.codegen.names import inner_ids, nodes_within, plain_name
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.text import Text
from hootbus.schemas.codegen.types import CAPNP, TYPES, Types
from hootbus.schemas.layout import layout_in
from hootbus.schemas.readers import attribute_name

RECORDS: Final = "hootbus.schemas.records"


def write_records(names: Names, file_id: int, taken: frozenset[str], doc: str) -> str:
    """The text of the module."""
    return _Records(names, file_id, Text(taken)).written(doc)


def has_records(names: Names, file_id: int) -> bool:
    """Whether there is any struct in a file."""
    return any(isinstance(node.body, model.Struct) for node in nodes_within(names.schema, file_id))


class _Records:
    def __init__(self, names: Names, file_id: int, text: Text) -> None:
        self._names = names
        self._schema = names.schema
        self._file = names.schema.node(file_id)
        self._text = text
        self._types = Types(names, file_id, text, TYPES)
        self._literals = Literals(names.schema, self._types)

    def written(self, doc: str) -> str:
        text = self._text
        text.name("__future__", "annotations")
        variables: dict[str, None] = {}
        for node in nodes_within(self._schema, self._file.id):
            if isinstance(node.body, model.Struct):
                variables |= dict.fromkeys(self._names.typevars(node))
        for variable in variables:
            text.line(f'{variable} = {self._types.typing("TypeVar")}("{variable}")')
        for nested in self._file.nested:
            self._declaration(nested.id, plain_name(nested.name), 2)
        self._types.write_aliases()
        return text.written(doc)

    def _record(self, name: str) -> str:
        return self._text.name(RECORDS, name)

    def _declaration(self, node_id: int, name: str, blanks: int) -> None:
        node = self._schema.find(node_id)
        if node is None or not _holds_structs(self._schema, node):
            return
        self._text.blank(blanks)
        if isinstance(node.body, model.Struct):
            self._struct(node, node.body, name)
            return
        with self._text.block(f"class {name}:"):
            self._text.doc(node.doc)
            self._inner(node)

    def _inner(self, node: model.Node) -> None:
        for nested in node.nested:
            self._declaration(nested.id, plain_name(nested.name), 1)
        for inner in inner_ids(self._schema, node):
            self._declaration(inner, self._names.place(inner).path[-1], 1)

    def _struct(self, node: model.Node, body: model.Struct, name: str) -> None:
        types, text = self._types, self._text
        variables = self._names.typevars(node)
        own = types.declared(node.id, CAPNP) + _any(types, variables)
        fields = sorted(body.fields, key=lambda each: each.order)
        arms = [field for field in fields if field.arm >= 0]
        text.call(f"class {name}(", self._bases(fields, variables), "):")
        with text.indented():
            text.doc(node.doc)
            self._inner(node)
            text.blank()
            kind = f"{types.builtin('type')}[{own}]"
            text.assign(self._class_variable("capnp_type", kind), types.declared(node.id, CAPNP))
            if arms:
                self._arms(sorted(arms, key=lambda each: each.arm))
            text.blank()
            for field in fields:
                self._field(field, node)
                text.doc(field.doc)
            if arms:
                self._which(types.declared(node.id, CAPNP))
            text.blank()
            text.line(f"@{types.builtin('classmethod')}")
            text.call("def from_capnp(", ["cls", f"reader: {own}"], f") -> {types.typing('Self')}:")
            with text.indented():
                self._from_capnp(fields, node)

    def _class_variable(self, name: str, kind: str) -> str:
        """With its type, unless something in the file is called ClassVar: msgspec knows it by that name alone."""
        return name if self._text.is_taken("ClassVar") else f"{name}: {self._types.typing('ClassVar')}[{kind}]"

    def _bases(self, fields: Sequence[model.Field], variables: tuple[str, ...]) -> list[str]:
        bases = [self._record("Record")]
        if variables:
            bases.append(f"{self._types.typing('Generic')}[{', '.join(variables)}]")
        named = [(attribute_name(field.name), field.name) for field in fields]
        renamed = [f'"{own}": "{name}"' for own, name in named if own != name]
        return [*bases, *([f"rename={{{', '.join(renamed)}}}"] if renamed else [])]

    def _arms(self, arms: Sequence[model.Field]) -> None:
        """The union's members by their numbers: the attributes, and their names in the schema."""
        pair = f"{self._types.builtin('tuple')}[{self._types.builtin('str')}, {self._types.builtin('str')}]"
        target = self._class_variable("capnp_arms", f"{self._types.builtin('tuple')}[{pair}, ...]")
        rows = [f'("{attribute_name(arm.name)}", "{arm.name}")' for arm in arms]
        self._text.call(f"{target} = (", rows, ",)" if len(rows) == 1 else ")")

    def _which(self, own: str) -> None:
        types, text = self._types, self._text
        text.line(f"unknown_arm: {types.builtin('int')} | {self._record('UnsetType')} = {self._record('UNSET')}")
        text.blank()
        kind = f"{own}._Arm | {self._record('Enumerant')}"
        text.call("def which(", ["self"], f") -> {kind}:")
        with text.indented():
            text.doc("The union's member that is set; an unknown one, if only newer peers know it.")
            text.assign(f"found: {kind}", "self._which()")
            text.line("return found")

    def _field(self, field: model.Field, node: model.Node) -> None:
        kind = self._type(field, node)
        if field.arm >= 0:
            kind, default = f"{kind} | {self._record('UnsetType')}", self._record("UNSET")
        else:
            default = self._default(field, node)
        self._text.assign(f"{attribute_name(field.name)}: {kind}", default)

    def _type(self, field: model.Field, node: model.Node) -> str:
        place = field.place
        if isinstance(place, model.Group):
            variables = self._names.typevars(node)
            return self._types.declared(place.id) + (f"[{', '.join(variables)}]" if variables else "")
        kind = self._kind(place.type, node)
        return f"{kind} | None" if self._may_be_none(field, node) else kind

    def _may_be_none(self, field: model.Field, node: model.Node) -> bool:
        """Whether a record has None where the message has nothing."""
        if isinstance(field.place, model.Group):
            return False
        kind = field.place.type
        if isinstance(kind, model.ParameterType):
            return True
        if field.arm < 0 and field.place.default is not None and isinstance(kind, model.StructType | model.ListType):
            return is_endless(layout_in(self._schema, node.id), field.name)
        return isinstance(kind, model.StructType)

    def _kind(self, kind: model.Type, node: model.Node) -> str:
        types = self._types
        if isinstance(kind, model.ListType):
            return f"{types.builtin('list')}[{self._kind(kind.element, node)}]"
        if isinstance(kind, model.StructType):
            bound = self._names.bound(kind)
            spelled = [types.typing("Any") if given is None else self._kind(given, node) for given in bound]
            return types.declared(kind.id) + (f"[{', '.join(spelled)}]" if spelled else "")
        if isinstance(kind, model.SimpleType) and kind.name == "data":
            return types.builtin("bytes")
        if isinstance(kind, model.SimpleType | model.EnumType | model.ParameterType):
            return types.read(kind, node)
        if _is_capability(kind):
            return "None"
        return types.typing("Any")

    def _default(self, field: model.Field, node: model.Node) -> str:
        place = field.place
        if isinstance(place, model.Group):
            return self._made(f"lambda: {self._types.declared(place.id)}()")
        kind = place.type
        if self._may_be_none(field, node):
            return "None"
        literal = self._literals.default(kind, place.default)
        if literal == "[]":
            return self._made(self._types.builtin("list"))
        is_made = isinstance(kind, model.StructType | model.ListType)
        return self._made(f"lambda: {literal}") if is_made else literal

    def _made(self, factory: str) -> str:
        """A default that each record has of its own."""
        return f"{self._text.name('msgspec', 'field')}(default_factory={factory})"

    def _from_capnp(self, fields: Sequence[model.Field], node: model.Node) -> None:
        text = self._text
        plain = [field for field in fields if field.arm < 0 and not _is_nothing(field)]
        arms = [field for field in fields if field.arm >= 0]
        items = [f"{attribute_name(field.name)}={self._taken(field, node)}" for field in plain]
        text.call("made = cls(" if arms else "return cls(", items, ")")
        if not arms:
            return
        text.line("arm = reader.which()")
        for index, field in enumerate(arms):
            with text.block(f'{"elif" if index else "if"} arm == "{field.name}":'):
                value = "None" if _is_nothing(field) else self._taken(field, node)
                text.assign(f"made.{attribute_name(field.name)}", value)
        with text.block(f"elif {self._text.name('builtins', 'isinstance')}(arm, {self._record('Enumerant')}):"):
            text.line("made.unknown_arm = arm.raw")
        text.line("return made")

    def _taken(self, field: model.Field, node: model.Node) -> str:
        """The expression that takes a field out of a reader."""
        source = f"reader.{attribute_name(field.name)}"
        place = field.place
        if isinstance(place, model.Group):
            return f"{self._types.declared(place.id)}.from_capnp({source})"
        taken = self._owned(place.type, source, 0)
        if self._may_be_none(field, node):
            return f'{taken} if {self._record("is_set")}(reader, "{field.name}") else None'
        return taken

    def _owned(self, kind: model.Type, source: str, depth: int) -> str:
        if isinstance(kind, model.ListType):
            item = "item" + str(depth or "")
            inner = self._owned(kind.element, item, depth + 1)
            if inner == item:
                return f"{self._types.builtin('list')}({source})"
            return f"[{inner} for {item} in {source}]"
        if isinstance(kind, model.StructType):
            return f"{self._types.declared(kind.id)}.from_capnp({source})"
        if isinstance(kind, model.SimpleType):
            return f"{self._types.builtin('bytes')}({source})" if kind.name == "data" else source
        if isinstance(kind, model.EnumType):
            return source
        return "None" if _is_capability(kind) else f"{self._record('owned')}({source})"


def _any(types: Types, variables: tuple[str, ...]) -> str:
    return f"[{', '.join(types.typing('Any') for _ in variables)}]" if variables else ""


def _is_capability(kind: model.Type) -> bool:
    return isinstance(kind, model.InterfaceType) or (isinstance(kind, model.AnyType) and kind.kind == "capability")


def _is_nothing(field: model.Field) -> bool:
    return isinstance(field.place, model.Slot) and (
        field.place.type == model.SimpleType("void") or _is_capability(field.place.type)
    )


def _holds_structs(schema: model.Schema, node: model.Node) -> bool:
    return any(isinstance(inner.body, model.Struct) for inner in nodes_within(schema, node.id))
