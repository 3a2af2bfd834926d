"""The child's side of a process of a measurement: it says that it is ready, and answers what it is asked.

Orders come as JSON lines on stdin and answers go out as JSON lines on what was stdout, so that a library that prints
something cannot break in. The process ends with the one that started it, and by itself if that closes its stdin.
"""

import asyncio
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final

from hootbus.bus.lifeline import hold_on

# As the first argument: become that program instead of running a function of ours.
EXECUTE: Final = "--execute"

Order = dict[str, Any]


class Line:
    """How a role talks with the process that measures."""

    def __init__(self) -> None:
        self._answers = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def ready(self) -> None:
        self.answer(ready=True)

    def order(self) -> Order:
        """The next order. Ends the process if there will be none."""
        text = sys.stdin.readline()
        if not text:
            sys.exit()
        order: Order = json.loads(text)
        return order

    def answer(self, **facts: Any) -> None:  # noqa: ANN401  (whatever JSON can say)
        os.write(self._answers, json.dumps(facts).encode() + b"\n")

    async def aorder(self) -> Order:
        """As `order`, while the loop goes on. The thread that waits is gone again when the order is carried out."""
        return await asyncio.to_thread(self.order)


Role = Callable[..., None]


def name_of(role: Role) -> str:
    return f"{role.__module__}:{role.__qualname__}"


def run_async(main: Coroutine[Any, Any, None], *, uvloop: bool) -> None:
    """asyncio.run, on uvloop if asked to."""
    if not uvloop:
        asyncio.run(main)
        return
    from uvloop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)


def _report(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Ends with what went wrong as the last line of the log: no loop and no library says anything after it."""
    traceback.print_exception(kind, error, at)
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(repr(error), file=sys.stderr, flush=True)
    os._exit(1)


def main() -> None:
    sys.excepthook = _report
    hold_on()
    name, *rest = sys.argv[1:]
    if name == EXECUTE:
        os.execvp(rest[0], rest)
    module, _, function = name.partition(":")
    role: Role = getattr(importlib.import_module(module), function)
    role(Line(), **json.loads(rest[0]))


if __name__ == "__main__":
    main()
