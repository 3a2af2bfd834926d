"""What a handler gets: the request's content, and what it must know to stop in time."""

import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from hootbus.frames.message import Message
from hootbus.frames.protocol import Flag
from hootbus.schemas import BodyError, StructReader, StructType, TypedReader
from hootbus.workers.content import Content, bad_body
from hootbus.workers.trace import handling
from hootbus.workers.translation import message_of

if TYPE_CHECKING:
    import numpy as np

    from hootbus.schemas import Unknown

R = TypeVar("R", bound=TypedReader)

_MS_PER_S: Final = 1000.0


class Cancellation:
    """Whether nobody waits for the result any more. True or false as it stands; `wait` for it on a thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def is_set(self) -> bool:
        """The same as its truth."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is set, at most `timeout` seconds; whether it is."""
        return self._event.wait(timeout)


class Request(Content, eq=False, gc=False, kw_only=True):
    """One request, as its handler sees it.

    `translated` says that its client sent JSON to a method that takes Cap'n Proto: it is read as a message all the
    same, and answered with JSON. `traced` says that it belongs to a trace, which what its handler asks for continues.
    """

    method: str
    _message: Message
    _received_at: float
    _unchecked: bool = False
    translated: bool = False
    traced: bool = False
    _aborted: bool = False
    _cancellation: Cancellation | None = None

    def __repr__(self) -> str:
        return f"<Request {self.service}/{self.method} of {self.size} bytes, {self._content_type.name}>"

    @overload
    def capnp(self, schema: type[R]) -> R: ...
    @overload
    def capnp(self, schema: StructType) -> StructReader: ...
    def capnp(self, schema: Any) -> Any:
        """As `Content.capnp`. If the worker validates such requests, the body is first checked to its last field."""
        if self._unchecked:
            self._check_type(schema)
            self.validate(schema)
        return super().capnp(schema)

    def array(self, field: str, schema: StructType | None = None) -> "np.ndarray[tuple[int], np.dtype[Any]]":
        """As `Content.array`, of a body that is checked as for `capnp`."""
        self._check(schema)
        return super().array(field, schema)

    def view(self, field: str, schema: StructType | None = None) -> memoryview:
        """As `Content.view`, of a body that is checked as for `capnp`."""
        self._check(schema)
        return super().view(field, schema)

    def validate(self, schema: StructType | None = None) -> "tuple[Unknown, ...]":
        """As `Content.validate`."""
        unknown = super().validate(schema)
        self._unchecked = False
        return unknown

    def translate(self) -> None:
        """Has the JSON body read as a message by all that reads Cap'n Proto. The worker calls it if it is `translated`.

        `raw`, `json` and `content_type` go on telling what was sent. Raises BadBody, which names the path.
        """
        assert self._schema is not None
        try:
            self._segments = message_of(self._buffer, self._schema)
        except BodyError as error:
            raise bad_body(error) from error
        # It was just written by us.
        self._unchecked = False

    @property
    def id(self) -> bytes:
        """The request's 16 bytes, as the broker names it to this worker."""
        return self._message.request_id

    @property
    def service(self) -> str:
        """The service asked for."""
        return self._message.service.partition(b"/")[0].decode("utf-8", "replace")

    @property
    def traceparent(self) -> str:
        """The W3C traceparent its client sent, empty for none."""
        return self._message.traceparent.decode("utf-8", "replace")

    def trace(self) -> AbstractContextManager[object]:
        """Around its handler, if it is `traced`. The worker does it."""
        return handling(self.service, self.method, self._message.traceparent)

    @property
    def idempotent(self) -> bool:
        """Whether it may be carried out more than once."""
        return self._has(Flag.IDEMPOTENT.value)

    @property
    def streams(self) -> bool:
        """Whether its client takes the items of a generator one by one."""
        return self._has(Flag.PARTIALS.value)

    @property
    def deadline(self) -> float | None:
        """The moment on `time.monotonic()`'s clock after which nobody waits, None for none."""
        options = self._message.options
        if options is None or not options.deadline_ms:
            return None
        return self._received_at + options.deadline_ms / _MS_PER_S

    def time_left(self) -> float | None:
        """Seconds until the deadline, 0 if it is over, None if there is none."""
        deadline = self.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    @property
    def cancelled(self) -> Cancellation:
        """True once the client has cancelled, the deadline is over, or the broker is lost: stop working on it."""
        # Made on first use, as an Event costs more than a small handler. Whichever of this thread and the aborting
        # one comes second sees what the first has done.
        if self._cancellation is None:
            self._cancellation = Cancellation()
            if self._aborted:
                self._cancellation._event.set()
        return self._cancellation

    def abort(self) -> None:
        """Sets `cancelled`. The worker calls it."""
        self._aborted = True
        if self._cancellation is not None:
            self._cancellation._event.set()

    @property
    def aborted(self) -> bool:
        """As `cancelled`, without the means to wait."""
        return self._aborted

    def _check(self, schema: StructType | None) -> None:
        if self._unchecked:
            self.validate(schema)

    def _has(self, flag: int) -> bool:
        options = self._message.options
        return options is not None and bool(options.flags & flag)
