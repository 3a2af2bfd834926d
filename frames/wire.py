"""The door to libzmq: native where it was compiled, plain pyzmq where not or where HOOT_NATIVE=0 asks for that."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hootbus.frames.event import Run, join, split
    from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire

    NATIVE: bool
elif os.environ.get("HOOT_NATIVE") == "0":
    from hootbus.frames.event import Run, join, split
    from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire

    NATIVE = False
else:
    try:
        from hootbus.frames._native import FULL, SENT, UNREACHABLE, Run, Wire, join, split

        NATIVE = True
    except (ImportError, AttributeError):  # not compiled, or a pyzmq without the module whose functions are looked up
        from hootbus.frames.event import Run, join, split
        from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire

        NATIVE = False

__all__ = ["FULL", "NATIVE", "SENT", "UNREACHABLE", "Run", "Wire", "join", "split"]
