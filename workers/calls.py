"""The requests of one client on a loop: what both faces, `AsyncClient` and `Client`, are thin coats over."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from functools import lru_cache, partial
from numbers import Real
from typing import Any, Final, Protocol, TypeAlias

from hootbus.frames.address import BusAddress
from hootbus.frames.errors import BadFrame, Cancelled, HootError
from hootbus.frames.keys import Keys
from hootbus.frames.message import Message
from hootbus.frames.protocol import SERVICE_BYTES_MAX, TRACEPARENT_BYTES_MAX, Command, ContentType, Flag
from hootbus.schemas import StructType
from hootbus.schemas.stated import declaration_of_message, method_fingerprint, write_comparison
from hootbus.schemas.structs import declaration_of
from hootbus.workers import trace as _trace
from hootbus.workers.client_session import ClientSession
from hootbus.workers.connection import Connection, IdSource
from hootbus.workers.content import Reply
from hootbus.workers.failure import unsendable
from hootbus.workers.limits import Limits
from hootbus.workers.link import LinkState
from hootbus.workers.outgoing import encode, with_attachments
from hootbus.workers.session import Call, Closed, Effect, Linked, Outcome, Part, Waiting

DEFAULT_TIMEOUT_S: Final = 30.0
# More than a program runs; a clock can be computed with it. The options say at most 49 days anyway.
TIMEOUT_MAX_S: Final = 1e9
# Programs name few targets; the bound is for one that makes them up as it goes.
_TARGETS_MAX: Final = 4096
# As plain numbers: enums are slow to compute with.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_WAIT: Final[int] = Flag.WAIT.value
# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_CAPNPROTO: Final = ContentType.CAPNPROTO
_LOG: Final = logging.getLogger("hootbus.client")


class Waiter(Protocol):
    """Who waits for a request's outcome: a future of asyncio's or of concurrent.futures', or a stream."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...  # noqa: ANN401  # a Reply; None for a one-way request
    def set_exception(self, exception: HootError, /) -> None: ...


PartTaker: TypeAlias = Callable[[Message], None]


def new_call(
    request_id: bytes,
    target: str,
    body: object = None,
    *,
    timeout: object,
    flags: int = 0,
    schema_id: object = 0,
    expects: StructType | None = None,
    attachments: Iterable[object] = (),
    traceparent: str | None = "",
) -> Call:
    """The request for a target `service/method` and a body of any kind.

    Everything is judged here, where its caller gets the error: BadFrame, what `encode` raises, and what `time_limit`
    raises.
    """
    # The common case without a call of its own.
    limit = timeout if isinstance(timeout, float) and 0 <= timeout <= TIMEOUT_MAX_S else time_limit(timeout)
    encoded = encode(body)
    if attachments or schema_id:
        encoded = with_attachments(encoded, attachments, schema_id)
    service = _service(target)
    fingerprint, comparison = 0, None
    if encoded.content_type is _CAPNPROTO or expects is not None:
        request = declaration_of_message(body)
        reply = declaration_of(expects) if expects is not None else None
        fingerprint = method_fingerprint(request, reply)
        if fingerprint:
            comparison = partial(write_comparison, service, request, reply)
    trace, ended = b"", None
    if traceparent or _trace.TRACER is not None or _trace.current() is not None:
        trace, ended = _trace.outgoing(target, traceparent or "")
        if len(trace) > TRACEPARENT_BYTES_MAX:
            raise BadFrame(f"a traceparent of {len(trace)} bytes, more than {TRACEPARENT_BYTES_MAX}")
    return Call(
        request_id=request_id,
        service=service,
        content_type=encoded.content_type,
        body=encoded.buffer,
        schema_id=encoded.schema_id,
        attachments=encoded.attachments,
        traceparent=trace,
        flags=flags,
        timeout=limit,
        fingerprint=fingerprint,
        comparison=comparison,
        ended=ended,
    )


def new_ping(request_id: bytes, timeout: object) -> Call:
    """Asks the broker for a sign of life. Raises what `time_limit` raises."""
    return Call(request_id=request_id, timeout=time_limit(timeout), command=Command.HEARTBEAT)


def time_limit(timeout: object) -> float | None:
    """A caller's timeout as a session takes it: seconds, or None for `math.inf` too, as nobody waits for ever.

    Raises TypeError for what is no number, ValueError for one that is no time.
    """
    if timeout is None:
        return None
    if not isinstance(timeout, Real):
        raise TypeError(f"a timeout is a number of seconds or None, no {type(timeout).__name__}")
    try:
        seconds = float(timeout)
    except OverflowError:
        seconds = math.nan
    if not seconds >= 0:
        raise ValueError("a timeout is a number of seconds from 0 on, or None")
    return min(seconds, TIMEOUT_MAX_S) if seconds != math.inf else None


def flags_of(*, idempotent: object, wait: object) -> int:
    """The flags for a caller's wishes."""
    return (_IDEMPOTENT if idempotent else 0) | (_WAIT if wait else 0)


