"""A bus for each module's tests, and checks that they leave no thread and no failed callback behind."""

import threading
from asyncio.base_events import BaseEventLoop
from collections.abc import Iterator
from typing import Any

import pytest

from hootbus.bus.embedded import EmbeddedBroker


@pytest.fixture
def bus() -> Iterator[EmbeddedBroker]:
    """A running broker on an ipc address of its own."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Every thread that a test begins has ended when it is over."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5.0)
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert left == []


@pytest.fixture(autouse=True)
def loop_errors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What any loop, a client's or a worker's on its thread too, says of exceptions that nobody took: nothing."""
    errors: list[str] = []
    original = BaseEventLoop.call_exception_handler

    def record(self: BaseEventLoop, context: dict[str, Any]) -> None:
        errors.append(f"{context.get('message')}: {context.get('exception')!r}")
        original(self, context)

    monkeypatch.setattr(BaseEventLoop, "call_exception_handler", record)
    yield errors
    assert errors == []
