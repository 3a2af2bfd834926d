"""Which declaration a comment belongs to. That the tool says the same of whole files is in test_transfer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.schemas.comments import doc_comments


@pytest.mark.parametrize(
    ("source", "comments"),
    [
        ("struct A { # of A\n}", {"A": "of A\n"}),
        ("struct A {\n  # of A\n  #  indented\n  #\n}", {"A": "of A\n indented\n\n"}),
        ("struct A {}\n# of A", {"A": "of A\n"}),
        ("struct A {}\n\n# of nobody", {}),
        ("# of nobody\nstruct A {}", {}),
        ("struct A { b @0 :Text; # of b\n # and on\n c @1 :Text; }", {"A.b": "of b\nand on\n"}),
        ("struct A { g :group { b @0 :Text; # of b\n } union { # not of A\n c @1 :Text; # of c\n d @2 :Void; } }",
         {"A.g.b": "of b\n", "A.c": "of c\n"}),
        ("struct A { u :union { # of u\n b @0 :Void; c @1 :Void; } }", {"A.u": "of u\n"}),
        ("struct A { struct @0 :Text; # a\n enum :group { b @1 :Void; # of b\n } union @2 :Text; # c\n }",
         {"A.struct": "a\n", "A.enum.b": "of b\n", "A.union": "c\n"}),
        ("enum E { a @0; # of a\n }", {"E.a": "of a\n"}),
        ("interface I { m @0 (a :Text = \";#\") -> (); # of m\n }", {"I.m": "of m\n"}),
        ("const c :Text = \"# no comment\"; # of c", {"c": "of c\n"}),
        ("annotation a(*) :Text; # of a", {"a": "of a\n"}),
        ("@0xabcdef0123456789; # of the file", {"": "of the file\n"}),
        ("struct A {} # first\nstruct A { # second\n}", {"A": "first\n"}),
        ("}}} ; { # of nobody\n", {}),
    ],
)  # fmt: skip
def test_a_comment_follows_what_it_belongs_to(source: str, comments: dict[str, str]) -> None:
    assert doc_comments(source.encode()) == comments


@given(st.binary(max_size=200))
def test_any_source_has_comments_or_none(source: bytes) -> None:
    assert all(text.endswith("\n") for text in doc_comments(source).values())
