"""Whether nodes hold together: what the compiler guarantees, and a peer that sends a schema may not.

Whoever works with a model afterwards may rely on it: every id that is named is there and is of the right kind, names
are names, every field lies within its struct, and neither groups nor scopes nor interfaces contain themselves.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeGuard

from hootbus.schemas import model
from hootbus.schemas.bits import bits_of
from hootbus.schemas.errors import BodyError
from hootbus.schemas.types import NUMBERS, SIMPLE

NAME_CHARS_MAX: Final = 255
# Of a file: some folders, some scopes.
DISPLAY_NAME_CHARS_MAX: Final = 4096
# Of scopes within scopes, groups within groups, interfaces that extend interfaces.
DEPTH_MAX: Final = 64

# Counted along all ways: an interface may be reached by several.
CONTAINED_MAX: Final = 10_000

# Of a generic type. Each reference to it may come with as many types.
PARAMETERS_MAX: Final = 256

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What the compiler calls the structs that it makes of a method's parameters and results.
_MADE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}\$(?:Params|Results)")


def check_sound(nodes: Sequence[model.Node], files: Iterable[model.RequestedFile]) -> None:
    """Raises BodyError, whose field names the declaration, for the first thing that cannot be."""
    by_id: dict[int, model.Node] = {}
    for node in nodes:
        if by_id.setdefault(node.id, node) is not node:
            raise BodyError(node.display_name[:NAME_CHARS_MAX], f"the id @{node.id:#018x} is there twice")
    check = _Check(by_id)
    for node in nodes:
        check.node(node)
    for file in files:
        check.file(file)


class _Check:
    """The checks of one node after the other; `_where` is the one being looked at."""

    def __init__(self, nodes: Mapping[int, model.Node]) -> None:
        self._nodes = nodes
        self._where = ""

    def node(self, node: model.Node) -> None:
        self._where = node.display_name[:NAME_CHARS_MAX]
        body = node.body
        if len(node.display_name) > DISPLAY_NAME_CHARS_MAX or not node.display_name.isprintable():
            raise self._error("its name is too long or not printable")
        if not isinstance(body, model.File):
            # What it is called among others, as those have it who show it or write it into a module.
            for name in (node.name, *node.path.split(".")):
                if not _MADE_NAME.fullmatch(name):
                    self._name(name)
        if len(node.parameters) > PARAMETERS_MAX:
            raise self._error(f"{len(node.parameters)} parameters, at most {PARAMETERS_MAX}")
        for name in (*node.parameters, *(nested.name for nested in node.nested)):
            self._name(name)
        self._contained(node, _scope)
        for nested in node.nested:
            # What is declared here and needed by nobody may be left out.
            inner = self._nodes.get(nested.id)
            if inner is not None and inner.scope_id != node.id:
                raise self._error(f"{nested.name}: @{nested.id:#018x} is declared elsewhere")
        if isinstance(body, model.Struct):
            self._struct(node, body)
        elif isinstance(body, model.Enum):
            self._names([enumerant.name for enumerant in body.enumerants])
        elif isinstance(body, model.Interface):
            self._interface(node, body)
        elif isinstance(body, model.Const):
            self._type(body.type)
            self._value(body.type, body.value)
        elif isinstance(body, model.AnnotationDeclaration):
            self._type(body.type)

    def file(self, file: model.RequestedFile) -> None:
        self._where = file.name[:NAME_CHARS_MAX]
        if not isinstance(self._find(file.id).body, model.File):
            raise self._error(f"@{file.id:#018x} is no file")

    def _struct(self, node: model.Node, struct: model.Struct) -> None:
        self._names([field.name for field in struct.fields])
        if struct.discriminant >= 0 and struct.discriminant * 16 + 16 > struct.data_words * 64:
            raise self._error("its union's discriminant lies outside of its data")
        arms = [field.arm for field in struct.fields if field.arm >= 0]
        if len(set(arms)) < len(arms) or bool(arms) != (struct.discriminant >= 0):
            raise self._error("the members of its union cannot be told apart")
        self._contained(node, _groups)
        for field in struct.fields:
            if isinstance(field.place, model.Group):
                group = self._find(field.place.id).body
                if not isinstance(group, model.Struct) or not group.is_group:
                    raise self._error(f"{field.name}: @{field.place.id:#018x} is no group")
                if group.data_words > struct.data_words or group.pointers > struct.pointers:
                    raise self._error(f"{field.name}: the group is larger than the struct in which it lies")
            else:
                self._slot(struct, field.name, field.place)

    def _slot(self, struct: model.Struct, name: str, slot: model.Slot) -> None:
        self._type(slot.type)
        self._value(slot.type, slot.default)
        bits = bits_of(slot.type)
        end, most = (
            (slot.offset + 1, struct.pointers) if bits is None else (slot.offset * bits + bits, struct.data_words * 64)
        )
        if end > most:
            raise self._error(f"{name} lies outside of the struct")

    def _interface(self, node: model.Node, interface: model.Interface) -> None:
        self._names([method.name for method in interface.methods])
        self._contained(node, _superclasses)
        for kind in interface.superclasses:
            self._type(kind)
        for method in interface.methods:
            for name in method.parameters:
                self._name(name)
            self._type(method.request)
            self._type(method.reply)

    def _type(self, kind: model.Type) -> None:
        while isinstance(kind, model.ListType):
            kind = kind.element
        if isinstance(kind, model.SimpleType):
            if kind.name not in SIMPLE:
                raise self._error(f"{kind.name[:NAME_CHARS_MAX]} is no type")
            return
        if isinstance(kind, model.AnyType) and kind.kind not in _ANY_KINDS:
            raise self._error(f"{kind.kind[:NAME_CHARS_MAX]} is no kind of pointer")
        if not isinstance(kind, model.EnumType | model.StructType | model.InterfaceType):
            return
        body = self._find(kind.id).body
        if not isinstance(body, _BODIES[type(kind)]) or (isinstance(body, model.Struct) and body.is_group):
            raise self._error(f"@{kind.id:#018x} is of another kind than its use says")
        for scope in kind.brand:
            for bound in scope.bound or ():
                if bound is not None:
                    self._type(bound)

    def _value(self, kind: model.Type, value: model.Value) -> None:
        if not _fits(kind, value):
            raise self._error("a value is of another type than it should be")

    def _contained(self, node: model.Node, inner: Callable[[model.Node], Iterable[int]]) -> None:
        """That nothing contains itself, by the ids of what each contains."""
        waiting = [(node, 0)]
        seen = 0
        while waiting:
            each, depth = waiting.pop()
            seen += 1
            if depth > DEPTH_MAX or seen > CONTAINED_MAX:
                raise self._error("it contains itself, or too much")
            waiting += [(self._find(node_id), depth + 1) for node_id in inner(each)]

    def _find(self, node_id: int) -> model.Node:
        found = self._nodes.get(node_id)
        if found is None:
            raise self._error(f"it names @{node_id:#018x}, which is not there")
        return found

    def _names(self, names: Sequence[str]) -> None:
        for name in names:
            self._name(name)
        if len(set(names)) < len(names):
            raise self._error("it has the same name twice")

    def _name(self, name: str) -> None:
        if len(name) > NAME_CHARS_MAX or not _NAME.fullmatch(name):
            raise self._error(f"{name[:NAME_CHARS_MAX]!r} is no name")

    def _error(self, reason: str) -> BodyError:
        return BodyError(self._where, reason)


def _scope(node: model.Node) -> Iterable[int]:
    return [node.scope_id] if node.scope_id else []


def _groups(node: model.Node) -> Iterable[int]:
    fields = node.body.fields if isinstance(node.body, model.Struct) else ()
    return [field.place.id for field in fields if isinstance(field.place, model.Group)]


def _superclasses(node: model.Node) -> Iterable[int]:
    return [kind.id for kind in node.body.superclasses] if isinstance(node.body, model.Interface) else []


def _fits(kind: model.Type, value: model.Value) -> bool:
    if isinstance(kind, model.EnumType):
        return _is_integer(value) and 0 <= value <= 0xFFFF
    name = kind.name if isinstance(kind, model.SimpleType) else ""
    if name == "bool":
        return isinstance(value, bool)
    number = NUMBERS.get(name)
    if number is None:
        return value is None or (isinstance(value, model.Pointed) and name != "void")
    if number.code in "fd":
        return isinstance(value, float)
    low = -1 << number.bits - 1 if number.code.islower() else 0
    return _is_integer(value) and low <= value < low + (1 << number.bits)


def _is_integer(value: model.Value) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


_ANY_KINDS: Final = frozenset({"anyKind", "struct", "list", "capability"})
_BODIES: Final[dict[type[model.Type], type[model.Body]]] = {
    model.EnumType: model.Enum,
    model.StructType: model.Struct,
    model.InterfaceType: model.Interface,
}
