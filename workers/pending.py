"""A client's request without an outcome, as its session keeps it."""

from enum import Enum
from typing import Final

from hootbus.frames.protocol import Command, Flag
from hootbus.workers.flow import Inflow
from hootbus.workers.session import Call

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value


class Stage(Enum):
    """Where a request is: with us (HELD, PAUSED before another try, or COMPARED until schemas are), or SENT."""

    HELD = "held"
    SENT = "sent"
    PAUSED = "paused"
    COMPARED = "compared"


class Pending:
    """A request without an outcome. `deadline` is on the session's clock.

    A `patient` one was for a broker that is gone: it waits for its service to come to the new one.
    """

    stage: Stage = Stage.HELD
    paused_until: float = 0.0
    retries: int = 0
    # Of what comes in items.
    inflow: Inflow | None = None
    patient: bool = False
    # The connection it was last sent over, by the greeting there.
    sent_over: bytes = b""
    comparisons: int = 0
    # Of the session's own question whether a version is understood: which one, and the requests that wait for that.
    version: tuple[bytes, int] | None = None

    def __init__(self, call: Call, size: int, deadline: float) -> None:
        self.call = call
        self.size = size
        self.deadline = deadline
        self.waiting: dict[bytes, Pending] = {}

    @property
    def idempotent(self) -> bool:
        """Whether it may be carried out twice. A ping may, and so may no stream that has begun to arrive."""
        may = self.call.flags & _IDEMPOTENT or self.call.command is Command.HEARTBEAT
        return bool(may) and not self.arrived

    @property
    def arrived(self) -> int:
        """How many items of a stream have come."""
        return self.inflow.arrived if self.inflow is not None else 0
