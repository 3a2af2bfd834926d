"""From `module:object` on a command line to a worker, and to the identity its supervisor knows it by."""

import importlib
import os
import sys
import traceback
from typing import Final

from hootbus.workers import Worker

# The routing id that a supervisor has chosen, so that it can speak for a worker that died.
IDENTITY_VARIABLE: Final = "HOOT_WORKER_IDENTITY"


class CannotAttach(Exception):
    """There is no worker under this name; the text says why."""


def find_worker(target: str) -> Worker:
    """The worker that `module:object` names, looked for in the current folder first. Raises CannotAttach."""
    module_name, colon, object_name = target.partition(":")
    if not colon or not module_name or not object_name:
        raise CannotAttach(f"{target!r} is not MODULE:OBJECT, like worker:worker")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:
        raise CannotAttach(f"cannot import {module_name}: {_reason(error)}") from error
    for name in object_name.split("."):
        if not hasattr(found, name):
            raise CannotAttach(f"{module_name} has no {object_name!r}")
        found = getattr(found, name)
    if not isinstance(found, Worker):
        raise CannotAttach(f"{target} is a {type(found).__name__}, not a hootbus.workers.Worker")
    return found


def taken_identity() -> bytes | None:
    """The routing id given by a supervisor, None in a process that has none. Can be asked for once."""
    given = os.environ.pop(IDENTITY_VARIABLE, None)
    return bytes.fromhex(given) if given else None


def _reason(error: BaseException) -> str:
    """What went wrong and in which line, in one line."""
    reason = f"{type(error).__name__}: {error}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if isinstance(error, SyntaxError) or len(frames) < 2:
        return reason
    return f"{reason} ({frames[-1].filename}, line {frames[-1].lineno})"
