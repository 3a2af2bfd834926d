"""Frames as the vectors write them: one word each, which says what to send, or what a received frame must be.

    READY REQUEST REPLY HEARTBEAT DISCONNECT CANCEL PARTIAL CREDIT      the command's two bytes
    EMPTY CAPNPROTO RAW JSON                                            the content type's two bytes
    'text'  0xC0FFEE  -  bytes:1000                                     these bytes; none; that many
    id:NAME            16 random bytes, or when first received any 16; the same ones wherever NAME stands
    fresh:NAME         16 new bytes each time they are sent, to which id:NAME then refers
    service:NAME       the name of a service that nobody else uses; service:NAME/method
    options:a=1,b=2    our frame 7 (deadline flags status schema sequence credit); received: at least this
    event:type=1,schema=0x12                                            the header frame of an event
    json:{"a":1}       JSON; received: at least this, "*" standing for any value
    capnp:ping  capnp:pong  capnp:error(CODE)  capnp:register(slots=2,methods=a+b,typed=c)  capnp:other
    *  *:16            received only: anything; anything of 16 bytes

A word has no blanks in it.
"""

import json
import secrets
import struct
from typing import Any, Final

from conformance import capnp_bytes

SIGNATURE: Final = b"HOOT01"
COMMANDS: Final = {
    name: struct.pack(">H", number)
    for number, name in enumerate(
        ("READY", "REQUEST", "REPLY", "HEARTBEAT", "DISCONNECT", "CANCEL", "PARTIAL", "CREDIT"), 1
    )
}
CONTENT_TYPES: Final = {
    name: struct.pack(">H", number) for number, name in enumerate(("EMPTY", "CAPNPROTO", "RAW", "JSON"))
}
_NUMBERS: Final = COMMANDS | CONTENT_TYPES
_OPTIONS: Final = {"deadline": 0, "flags": 1, "status": 2, "schema": 3, "sequence": 4, "credit": 5, "fingerprint": 6}
_OPTIONS_FORM: Final = struct.Struct("<QIHHQIIQ")
_EVENT: Final = {"type": 0, "flags": 1, "count": 2, "sequence": 3, "time": 4, "publisher": 5, "schema": 6}
_EVENT_FORM: Final = struct.Struct("<QHHIQQQQ")


class Mismatch(AssertionError):
    """A received frame is not what the vector says."""


def options(**fields: int) -> bytes:
    """Frame 7."""
    values = [0] * len(_OPTIONS)
    for name, value in fields.items():
        values[_OPTIONS[name]] = value
    return _OPTIONS_FORM.pack(4 << 32, *values)


def event_header(**fields: int) -> bytes:
    """The header frame of an event; one event unless said otherwise."""
    values = [0, 0, 1, 0, 0, 0, 0]
    for name, value in fields.items():
        values[_EVENT[name]] = value
    return _EVENT_FORM.pack(5 << 32, *values)


