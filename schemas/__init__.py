"""The bodies: schemas, reading in place, writing. Nothing else of hootbus imports capnp."""

from hootbus.schemas import standard
from hootbus.schemas.body import CapnpBody, build, read_capnp, read_dict, read_json, write_capnp, write_json
from hootbus.schemas.broadcasts import read_broadcast, write_broadcast
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
from hootbus.schemas.faults import find_fault
from hootbus.schemas.fieldpath import Array
from hootbus.schemas.loader import load, schema_of
from hootbus.schemas.segments import COPIES, CopyCounter, Segments, segments
from hootbus.schemas.structs import (
    Builder,
    CapnpError,
    Reader,
    StructType,
    is_builder,
    is_reader,
    is_struct_type,
    reason_of,
    type_id,
)
from hootbus.schemas.walker import array
from hootbus.schemas.writer import write_arrays

__all__ = [
    "COPIES",
    "Array",
    "BodyError",
    "Builder",
    "CapnpBody",
    "CapnpError",
    "CopyCounter",
    "FieldError",
    "Method",
    "Pong",
    "Reader",
    "Registration",
    "SchemaError",
    "Segments",
    "StructType",
    "WireError",
    "array",
    "build",
    "find_fault",
    "halves",
    "identifier_of",
    "is_builder",
    "is_ping",
    "is_reader",
    "is_struct_type",
    "load",
    "read_broadcast",
    "read_capnp",
    "read_dict",
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
    "write_arrays",
    "write_broadcast",
    "write_capnp",
    "write_error",
    "write_error_json",
    "write_json",
    "write_ping",
    "write_pong",
    "write_registration",
]
