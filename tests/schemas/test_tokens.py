"""Cutting Cap'n Proto source into tokens: nothing is lost, nothing changes its meaning, every token knows its place."""

import re
from pathlib import Path

import capnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.schemas.copies import CAPNP_IMPORTS, PACKAGED
from hootbus.schemas.tokens import Reference, has_id, place_of, references, spread, tokens_of

SCHEMAS = [
    *PACKAGED.glob("*.capnp"),
    *Path(CAPNP_IMPORTS, "capnp").glob("*.capnp"),
    Path(__file__).with_name("shapes.capnp"),
]

PIECES = [
    *(
        b"struct",
        b"import",
        b"x",
        b"0x1f",
        b"1.5e-3",
        b"0",
        b"e",
        b"-",
        b"->",
        b":",
        b".",
        b"@0",
        b"(",
        b"]",
        b"{",
        b";",
    ),
    *(
        b'"',
        b'"a b#c"',
        b'"\\""',
        b"\\",
        b'0x"',
        b'0x"1f 2e"',
        b"`",
        b"#",
        b"# \xff",
        b"\n",
        b"\r\n",
        b"\t ",
        b"\xc3\xa9",
        b"\0",
    ),
]
SOURCES = st.lists(st.sampled_from(PIECES)).map(b"".join) | st.binary()

BLANK = re.compile(rb"(?:[ \f\n\r\t\v]|#[^\n]*)*")


def texts(source: bytes) -> list[bytes]:
    return [token.text for token in tokens_of(source)]


def nodes(file: Path) -> dict[int, tuple[bytes, bytes]]:
    """What the compiler makes of a file."""
    parser = capnp.SchemaParser()
    parser.load(str(file), imports=[CAPNP_IMPORTS])
    found = {}
    for type_id, module in parser.modules_by_id.items():
        node = module._nodeSchema.node.as_builder().to_bytes()
        # Word 7 is where it begins and ends in the text. No field of Node has that, so it cannot be set to zero.
        found[type_id] = (node[:56], node[64:])
    return found


@given(SOURCES)
def test_what_is_in_no_token_is_white_space_or_comment(source: bytes) -> None:
    end = 0
    for text, start in tokens_of(source):
        assert BLANK.fullmatch(source, end, start)
        assert source[start : start + len(text)] == text
        end = start + len(text)
    assert BLANK.fullmatch(source, end)


@given(SOURCES)
def test_spread_out_the_tokens_are_the_same_one_in_each_line(source: bytes) -> None:
    tokens = tokens_of(source)
    apart = spread(tokens)
    again = tokens_of(apart)
    assert [text.split() for text, _ in again] == [text.split() for text, _ in tokens]
    assert [place_of(apart, start) for _, start in again] == [(line, 1) for line in range(2, len(tokens) + 2)]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: file.name)
def test_the_compiler_makes_the_same_of_a_file_that_is_spread_out(tmp_path: Path, file: Path) -> None:
    for neighbour in file.parent.glob("*.capnp"):
        (tmp_path / neighbour.name).write_bytes(neighbour.read_bytes())
    (tmp_path / file.name).write_bytes(spread(tokens_of(file.read_bytes())))
    assert nodes(tmp_path / file.name) == nodes(file)


def test_tokens_are_the_compilers() -> None:
    source = b'f @0x1f :.A.B(-1.5e-3, 0x"0 1\n2") -> $x(`a"b;\n); # comment\nt @1 :Text = "\\"#" "";'
    assert texts(source) == [
        *(b"f", b"@", b"0x1f", b":.", b"A", b".", b"B", b"(", b"-", b"1.5e-3", b",", b'0x"0 1\n2"', b")", b"->"),
        *(b"$", b"x", b"(", b'`a"b;', b")", b";"),
        *(b"t", b"@", b"1", b":", b"Text", b"=", b'"\\"#"', b'""', b";"),
    ]


@pytest.mark.parametrize("source", [b'"open', b'0x"1', b"1x", b"0x1g", b"1.2.3e", b"\xef\xbb\xbf", b"'", b"\\"])
def test_what_is_no_token_is_kept_in_one_piece(source: bytes) -> None:
    assert texts(source) == [source]


def test_imports_and_embeds_are_found_where_they_are_meant() -> None:
    source = b'# import "a"\nusing import\n "b c"; const x :Text = "import \\"d\\""; const y :Data = embed # e\n "f";'
    assert list(references(tokens_of(source))) == [Reference(2, "b c", False), Reference(17, "f", True)]


def test_places_are_counted_in_lines_and_bytes_from_one() -> None:
    source = b"a\r\n\xc3\xa9 b\n"
    assert [place_of(source, start) for start in (0, 3, 6, len(source))] == [(1, 1), (2, 1), (2, 4), (3, 1)]


def test_ids_are_found_however_their_digits_are_spelled() -> None:
    tokens = tokens_of(
        b"@0xE5a1c2f3b4d5968b; struct C @ 0x0f00000000000001 { a @0 :Int8 = 0x7; }  # @0xf000000000000002"
    )
    assert [has_id(tokens, number) for number in (0xE5A1C2F3B4D5968B, 0xF00000000000001)] == [True, True]
    assert not any(has_id(tokens, number) for number in (0, 7, 0xF000000000000002))
