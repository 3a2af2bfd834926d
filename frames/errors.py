"""What can go wrong, by name and number: the same words on the wire, in exceptions and in metrics.

The numbers are the `status` of a reply (docs/protocol.md, "Errors") and are never reused.
"""

from typing import ClassVar

# Text from an exception travels in an error body; a bound keeps a runaway message from becoming a large one.
MESSAGE_CHARS_MAX = 1024


class HootError(Exception):
    """Base of everything the bus reports. `code` and `number` are the wire's; `details` is free text.

    Unknown numbers from a newer peer arrive as a plain HootError whose `code` and `number` are the peer's.
    """

    code: str = "error"
    number: int = 0

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class BadFrame(HootError):
    """A message whose frames do not follow HOOT01."""

    code = "bad_frame"
    number = 1


class BadBody(HootError):
    """A body that is not what its content type or schema says."""

    code = "bad_body"
    number = 2


class UnknownService(HootError):
    """Nobody offers the service that was asked for."""

    code = "unknown_service"
    number = 3


class UnknownMethod(HootError):
    """The service is there, but has no such method."""

    code = "unknown_method"
    number = 4


class UnsupportedContentType(HootError):
    """The receiver cannot take a body of this kind, or no attachments."""

    code = "unsupported_content_type"
    number = 5


class Overloaded(HootError):
    """A bound was reached; nothing was done. Try again later."""

    code = "overloaded"
    number = 6


class DeadlineExceeded(HootError):
    """The time given for the request is over."""

    code = "deadline_exceeded"
    number = 7


class Cancelled(HootError):
    """The request was cancelled by its client."""

    code = "cancelled"
    number = 8


class WorkerLost(HootError):
    """The worker (or the broker) that had the request is gone; whether it was carried out is not known."""

    code = "worker_lost"
    number = 9


class Quarantined(HootError):
    """The request took down every worker that tried it, and is not handed to another."""

    code = "quarantined"
    number = 10


class Denied(HootError):
    """The peer has no right to do this."""

    code = "denied"
    number = 11


class SchemaMismatch(HootError):
    """Both ends have schemas for this body that cannot be read by each other."""

    code = "schema_mismatch"
    number = 12


class HandlerFailed(HootError):
    """The worker's handler raised."""

    code = "handler_error"
    number = 13


class BrokerStopping(HootError):
    """The broker is draining and takes no new requests."""

    code = "broker_stopping"
    number = 14


class _Registry:
    """The error classes by number and by code."""

    classes: ClassVar[tuple[type[HootError], ...]] = (
        BadFrame,
        BadBody,
        UnknownService,
        UnknownMethod,
        UnsupportedContentType,
        Overloaded,
        DeadlineExceeded,
        Cancelled,
        WorkerLost,
        Quarantined,
        Denied,
        SchemaMismatch,
        HandlerFailed,
        BrokerStopping,
    )
    by_code: ClassVar[dict[str, type[HootError]]] = {kind.code: kind for kind in classes}
    by_number: ClassVar[dict[int, type[HootError]]] = {kind.number: kind for kind in classes}


ERRORS = _Registry.classes


def error_from_wire(*, number: int = 0, code: str = "", message: str = "", details: str = "") -> HootError:
    """The exception for an error that came in a reply; the number decides, else the code.

    A number or code that is not ours (a newer or foreign peer) gives a plain HootError that carries it.
    """
    kind = _Registry.by_number.get(number) or _Registry.by_code.get(code)
    if kind is not None:
        return kind(message or kind.code.replace("_", " "), details=details)
    error = HootError(message or "the peer reported an error", details=details)
    if code or number:
        error.code = code or f"error_{number}"
    error.number = number
    return error
