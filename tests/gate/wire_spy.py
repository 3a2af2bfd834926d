"""Seeing every message that crosses a `Wire`: on which thread, which way, where its frames lie, and what was copied."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import hootbus.frames.wire
from hootbus.frames.buffer import Frames

# The thread's name, "received" or "sent", the message, and how many of its large frames were copied to be sent.
Witness: TypeAlias = Callable[[str, str, Frames, int], None]

# All that a Wire can do. Messages that took another way would not be counted, so a new one must be told of here.
_KNOWN = {"close", "copied", "descriptor", "lent", "principal", "receive", "send", "socket"}


@contextmanager
def watched(witness: Witness) -> Iterator[None]:
    """Every Wire that is made meanwhile tells the witness of its messages."""
    original = hootbus.frames.wire.Wire
    unknown = {name for name in dir(original) if not name.startswith("_")} - _KNOWN
    assert not unknown, f"messages may take a way that is not watched: Wire.{', Wire.'.join(sorted(unknown))}"

    class WatchedWire(original):  # type: ignore[misc, valid-type]  # native or fallback, as this process has it
        def receive(self) -> Frames | None:
            frames: Frames | None = super().receive()
            if frames is not None:
                witness(threading.current_thread().name, "received", frames, 0)
            return frames

        def send(self, frames: Frames) -> int:
            before = self.copied
            outcome: int = super().send(frames)
            witness(threading.current_thread().name, "sent", frames, self.copied - before)
            return outcome

    # Modules have imported the class by its name.
    users = [module for module in sys.modules.values() if getattr(module, "Wire", None) is original]
    for module in users:
        module.Wire = WatchedWire  # type: ignore[attr-defined]  # it has one, as was just asked
    try:
        yield
    finally:
        for module in users:
            module.Wire = original  # type: ignore[attr-defined]  # as above
