"""From what a program returns or passes to what goes into the frames."""

import operator
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import BadFrame
from hootbus.frames.protocol import ATTACHMENTS_MAX, MESSAGE_BYTES_MAX, ContentType
from hootbus.schemas import (
    CapnpBody,
    StructReader,
    StructType,
    is_builder,
    message_type,
    write_capnp,
    write_fields,
    write_json,
)
from hootbus.schemas.records import Record
from hootbus.schemas.writer import write_record
from hootbus.workers import translation
from hootbus.workers.content import Readable
from hootbus.workers.response import Response
from hootbus.workers.session import EMPTY_BODY, Body

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_JSON: Final = ContentType.JSON
_RAW_BINARY: Final = ContentType.RAW_BINARY
_CAPNPROTO: Final = ContentType.CAPNPROTO
_TYPE_ID_MAX: Final = 2**64 - 1
_JSON_TYPES: Final = (dict, list, str, int, float, tuple)
_BUFFER_TYPES: Final = (bytes, bytearray, memoryview, np.ndarray)


def encode(value: object, returns: StructType | None = None) -> Body:
    """The body for a value: None is empty, a buffer raw, a Cap'n Proto message or CapnpBody capnp, all else JSON.

    A dict becomes a message of `returns`, if that is given. A buffer is not copied: leave it as it is until the
    message is answered. Raises TypeError for what is none of them and for a dict that is no such message, BodyError for
    a reader of malformed bytes, and BadFrame for more than a broker takes: too large a frame would cost the connection
    without a word.
    """
    body = _encode(value, returns)
    if body.attachments:
        return with_attachments(body, ())
    if len(body.buffer) > MESSAGE_BYTES_MAX:
        raise BadFrame(f"a body of {len(body.buffer)} bytes, more than {MESSAGE_BYTES_MAX}")
    return body


def answer(value: object, returns: StructType | None, as_json: bool) -> Body:
    """The body for what a handler gives: `as_json` says to write a Cap'n Proto message as JSON. Raises as `encode`."""
    body = encode(value, returns)
    return translation.as_json(body, returns) if as_json else body


def with_attachments(body: Body, attachments: Iterable[object], schema_id: object = 0) -> Body:
    """The body with further attachments, and `schema_id` in place of its own if that is not 0.

    Raises as `encode`, and ValueError for a schema id of more than 64 bits.
    """
    type_id = as_type_id(schema_id) if schema_id else body.schema_id
    frames = (*body.attachments, *map(as_buffer, attachments))
    if len(frames) > ATTACHMENTS_MAX:
        raise BadFrame(f"{len(frames)} attachments, more than {ATTACHMENTS_MAX}")
    size = len(body.buffer) + sum(map(len, frames))
    if size > MESSAGE_BYTES_MAX:
        raise BadFrame(f"a body and attachments of {size} bytes, more than {MESSAGE_BYTES_MAX}")
    return Body(body.content_type, body.buffer, type_id, frames)


def _encode(value: object, returns: StructType | None) -> Body:
    kind = type(value)
    if returns is not None and isinstance(value, Record):
        written = write_record(returns, value)
        return Body(_CAPNPROTO, written.buffer, written.type_id)
    if kind is dict:
        if returns is None:
            return Body(_JSON, write_json(value))
        written = write_fields(returns, value)  # type: ignore[arg-type]  # a dict, as its type was just compared
        return Body(_CAPNPROTO, written.buffer, written.type_id)
    if kind is bytes:
        return Body(_RAW_BINARY, value)  # type: ignore[arg-type]  # bytes, as its type was just compared
    if value is None:
        return EMPTY_BODY
    if kind is memoryview:
        return Body(_RAW_BINARY, as_buffer(value))
    if isinstance(value, Response):
        if isinstance(value.body, Response):
            raise TypeError("the body of a Response cannot be a Response")
        return with_attachments(_encode(value.body, returns), value.attachments, value.schema_id)
    if is_builder(value) or isinstance(value, StructReader):
        return _capnp(value)
    if isinstance(value, Readable):
        return Body(value._content_type, value._buffer, value._schema_id, value._received_attachments)
    if isinstance(value, _BUFFER_TYPES):
        return Body(_RAW_BINARY, as_buffer(value))
    if isinstance(value, Record):
        return Body(_JSON, value.to_json().encode())
    if isinstance(value, CapnpBody):
        return Body(_CAPNPROTO, as_buffer(value.buffer), as_type_id(value.type_id))
    if isinstance(value, np.generic):
        return Body(_JSON, write_json(value))
    if not isinstance(value, _JSON_TYPES) and _is_buffer(value):
        return Body(_RAW_BINARY, as_buffer(value))
    return Body(_JSON, write_json(value))


def as_type_id(value: object) -> int:
    """A schema's 64-bit type id. Raises TypeError or ValueError for what is none: the options could not say it."""
    type_id = operator.index(value)  # type: ignore[arg-type]  # raises TypeError for what is no whole number
    if not 0 <= type_id <= _TYPE_ID_MAX:
        raise ValueError(f"a schema id is a number from 0 to {_TYPE_ID_MAX}")
    return type_id


def as_buffer(value: object) -> Buffer:
    """A buffer whose length is its bytes. Raises TypeError for what is none, or does not lie in one piece."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, memoryview):
        value = memoryview(value)  # type: ignore[arg-type]  # raises TypeError for what is no buffer
    if not value.c_contiguous:
        raise TypeError("a buffer with gaps cannot be sent; numpy.ascontiguousarray makes one without")
    if value.format == "B" and value.ndim == 1:
        return value
    # A view of no elements cannot be cast.
    return value.cast("B") if value.nbytes else b""


def _capnp(value: Any) -> Body:  # noqa: ANN401  # pycapnp's builders have no static type
    return Body(_CAPNPROTO, write_capnp(value), message_type(value))


def _is_buffer(value: object) -> bool:
    try:
        memoryview(value).release()  # type: ignore[arg-type]  # that is the question
    except TypeError:
        return False
    return True
