"""The wire: HOOT01 messages, events, addresses, and the sockets that carry them."""

from hootbus.frames.address import BusAddress, default_address, parse_address, resolve_address
from hootbus.frames.buffer import Buffer, Frames
from hootbus.frames.context import Alignment, address_of, aligned_context, probe
from hootbus.frames.errors import (
    ERRORS,
    BadBody,
    BadFrame,
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    Denied,
    HandlerFailed,
    HootError,
    Overloaded,
    Quarantined,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
    error_from_wire,
)
from hootbus.frames.event import EventHeader, read_event, write_event_header
from hootbus.frames.keys import Keys, KeysError
from hootbus.frames.malformed import MalformedMessage, Route
from hootbus.frames.message import Message, check, parse, serialize
from hootbus.frames.options import NO_OPTIONS, Options, read_options, write_options
from hootbus.frames.protocol import SIGNATURE, Command, ContentType, Flag
from hootbus.frames.sockets import LinkChange, Monitor, dealer, event_socket, router
from hootbus.frames.wire import FULL, NATIVE, SENT, UNREACHABLE, Wire

__all__ = [
    "ERRORS",
    "FULL",
    "NATIVE",
    "NO_OPTIONS",
    "SENT",
    "SIGNATURE",
    "UNREACHABLE",
    "Alignment",
    "BadBody",
    "BadFrame",
    "BrokerStopping",
    "Buffer",
    "BusAddress",
    "Cancelled",
    "Command",
    "ContentType",
    "DeadlineExceeded",
    "Denied",
    "EventHeader",
    "Flag",
    "Frames",
    "HandlerFailed",
    "HootError",
    "Keys",
    "KeysError",
    "LinkChange",
    "MalformedMessage",
    "Message",
    "Monitor",
    "Options",
    "Overloaded",
    "Quarantined",
    "Route",
    "SchemaMismatch",
    "UnknownMethod",
    "UnknownService",
    "UnsupportedContentType",
    "Wire",
    "WorkerLost",
    "address_of",
    "aligned_context",
    "check",
    "dealer",
    "default_address",
    "error_from_wire",
    "event_socket",
    "parse",
    "parse_address",
    "probe",
    "read_event",
    "read_options",
    "resolve_address",
    "router",
    "serialize",
    "write_event_header",
    "write_options",
]
