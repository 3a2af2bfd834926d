"""How a struct is spelled in JSON: the annotations of `/capnp/compat/json.capnp`, worked out once for each struct.

A field is called as `$Json.name` says. The fields of one with `$Json.flatten` stand among those around it, so the names
of a struct are its own and those of what is flattened into it. With `$Json.discriminator` a name says which member of a
union is set. What an annotation cannot mean, and two fields of one name, is an error in the schema: a FieldError,
whoever sent the message.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import msgspec

from hootbus.schemas import model
from hootbus.schemas.errors import BodyError, FieldError
from hootbus.schemas.layout import Field, StructLayout
from hootbus.schemas.pointers import NESTING_MAX, Target, follow, struct_of, text_of
from hootbus.schemas.segments import Segments
from hootbus.schemas.types import Data, Enum, List, Struct, Type

NAME: Final = 0xFA5B1FD61C2E7C3D
FLATTEN: Final = 0x82D3E852AF0336BF
DISCRIMINATOR: Final = 0xCFA794E8D19A0162
BASE64: Final = 0xD7D879450A253E4B
HEX: Final = 0xF061E22F0AE5C7B5

# A struct has at most half as many fields; but structs that are flattened into each other twice double their names.
NAMES_MAX: Final = 1 << 16

_CODINGS: Final = {BASE64: "base64", HEX: "hex"}


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A field as it is spelled.

    `name` is its name, or that of the union's value; `said` what the discriminator says while it is set. `type` is the
    field's, its enums with the names that these have in JSON. `inner` is how a group is spelled, and a struct that is
    `flat`: whose fields stand here under a `prefix`. `coding` is that of Data: "base64", "hex", or "" for numbers.
    """

    field: Field
    name: str
    said: str
    type: Type
    inner: "Spelling | None" = None
    flat: bool = False
    prefix: str = ""
    coding: str = ""


class Spelling(msgspec.Struct, frozen=True, kw_only=True):
    """A struct, or a group, as it is spelled.

    `plain` are the members outside of the union, in the order of their numbers, and `arms` those in it by discriminant.
    `names` are all that an object may have here, each with whether it is about the union. `tag` names the union's
    discriminator. If that is None, the member whose name is there is the one that is set: `by_name` has those of which
    that can be told.
    """

    layout: StructLayout
    plain: tuple[Member, ...]
    arms: Mapping[int, Member]
    names: Mapping[str, bool]
    tag: str | None
    by_name: Mapping[str, Member]

    def arm_called(self, said: str) -> Member | None:
        """The union's member that the discriminator says."""
        return next((member for member in self.arms.values() if member.said == said), None)


class _Discriminator(msgspec.Struct, frozen=True):
    name: str | None
    value_name: str | None


def spelling_of(layout: StructLayout) -> Spelling:
    """How this struct is spelled. Raises FieldError where its schema's annotations make no sense."""
    found: Spelling | None = layout.derived.get(Spelling)
    if found is None:
        found = layout.derived[Spelling] = _Speller().struct(layout)
    return found


class _Speller:
    """Works out one struct, and what is flattened into it."""

    def __init__(self) -> None:
        self._done: dict[StructLayout, Spelling] = {}
        self._open: set[StructLayout] = set()

    def struct(self, layout: StructLayout) -> Spelling:
        """A struct by its own annotations."""
        found = self._done.get(layout)
        if found is None:
            options = _discriminator(layout.node, "", layout.node.annotations)
            self._done[layout] = found = self._spelling(layout, options, None)
        return found

    def _spelling(self, layout: StructLayout, options: _Discriminator | None, own_name: str | None) -> Spelling:
        """`own_name` is what a union that is flattened is called, and its discriminator if that has no name."""
        tag = value_name = None
        if options is not None:
            tag = own_name if options.name is None else options.name
            value_name = options.value_name
        struct = layout.node.body
        assert isinstance(struct, model.Struct)
        self._open.add(layout)
        members = [
            self._member(layout, field, declared.annotations, value_name)
            for field, declared in zip(layout.by_number, struct.fields, strict=True)
        ]
        self._open.remove(layout)
        arms = {member.field.arm: member for member in members if member.field.arm >= 0}
        if (said := _first_twice(member.said for member in arms.values())) is not None:
            raise _twice(layout, said)
        return Spelling(
            layout=layout,
            # Those that say nothing are not gone through.
            plain=tuple(each for each in members if each.field.arm < 0 and not (each.flat and not _inner_names(each))),
            arms=arms,
            names=_names(layout, members, tag, value_name),
            tag=tag,
            by_name={} if value_name is not None else {each.name: each for each in arms.values() if not each.flat},
        )

    def _member(
        self, layout: StructLayout, field: Field, annotations: tuple[model.Annotation, ...], value_name: str | None
    ) -> Member:
        name, prefix, flat, coding = field.name, "", False, ""
        for annotation in annotations:
            if annotation.id == NAME:
                name = _text(layout.node, field.name, annotation.value)
            elif annotation.id == FLATTEN:
                if not isinstance(field.type, Struct):
                    raise FieldError(layout.display_name, field.name, "is no struct and no group, and cannot be flat")
                flat, prefix = True, _texts(layout.node, field.name, annotation.value, 1)[0] or ""
            elif annotation.id in _CODINGS:
                coding = _CODINGS[annotation.id]
                if not isinstance(field.type, Data):
                    raise FieldError(layout.display_name, field.name, f"is no Data, and cannot be {coding}")
        said = name
        if value_name is not None and field.arm >= 0:
            name = value_name
        return Member(
            field=field,
            name=name,
            said=said,
            type=_named(layout.schema, field.type),
            inner=self._inner(layout, field, annotations, flat),
            flat=flat,
            prefix=prefix,
            coding=coding,
        )

    def _inner(
        self, layout: StructLayout, field: Field, annotations: tuple[model.Annotation, ...], flat: bool
    ) -> Spelling | None:
        if not isinstance(field.type, Struct) or not (flat or field.is_group):
            return None
        inner = field.type.layout
        if field.is_group:
            # A group has no name for its type that could be annotated: what is said of its union stands at the field.
            options = _discriminator(layout.node, field.name, annotations)
            return self._spelling(inner, options, field.name if flat else None)
        if inner in self._open:
            raise FieldError(layout.display_name, field.name, "is flattened into itself, without end")
        if len(self._open) > NESTING_MAX:
            raise FieldError(layout.display_name, field.name, f"is flattened more than {NESTING_MAX} deep")
        return self.struct(inner)


