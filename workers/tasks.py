"""Handlers that run as tasks of the loop.

Not compiled with the rest of the hot path: a coroutine of mypyc's hands on a cancellation by a form of `throw` that
Python warns of from 3.12 on, and a program's own tests may take warnings for errors.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hootbus.frames.errors import Cancelled, HootError
from hootbus.workers.handler import Handler, Kind
from hootbus.workers.outcome import Collected, Results, failure
from hootbus.workers.outgoing import answer, encode
from hootbus.workers.request import Request
from hootbus.workers.session import Body
from hootbus.workers.threads import Threads

_LOG: Final = logging.getLogger("hootbus.worker")


class Tasks:
    """Those that run. `finish` is called once for each `start`, with what it came to."""

    def __init__(self, results: Results, finish: Callable[[bytes, Body | HootError], None]) -> None:
        self._results = results
        self._finish = finish
        self._running: dict[bytes, asyncio.Task[None]] = {}

    def start(self, handler: Handler, request: Request) -> None:
        """Begins the handler for a request."""
        task = asyncio.get_running_loop().create_task(self._guarded(handler, request))
        self._running[request.id] = task
        task.add_done_callback(lambda _: self._ended(request.id))

    def cancel(self, request_id: bytes) -> None:
        """Cancels the request's task, if there is one."""
        task = self._running.get(request_id)
        if task is not None:
            task.cancel()

    async def close(self, threads: Threads, timeout: float) -> None:
        """Waits for tasks and threads that were told to stop, at most `timeout` seconds for all of them."""
        until = asyncio.get_running_loop().time() + timeout
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=timeout)
        # Waited for on another thread, as what they still have to say comes over this loop.
        left = max(0.0, until - asyncio.get_running_loop().time())
        if threads and not await asyncio.to_thread(threads.close, left):
            _LOG.warning("a handler did not stop within %.1f s and is left behind", timeout)

    async def _guarded(self, handler: Handler, request: Request) -> None:
        """Whatever happens to the task, its request is finished."""
        result: Body | HootError = Cancelled("the handler was cancelled")
        run = self._reply if handler.kind is Kind.TASK else self._items
        try:
            if request.traced:
                with request.trace():
                    result = await run(handler, request)
            else:
                result = await run(handler, request)
        except asyncio.CancelledError:
            # By `cancel`, or by itself; this task ends here either way.
            pass
        except BaseException as error:  # noqa: BLE001  # whatever a handler raises ends its request, not the loop
            result = failure(error, handler, request)
        finally:
            del self._running[request.id]
            self._finish(request.id, result)
            # An error's traceback leads to this frame, which must not lead back to it: the body would wait for the
            # garbage collector.
            del result

    def _ended(self, request_id: bytes) -> None:
        # A task that is cancelled before its first step has not run a line of `_guarded`, and would keep its slot.
        if self._running.pop(request_id, None) is not None:
            self._finish(request_id, Cancelled("the handler was not begun"))

    async def _reply(self, handler: Handler, request: Request) -> Body:
        return answer(await handler.call(request), handler.returns, as_json=request.translated)

    async def _items(self, handler: Handler, request: Request) -> Body:
        items = handler.call(request)
        collected = None if request.streams else Collected(request)
        try:
            async for item in items:
                if collected is not None:
                    collected.put(item, handler)
                else:
                    body = answer(item, handler.returns, as_json=request.translated)
                    await self._ready(request)
                    self._results.partial(request.id, body)
        finally:
            await items.aclose()
        return collected.body() if collected is not None else encode(None)

    async def _ready(self, request: Request) -> None:
        """Until the socket has taken what was sent, and the client takes one more item; at once, mostly."""
        ready = asyncio.get_running_loop().create_future()
        self._results.when_ready(request.id, 1, lambda: None if ready.done() else ready.set_result(None))
        await ready
