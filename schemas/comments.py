"""The comments in a schema's source that belong to what is declared there.

The compiler inside pycapnp keeps none, and what it compiles has none any more (see copies). The rule is the schema
language's: a comment belongs to the declaration that ends just before it, or, of one with a body, to that whose body it
opens, else follows.
"""

import re
from collections.abc import Mapping
from typing import Final

from hootbus.schemas.tokens import Token, tokens_of

# What follows the end of a declaration: lines of comment, the first of them perhaps on its own line.
_COMMENT: Final = re.compile(rb"[ \t\f\v\r]*\n?((?:[ \t\f\v\r]*#[^\n]*(?:\n|\Z))+)")
_LINE: Final = re.compile(rb"[ \t\f\v\r]*# ?([^\n]*?)\r?(?:\n|\Z)")
_NAMED_AFTER_A_KEYWORD: Final = frozenset({b"struct", b"enum", b"interface", b"const", b"annotation", b"using"})


def doc_comments(source: bytes) -> Mapping[str, str]:
    """The comments by the names of what they belong to: "Clip", "Clip.sampleRate"; "" is the file's.

    A line of comment is a line of text. Of a union without a name the members belong to the struct around it.
    """
    found: dict[str, str] = {}
    scopes: list[str | None] = [""]
    ended = None
    statement: list[Token] = []
    for token in tokens_of(source):
        if token.text not in (b";", b"{", b"}"):
            statement.append(token)
            continue
        if token.text == b"}":
            ended = scopes.pop() if len(scopes) > 1 else None
            name = ended
        else:
            name = _name(statement, scopes[-1])
            if token.text == b"{":
                scopes.append(name if name is not None else scopes[-1])
        statement = []
        comment = _COMMENT.match(source, token.start + 1)
        if name is not None and comment is not None:
            text = b"".join(line + b"\n" for line in _LINE.findall(comment[1]))
            found.setdefault(name, text.decode(errors="replace"))
    return found


def _name(statement: list[Token], scope: str | None) -> str | None:
    """What a statement declares, with the names of the scopes around it; None for what has no name of its own."""
    words = [token.text for token in statement[:2]]
    if words[:1] == [b"@"] and not scope:
        return ""
    if words[:1] == [b"union"] and not any(token.text == b":" for token in statement):
        return None
    # Fields may have these names, too: what follows is no name then.
    if len(words) > 1 and words[0] in _NAMED_AFTER_A_KEYWORD and words[1][:1].isalpha():
        words = words[1:]
    if not words or not words[0][:1].isalpha():
        return None
    name = words[0].decode()
    return f"{scope}.{name}" if scope else name
