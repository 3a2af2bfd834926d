"""Nodes that cannot be: each rule on which those who work with a model rely."""

from typing import Final

import msgspec
import pytest

from hootbus.schemas import BodyError, model
from hootbus.schemas.sound import PARAMETERS_MAX, check_sound

FILE: Final = model.Node(id=1, display_name="a.capnp", name="a.capnp", scope_id=0, body=model.File())
TEXT: Final = model.SimpleType("text")


POINTED: Final = model.Pointed(bytes(8))
NOT_THERE: Final = "@0x0000000000000009, which is not there"
RUN: Final = model.Method(name="m", order=0, request=model.StructType(3), reply=model.StructType(3))


def node(number: int, body: model.Body, name: str = "A", scope_id: int = 1) -> model.Node:
    return model.Node(id=number, display_name=f"a.capnp:{name}", name=name, scope_id=scope_id, body=body)


def struct(*fields: model.Field, data_words: int = 1, discriminant: int = -1, is_group: bool = False) -> model.Struct:
    return model.Struct(data_words=data_words, pointers=1, fields=fields, discriminant=discriminant, is_group=is_group)


def field(
    kind: model.Type, offset: int = 0, default: model.Value = None, name: str = "f", arm: int = -1
) -> model.Field:
    return model.Field(name=name, order=0, place=model.Slot(kind, offset, default), arm=arm)


def group(node_id: int) -> model.Field:
    return model.Field(name="g", order=0, place=model.Group(node_id))


def simple(name: str) -> model.SimpleType:
    return model.SimpleType(name)


def test_what_holds_together_is_sound() -> None:
    check_sound(
        [
            FILE,
            node(2, struct(field(model.StructType(2)), field(model.EnumType(3), 3, 0, "e"), group(4))),
            node(3, model.Enum((model.Enumerant(name="x", order=0),)), "E"),
            node(4, struct(field(simple("bool"), 63, False), is_group=True), "g", scope_id=2),
            node(5, model.Interface((), (model.InterfaceType(6),)), "I"),
            node(6, model.Interface(()), "J"),
            node(7, struct(), "run$Params", scope_id=0),
        ],
        [model.RequestedFile(1, "a.capnp")],
    )


