"""Bodies, read and written: Cap'n Proto in place, JSON strictly. Raw and empty bodies need no code."""

import struct
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from hootbus.schemas import model
from hootbus.schemas.canonical import TreeCopier
from hootbus.schemas.errors import BodyError
from hootbus.schemas.jsonable import jsonable
from hootbus.schemas.layout import layout_in, layout_of
from hootbus.schemas.loaded import LOADED
from hootbus.schemas.readers import StructReader, TypedReader, root_reader
from hootbus.schemas.segments import WORD, Segments, segments, split
from hootbus.schemas.structs import Builder, StructType, is_builder

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")
R = TypeVar("R", bound=TypedReader)

# Dicts and sets in a fixed order, so that equal values are equal bytes.
_JSON: Final = msgspec.json.Encoder(order="deterministic", enc_hook=jsonable)


class CapnpBody(msgspec.Struct, frozen=True, gc=False):
    """A message that is written already: its stream-framed bytes, and the type id of its root struct.

    Bytes alone would be sent as raw ones; this is sent as Cap'n Proto by whatever takes a body. `schema` is the one it
    was written by, None for that of this process.
    """

    buffer: bytes | memoryview
    type_id: int
    schema: model.Schema | None = None


@overload
def read_capnp(body: "Buffer | Segments", struct_type: type[R]) -> R: ...
@overload
def read_capnp(body: "Buffer | Segments", struct_type: StructType) -> StructReader: ...
def read_capnp(body: "Buffer | Segments", struct_type: Any) -> Any:
    """A reader over the body itself, which it keeps alive, as do the readers of its parts.

    Only the root is checked here, everything else when it is read. Raises BodyError if the body is no message, or its
    root no struct.
    """
    return root_reader(body if isinstance(body, tuple) else segments(body), layout_of(struct_type))


def read_builder(builder: Builder) -> StructReader:
    """A reader over a copy of what pycapnp has built so far."""
    parts = split(memoryview(write_capnp(builder)))
    return root_reader(parts, layout_in(LOADED, message_type(builder)))


def message_type(value: Builder | TypedReader) -> int:
    """The type id of a message that `write_capnp` takes."""
    return value._layout.type_id if isinstance(value, TypedReader) else int(value.schema.node.id)


def write_capnp(value: Builder | TypedReader) -> bytes:
    """The stream-framed bytes of a message that pycapnp has built, or of what a reader reads, copied.

    Raises BodyError if a reader's bytes are malformed anywhere, TypeError for what is no message.
    """
    if isinstance(value, TypedReader):
        if value._layout.is_group:
            raise TypeError(f"{value._layout.name} is a group, no message of its own")
        words = bytearray(2 * WORD)
        TreeCopier(value._parts, words).copy_struct(value._ref, WORD, value._trail)
        struct.pack_into("<II", words, 0, 0, len(words) // WORD - 1)
        return bytes(words)
    if not is_builder(value):
        raise TypeError(f"{type(value).__name__} is no Cap'n Proto builder or reader")
    if not value.is_root:
        # Of a part pycapnp would write the whole message.
        value = value.as_reader().as_builder()
    # pycapnp warns of a second write, since fields set twice leak space in the message; that is the builder's affair.
    value.clear_write_flag()
    written: bytes = value.to_bytes()
    return written


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

    numpy's scalars are numbers, its arrays lists; readers are what their `to_dict` says. Raises TypeError, or
    ValueError for an array no message could hold.
    """
    return _JSON.encode(value)
