"""The envelopes that peers and broker exchange among themselves: registration, error, ping and pong.

Here they turn from Cap'n Proto into frozen values and back, with a bound on everything, so that neither the broker's
core nor a session ever holds a reader over a peer's bytes. What cannot be an `Envelope` of the wanted kind is either
None (a reply may be any struct, so "no error in here" is an answer) or a `BodyError` (a READY must be a registration).
"""

import struct
from typing import TYPE_CHECKING, Final

import msgspec

from hootbus.schemas import standard
from hootbus.schemas.body import read_capnp, read_json, write_capnp, write_json
from hootbus.schemas.errors import BodyError
from hootbus.schemas.readers import StructReader
from hootbus.schemas.structs import Builder

if TYPE_CHECKING:
    from typing_extensions import Buffer

ID_BYTES: Final = 16
TEXT_BYTES_MAX: Final = 255
METHODS_MAX: Final = 1024
CAPABILITIES_MAX: Final = 1024
# What a registration of that many methods and capabilities needs, with room. Looked at before anything is decoded.
REGISTRATION_BYTES_MAX: Final = 1 << 20

_HALVES: Final = struct.Struct("<QQ")


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A method that a worker offers. Types are 64-bit type ids, 0 where it does not say."""

    name: str
    is_default: bool = False
    request_type: int = 0
    reply_type: int = 0
    request_fingerprint: int = 0
    reply_fingerprint: int = 0


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself in READY. The service it offers is named by the frame, not here.

    The defaults are what is read from a Hootenanny worker, whose registration ends with `version`.
    """

    worker_id: bytes
    name: str
    hostname: str = ""
    version: str = ""
    pid: int = 0
    capabilities: tuple[str, ...] = ()
    slots: int = 1
    methods: tuple[Method, ...] = ()
    extension_version: int = 0
    lost_after_ms: int = 0


class WireError(msgspec.Struct, frozen=True):
    """An error as a reply's body carries it: a code (docs/protocol.md), a line for people, and details."""

    code: str
    message: str
    details: str = ""


class Pong(msgspec.Struct, frozen=True):
    """The answer to a ping: which instance answered, and for how long it has been up."""

    worker_id: bytes
    uptime_secs: int


def halves(identifier: bytes) -> tuple[int, int]:
    """The `low` and `high` of a UUID's 16 bytes, each little-endian."""
    low, high = _HALVES.unpack(identifier)
    return low, high


def identifier_of(low: int, high: int) -> bytes:
    """The 16 bytes again."""
    return _HALVES.pack(low, high)


def write_registration(request_id: bytes, registration: Registration) -> bytes:
    """The body of READY. Raises BodyError for what `read_registration` would refuse."""
    _check(registration)
    envelope = _envelope(request_id)
    register = envelope.payload.init("register")
    _set_uuid(register.workerId, registration.worker_id)
    register.workerName = registration.name
    register.hostname = registration.hostname
    register.version = registration.version
    register.pid = registration.pid
    register.slots = registration.slots
    register.extensionVersion = registration.extension_version
    register.lostAfterMs = registration.lost_after_ms
    register.capabilities = list(registration.capabilities)
    for method, entry in zip(registration.methods, register.init("methods", len(registration.methods)), strict=True):
        entry.name = method.name
        entry.isDefault = method.is_default
        entry.requestType = method.request_type
        entry.replyType = method.reply_type
        entry.requestFingerprint = method.request_fingerprint
        entry.replyFingerprint = method.reply_fingerprint
    return write_capnp(envelope)


def read_registration(body: "Buffer") -> Registration:
    """The registration in a READY's body. Raises BodyError if there is none, or it is out of bounds."""
    size = memoryview(body).nbytes
    if size > REGISTRATION_BYTES_MAX:
        raise BodyError("", f"{size} bytes, at most {REGISTRATION_BYTES_MAX} for a registration")
    register = _arm(read_capnp(body, standard.envelope.Envelope), "register")
    if register is None:
        raise BodyError("payload", "not a registration")
    _check_count("methods", len(register.methods), METHODS_MAX)
    methods = tuple(_method(index, entry) for index, entry in enumerate(register.methods))
    _check_count("capabilities", len(register.capabilities), CAPABILITIES_MAX)
    capabilities = tuple(_short(f"capabilities[{index}]", text) for index, text in enumerate(register.capabilities))
    registration = Registration(
        worker_id=_uuid(register.workerId),
        name=_short("workerName", register.workerName),
        hostname=_short("hostname", register.hostname),
        version=_short("version", register.version),
        pid=register.pid,
        capabilities=capabilities,
        slots=register.slots,
        methods=methods,
        extension_version=register.extensionVersion,
        lost_after_ms=register.lostAfterMs,
    )
    _check(registration)
    return registration


def write_error(request_id: bytes, traceparent: str, code: str, message: str, details: str = "") -> bytes:
    """An error for a peer that reads Cap'n Proto."""
    envelope = _envelope(request_id)
    envelope.traceparent = _text(traceparent)
    error = envelope.payload.init("error")
    error.code = code
    error.message = _text(message)
    error.details = _text(details)
    return write_capnp(envelope)


