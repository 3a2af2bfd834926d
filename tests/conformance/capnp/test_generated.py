"""Random schemas and random values: our reader, pycapnp's and the tool read the same, from whatever wrote it."""

import json
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp.corpus import by_pycapnp, message_as_json, same
from conformance.capnp.generated import STRUCTS, SchemaMaker, ValueMaker
from conformance.capnp_tool import binaries, convert, needs_tool
from hootbus.schemas import BodyError, Builder, StructType, load, read_capnp, validate, write_struct
from hootbus.schemas.canonical import canonical
from hootbus.schemas.forms import read_capnp_json, write_capnp_json
from hootbus.schemas.forms.text import write_text
from hootbus.schemas.forms.textparse import read_text
from hootbus.schemas.layout import layout_of

# One file for every run, as a schema stays loaded for the life of the process.
SEED: Final = 4
SCHEMA: Final = SchemaMaker(SEED)
VALUES_PER_STRUCT: Final = 25

Values = dict[str, Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "generated.capnp"
    path.write_text(SCHEMA.text(0xF0F1_F2F3_F4F5_F6F7))
    return path


@pytest.fixture(scope="module")
def module(file: Path) -> ModuleType:
    return load(file)


def struct_of(module: ModuleType, number: int, when: str = "") -> StructType:
    found: StructType = getattr(module, f"S{number}{when}")
    return found


def built(struct: StructType, values: Values, random: Random) -> bytes:
    """The message as pycapnp builds it, over segments of random sizes."""
    sizes = [random.choice((1, 2, 5, 1000)) for _ in range(9)]

    def segment(words: int) -> bytearray:
        # Nothing is drawn here: an exception of hypothesis's, on its way through pycapnp, would end the process.
        sizes.append(sizes.pop(0))
        return bytearray(8 * max(words, sizes[0]))

    builder: Builder = struct.new_message(num_first_segment_words=sizes[0], allocate_seg_callable=segment)
    builder.from_dict(values)
    made: bytes = builder.to_bytes()
    return made


@settings(max_examples=300)
@given(random=st.randoms(use_true_random=False), number=st.integers(0, STRUCTS - 1))
def test_what_either_writes_both_read(module: ModuleType, random: Random, number: int) -> None:
    values = ValueMaker(random, SCHEMA).struct(number)
    struct = struct_of(module, number)
    ours, theirs = bytes(write_struct(struct, **values).buffer), built(struct, values, random)
    found = read_capnp(ours, struct).to_dict()
    for message in (ours, theirs):
        assert same(read_capnp(message, struct).to_dict(), found)
        assert same(found, by_pycapnp(message, struct))
        assert validate(message, struct) == ()
    assert same(read_capnp(write_struct(struct, **found).buffer, struct).to_dict(), found)
    assert canonical(ours) == canonical(theirs)


@settings(max_examples=150)
@given(random=st.randoms(use_true_random=False), number=st.integers(0, STRUCTS - 1))
def test_older_and_newer_peers_read_each_other(module: ModuleType, random: Random, number: int) -> None:
    new, old = struct_of(module, number), struct_of(module, number, "Before")
    message = built(new, ValueMaker(random, SCHEMA).struct(number), random)
    try:
        before = read_capnp(message, old).to_dict()
    except BodyError:
        # The old schema has only one member of what became a union, as a field, and another one is set.
        with pytest.raises(Exception, match=r".+"):
            by_pycapnp(message, old)
        return
    assert same(before, by_pycapnp(message, old))
    validate(message, old)
    if all(field in before for field in layout_of(old).fields):
        again = bytes(write_struct(old, **before).buffer)
        assert same(read_capnp(again, new).to_dict(), by_pycapnp(again, new))


@needs_tool
@pytest.mark.parametrize("number", range(STRUCTS))
def test_the_tool_reads_what_we_write_and_we_read_what_it_writes(module: ModuleType, file: Path, number: int) -> None:
    struct, name = struct_of(module, number), f"S{number}"
    maker = ValueMaker(Random(f"{SEED}:{number}"), SCHEMA)
    written = [bytes(write_struct(struct, **maker.struct(number)).buffer) for _ in range(VALUES_PER_STRUCT)]
    found = [read_capnp(message, struct).to_dict() for message in written]
    shown = convert("binary:json", b"".join(written), "--short", of=(file, name))
    texts = convert("binary:text", b"".join(written), "--short", of=(file, name)).decode().splitlines()
    for message, line, text, values in zip(written, shown.decode().splitlines(), texts, found, strict=True):
        assert same(message_as_json(values, struct), json.loads(line))
        assert write_capnp_json(read_capnp(message, struct)) == line
        assert write_text(read_capnp(message, struct)) == text
        assert canonical(read_text(text, struct).buffer) == canonical(message)
        assert same(values, read_capnp(read_capnp_json(line, struct).buffer, struct).to_dict())
    for options in ((), ("--segment-size=1",), ("--segment-size=5",)):
        messages = binaries(convert("json:binary", shown, *options, of=(file, name)))
        for message, values in zip(messages, found, strict=True):
            assert same(values, read_capnp(message, struct).to_dict())
    for message in written[:5]:
        assert canonical(message) == convert("binary:canonical", message)
