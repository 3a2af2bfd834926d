"""A handler that is a task has one result, whenever it is cancelled, and keeps nothing afterwards."""

import asyncio
import gc
import weakref
from collections.abc import Callable

from hootbus.frames.errors import BadBody, HootError
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType
from hootbus.workers.execution import request_of
from hootbus.workers.handler import inspect_handler
from hootbus.workers.request import Request
from hootbus.workers.session import Body
from hootbus.workers.tasks import Tasks
from hootbus.workers.threads import Threads


class Finished:
    """Keeps what the tasks came to. Nothing here streams, so nobody is asked for room."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def finish(self, request_id: bytes, result: Body | HootError) -> None:
        self.codes.append(result.code if isinstance(result, HootError) else "replied")

    def partial(self, request_id: bytes, item: Body) -> None:
        raise AssertionError("no item was given")

    def when_ready(self, request_id: bytes, ahead: int, callback: Callable[[], None]) -> None:
        raise AssertionError("no item was given")


def codes_of(turns_before_the_cancel: int) -> list[str]:
    """The results of a task that waits for ever and is cancelled after so many turns of the loop."""

    async def wait() -> None:
        await asyncio.Event().wait()

    async def scenario() -> list[str]:
        finished = Finished()
        tasks = Tasks(finished, finished.finish)
        handler = inspect_handler(wait, name=None, inline=False, default=False)
        message = Message((), Command.REQUEST, ContentType.EMPTY, bytes(16), b"s/wait")
        request = request_of(message, "wait", 0.0)
        tasks.start(handler, request)
        for _ in range(turns_before_the_cancel):
            await asyncio.sleep(0)
        tasks.cancel(request.id)
        tasks.cancel(request.id)
        await tasks.close(Threads(1, "test"), 10.0)
        return finished.codes

    return asyncio.run(scenario())


def test_a_task_that_is_cancelled_before_its_first_step_has_a_result() -> None:
    assert codes_of(0) == ["cancelled"]


def test_a_task_that_is_cancelled_while_it_waits_has_one_result() -> None:
    assert codes_of(2) == ["cancelled"]


def test_a_request_that_ends_in_an_error_of_the_wire_lets_go_of_its_body_at_once() -> None:
    class Held:
        """Goes when the handler's frame goes."""

    held: list[weakref.ref[Held]] = []

    async def refuse(request: Request) -> None:
        body = Held()
        held.append(weakref.ref(body))
        raise BadBody("not for me")

    async def scenario() -> list[str]:
        finished = Finished()
        tasks = Tasks(finished, finished.finish)
        handler = inspect_handler(refuse, name=None, inline=False, default=False)
        message = Message((), Command.REQUEST, ContentType.EMPTY, bytes(16), b"s/refuse")
        tasks.start(handler, request_of(message, "refuse", 0.0))
        await tasks.close(Threads(1, "test"), 10.0)
        return finished.codes

    gc.disable()
    try:
        assert asyncio.run(scenario()) == ["bad_body"]
        assert [each() for each in held] == [None]
    finally:
        gc.enable()
