"""`…_capnp.pyi`: what type checkers and editors know of the structs of a file.

A struct is the class of its readers: `read_capnp(body, Clip)` is a Clip, a handler's `clip: Clip` as well. What builds
one has a class within it.
"""

from typing import Final

from hootbus.schemas import model
from hootbus.schemas.codegen.names import argument_name, inner_ids, nodes_within, plain_name
from hootbus.schemas.codegen.runtime import ANNOTATIONS, annotated
from hootbus.schemas.codegen.scope import Names
from hootbus.schemas.codegen.text import Text
from hootbus.schemas.codegen.types import CAPNP, Types
from hootbus.schemas.enumerant import enumerant_attribute
from hootbus.schemas.generated import BUILDER_NAMES
from hootbus.schemas.readers import attribute_name

_POINTERS: Final = (model.StructType, model.ListType)


def write_stub(names: Names, file_id: int, taken: frozenset[str], doc: str) -> str:
    """The text of the module."""
    return _Stub(names, file_id, Text(taken)).written(doc)


class _Stub:
    def __init__(self, names: Names, file_id: int, text: Text) -> None:
        self._names = names
        self._schema = names.schema
        self._file = names.schema.node(file_id)
        self._text = text
        self._types = Types(names, file_id, text, CAPNP)

    def written(self, doc: str) -> str:
        text = self._text
        for variable in self._variables():
            text.line(f'{variable} = {self._types.typing("TypeVar")}("{variable}")')
        for nested in self._file.nested:
            self._declaration(nested.id, plain_name(nested.name), 2)
        if annotated(self._schema, [*nodes_within(self._schema, self._file.id)]):
            text.blank()
            types = self._types
            inner = f"{types.builtin('dict')}[{types.builtin('str')}, {types.typing('Any')}]"
            text.line(
                f"{ANNOTATIONS}: {types.typing('Final')}[{types.builtin('dict')}[{types.builtin('str')}, {inner}]]"
            )
        self._types.write_aliases()
        return text.written(doc, is_stub=True)

    def _variables(self) -> list[str]:
        found: dict[str, None] = {}
        for node in nodes_within(self._schema, self._file.id):
            if isinstance(node.body, model.Struct):
                found |= dict.fromkeys(self._names.typevars(node))
        return [*found]

    def _declaration(self, node_id: int, name: str, blanks: int) -> None:
        node = self._schema.find(node_id)
        if node is None:
            return
        body = node.body
        if isinstance(body, model.Struct):
            self._text.blank(blanks)
            self._struct(node, body, name)
        elif isinstance(body, model.Enum):
            self._text.blank(blanks)
            self._enum(node, body, name)
        elif isinstance(body, model.Interface):
            self._text.blank(blanks)
            self._interface(node, name)
        elif isinstance(body, model.Const):
            self._text.line(f"{name}: {self._types.typing('Final')}[{self._types.read(body.type, node)}]")
            self._text.doc(node.doc)

    def _inner(self, node: model.Node) -> None:
        for nested in node.nested:
            self._declaration(nested.id, plain_name(nested.name), 1)
        for inner in inner_ids(self._schema, node):
            self._declaration(inner, self._names.place(inner).path[-1], 1)

    def _enum(self, node: model.Node, body: model.Enum, name: str) -> None:
        types, text = self._types, self._text
        with text.block(f"class {name}({types.support('EnumValue')}):"):
            text.doc(node.doc)
            for enumerant in sorted(body.enumerants, key=lambda each: each.order):
                own = types.declared(node.id)
                text.line(f"{enumerant_attribute(enumerant.name)}: {types.typing('ClassVar')}[{own}]")
                text.doc(enumerant.doc)
            names = [enumerant.name for enumerant in body.enumerants]
            alias = types.typing("TypeAlias")
            literal = types.typing("Literal")
            text.call(f"_Name: {alias} = {literal}[", [f'"{each}"' for each in names], "]") if names else text.line(
                f"_Name: {alias} = {types.typing('Never')}"
            )

    def _interface(self, node: model.Node, name: str) -> None:
        with self._text.block(f"class {name}:"):
            self._text.doc(node.doc)
            self._inner(node)
            self._text.empty()

    def _struct(self, node: model.Node, body: model.Struct, name: str) -> None:
        types, text = self._types, self._text
        variables = self._names.typevars(node)
        bases = [types.support("TypedReader")]
        if variables:
            bases.append(f"{types.typing('Generic')}[{', '.join(variables)}]")
        text.call(f"class {name}(", bases, "):")
        with text.indented():
            text.doc(node.doc)
            self._inner(node)
            self._arms(body)
            self._builder(node, body)
            for field in sorted(body.fields, key=lambda each: each.order):
                self._property(attribute_name(field.name), self._read(field, node), field.doc)
            self._which(node, body)
            if not body.is_group:
                self._new_message(node, body)

    def _read(self, field: model.Field, node: model.Node) -> str:
        if isinstance(field.place, model.Group):
            return self._types.struct(self._group(field.place, node), node)
        return self._types.read(field.place.type, node)

    def _group(self, place: model.Group, node: model.Node) -> model.StructType:
        """A group's parameters are those of the struct around it."""
        return model.StructType(place.id, tuple(model.Scope(scope, None) for scope in self._scopes(node)))

    def _scopes(self, node: model.Node) -> list[int]:
        found = []
        current: model.Node | None = node
        while current is not None:
            found.append(current.id)
            current = self._schema.find(current.scope_id) if current.scope_id else None
        return found

    def _property(self, name: str, kind: str, doc: str, given: str = "") -> None:
        text = self._text
        text.blank()
        text.line(f"@{self._types.builtin('property')}")
        if doc:
            with text.block(f"def {name}(self) -> {kind}:"):
                text.doc(doc)
        else:
            text.line(f"def {name}(self) -> {kind}: ...")
        if given:
            text.line(f"@{name}.setter")
            text.call(f"def {name}(", ["self", f"value: {given}"], ") -> None: ...")

    def _arms(self, body: model.Struct) -> None:
        """The names of the union's members."""
        arms = [field.name for field in sorted(body.fields, key=lambda each: each.order) if field.arm >= 0]
        if arms:
            opening = f"_Arm: {self._types.typing('TypeAlias')} = {self._types.typing('Literal')}["
            self._text.call(opening, [f'"{arm}"' for arm in arms], "]")

    def _which(self, node: model.Node, body: model.Struct) -> None:
        if body.discriminant >= 0:
            arm = f"{self._types.declared(node.id)}._Arm"
            self._text.call("def which(", ["self"], f") -> {arm} | {self._types.support('Enumerant')}: ...")

    def _builder(self, node: model.Node, body: model.Struct) -> None:
        text, types = self._text, self._types
        with text.block(f"class {types.builder_of(node.id)}({types.support('TypedBuilder')}):"):
            fields = [
                field
                for field in sorted(body.fields, key=lambda each: each.order)
                if field.name not in BUILDER_NAMES and attribute_name(field.name) == field.name
            ]
            for field in fields:
                kind, given = self._built(field, node), self._given(field, node)
                self._property(field.name, kind, "", given)
            self._inits(body, node)
            self._which(node, body)
            text.empty()

    def _built(self, field: model.Field, node: model.Node) -> str:
        if isinstance(field.place, model.Group):
            return f"{self._types.declared(field.place.id)}.{self._types.builder_of(field.place.id)}"
        return self._types.built(field.place.type, node)

    def _given(self, field: model.Field, node: model.Node) -> str:
        if isinstance(field.place, model.Group):
            return f"{self._types.support('StructInput')}[{self._read(field, node)}]"
        return self._types.given(field.place.type, node)

    def _inits(self, body: model.Struct, node: model.Node) -> None:
        """`init` of what lies behind a pointer, or is a group."""
        types, text = self._types, self._text
        found = [
            field
            for field in sorted(body.fields, key=lambda each: each.order)
            if isinstance(field.place, model.Group) or isinstance(field.place.type, _POINTERS)
        ]
        for field in found:
            is_list = isinstance(field.place, model.Slot) and isinstance(field.place.type, model.ListType)
            text.blank()
            if len(found) > 1:
                text.line(f"@{types.typing('overload')}")
            items = ["self", f"name: {types.literal([field.name])}"]
            if is_list:
                items.append(f"size: {types.builtin('int')}")
            text.call("def init(", items, f") -> {self._built(field, node)}: ...")

    def _new_message(self, node: model.Node, body: model.Struct) -> None:
        text, types = self._text, self._types
        text.line(f"@{types.builtin('classmethod')}")
        items = ["cls"]
        fields = sorted(body.fields, key=lambda each: each.order)
        if fields:
            items.append("*")
        items += [f"{argument_name(field.name)}: {self._given(field, node)} = ..." for field in fields]
        own = f"{types.declared(node.id)}.{types.builder_of(node.id)}"
        text.call("def new_message(", items, f") -> {own}: ...")
