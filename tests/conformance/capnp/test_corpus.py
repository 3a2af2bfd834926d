"""Every type and default that there is, made by the `capnp` tool in all its forms: read as others do, and written."""

import json
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from conformance.capnp.corpus import (
    CORPUS,
    SCHEMA,
    VALUES,
    anything,
    by_pycapnp,
    message_as_json,
    messages,
    same,
    struct_type,
)
from conformance.capnp_tool import convert, framed, needs_tool
from hootbus.schemas import CapnpBody, StructReader, StructType, read_capnp, validate, view, write_capnp, write_struct
from hootbus.schemas.canonical import canonical
from hootbus.schemas.forms import read_capnp_json, write_capnp_json
from hootbus.schemas.forms.packed import pack_body, unpack
from hootbus.schemas.forms.text import write_text
from hootbus.schemas.forms.textparse import read_text

# Each word a segment of its own; most objects; a few; whole messages.
SEGMENTED: Final = [(), *((f"--segment-size={words}",) for words in (1, 2, 3, 7, 30))]
EVERYTHING: Final = sorted(VALUES)

Write = Callable[[StructReader], str]
Read = Callable[[str, StructType], CapnpBody]

pytestmark = needs_tool


def plain(message: bytes, name: str) -> dict[str, Any]:
    return read_capnp(message, struct_type(name)).to_dict()


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("options", SEGMENTED, ids=" ".join)
def test_a_message_reads_as_it_does_in_pycapnp_wherever_its_parts_lie(name: str, options: Sequence[str]) -> None:
    for value, message in zip(VALUES[name], messages(name, *options), strict=True):
        assert same(plain(message, name), by_pycapnp(message, struct_type(name))), value
        assert validate(message, struct_type(name)) == (), value


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_reads_as_the_tool_shows_it(name: str) -> None:
    shown = convert("binary:json", b"".join(messages(name)), "--short", of=(SCHEMA, name)).splitlines()
    for value, message, line in zip(VALUES[name], messages(name), shown, strict=True):
        assert same(message_as_json(plain(message, name), struct_type(name)), json.loads(line)), value


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_message_read_and_written_again_is_the_same_to_the_last_bit(name: str) -> None:
    forms = [convert("binary:canonical", message) for message in messages(name)]
    for value, message, form in zip(VALUES[name], messages(name), forms, strict=True):
        written = write_struct(struct_type(name), **plain(message, name)).buffer
        assert same(plain(bytes(written), name), plain(message, name)), value
        assert convert("binary:canonical", bytes(written)) == form, value
        assert canonical(message) == canonical(written) == form, value
        assert framed(form) == write_capnp(read_capnp(message, struct_type(name))), value


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize("form", ["flat", "canonical"])
def test_a_single_segment_without_a_table_reads_once_it_has_one(name: str, form: str) -> None:
    converted = [convert(f"binary:{form}", message) for message in messages(name, "--segment-size=2")]
    for value, message, words in zip(VALUES[name], messages(name), converted, strict=True):
        assert same(plain(framed(words), name), plain(message, name)), value


@pytest.mark.parametrize("name", EVERYTHING)
def test_packed_messages_are_the_tools_and_unpack_to_what_they_were(name: str) -> None:
    for message in messages(name):
        packed, flat = convert("binary:packed", message), convert("binary:flat-packed", message)
        assert pack_body(message) == packed
        assert unpack(packed) == message
        assert framed(unpack(flat)) == message
    for message in messages(name, "--segment-size=2"):
        assert unpack(pack_body(message)) == message


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize(
    ("form", "write", "read"), [("text", write_text, read_text), ("json", write_capnp_json, read_capnp_json)]
)
def test_the_forms_for_people_are_the_tools_and_read_back(name: str, form: str, write: Write, read: Read) -> None:
    kind = struct_type(name)
    shown = convert(f"binary:{form}", b"".join(messages(name)), "--short", of=(SCHEMA, name)).decode().splitlines()
    for value, message, line in zip(VALUES[name], messages(name), shown, strict=True):
        assert write(read_capnp(message, kind)) == line
        assert canonical(read(line, kind).buffer) == canonical(message), value
        if form == "text":
            assert canonical(read(value, kind).buffer) == canonical(message), value


