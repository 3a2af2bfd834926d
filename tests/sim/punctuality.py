"""Whether the core does what it does in time."""

from bus_world.indexes import check
from hootbus.bus.core import Core
from sim.violation import Violation

# How late the tick may be that looks at who is silent.
LATE_S = 0.1


def check_core(core: Core, now: float) -> None:
    """Raises AssertionError if its indexes disagree, or it is late, or does not want to wake when it must."""
    check(core)
    looked = now - core.limits.heartbeat_interval_s - LATE_S
    for worker in core._roster.workers.values():
        if looked - worker.seen_at > worker.lost_after_s and not worker.going:
            raise Violation(f"worker {worker.number} was silent for {looked - worker.seen_at:.1f} s, and is kept")
    if core._stopped:
        return
    wake_at = core.wake_at()
    first = min((request.deadline for request in core._requests.all_open()), default=wake_at)
    if not now - 1.0 < wake_at <= first:
        raise Violation(f"the core wants to wake in {wake_at - now:.4f} s; the first deadline is in {first - now:.4f}")