class Names:
    """What the placeholders of one vector stand for."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(6)
        self._ids: dict[str, bytes] = {}

    def service(self, name: str) -> str:
        """A service name that no other run of a vector uses; a method behind it stays."""
        name, slash, method = name.partition("/")
        return f"{name}.{self._run}{slash}{method}"

    # To send

    def frame(self, word: str) -> bytes:
        """The bytes that the word says to send."""
        kind, _, rest = word.partition(":")
        if word == "-":
            return b""
        if word == "HOOT01":
            return SIGNATURE
        if word in _NUMBERS:
            return _NUMBERS[word]
        if word.startswith("0x"):
            return bytes.fromhex(word[2:])
        if word.startswith("'"):
            return word.strip("'").encode()
        match kind:
            case "bytes":
                return (bytes(range(256)) * (int(rest) // 256 + 1))[: int(rest)]
            case "id":
                return self._ids.setdefault(rest, secrets.token_bytes(16))
            case "fresh":
                self._ids[rest] = secrets.token_bytes(16)
                return self._ids[rest]
            case "service":
                return self.service(rest).encode()
            case "options":
                return options(**_fields(rest))
            case "event":
                return event_header(**_fields(rest))
            case "json":
                return rest.encode()
            case "capnp":
                return self._capnp(rest)
        raise ValueError(f"{word!r} is no frame to send")

    def _capnp(self, text: str) -> bytes:
        kind, _, arguments = text.rstrip(")").partition("(")
        identifier = secrets.token_bytes(16)
        match kind:
            case "ping":
                return capnp_bytes.envelope(identifier, capnp_bytes.PING)
            case "error":
                error = capnp_bytes.Struct(b"", (arguments, "a message", "details"))
                return capnp_bytes.envelope(identifier, capnp_bytes.ERROR, error)
            case "register":
                said = dict(pair.split("=") for pair in arguments.split(",") if pair)
                return capnp_bytes.register(
                    identifier,
                    slots=int(said.get("slots", "1")),
                    methods=tuple(filter(None, said.get("methods", "").split("+"))),
                    typed=tuple(filter(None, said.get("typed", "").split("+"))),
                    lost_after_ms=int(said.get("lost_after", "0")),
                )
            case "other":
                return capnp_bytes.message(capnp_bytes.Struct(bytes(range(16)), ("text",)))
        raise ValueError(f"capnp:{text} is none that can be sent")

    # To compare

    def check(self, word: str, frame: bytes) -> None:
        """Raises Mismatch if the received frame is not what the word says."""
        kind, _, rest = word.partition(":")
        match kind:
            case "*":
                fits = not rest or len(frame) == int(rest)
            case "id" if rest not in self._ids:
                fits = len(frame) == 16
                self._ids[rest] = frame
            case "options":
                fits = len(frame) == _OPTIONS_FORM.size and _has(_fields(rest), _OPTIONS, _OPTIONS_FORM.unpack(frame))
            case "event":
                fits = len(frame) == _EVENT_FORM.size and _has(_fields(rest), _EVENT, _EVENT_FORM.unpack(frame))
            case "json":
                fits = _contains(json.loads(frame), json.loads(rest))
            case "capnp" if rest.startswith("error"):
                found = capnp_bytes.read_envelope(frame)
                fits = found.arm == capnp_bytes.ERROR and found.texts[0] == rest[6:-1] and found.texts[1] != ""
            case "capnp" if rest == "pong":
                # A worker's id, then the seconds: those of a broker that was started for this test, or of any other.
                found = capnp_bytes.read_envelope(frame)
                fits = found.arm == capnp_bytes.PONG and len(found.data) == 24
            case _:
                fits = frame == self.frame(word)
        if not fits:
            raise Mismatch(f"{word} expected, {shown(frame)} received")

    def binding(self) -> dict[str, bytes]:
        """What is bound so far, for `rebind` after a comparison that failed and was allowed to."""
        return self._ids.copy()

    def rebind(self, ids: dict[str, bytes]) -> None:
        """Goes back to an earlier `binding`."""
        self._ids = ids


def shown(frame: bytes) -> str:
    """A frame for people."""
    for name, number in COMMANDS.items():
        if frame == number:
            return f"{name}|{frame.hex()}"
    return repr(frame) if len(frame) <= 200 else f"{frame[:200]!r}… of {len(frame)} bytes"


def _fields(text: str) -> dict[str, int]:
    return {name: int(value, 0) for name, _, value in (pair.partition("=") for pair in text.split(",") if pair)}


def _has(wanted: dict[str, int], places: dict[str, int], found: tuple[int, ...]) -> bool:
    return all(found[1 + places[name]] == value for name, value in wanted.items())


def _contains(found: Any, wanted: Any) -> bool:  # noqa: ANN401  # JSON is any of six
    if wanted == "*":
        return True
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and _contains(found[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_contains(one, other) for one, other in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
