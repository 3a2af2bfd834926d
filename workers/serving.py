"""A worker while it serves: the shell that joins its session, its connection and its handlers."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from hootbus.frames.address import BusAddress
from hootbus.frames.errors import HootError
from hootbus.frames.keys import Keys
from hootbus.schemas import Registration, write_registration
from hootbus.workers.connection import Connection, IdSource
from hootbus.workers.execution import Execution
from hootbus.workers.handler import Methods
from hootbus.workers.limits import Limits
from hootbus.workers.mailbox import Mailbox
from hootbus.workers.session import Abort, Body, Closed, Effect, Linked, Refused, Resume, Start, Waiting
from hootbus.workers.validation import Validate
from hootbus.workers.worker_session import WorkerSession

_LOG: Final = logging.getLogger("hootbus.worker")
# How long handlers that were told to stop are waited for, once nobody waits for their results.
_STOP_TIMEOUT_S: Final = 1.0


class Serving:
    """A worker while it runs: its session, its connection and its handlers, on the running loop."""

    def __init__(
        self,
        service: str,
        methods: Methods,
        registration: Registration,
        address: BusAddress,
        limits: Limits,
        *,
        drain_timeout: float,
        identity: bytes | None,
        keys: Keys | None,
        validate: Validate,
        on_ready: Callable[[], None] | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        # Each connection writes it anew; here whoever starts the worker hears of what it cannot say.
        write_registration(registration.worker_id, registration)
        self._service = service
        self._drain_timeout = drain_timeout
        self._on_ready = on_ready
        self._ended: asyncio.Future[None] = loop.create_future()
        # Generators that wait until their client takes more, by request.
        self._paused: dict[bytes, deque[Callable[[], None]]] = {}
        self.mailbox = Mailbox(loop)
        self.session = WorkerSession(
            service.encode(),
            slots=registration.slots,
            registration=lambda request_id: write_registration(request_id, registration),
            schema=methods.schema,
            new_id=IdSource(),
            random=random.random,
            now=time.monotonic(),
            limits=limits,
            address=address.text,
        )
        self.execution = Execution(
            methods, registration.slots, self, limits, self.session.reached, self.mailbox, validate
        )
        self._connection = Connection(address, self.session, self._carry_out, limits, _LOG, identity, keys)

    def ended(self) -> Awaitable[None]:
        """Returns when the worker has stopped. Raises the HootError with which it was refused."""
        return self._ended

    def handlers_ended(self) -> Awaitable[None]:
        """Returns when the handlers have ended, once they were told to, or are left behind."""
        return self.execution.close(_STOP_TIMEOUT_S)

    def end(self) -> None:
        """After `stop_now`: returns when what was sent has left, or half a second is over. For any thread."""
        self._connection.end()

    def drain(self) -> None:
        """Takes nothing new, finishes what it has, and ends."""
        self._connection.carry_out(self.session.drain(time.monotonic(), self._drain_timeout))

    def stop_now(self) -> None:
        """Ends at once."""
        self._connection.carry_out(self.session.stop(time.monotonic()))

    # What the execution of handlers needs.

    def finish(self, request_id: bytes, result: Body | HootError) -> None:
        if self._paused:
            self._paused.pop(request_id, None)
        self._connection.carry_out(self.session.finish(request_id, result, time.monotonic()))

    def partial(self, request_id: bytes, item: Body) -> None:
        self._connection.carry_out(self.session.partial(request_id, item, time.monotonic()))

    def when_ready(self, request_id: bytes, ahead: int, callback: Callable[[], None]) -> None:
        """Calls back once the socket has room and the client takes `ahead` more items of this stream: at once, mostly.

        Also once nobody waits for the stream any more.
        """
        if self.session.may_send(request_id, ahead):
            self._connection.when_room(callback)
        else:
            self._paused.setdefault(request_id, deque()).append(callback)

    def _carry_out(self, effect: Effect) -> None:
        if type(effect) is Start:
            self.execution.start(effect.message, time.monotonic())
        elif isinstance(effect, Abort):
            self.execution.abort(effect.request_id)
            for callback in self._paused.pop(effect.request_id, ()):
                callback()
        elif isinstance(effect, Resume):
            paused = self._paused[effect.request_id]
            for _ in range(effect.count):
                self._connection.when_room(paused.popleft())
        elif isinstance(effect, Linked):
            self._linked(effect)
        elif isinstance(effect, Waiting):
            _LOG.warning("waiting for a broker: %s", effect.reason)
        elif isinstance(effect, Refused):
            self._ended.set_exception(effect.error)
        elif isinstance(effect, Closed):
            self._connection.close()
            if not self._ended.done():
                self._ended.set_result(None)

    def _linked(self, linked: Linked) -> None:
        if linked.replaced or linked.late:
            _LOG.warning("%s is attached to %s broker", self._service, "another" if linked.replaced else "the")
        on_ready, self._on_ready = self._on_ready, None
        if on_ready is None:
            return
        try:
            on_ready()
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the caller of `run`, who is to be told
            self._ended.set_exception(error)