def read_error(body: "Buffer") -> WireError | None:
    """The error in a Cap'n Proto reply's body; None if the reply is of another type or kind.

    Raises BodyError if the body is no Cap'n Proto message, or an error that cannot be read.
    """
    error = _arm(read_capnp(body, standard.envelope.Envelope), "error")
    if error is None:
        return None
    return WireError(code=error.code, message=error.message, details=error.details)


def write_error_json(code: str, message: str, details: str = "") -> bytes:
    """The same error for everybody else: `{"error":{"code":…,"message":…,"details":…}}`."""
    return write_json({"error": {"code": code, "message": _plain(message), "details": _plain(details)}})


def read_error_json(body: "Buffer") -> WireError | None:
    """The error in a JSON reply's body; None if it has none, which needs a code. Raises BodyError if it is no JSON.

    Other brokers' details may be any JSON: what is no string stays the JSON text.
    """
    value = read_json(body)
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return None
    return WireError(
        code=error["code"], message=_as_text(error.get("message", "")), details=_as_text(error.get("details", ""))
    )


def write_ping(request_id: bytes) -> bytes:
    envelope = _envelope(request_id)
    envelope.payload.ping = None
    return write_capnp(envelope)


def is_ping(body: "Buffer") -> bool:
    """Whether the body is an `Envelope{payload.ping}`. Anything else, malformed or not, is none."""
    try:
        return _arm_name(read_capnp(body, standard.envelope.Envelope)) == "ping"
    except BodyError:
        return False


def write_pong(request_id: bytes, worker_id: bytes, uptime_secs: int) -> bytes:
    envelope = _envelope(request_id)
    pong = envelope.payload.init("pong")
    _set_uuid(pong.workerId, worker_id)
    pong.uptimeSecs = uptime_secs
    return write_capnp(envelope)


def read_pong(body: "Buffer") -> Pong | None:
    """The pong in a body; None if it is something else. Raises BodyError if it is no Cap'n Proto message."""
    pong = _arm(read_capnp(body, standard.envelope.Envelope), "pong")
    if pong is None:
        return None
    return Pong(worker_id=_uuid(pong.workerId), uptime_secs=pong.uptimeSecs)


def _envelope(request_id: bytes) -> Builder:
    envelope = standard.envelope.Envelope.new_message()
    _set_uuid(envelope.id, request_id)
    envelope.init("payload")
    return envelope


def _arm_name(envelope: StructReader) -> str | None:
    # A payload may be no struct because the body is no Envelope at all. A null payload would read as its first arm,
    # `register`, of which nobody said anything.
    try:
        return str(envelope.payload.which()) if envelope._has("payload") else None
    except BodyError:
        return None


def _arm(envelope: StructReader, name: str) -> StructReader | None:
    if _arm_name(envelope) != name:
        return None
    payload = envelope.payload
    return payload._get(name) if payload._has(name) else None


def _method(index: int, entry: StructReader) -> Method:
    return Method(
        name=_short(f"methods[{index}].name", entry.name),
        is_default=entry.isDefault,
        request_type=entry.requestType,
        reply_type=entry.replyType,
        request_fingerprint=entry.requestFingerprint,
        reply_fingerprint=entry.replyFingerprint,
    )


def _uuid(uuid: StructReader) -> bytes:
    return identifier_of(uuid.low, uuid.high)


def _set_uuid(uuid: Builder, identifier: bytes) -> None:
    uuid.low, uuid.high = halves(identifier)


def _text(text: str) -> bytes:
    # A message may quote a file name with lone surrogates; an error must not fail over its own text.
    return text.encode("utf-8", "replace")


def _plain(text: str) -> str:
    return _text(text).decode("utf-8")


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else write_json(value).decode()


def _check(registration: Registration) -> None:
    if len(registration.worker_id) != ID_BYTES:
        raise BodyError("workerId", f"{len(registration.worker_id)} bytes, not {ID_BYTES}")
    if registration.slots < 1:
        raise BodyError("slots", f"{registration.slots}, at least 1")
    _check_count("methods", len(registration.methods), METHODS_MAX)
    _check_count("capabilities", len(registration.capabilities), CAPABILITIES_MAX)
    _short("workerName", registration.name)
    _short("hostname", registration.hostname)
    _short("version", registration.version)
    for index, capability in enumerate(registration.capabilities):
        _short(f"capabilities[{index}]", capability)
    for index, method in enumerate(registration.methods):
        _short(f"methods[{index}].name", method.name)


def _check_count(field: str, count: int, limit: int) -> None:
    if count > limit:
        raise BodyError(field, f"{count} of them, at most {limit}")


def _short(field: str, text: str) -> str:
    """The text, if it is within bounds. Asked as each is read: a thousand may point to one that is large."""
    size = len(text.encode())
    if size > TEXT_BYTES_MAX:
        raise BodyError(field, f"{size} bytes, at most {TEXT_BYTES_MAX}")
    return text