def _names(layout: StructLayout, members: list[Member], tag: str | None, value_name: str | None) -> dict[str, bool]:
    """All names, each with whether it is about the union. Members of the union that are flat may have the same."""
    names: dict[str, bool] = {name: True for name in (tag, value_name) if name is not None}
    if tag is not None and tag == value_name:
        raise _twice(layout, tag)
    shared: set[str] = set()
    for member in members:
        in_union = member.field.arm >= 0
        if not member.flat:
            if in_union and member.name == value_name:
                continue
            if member.name in names:
                raise _twice(layout, member.name)
            names[member.name] = in_union
            continue
        for inner in _inner_names(member):
            name = member.prefix + inner
            if name in names and not (in_union and name in shared):
                raise _twice(layout, name)
            names[name] = in_union
            if in_union:
                shared.add(name)
        if len(names) > NAMES_MAX:
            raise FieldError(layout.display_name, member.field.name, f"makes more than {NAMES_MAX} names, flattened")
    return names


def _inner_names(member: Member) -> Mapping[str, bool]:
    assert member.inner is not None
    return member.inner.names


def _first_twice(names: Iterable[str]) -> str | None:
    """The first name that was there before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _twice(layout: StructLayout, name: str) -> FieldError:
    return FieldError(layout.display_name, name, "is the name of two fields in JSON")


def _discriminator(node: model.Node, field: str, annotations: tuple[model.Annotation, ...]) -> _Discriminator | None:
    for annotation in annotations:
        if annotation.id == DISCRIMINATOR:
            return _Discriminator(*_texts(node, field, annotation.value, 2))
    return None


def _named(schema: model.Schema, kind: Type) -> Type:
    """The type with the names of its enums as they are in JSON."""
    if isinstance(kind, List):
        return List(_named(schema, kind.element))
    if isinstance(kind, Enum):
        return _named_enum(schema, kind)
    return kind


def _named_enum(schema: model.Schema, kind: Enum) -> Enum:
    found: Enum | None = schema.derived.get((_named_enum, kind.id))
    if found is None:
        found = schema.derived[_named_enum, kind.id] = _enum(schema, kind)
    return found


def _enum(schema: model.Schema, kind: Enum) -> Enum:
    node = schema.node(kind.id)
    assert isinstance(node.body, model.Enum)
    names: list[str] = []
    for enumerant in node.body.enumerants:
        given = [annotation.value for annotation in enumerant.annotations if annotation.id == NAME]
        names.append(_text(node, enumerant.name, given[0]) if given else enumerant.name)
    if (name := _first_twice(names)) is not None:
        raise FieldError(node.display_name, name, "is the name of two enumerants in JSON")
    return Enum(kind.name, tuple(names), kind.id)


def _text(node: model.Node, name: str, value: model.Value) -> str:
    """The text that an annotation's value is."""
    with _judged(node, name):
        parts, target = _pointed(value)
        return str(text_of(parts, target, None), "utf-8")


def _texts(node: model.Node, name: str, value: model.Value, count: int) -> list[str | None]:
    """The first so many pointers of the struct that an annotation's value is, as texts; None where nothing is said."""
    texts: list[str | None] = [None] * count
    with _judged(node, name):
        parts, target = _pointed(value)
        struct = struct_of(parts, target, None)
        for index in range(min(count, struct.pointers)):
            found = follow(parts, struct.segment, struct.at + index, None)
            texts[index] = None if found is None else str(text_of(parts, found, None), "utf-8")
    return texts


def _pointed(value: model.Value) -> tuple[Segments, Target]:
    if not isinstance(value, model.Pointed):
        raise BodyError("", "nothing")
    parts = (memoryview(value.segment),)
    target = follow(parts, 0, 0, None)
    if target is None:
        raise BodyError("", "nothing")
    return parts, target


@contextmanager
def _judged(node: model.Node, name: str) -> Iterator[None]:
    """An annotation's value that is of another type than the declaration says: a schema that no compiler has made."""
    try:
        yield
    except (BodyError, UnicodeDecodeError) as error:
        raise FieldError(node.display_name, name, f"its annotation for JSON has a wrong value: {error}") from None
