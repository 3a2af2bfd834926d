"""Cap'n Proto source, cut into tokens, each of which knows where it stands.

The compiler inside pycapnp says in which line a mistake is, and not in which column. So it is given every token on a
line of its own, and the line that it names tells the token.

The cut is the compiler's own: what it would read as one token is never torn in two, and what is no token at all stays
as wrong as it was. Only comments and white space get lost, which mean nothing to it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

TOKEN: Final = re.compile(
    rb"""
      (?P<blank> [\ \f\n\r\t\v]+ | \#[^\n]* )
    | [A-Za-z_][A-Za-z0-9_]*
    | 0x"[^"]*"?                              # data; it may go on over lines
    | 0x[A-Za-z0-9_.]*
    | [0-9](?:[eE][+-] | [A-Za-z0-9_.])*
    | "(?:[^"\\\n] | \\[^\n])*"?              # text; one that is not closed ends with its line
    | `[^\n]*                                 # a line of text
    | [!$%&*+\-./:<=>?@^|~]+                  # operators are read as long as they get
    | [\x80-\xff]+
    | .                                       # brackets, commas, semicolons, and what is nowhere allowed
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """`start` is its place in the source, in bytes."""

    text: bytes
    start: int


class Reference(NamedTuple):
    """`import "name"` or `embed "name"`; `number` is that of the token which is the name."""

    number: int
    name: str
    embedded: bool


def tokens_of(source: bytes) -> list[Token]:
    """Whatever the bytes are: every one of them is in a token, in a comment, or white space."""
    return [Token(found[0], found.start()) for found in TOKEN.finditer(source) if found["blank"] is None]


def spread(tokens: Sequence[Token]) -> bytes:
    """The same source with token number n, from 0, in line n + 1. Line 0 is empty: it is what precedes all tokens."""
    return b"".join(b"\n" + token.text.replace(b"\n", b" ") for token in tokens) + b"\n"


def references(tokens: Sequence[Token]) -> Iterator[Reference]:
    """What the source imports and embeds. Escapes in a name are not replaced."""
    for number, (keyword, name) in enumerate(pairwise(tokens), start=1):
        if keyword.text in (b"import", b"embed") and name.text.startswith(b'"'):
            yield Reference(number, name.text.strip(b'"').decode(errors="replace"), keyword.text == b"embed")


def has_id(tokens: Sequence[Token], number: int) -> bool:
    """Whether the source gives anything this id, spelled as `capnp id` does: `@0x9eb32e19f86ee174`."""
    return any(
        mark.text == b"@" and token.text.startswith(b"0x") and token.text[2:].lower().lstrip(b"0") == b"%x" % number
        for mark, token in pairwise(tokens)
    )


def place_of(source: bytes, start: int) -> tuple[int, int]:
    """Line and column of a byte, both from 1. Columns are counted in bytes, as `capnp compile` does."""
    line_start = source.rfind(b"\n", 0, start) + 1
    return source.count(b"\n", 0, start) + 1, start - line_start + 1
