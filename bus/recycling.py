"""When a worker's process has done its part, so that another takes its place: what leaks has an end with it."""

import os
import resource
import sys
from typing import Final

import msgspec

MB: Final = 1_000_000
# How often a worker is looked at; between two looks it may go beyond its bounds.
INTERVAL_S: Final = 1.0


class Recycling(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one process's work; 0 is none."""

    requests: int = 0
    mb: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests or self.mb)

    def reason(self, requests: int, resident_bytes: int) -> str:
        """Why it has done its part, in words; empty while it has not."""
        if self.requests and requests >= self.requests:
            return f"{requests} requests, of {self.requests}"
        if self.mb and resident_bytes > self.mb * MB:
            return f"{resident_bytes / MB:.0f} MB, of {self.mb}"
        return ""


def resident_bytes() -> int:
    """The memory this process has in use; where the system tells no more than its highest ever, that."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # In bytes on macOS, in KiB everywhere else.
        return peak if sys.platform == "darwin" else peak * 1024
