"""Traces over the bus: a handler's own requests continue the trace of the request it handles (W3C Trace Context).

Whoever wants spans besides puts a `Tracer` in place (`install`), as `hootbus.workers.otel` does. Without one a trace
costs nothing where there is none, and a random number per request where there is.
"""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final, Protocol

import msgspec

from hootbus.frames.errors import HootError

_FORM: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION: Final = b"00"
_NO_VERSION: Final = b"ff"
_SPAN_BITS: Final = 64
_KNOWN_FLAGS: Final = 0x01

Ended = Callable[[HootError | None], None]


class Trace(msgspec.Struct, frozen=True, gc=False):
    """The trace that a handler's requests belong to: its id, as it is written, and its flags."""

    id: bytes
    flags: int

    def to_next(self, span: int) -> bytes:
        """The traceparent for a request made in it, whose own span has this number, not 0."""
        return b"%b-%b-%016x-%02x" % (_VERSION, self.id, span, self.flags)


def read_traceparent(traceparent: bytes) -> Trace | None:
    """The trace that a traceparent names; None for one that is malformed, which is not continued.

    Of a later version than ours what ours has is taken, and the one flag it knows; more may follow there (W3C Trace
    Context, "Versioning of traceparent").
    """
    form = _FORM.fullmatch(traceparent)
    if form is None:
        return None
    version, trace, span, flags, more = form.groups()
    if version == _NO_VERSION or (version == _VERSION and more is not None):
        return None
    if not trace.strip(b"0") or not span.strip(b"0"):
        return None
    return Trace(trace, int(flags, 16) & (0xFF if version == _VERSION else _KNOWN_FLAGS))


class Tracer(Protocol):
    """Makes spans of requests."""

    def calling(self, target: str, traceparent: str) -> tuple[str, Ended]:
        """A client makes a request: the traceparent to send, and what is to be called with its outcome."""

    def handling(self, service: str, method: str, traceparent: str) -> AbstractContextManager[object]:
        """Around a handler, which may raise."""


# Looked at for each request, so that it costs no call.
TRACER: Tracer | None = None
# Of the handler that runs here.
_CURRENT: Final[ContextVar[Trace | None]] = ContextVar("hootbus_trace", default=None)
current: Final = _CURRENT.get


def install(tracer: Tracer | None) -> None:
    """Has it make spans of all requests that begin from now on; None: nobody does."""
    global TRACER  # one per process, as programs have one tracer
    TRACER = tracer


def outgoing(target: str, traceparent: str) -> tuple[bytes, Ended | None]:
    """For a request made here with this traceparent, "" for none: the one to send, and who is told of its outcome."""
    if TRACER is not None:
        told, ended = TRACER.calling(target, traceparent)
        return told.encode(), ended
    if traceparent or (trace := current()) is None:
        return traceparent.encode(), None
    return trace.to_next(random.getrandbits(_SPAN_BITS) or 1), None


def handling(service: str, method: str, traceparent: bytes) -> AbstractContextManager[object]:
    """Around a handler, wherever it runs: what it asks of others belongs to this trace."""
    if TRACER is not None:
        return TRACER.handling(service, method, traceparent.decode("ascii", "replace"))
    return _continued(read_traceparent(traceparent))


@contextmanager
def _continued(trace: Trace | None) -> Iterator[None]:
    token = _CURRENT.set(trace)
    try:
        yield
    finally:
        _CURRENT.reset(token)
