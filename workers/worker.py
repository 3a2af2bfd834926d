"""What a program embeds to offer a service."""

import asyncio
import inspect
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Final, TypeAlias, TypeVar, overload

import msgspec

from hootbus.frames.address import resolve_address
from hootbus.frames.errors import HootError
from hootbus.frames.keys import Keys, resolve_keys
from hootbus.frames.options import U32_MAX
from hootbus.frames.protocol import EXTENSION_VERSION, SERVICE_BYTES_MAX, SERVICE_NAME
from hootbus.schemas import COPIES, Registration, StructType
from hootbus.workers import validation
from hootbus.workers.connection import new_identity
from hootbus.workers.handler import Function, Kind, Methods, inspect_handler
from hootbus.workers.limits import Limits, none_reached
from hootbus.workers.serving import Serving
from hootbus.workers.session import Dropped
from hootbus.workers.validation import Validate

F = TypeVar("F", bound=Function)
Hook: TypeAlias = Callable[[], Awaitable[object] | object]
H = TypeVar("H", bound=Hook)

_LOG: Final = logging.getLogger("hootbus.worker")
_MS_PER_S: Final = 1000
_SLOTS_THREAD: Final = 4
_SLOTS_ASYNC: Final = 64
_SLOTS_INLINE: Final = 256
# As the registration can say them: u32 milliseconds, and a name with the process's number behind the service.
_LOST_AFTER_MAX_S: Final = U32_MAX // _MS_PER_S
_NAME_SERVICE_MAX: Final = 200


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has done.

    `translated` are the JSON requests to methods that take Cap'n Proto. `in_place` and `copied` count bodies read as
    Cap'n Proto, in the whole process. `reached` is how often each of its limits held something back.
    """

    requests: int
    errors: int
    cancelled: int
    translated: int
    running: int
    surplus: int
    in_place: int
    copied: int
    dropped: dict[str, int]
    reached: dict[str, int]


class Worker:
    """Offers a service: its methods, run for the requests that a broker hands over.

    `slots` is how many requests it takes at once (4 if any method is a plain function, else 64 if any is async, else
    256). `lost_after` is the silence in seconds after which the broker may count it as lost; a busy worker is not
    silent. `name` is for people. `drain_timeout` is how long it may take to finish what it has when it stops.
    `validate` says which Cap'n Proto requests are checked to the last field before a handler reads them: "on" all,
    "edge" those of peers that do not speak the extension, which other software has written, "off" none. Whatever it
    says, a field is checked when it is read. `keys` are as for a `Client`.
    """

    def __init__(
        self,
        service: str,
        address: str | None = None,
        *,
        slots: int | None = None,
        name: str | None = None,
        lost_after: float = 60.0,
        drain_timeout: float | None = None,
        validate: Validate = validation.DEFAULT,
        limits: Limits | None = None,
        keys: Keys | None = None,
    ) -> None:
        if not re.fullmatch(SERVICE_NAME, service) or len(service) > SERVICE_BYTES_MAX:
            raise ValueError(f"{service!r} is no service name; use a-z, 0-9, '.', '_' and '-'")
        if slots is not None and not 1 <= slots <= U32_MAX:
            raise ValueError(f"a worker has from 1 to {U32_MAX} slots, not {slots}")
        if not 0 <= lost_after <= _LOST_AFTER_MAX_S:
            raise ValueError(f"lost_after is a number of seconds from 0 to {_LOST_AFTER_MAX_S}, not {lost_after}")
        self.service = service
        # Of a long service its beginning, as a default must not be out of bounds.
        self.name = name or f"{service[:_NAME_SERVICE_MAX]}-{os.getpid()}"
        self._address = address
        self._slots = slots
        self._lost_after = lost_after
        self._validate = validation.checked(validate)
        self._limits = limits or Limits()
        self._keys = keys
        self._drain_timeout = self._limits.drain_timeout_s if drain_timeout is None else _drain_time(drain_timeout)
        self._methods = Methods(service)
        self._start_hooks: list[Hook] = []
        self._stop_hooks: list[Hook] = []
        self._identity: bytes | None = None
        self._running: Serving | None = None
        # From before `on_start` until after `on_stop`. A stop that is asked for meanwhile is kept, as `on_start` may
        # still be at work; any other has nothing to stop.
        self._serving = False
        self._stop_asked = False
        self._thread: threading.Thread | None = None
        self._ended: Future[None] = Future()

    # What it offers.

    @overload
    def method(self, function: F, /) -> F: ...
    @overload
    def method(self, *, inline: bool = False, name: str | None = None, default: bool = False) -> Callable[[F], F]: ...
    def method(
        self, function: F | None = None, *, inline: bool = False, name: str | None = None, default: bool = False
    ) -> F | Callable[[F], F]:
        """Offers the function as a method, under its own name unless another is given.

        A `def` runs on a thread, an `async def` as a task, a generator's items stream to the caller. `inline` runs a
        `def` of a few microseconds where the message was received. `default` takes requests that name no method.

        Its argument is what its annotation says: `Request` (or none), a Cap'n Proto type (a reader over the frame),
        `bytes` or `memoryview` (the raw body), a `msgspec.Struct` or anything msgspec converts JSON to. A second
        one may be a `Request`. It returns None, a buffer, a Cap'n Proto message, what JSON can say, or a `Response`.
        """

        def add(function: F) -> F:
            self._methods.add(inspect_handler(function, name=name, inline=inline, default=default))
            return function

        return add if function is None else add(function)

    def add_method(
        self,
        function: Function,
        *,
        name: str | None = None,
        takes: StructType | None = None,
        returns: StructType | None = None,
        inline: bool = False,
        default: bool = False,
    ) -> None:
        """As `method`, for a function whose annotations do not say what it takes and returns.

        It is called with a reader of `takes`, if that is given, and the `Request`.
        """
        types = (takes, returns)
        self._methods.add(inspect_handler(function, name=name, inline=inline, default=default, types=types))

    def on_start(self, hook: H) -> H:
        """Has the function (async or not) called before the worker offers its service: load what is heavy there."""
        self._start_hooks.append(hook)
        return hook

    def on_stop(self, hook: H) -> H:
        """Has the function (async or not) called once no handler runs any more, latest first."""
        self._stop_hooks.append(hook)
        return hook

    @property
    def slots(self) -> int:
        """How many requests it takes at once."""
        if self._slots is not None:
            return self._slots
        kinds = {handler.kind for handler in self._methods}
        if kinds & {Kind.THREAD, Kind.GENERATOR}:
            return _SLOTS_THREAD
        return _SLOTS_ASYNC if kinds & {Kind.TASK, Kind.ASYNC_GENERATOR} else _SLOTS_INLINE

    # Running it.

    def run(
        self,
        address: str | None = None,
        *,
        drain_timeout: float | None = None,
        identity: bytes | None = None,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        """Serves until it is stopped. On the main thread SIGTERM and SIGINT drain it, and a second SIGINT stops it now.

        `address` and `drain_timeout` stand in place of those it was made with. `identity` is for a supervisor that
        speaks for the worker when it has died: 16 random bytes, the first one not 0, that no other peer uses.
        `on_ready` is called once, when the broker has taken it in. Raises the HootError with which a broker refuses it.
        """
        self._address = address or self._address
        if drain_timeout is not None:
            self._drain_timeout = _drain_time(drain_timeout)
        self._identity = identity
        asyncio.run(self._serve(on_ready, with_signals=threading.current_thread() is threading.main_thread()))

    async def serve(self, *, on_ready: Callable[[], None] | None = None) -> None:
        """As `run`, on the running loop, whose signals are its owner's. Cancelling it stops the worker at once."""
        await self._serve(on_ready, with_signals=False)

    async def _serve(self, on_ready: Callable[[], None] | None, with_signals: bool) -> None:
        if self._serving:
            raise RuntimeError("this worker is running already")
        if not len(self._methods):
            raise RuntimeError(f"{self.service} has no method; decorate one with @worker.method")
        self._serving = True
        try:
            await _call_all(self._start_hooks)
            try:
                await self._serve_until_ended(on_ready, with_signals)
            finally:
                await _call_all(reversed(self._stop_hooks))
        finally:
            self._serving = False
            self._stop_asked = False

    async def _serve_until_ended(self, on_ready: Callable[[], None] | None, with_signals: bool) -> None:
        self._running = serving = Serving(
            self.service,
            self._methods,
            self._registration(),
            resolve_address(self._address),
            self._limits,
            drain_timeout=self._drain_timeout,
            identity=self._identity,
            keys=resolve_keys(self._keys),
            validate=self._validate,
            on_ready=on_ready,
        )
        try:
            if self._stop_asked:
                serving.drain()
            with _signals(serving) if with_signals else nullcontext():
                await serving.ended()
        finally:
            serving.stop_now()
            await serving.handlers_ended()
            # On a thread, as the loop may be the program's own, and has others to serve.
            await asyncio.to_thread(serving.end)
            self._running = None

    def start(self, address: str | None = None, *, timeout: float | None = 30.0) -> None:
        """Serves on a thread of its own, at `address` if given; returns once a broker has taken it in.

        For tests and for embedding; `stop` ends it. Raises TimeoutError if there is no broker within `timeout` seconds,
        and what `run` raises: ValueError too, if what it offers is more than a registration can say.
        """
        if self._thread is not None or self._serving:
            raise RuntimeError("this worker is running already")
        self._address = address or self._address
        ready: Future[None] = Future()
        self._ended = Future()
        self._stop_asked = False
        self._thread = threading.Thread(target=self._run_on_thread, args=(ready,), name="hootbus-worker", daemon=True)
        self._thread.start()
        try:
            ready.result(timeout)
        except BaseException as error:
            # Refused, too late, or Ctrl-C: whatever it was, the thread must not stay.
            with suppress(HootError):
                self.stop()
            raise error

    def stop(self) -> None:
        """Drains it, from any thread: it takes nothing new, finishes what it has, and ends.

        If it was begun with `start`, waits until it has ended, and raises the error that has ended it before, if any.
        One that does not run has nothing to stop.
        """
        if self._thread is None and not self._serving:
            return
        self._stop_asked = True
        running = self._running
        if running is not None:
            running.mailbox.post(running.drain)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            self._thread = None
            # It may have ended before it was asked.
            self._stop_asked = False
            self._ended.result()

    @contextmanager
    def running(self, address: str | None = None, *, timeout: float | None = 30.0) -> Iterator["Worker"]:
        """`start` and `stop` around a block."""
        self.start(address, timeout=timeout)
        try:
            yield self
        finally:
            self.stop()

    def stats(self) -> WorkerStats:
        """What it has done since it was started; zeros while it is not running."""
        running = self._running
        counts = running.execution.counts if running is not None else None
        session = running.session if running is not None else None
        return WorkerStats(
            requests=counts.requests if counts is not None else 0,
            errors=counts.errors if counts is not None else 0,
            cancelled=counts.cancelled if counts is not None else 0,
            translated=counts.translated if counts is not None else 0,
            running=len(session) if session is not None else 0,
            surplus=session.surplus if session is not None else 0,
            in_place=COPIES.in_place,
            copied=COPIES.copied,
            dropped={reason.value: session.dropped[reason] if session is not None else 0 for reason in Dropped},
            reached=dict(session.reached) if session is not None else none_reached(),
        )

    def _run_on_thread(self, ready: Future[None]) -> None:
        ended: BaseException | None = None
        try:
            self.run(on_ready=lambda: ready.set_result(None))
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to the thread that waits
            ended = error
        if not ready.done():
            ready.set_exception(ended or RuntimeError("the worker was stopped before it was ready"))
        if ended is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(ended)

    def _registration(self) -> Registration:
        return Registration(
            worker_id=new_identity(),
            name=self.name,
            hostname=socket.gethostname(),
            version=_version(),
            pid=os.getpid(),
            slots=self.slots,
            methods=tuple(handler.stated() for handler in self._methods),
            extension_version=EXTENSION_VERSION,
            lost_after_ms=int(self._lost_after * _MS_PER_S),
        )


async def _call_all(hooks: Iterable[Hook]) -> None:
    for hook in hooks:
        result = hook()
        if inspect.isawaitable(result):
            await result


@contextmanager
def _signals(serving: Serving) -> Iterator[None]:
    """SIGTERM and the first SIGINT drain, a second SIGINT stops now; only the main thread can have that."""
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            serving.stop_now()
        else:
            _LOG.warning("finishing what is running; interrupt again to stop now")
            serving.drain()
        interrupted = True

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, serving.drain)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


def _drain_time(seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError(f"a drain timeout is a number of seconds from 0 on, not {seconds}")
    return seconds


def _version() -> str:
    try:
        return version("hootbus")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return ""
