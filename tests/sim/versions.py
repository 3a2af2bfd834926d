"""The types of a simulated world: versions that are only numbers, and a judge who knows which go together."""

from typing import Final

from hootbus.bus.judgement import Case, Claim, Finding, Verdict
from hootbus.schemas import Method, standard, write_struct

TYPE: Final = 0xC11B
# Neighbours understand each other; the last one nobody but itself.
VERSIONS: Final = (1, 1, 1, 2, 3, 9)
# What all speak in peace.
AGREED: Final = 1
LIE: Final = b"a lie"


def go_together(one: int, other: int) -> bool:
    """Whether two versions understand each other."""
    return abs(one - other) <= 1


def fingerprint(version: int) -> int:
    """Of the type in this version."""
    return 0xF00 + version


def method(version: int) -> Method:
    """The only method of every typed service."""
    return Method(name="do", is_default=True, request_type=TYPE, request_fingerprint=fingerprint(version))


def nodes(version: int) -> bytes:
    """What stands for the schema."""
    return b"version %d" % version


def comparison(target: bytes, version: int) -> bytes:
    """A client's question."""
    return bytes(
        write_struct(
            standard.broker.Comparison,
            target=target,
            requestType=TYPE,
            requestFingerprint=fingerprint(version),
            nodes=nodes(version),
        ).buffer
    )


def judge(case: Case) -> Verdict:
    """As the real one, of schemas that are numbers."""
    claimed = _version(case.claim)
    if case.claim.nodes != nodes(claimed):
        return Verdict(Finding.UNSOUND, ("it is none",))
    if all(go_together(claimed, _version(known)) for known in case.known if known.methods):
        return Verdict(Finding.FINE, names=(("Type", ""),))
    return Verdict(Finding.INCOMPATIBLE, ("they differ",))


def _version(claim: Claim) -> int:
    return claim.methods[0].request_fingerprint - fingerprint(0)
