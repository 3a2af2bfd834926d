"""Two judges of a whole message: our `validate`, and pycapnp, which shows the message and copies all of it.

pycapnp's copy of a reader into a builder's AnyPointer follows every pointer without a schema, its text form follows
what the schema knows. Where they differ from us, the encoding's specification decides; what is known of that is here.
"""

from typing import Any, Final

from conformance.capnp.corpus import CORPUS
from hootbus.schemas import BodyError, CapnpError, StructType, segments, validate
from hootbus.schemas.pointers import walk_limit

# What we refuse and pycapnp lets pass: pads of double far pointers that are no far pointers, as it does not look at
# their kind; counts of 30 bits, of which it sees 29; an AnyStruct, AnyList or Capability that is another, as it only
# says that there is something; messages that are small, but take long to walk; and what is a level too deep to be read
# as a list of structs, though not to be copied.
_STRICTER: Final = (
    "a landing pad without a far pointer",
    "elements of",
    "that the schema says",
    "elements without size",
    "far more to walk",
    "nested deeper",
)
# What we let pass and pycapnp's copy does not: capabilities, which some other connection may have a table for.
_LOOSER: Final = ("apability", "traversal limit")
# It counts lists of structs more often than we do.
_LIMITS: Final = 8


def agree(body: bytes, struct: StructType) -> None:
    """Nothing, if both judge the same of this message, or differ as they are known to; else an AssertionError."""
    try:
        parts = segments(body)
    except BodyError:
        # pycapnp reads what it needs of a body that is too short or too long.
        return
    ours: str | None = None
    try:
        validate(parts, struct)
    except BodyError as error:
        ours = error.reason
    if ours is not None and any(reason in ours for reason in _STRICTER):
        return
    theirs = _refused(body, struct, _LIMITS * walk_limit(parts))
    if ours is None and theirs is not None:
        assert any(reason in theirs for reason in _LOOSER), f"we accept it; pycapnp: {theirs}"
    assert ours is None or theirs is not None, f"pycapnp accepts it; we: {ours}"


def _refused(body: bytes, struct: StructType, words_max: int) -> str | None:
    """Why pycapnp refuses the message, None if it does not."""
    shown: Any = struct
    try:
        with shown.from_bytes(body, traversal_limit_in_words=words_max) as root:
            str(root)
        with CORPUS.Empty.from_bytes(body, traversal_limit_in_words=words_max) as root:
            CORPUS.Anything.new_message().any = root
    except (CapnpError, UnicodeDecodeError) as error:
        return str(error)
    return None
