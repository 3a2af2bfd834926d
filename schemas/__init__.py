"""The bodies: schemas, reading in place, writing. Nothing else of hootbus imports capnp."""

from hootbus.schemas import standard
from hootbus.schemas.arrays import Array
from hootbus.schemas.body import CapnpBody, message_type, read_capnp, read_json, write_capnp, write_json
from hootbus.schemas.broadcasts import read_broadcast, write_broadcast
from hootbus.schemas.canonical import canonical, canonical_body, is_canonical
from hootbus.schemas.enumerant import Enumerant
from hootbus.schemas.envelopes import (
    Method,
    Pong,
    Registration,
    WireError,
    halves,
    identifier_of,
    is_ping,
    read_error,
    read_error_json,
    read_pong,
    read_registration,
    write_error,
    write_error_json,
    write_ping,
    write_pong,
    write_registration,
)
from hootbus.schemas.errors import BodyError, FieldError, SchemaError
from hootbus.schemas.fieldpath import array, view
from hootbus.schemas.lists import ListReader
from hootbus.schemas.loader import load, schema_of
from hootbus.schemas.readers import AnyReader, StructReader, TypedReader
from hootbus.schemas.segments import COPIES, CopyCounter, Segments, segments
from hootbus.schemas.structs import (
    Builder,
    CapnpError,
    StructType,
    is_builder,
    is_struct_type,
    reason_of,
    type_id,
)
from hootbus.schemas.validate import Unknown, validate
from hootbus.schemas.writer import write_fields, write_struct

__all__ = [
    "COPIES",
    "AnyReader",
    "Array",
    "BodyError",
    "Builder",
    "CapnpBody",
    "CapnpError",
    "CopyCounter",
    "Enumerant",
    "FieldError",
    "ListReader",
    "Method",
    "Pong",
    "Registration",
    "SchemaError",
    "Segments",
    "StructReader",
    "StructType",
    "TypedReader",
    "Unknown",
    "WireError",
    "array",
    "canonical",
    "canonical_body",
    "halves",
    "identifier_of",
    "is_builder",
    "is_canonical",
    "is_ping",
    "is_struct_type",
    "load",
    "message_type",
    "read_broadcast",
    "read_capnp",
    "read_error",
    "read_error_json",
    "read_json",
    "read_pong",
    "read_registration",
    "reason_of",
    "schema_of",
    "segments",
    "standard",
    "type_id",
    "validate",
    "view",
    "write_broadcast",
    "write_capnp",
    "write_error",
    "write_error_json",
    "write_fields",
    "write_json",
    "write_ping",
    "write_pong",
    "write_registration",
    "write_struct",
]
