"""What is to be judged at the gate, and what is found: the words between the broker's core and its judge."""

from enum import StrEnum
from typing import Final

import msgspec
from msgspec import structs

from hootbus.frames.errors import MESSAGE_CHARS_MAX, BadBody, HootError, Overloaded, SchemaMismatch
from hootbus.schemas import Method

# A refusal is for people: the first differences, and how many more there are.
DIFFERENCES_MAX: Final = 20
WORD_CHARS_MAX: Final = 300


class Claim(msgspec.Struct, frozen=True):
    """Methods with the types and fingerprints that a peer states, and the schema that it has sent to prove them."""

    methods: tuple[Method, ...]
    nodes: bytes


class Case(msgspec.Struct, frozen=True):
    """A claim, and those that it must be able to live with: all versions that workers of the service speak now."""

    claim: Claim
    known: tuple[Claim, ...] = ()


class Finding(StrEnum):
    """What came of it."""

    FINE = "fine"
    INCOMPATIBLE = "incompatible"
    # It is no schema, or not the one that was announced.
    UNSOUND = "unsound"
    # The judge has failed over it.
    UNJUDGED = "unjudged"
    # It takes the judge too long. With fewer versions to compare it with it may not: its sender may try again.
    TOO_LONG = "too_long"
    # The machine had no time for it: that is nobody's fault, and may be tried again.
    UNHEARD = "unheard"


class Verdict(msgspec.Struct, frozen=True):
    """The finding, and why. `names` are what each method's request and reply are called, "" for none."""

    finding: Finding
    words: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


def error_of(verdict: Verdict) -> HootError | None:
    """What whoever asked is told; None if all is well."""
    words = "; ".join(verdict.words)[:MESSAGE_CHARS_MAX]
    if verdict.finding is Finding.INCOMPATIBLE:
        return SchemaMismatch(words, details="\n".join(verdict.words))
    if verdict.finding is Finding.UNSOUND:
        return BadBody(f"the schema is not what was announced: {words}")
    if verdict.finding is Finding.UNJUDGED:
        return BadBody(f"the schema cannot be judged: {words}")
    if verdict.finding in (Finding.TOO_LONG, Finding.UNHEARD):
        return Overloaded(f"the schema was not judged: {words}")
    return None


def about(claim: Claim, name: str) -> Claim:
    """What a version says of one method; "" is the one that needs no name."""
    found = [each for each in claim.methods if (each.name == name if name else each.is_default)]
    return Claim(tuple(structs.replace(each, name=name) for each in found), claim.nodes)