REFUSED: Final[dict[str, tuple[str, list[model.Node]]]] = {
    "an id that is there twice": ("is there twice", [node(2, struct()), node(2, struct(), "B")]),
    "a struct that is not there": (NOT_THERE, [node(2, struct(field(model.StructType(9))))]),
    "an enum that is a struct": ("of another kind", [node(2, struct(field(model.EnumType(2), 0, 0)))]),
    "a struct type that is a group": (
        "of another kind",
        [node(2, struct(field(model.StructType(3)))), node(3, struct(is_group=True), "g")],
    ),
    "a type that is none": ("int7 is no type", [node(2, struct(field(simple("int7"))))]),
    "a type bound within a brand": (
        NOT_THERE,
        [node(2, struct(field(model.StructType(2, (model.Scope(2, (model.StructType(9),)),)))))],
    ),
    "a group that is none": ("is no group", [node(2, struct(group(3))), node(3, struct(), "g")]),
    "a group that is larger than its struct": (
        "larger than the struct",
        [node(2, struct(group(3))), node(3, struct(is_group=True, data_words=2), "g", scope_id=2)],
    ),
    "a group in itself": ("contains itself", [node(2, struct(group(2), is_group=True))]),
    "scopes in a circle": ("contains itself", [node(2, struct(), scope_id=3), node(3, struct(), "B", scope_id=2)]),
    "an interface that extends itself": ("contains itself", [node(2, model.Interface((), (model.InterfaceType(2),)))]),
    "a number outside of the data": ("f lies outside", [node(2, struct(field(simple("uint32"), 2, 0)))]),
    "a bit outside of the data": ("f lies outside", [node(2, struct(field(simple("bool"), 64, False)))]),
    "a pointer outside of the pointers": ("f lies outside", [node(2, struct(field(TEXT, 1)))]),
    "a discriminant outside of the data": (
        "discriminant lies outside",
        [node(2, struct(field(TEXT, arm=0), field(TEXT, name="h", arm=1), discriminant=4))],
    ),
    "members of a union that are the same": (
        "cannot be told apart",
        [node(2, struct(field(TEXT, arm=0), field(TEXT, name="h", arm=0), discriminant=0))],
    ),
    "a member of no union": ("cannot be told apart", [node(2, struct(field(TEXT, arm=0)))]),
    "a name that is there twice": ("the same name twice", [node(2, struct(field(TEXT), field(TEXT)))]),
    "a name that is code": ("is no name", [node(2, struct(field(TEXT, name="f: int = exit()")))]),
    "a struct's name that is code": ("is no name", [node(2, struct(), "A: exit()")]),
    "a scope's name that is code": (
        "is no name",
        [msgspec.structs.replace(node(2, struct()), display_name='a.capnp:A": exit(), "B')],
    ),
    "a declaration within two others": (
        "B: @0x0000000000000003 is declared elsewhere",
        [msgspec.structs.replace(node(2, struct()), nested=(model.Nested("B", 3),)), node(3, struct(), "B")],
    ),
    "a name that is too long": ("is no name", [node(2, struct(field(TEXT, name="f" * 256)))]),
    "a file's name with an end of line": ("not printable", [msgspec.structs.replace(FILE, id=2, display_name="a\nb")]),
    "a default of another type": (
        "another type",
        [node(2, struct(field(simple("uint8"), 0, POINTED)))],
    ),
    "a default that is too large": ("another type", [node(2, struct(field(simple("uint8"), 0, 256)))]),
    "a default that is too small": ("another type", [node(2, struct(field(simple("int8"), 0, -129)))]),
    "a number for a pointer": ("another type", [node(2, struct(field(TEXT, 0, 1)))]),
    "a constant of another type": ("another type", [node(2, model.Const(simple("bool"), 1))]),
    "an annotation of no type": (NOT_THERE, [node(2, model.AnnotationDeclaration(model.EnumType(9), ()))]),
    "an enumerant's name": ("is no name", [node(2, model.Enum((model.Enumerant(name="1", order=0),)))]),
    "a method's request that is an enum": (
        "of another kind",
        [
            node(2, model.Interface((RUN,))),
            node(3, model.Enum(()), "E"),
        ],
    ),
}


@pytest.mark.parametrize(("said", "nodes"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_in_words(said: str, nodes: list[model.Node]) -> None:
    with pytest.raises(BodyError, match=said):
        check_sound([FILE, *nodes], [])


def test_a_generic_type_has_no_more_parameters_than_the_limit() -> None:
    """Each use of it may come with as many types."""
    names = tuple(f"T{number}" for number in range(PARAMETERS_MAX + 1))
    check_sound([FILE, msgspec.structs.replace(node(2, struct()), parameters=names[:-1])], [])
    with pytest.raises(BodyError, match=f"{len(names)} parameters, at most {PARAMETERS_MAX}"):
        check_sound([FILE, msgspec.structs.replace(node(2, struct()), parameters=names)], [])


@pytest.mark.parametrize("file_id", [2, 9])
def test_a_file_that_was_asked_for_is_a_file(file_id: int) -> None:
    with pytest.raises(BodyError):
        check_sound([FILE, node(2, struct())], [model.RequestedFile(file_id, "a.capnp")])


def test_what_extends_the_same_by_many_ways_is_not_walked_for_ever() -> None:
    interfaces = [
        node(number, model.Interface((), tuple(model.InterfaceType(number + 1) for _ in range(4))), f"I{number}")
        for number in range(2, 40)
    ]
    with pytest.raises(BodyError, match="too much"):
        check_sound([FILE, *interfaces, node(40, model.Interface(()), "Last")], [])