def test_a_union_keeps_its_member_though_its_pointer_is_null() -> None:
    body = bytearray(write_struct(CORPUS.Shape, nothing=None).buffer)
    discriminant = 16 + 2 * int(CORPUS.Shape.schema.node.struct.discriminantOffset)
    for name in ("label", "corners", "inner"):
        struct.pack_into("<H", body, discriminant, CORPUS.Shape.schema.fields[name].proto.discriminantValue)
        found = read_capnp(body, CORPUS.Shape)
        assert found.which() == name
        # pycapnp and the tool show what the pointer would be read as, and would write that.
        assert found.to_dict()[name] is None
        assert name in by_pycapnp(bytes(body), CORPUS.Shape)
        again = write_struct(CORPUS.Shape, **found.to_dict()).buffer
        assert canonical(again) == canonical(body) == convert("binary:canonical", bytes(body))
        listed = read_capnp(write_struct(CORPUS.Lists, shapes=[found]).buffer, CORPUS.Lists)
        assert listed.shapes[0].which() == name


def test_an_older_peers_message_has_the_defaults_of_what_is_new() -> None:
    for value, message in zip(VALUES["Before"], messages("Before"), strict=True):
        found = plain(message, "After")
        assert same(found, by_pycapnp(message, CORPUS.After)), value
        assert validate(message, CORPUS.After) == ()
        again = write_struct(CORPUS.After, **found).buffer
        assert same(plain(bytes(again), "After"), found), value
    newest = read_capnp(messages("Before")[1], CORPUS.After)
    assert (newest.which(), newest.note, newest.weight, newest.levels[2].weight) == ("ratio", "none", 0.5, 2.5)
    assert [title.text for title in newest.titles] == ["a", "", "c"]
    assert newest.titles[0].language == "en"


@pytest.mark.parametrize("options", SEGMENTED, ids=" ".join)
def test_a_newer_peers_message_is_read_as_far_as_it_is_known(options: Sequence[str]) -> None:
    for value, message in zip(VALUES["After"], messages("After", *options), strict=True):
        found = plain(message, "Before")
        validate(message, CORPUS.Before)
        if found["colour"] != "(2)":
            # pycapnp has no word for an enumerant that it does not know.
            assert same(found, by_pycapnp(message, CORPUS.Before)), value
    found = plain(messages("After", *options)[1], "Before")
    assert (found["levels"], found["ratio"], found["colour"]) == ([1, -2, 0], 0.5, "green")
    newer = messages("After", *options)[2]
    assert plain(newer, "Before")["titles"] == ["a", ""]
    assert bytes(view(newer, CORPUS.Before, "titles[0]")) == b"a"
    (unknown,) = validate(messages("After", *options)[3], CORPUS.Before)
    assert (unknown.field, unknown.value) == ("colour", 2)


def test_pointers_of_any_kind_are_read_as_what_they_are_and_copied_as_they_are() -> None:
    found = read_capnp(anything(), CORPUS.Anything)
    assert validate(anything(), CORPUS.Anything) == ()
    assert found.any.as_struct(CORPUS.Point).to_dict() == {"x": 1, "y": 0}
    assert found.struct.as_struct(CORPUS.Tree).children[0].name == "b"
    assert [point.y for point in found.list.as_list(CORPUS.Point)] == [0, 2]
    assert found.unbound.value.as_text() == "unbound"
    assert (found.capability, found.service, list(found.services)) == (None, None, [])
    fields = ("any", "struct", "list", "unbound", "name")
    copy = write_struct(CORPUS.Anything, **{name: getattr(found, name) for name in fields}).buffer
    assert canonical(copy) == canonical(anything()) == convert("binary:canonical", anything())
