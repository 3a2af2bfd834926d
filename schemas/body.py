"""Bodies, read and written: Cap'n Proto in place, JSON strictly. Raw and empty bodies need no code."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from hootbus.schemas import standard
from hootbus.schemas.errors import BodyError
from hootbus.schemas.plain import plain, plain_numpy
from hootbus.schemas.segments import WORD, Segments, segments
from hootbus.schemas.structs import Builder, CapnpError, Reader, StructType, is_builder, is_reader, reading

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")

# Cap'n Proto charges every access of a list or struct to one budget per reader, also the second access of the same
# field, and a handler that reads `clip.samples[i]` in a loop pays the whole list each time. So a reader gets never less
# than Cap'n Proto's own default, and enough to read everything in the body this many times. (`array` has no budget: it
# touches nothing twice.)
WORDS_MIN: Final = 8 * 1024 * 1024
READS_OF_EVERYTHING: Final = 65_536

# That is too much for a walk of the whole message: 1 KB of pointers that share their targets kept `to_dict` busy for
# 80 s. Of an honest message every word is charged once, and one word for each struct that has none.
WALK_WORDS_MIN: Final = 1024
WALK_READS: Final = 2

# Dicts and sets in a fixed order, so that equal values are equal bytes.
_JSON: Final = msgspec.json.Encoder(order="deterministic", enc_hook=plain_numpy)


class CapnpBody(msgspec.Struct, frozen=True, gc=False):
    """A message that is written already: its stream-framed bytes, and the type id of its root struct.

    Bytes alone would be sent as raw ones; this is sent as Cap'n Proto by whatever takes a body.
    """

    buffer: bytes | memoryview
    type_id: int


def read_capnp(body: "Buffer | Segments", struct: StructType) -> Reader:
    """A reader over the body itself, which it keeps alive, as do the readers of its parts.

    Only the root is checked here. A malformed field raises `CapnpError` when it is read.
    Raises BodyError if the body is no message, or its root no struct.
    """
    parts = body if isinstance(body, tuple) else segments(body)
    limit = WORDS_MIN + READS_OF_EVERYTHING * _words(parts)
    with reading(""):
        return struct.from_segments(parts, traversal_limit_in_words=limit)


def read_dict(body: "Buffer | Segments", struct: StructType) -> dict[str, Any]:
    """The whole message as dicts, lists and plain values, for people and for JSON.

    Prefer it to a reader's own `to_dict`: a message whose pointers share their targets, which is small and takes hours
    to walk, is refused at once. Fields that hold their default null are left out. Raises BodyError.
    """
    reader = walkable(body if isinstance(body, tuple) else segments(body), struct)
    with reading(""):
        try:
            found: dict[str, Any] = reader.to_dict()
        except RuntimeError as error:
            # pycapnp's way of saying that a newer peer sent an enumerant we do not know.
            raise BodyError("", f"an enum's value is not known here: {error}") from error
    return found


def walkable(parts: Segments, struct: StructType) -> Reader:
    """A reader to walk the whole message with, once. Raises BodyError."""
    with reading(""):
        return struct.from_segments(parts, traversal_limit_in_words=WALK_WORDS_MIN + WALK_READS * _words(parts))


def _words(parts: Segments) -> int:
    return sum(map(len, parts)) // WORD


def build(struct: StructType, fields: Mapping[str, object]) -> Builder:
    """A message with these fields. Raises what pycapnp raises where they do not fit.

    As `new_message`, but numpy's scalars are numbers and its arrays lists, however deep they lie.
    """
    # Most have nothing of numpy's in them, so they are not searched for it before pycapnp has refused them.
    with suppress(CapnpError):
        return struct.new_message(**fields)
    return struct.new_message(**plain(dict(fields)))


def write_capnp(value: Builder | Reader) -> bytes:
    """The stream-framed bytes of a message: segment table, then segments.

    Takes a builder, or a reader, as when a handler passes on what it was given.
    Raises BodyError if a reader's bytes are malformed anywhere, TypeError for anything else.
    """
    if is_reader(value):
        value = _copy(value)
    elif not is_builder(value):
        raise TypeError(f"{type(value).__name__} is no Cap'n Proto builder or reader")
    elif not value.is_root:
        value = _copy(value.as_reader())
    # pycapnp warns of a second write, since fields set twice leak space in the message; that is the builder's affair.
    value.clear_write_flag()
    written: bytes = value.to_bytes()
    return written


def _copy(reader: Reader) -> Builder:
    return checked_copy(reader).as_reader().toolRequest.as_struct(reader.schema).as_builder()


def checked_copy(reader: Reader) -> Builder:
    """A `Payload` whose `toolRequest` is what the reader reads. Raises BodyError if a pointer anywhere leads astray."""
    # `as_builder` on a peer's malformed bytes aborts the process. Assigning into an AnyStruct copies with every check
    # on, and its copy is sound.
    payload = standard.envelope.Payload.new_message()
    with reading(""):
        payload.toolRequest = reader
    return payload


@overload
def read_json(body: "Buffer") -> Any: ...  # noqa: ANN401  # JSON of no stated type is any of six
@overload
def read_json(body: "Buffer", type: type[T]) -> T: ...
def read_json(body: "Buffer", type: object = Any) -> Any:
    """A JSON body as this type, checked against it. Raises BodyError, its field as msgspec says it: "$.items[3]"."""
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        reason, _, field = str(error).rpartition(" - at `")
        raise BodyError(field.rstrip("`") if reason else "", reason or str(error)) from error
    except msgspec.DecodeError as error:
        raise BodyError("", str(error)) from error
    except UnicodeDecodeError as error:
        raise BodyError("", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise BodyError("", "nested too deeply") from error


def write_json(value: object) -> bytes:
    """JSON of what msgspec can write: None, bool, numbers, str, list, dict, msgspec.Struct, dataclass, datetime…

    numpy's scalars are numbers, its arrays lists. Raises TypeError, or ValueError for an array no message could hold.
    """
    return _JSON.encode(value)
