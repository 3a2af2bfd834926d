"""What can be wrong with a schema, and that we say where as exactly as `capnp compile` does."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from hootbus.schemas import SchemaError, load
from hootbus.schemas.copies import CAPNP_IMPORTS

ID: Final = "@0xe5a1c2f3b4d5968b;\n"


CAPNP: Final = shutil.which("capnp") or ""


class Mistake(NamedTuple):
    """`source` is the file, without its id if `identified`; `place` is where `capnp compile` sees the mistake.

    That may be within what is no token, or behind the token after which something is missing. We know tokens only:
    `token` is where that one starts.
    """

    source: str
    place: tuple[int, int]
    message: str
    token: tuple[int, int] | None = None
    identified: bool = True

    @property
    def text(self) -> str:
        return ID + self.source if self.identified else self.source


PARSE: Final = "Parse error."
ORDINALS: Final = "Ordinals must be sequential with no holes."

MISTAKES: Final = {
    # The file.
    "no id": Mistake("struct C {}\n", (1, 1), "File does not declare an ID.", identified=False),
    "no id after a comment": Mistake("# C\n\nstruct C {}", (1, 1), "File does not declare an ID.", identified=False),
    "empty": Mistake("", (1, 1), "File does not declare an ID.", identified=False),
    "blank": Mistake("\n \n", (1, 1), "File does not declare an ID.", identified=False),
    "an id too small": Mistake("@0x123;\nstruct C {}\n", (1, 2), "Invalid ID.", identified=False),
    "two ids": Mistake("@0xbdf87d7bb8304e81;\n", (2, 1), "File can only have one ID."),
    "no schema": Mistake("this is no schema", (1, 18), PARSE, identified=False),
    "zeros": Mistake("struct C {\n\0}\n", (3, 1), "Non-UTF-8 input detected."),
    # Tokens.
    "an illegal character": Mistake("struct C {\n  v @0 :Int8; \\ x @1 :Int8;\n}\n", (3, 15), PARSE),
    "a letter with an accent": Mistake("struct C {\n  v @0 :Int8; é @1 :Int8;\n}\n", (3, 15), PARSE),
    "an open text": Mistake('struct C {\n  v @0 :Text = "abc;\n}\n', (3, 21), PARSE, (3, 16)),
    "a bad escape": Mistake('struct C {\n  v @0 :Text = "a\\qbc";\n}\n', (3, 19), PARSE, (3, 16)),
    "half a byte": Mistake('struct C {\n  v @0 :Data = 0x"abc";\n}\n', (3, 22), PARSE, (3, 16)),
    "a bad number": Mistake("struct C {\n  v @0 :Int32 = 12ab;\n}\n", (3, 19), PARSE, (3, 17)),
    # Grammar.
    "a missing semicolon": Mistake("struct C {\n  a @0 :Int8\n  b @1 :Int8;\n}\n", (4, 5), PARSE),
    "a missing colon": Mistake("struct C { a @0 Int8; }\n", (2, 21), PARSE, (2, 17)),
    "a missing type": Mistake("struct C { a @0 :; }\n", (2, 18), PARSE, (2, 17)),
    "an unknown keyword": Mistake("strukt C {}\n", (2, 8), PARSE),
    "an open bracket": Mistake("struct C {\n  a @0 :List(Int8;\n}\n", (3, 18), PARSE),
    "an open brace": Mistake("struct C {\n  a @0 :Int8;\n", (4, 1), PARSE),
    "an open end": Mistake("const a :Int8 = 3", (2, 18), PARSE),
    "a brace too many": Mistake("struct C {\n  a @0 :Int8;\n}}\n", (4, 2), PARSE),
    # Names.
    "an undefined type": Mistake("\nstruct C { v @0 :Undefined; }\n", (3, 18), "Not defined: Undefined"),
    "an undefined member": Mistake("struct D {}\nstruct C { a @0 :D.No; }\n", (3, 20), "'D' has no member named 'No'"),
    "an unknown annotation": Mistake('struct C $no("x") {}\n', (2, 11), "Not defined: no"),
    "a name used twice": Mistake("struct C {\n  a @0 :Int8;\n  a @1 :Int8;\n}\n", (4, 3), "'a' is already defined"),
    "an id used twice": Mistake(
        "struct C @0xe5a1c2f3b4d5968c {}\nstruct D @0xe5a1c2f3b4d5968c {}\n",
        (3, 8),
        "Duplicate ID @0xe5a1c2f3b4d5968c.",
    ),
    "a small type": Mistake("struct c {}\n", (2, 8), "Type names must begin with a capital letter."),
    "a large field": Mistake("struct C { A @0 :Int8; }\n", (2, 12), "Non-type names must begin with a lower-case"),
    "an underscore": Mistake("struct C { a_b @0 :Int8; }\n", (2, 12), "Cap'n Proto declaration names should use camel"),
    # Ordinals.
    "an ordinal used twice": Mistake("struct C {\n  a @0 :Int8;  # A\n  b @0 :Int8;\n}", (4, 6), "Duplicate ordinal"),
    "a skipped ordinal": Mistake("struct C { v @1 :Text; }\n", (2, 15), f"Skipped ordinal @0.  {ORDINALS}"),
    "a skipped enumerant": Mistake("enum E { a @0; b @2; }\n", (2, 19), f"Skipped ordinal @1.  {ORDINALS}"),
    "a skipped method": Mistake(
        "interface I { f @0 () -> stream; g @2 (); }\n", (2, 37), f"Skipped ordinal @1.  {ORDINALS}"
    ),
    # Types and values.
    "text for a number": Mistake('struct C { v @0 :Int8 = "x"; }\n', (2, 25), "Type mismatch; expected Int8."),
    "too large a number": Mistake(
        "struct C { v @0 :List(Int8) = [1, 300]; }\n", (2, 35), "Integer value out of range."
    ),
    "an unknown field": Mistake(
        "struct D { x @0 :Int8; }\nstruct C { v @0 :D = (x = 1, y = 2); }\n", (3, 30), "Struct has no field named 'y'."
    ),
    "an unknown enumerant": Mistake("enum E { a @0; }\nstruct C { v @0 :E = b; }\n", (3, 22), "Not defined: b"),
    "a type for a value": Mistake("struct C { a @0 :Int8 = C; }\n", (2, 25), "'C' does not refer to a constant."),
    "a number for a type": Mistake(
        "struct G(T) { x @0 :T; }\nstruct C { v @0 :G(Int8); }\n", (3, 20), "Sorry, only pointer types can be used"
    ),
    "too many types": Mistake("struct G(T) {}\nstruct C { v @0 :G(Text, Text); }\n", (3, 18), "Too many generic param"),
    "a list of nothing": Mistake("struct C { v @0 :List; }\n", (2, 18), "'List' requires exactly one parameter."),
    "no generic type": Mistake("struct C { v @0 :C(Text); }\n", (2, 18), "Declaration does not accept generic"),
    "a union of one": Mistake("struct C { union { a @0 :Int8; } }\n", (2, 12), "Union must have at least two members."),
    "no interface": Mistake("struct C {}\ninterface I extends(C) {}\n", (3, 21), "'C' is not an interface."),
    "an annotation elsewhere": Mistake(
        'annotation foo(struct) :Text;\nstruct C { a @0 :Int8 $foo("x"); }\n', (3, 24), "'foo' cannot be applied to"
    ),
    # Circles.
    "constants in a circle": Mistake(
        "const a :Int8 = .b;\nconst b :Int8 = .a;\n", (2, 7), "Declaration recursively depends on itself."
    ),
    "aliases in a circle": Mistake("using A = B;\nusing B = A;\nstruct C { x @0 :A; }\n", (3, 11), "Not defined: A"),
    # Other files.
    "no such import": Mistake('struct C { v @0 :import "no.capnp".X; }', (2, 25), "Import failed: no.capnp"),
    "no such import path": Mistake('using X = import "/no/no.capnp";', (2, 18), "Import failed: /no/no.capnp"),
    "nothing to embed": Mistake('const c :Data = embed "no.bin";\n', (2, 23), "Couldn't read file for embed: no.bin"),
    # White space.
    "lines that end in CRLF": Mistake("struct C {\r\n  v @0 :Nope;\r\n}\r\n", (3, 9), "Not defined: Nope"),
    "tabs": Mistake("struct C {\n\t\tv @0 :\tNope;\n}\n", (3, 10), "Not defined: Nope"),
    "bytes that are no letters": Mistake('struct C { a @0 :Text = "é"; v @1 :No; }', (2, 37), "Not defined: No"),
    "a byte order mark": Mistake(f"\ufeff{ID}struct C {{ v @0 :No; }}", (2, 18), "Not defined: No", identified=False),
    "comments": Mistake("# C\nstruct C { # is\n  # a\n  v @0 :  # a\n  No; }", (6, 3), "Not defined: No"),
}

each_mistake = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())


@each_mistake
def test_a_mistake_is_an_error_with_its_line_and_column_and_the_process_lives(tmp_path: Path, mistake: Mistake) -> None:
    path = tmp_path / "bad.capnp"
    path.write_bytes(mistake.text.encode())
    with pytest.raises(SchemaError) as caught:
        load(path)
    error = caught.value
    assert (error.path, (error.line, error.column)) == (path.resolve(), mistake.token or mistake.place)
    assert error.message.startswith(mistake.message)
    assert str(error) == f"{error.path}:{error.line}:{error.column}: {error.message}"


@pytest.mark.skipif(not CAPNP, reason="the capnp tool is not installed")
@each_mistake
def test_the_place_is_the_tools(tmp_path: Path, mistake: Mistake) -> None:
    (tmp_path / "bad.capnp").write_bytes(mistake.text.encode())
    tool = subprocess.run(
        [CAPNP, "compile", "-o-", f"-I{CAPNP_IMPORTS}", "bad.capnp"],
        cwd=tmp_path,
        # It complains of a PWD that is not its folder.
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    line, column = mistake.place
    assert tool.stderr.startswith(f"bad.capnp:{line}:{column}")
    assert f": error: {mistake.message}" in tool.stderr.splitlines()[0]
