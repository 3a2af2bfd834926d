"""The door to libzmq, and joined events: native where compiled, plain Python where not or where HOOT_NATIVE=0 asks.

Both or neither, though each is a module of its own: NATIVE and `hoot doctor` tell the whole with one word.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hootbus.frames.event import Run, join, split
    from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire, descriptor_of

    NATIVE: bool
elif os.environ.get("HOOT_NATIVE") == "0":
    from hootbus.frames.event import Run, join, split
    from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire, descriptor_of

    NATIVE = False
else:
    try:
        from hootbus.frames._joined import Run, join, split
        from hootbus.frames._native import FULL, SENT, UNREACHABLE, Wire, descriptor_of

        NATIVE = True
    except (ImportError, AttributeError):  # not compiled, or a pyzmq without the module whose functions are looked up
        from hootbus.frames.event import Run, join, split
        from hootbus.frames.fallback import FULL, SENT, UNREACHABLE, Wire, descriptor_of

        NATIVE = False

__all__ = ["FULL", "NATIVE", "SENT", "UNREACHABLE", "Run", "Wire", "descriptor_of", "join", "split"]