class Calls:
    """A client's session on the running loop, and who waits for what. Not for use from other threads.

    `on_idle` is called when `idle` may have become true.
    """

    def __init__(
        self,
        address: BusAddress,
        limits: Limits,
        new_id: IdSource,
        on_idle: Callable[[], None] = lambda: None,
        keys: Keys | None = None,
    ) -> None:
        self._address = address
        self._on_idle = on_idle
        self.loop = asyncio.get_running_loop()
        self._waiters: dict[bytes, Waiter] = {}
        self._parts: dict[bytes, PartTaker] = {}
        self._ends: dict[bytes, Callable[[HootError | None], None]] = {}
        self.session = ClientSession(
            new_id=new_id, random=random.random, now=time.monotonic(), limits=limits, address=address.text
        )
        self._connection = Connection(address, self.session, self._carry_out, limits, _LOG, keys=keys)

    def start(self, call: Call, waiter: Waiter, part: PartTaker | None = None, *, now: bool = False) -> None:
        """Sends the request; `waiter` gets its outcome and `part` the PARTIALs of a streamed one.

        It leaves with all others of this turn of the loop, or `now`.
        """
        if waiter.done():
            if call.ended is not None:
                call.ended(Cancelled("the caller gave the request up"))
            return
        self._waiters[call.request_id] = waiter
        if call.ended is not None:
            self._ends[call.request_id] = call.ended
        if part is not None:
            self._parts[call.request_id] = part
        try:
            effects = self.session.request(call, time.monotonic())
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to who waits for this request
            self._abandon(call.request_id, error)
        else:
            self._connection.carry_out(effects, now=now)

    def cancel(self, request_id: bytes) -> None:
        """Gives the request up, if it is still open."""
        self._connection.carry_out(self.session.cancel(request_id, time.monotonic()))

    def took(self, request_id: bytes) -> None:
        """An item of the streamed reply was read."""
        effects = self.session.took(request_id, time.monotonic())
        if effects:
            self._connection.carry_out(effects)

    def idle(self) -> bool:
        """Whether nothing is left to do until the next request: the broker is there, and all that was sent has left."""
        if self._waiters or self.session.link is not LinkState.UP:
            return False
        self._connection.flush()
        if self._connection.backed_up:
            self._connection.when_room(self._on_idle)
            return False
        return True

    def close(self) -> None:
        """Cancels what is open and closes the socket, without waiting."""
        self._connection.carry_out(self.session.close(time.monotonic()))

    def end(self) -> None:
        """After `close`: returns when what was sent has left, or half a second is over. For any thread."""
        self._connection.end()

    def _abandon(self, request_id: bytes, error: Exception) -> None:
        """A request that could not be begun, as its buffer was released before its turn came."""
        with suppress(InvalidStateError):  # cancelled in this very moment
            self._waiters[request_id].set_exception(unsendable(error))
        self.cancel(request_id)
        self._waiters.pop(request_id, None)
        self._parts.pop(request_id, None)
        if (ended := self._ends.pop(request_id, None)) is not None:
            ended(unsendable(error))

    def _carry_out(self, effect: Effect) -> None:
        if type(effect) is Outcome:
            self._resolve(effect.request_id, effect.result)
        elif isinstance(effect, Part):
            self._parts[effect.request_id](effect.message)
        elif isinstance(effect, Waiting):
            _LOG.warning("waiting for a broker: %s", effect.reason)
        elif isinstance(effect, Linked):
            self._log_link(effect)
            if not self._waiters:
                self._on_idle()
        elif isinstance(effect, Closed):
            self._connection.close()

    def _resolve(self, request_id: bytes, result: Message | HootError | None) -> None:
        waiter = self._waiters.pop(request_id)
        if self._parts:
            self._parts.pop(request_id, None)
        if self._ends and (ended := self._ends.pop(request_id, None)) is not None:
            ended(result if isinstance(result, HootError) else None)
        if not self._waiters:
            self._on_idle()
        if waiter.done():
            return
        try:
            if isinstance(result, HootError):
                waiter.set_exception(result)
            else:
                waiter.set_result(None if result is None else reply_of(result))
        except InvalidStateError:  # `suppress` costs more than all else here
            # A future of another thread, cancelled in this very moment.
            pass
        except SystemExit:
            # Of a future's callback, which runs here; asyncio would end the client's thread with it.
            _LOG.exception("a future's callback failed")

    def _log_link(self, linked: Linked) -> None:
        if linked.replaced:
            _LOG.warning("another broker serves %s now", self._address.text)
        elif linked.late:
            _LOG.warning("the broker at %s is there", self._address.text)


def reply_of(message: Message) -> Reply:
    """The reply in a REPLY or PARTIAL."""
    options = message.options
    schema_id = options.schema_id if options is not None else 0
    return Reply(message.content_type, message.body, schema_id, message.attachments)


@lru_cache(_TARGETS_MAX)
def _service(target: str) -> bytes:
    service = target.encode("utf-8", "surrogateescape")
    if len(service) > SERVICE_BYTES_MAX:
        raise BadFrame(f"a target of {len(service)} bytes, more than {SERVICE_BYTES_MAX}")
    return service
