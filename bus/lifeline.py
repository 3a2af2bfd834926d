"""Processes that must not outlive the one that started them, however that one ends.

The parent holds the writing end of a pipe, so the kernel closes it with the parent; a child that finds it closed ends
at once. On Linux the kernel kills the child besides, which nothing in it can delay: not a handler that holds the GIL,
and not SIGSTOP.
"""

import ctypes
import os
import signal
import sys
import threading
from types import TracebackType
from typing import Final, Self

# Exit status of a child that could not even begin: starting it again would not help (EX_CONFIG of sysexits.h).
CANNOT_BEGIN: Final = 78
_VARIABLE: Final = "HOOT_PARENT_PIPE"
_PR_SET_PDEATHSIG: Final = 1


class Lifeline:
    """The parent's side. Start children with `descriptors` passed on and `environment` added to theirs."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._reader)
        os.close(self._writer)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """For `pass_fds`."""
        return (self._reader,)

    @property
    def environment(self) -> dict[str, str]:
        """What tells the child to hold on."""
        return {_VARIABLE: str(self._reader)}


def hold_on() -> None:
    """The child's side: from now on this process ends with its parent. Does nothing in one that has no lifeline."""
    # Taken out of the environment: whatever this process starts has no such descriptor.
    pipe = os.environ.pop(_VARIABLE, None)
    if pipe is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_wait, args=(int(pipe),), name="hoot-lifeline", daemon=True).start()


def _wait(pipe: int) -> None:
    os.read(pipe, 1)
    os._exit(1)
