"""What a worker does with a request, for all systems: nothing, or a stated amount of computing."""

import hashlib
import time
from typing import Final

# Too small for hashlib to release the GIL: the time is spent as pure Python spends it.
_SEED: Final = bytes(32)
_TRIAL_LOOPS: Final = 2000
_TRIALS: Final = 5


def burn(loops: int) -> bytes:
    """Hashes so many times. Zero loops are the handler that does nothing."""
    digest = _SEED
    for _ in range(loops):
        digest = hashlib.sha256(digest).digest()
    return digest


def loops_for(seconds: float) -> int:
    """How many loops burn so many seconds of an idle core of this machine; all systems are then given that number."""
    best = min(_timed(_TRIAL_LOOPS) for _ in range(_TRIALS))
    return max(1, round(_TRIAL_LOOPS * seconds / best))


def _timed(loops: int) -> float:
    before = time.perf_counter()
    burn(loops)
    return time.perf_counter() - before
