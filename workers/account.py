"""A client's requests without an outcome: how many there may be, what is kept of them, and how each ends.

Every path that ends one goes through `_end`, which is what makes its outcome the only one.
"""

from collections.abc import Callable
from typing import Final

from hootbus.frames.deadlines import Deadlines
from hootbus.frames.errors import Cancelled, DeadlineExceeded, HootError, Overloaded
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS
from hootbus.frames.protocol import Command, ContentType
from hootbus.workers.inflows import Inflows
from hootbus.workers.limits import Limits
from hootbus.workers.link import Link, LinkState
from hootbus.workers.pending import Pending, Stage
from hootbus.workers.session import Dropped, Effect, Outcome, Send, no_drops
from hootbus.workers.understanding import Understanding

# An enum's member is found through its metaclass, which takes longer than what is done with it; a name does not.
_UP: Final = LinkState.UP
_HELD: Final = Stage.HELD
_PAUSED: Final = Stage.PAUSED
_COMPARED: Final = Stage.COMPARED
_REQUEST: Final = Command.REQUEST


class Account:
    """What a client's session keeps of its requests. Everything returns the effects to carry out in order."""

    def __init__(self, limits: Limits, link: Link, new_id: Callable[[], bytes], address: str) -> None:
        self._limits = limits
        self._link = link
        self._address = address
        self._pending: dict[bytes, Pending] = {}
        self._bytes = 0
        self._deadlines: Deadlines[bytes] = Deadlines()
        self._pauses: Deadlines[bytes] = Deadlines()
        self._closed = False
        # Why no connection came about, if that is known.
        self._hindrance = ""
        self.dropped = no_drops()
        self.reached: Final = link.reached
        self._inflows = Inflows(limits, link)
        self._understanding = Understanding(limits, new_id, self.reached)

    def __len__(self) -> int:
        """Requests without an outcome."""
        return len(self._pending) - len(self._understanding.questions)

    @property
    def pending_bytes(self) -> int:
        """Bytes of the bodies and attachments of the requests without an outcome."""
        return self._bytes

    @property
    def timer_entries(self) -> int:
        """Entries kept for deadlines and retries, stale ones included."""
        return self._deadlines.entries + self._pauses.entries + self._inflows.looks.entries

    def _refusal(self, size: int) -> HootError | None:
        if self._closed:
            return Cancelled("the client is closed")
        if len(self._pending) >= self._limits.requests:
            self.reached["requests"] += 1
            return Overloaded(f"{len(self._pending)} requests of this client are in flight")
        if self._bytes + size > self._limits.request_bytes and self._pending:
            self.reached["request_bytes"] += 1
            return Overloaded(f"{self._bytes} bytes of this client's requests are in flight")
        return None

    def _too_late(self, pending: Pending) -> HootError:
        if pending.version is not None:
            # Those that wait for it have deadlines of their own; nothing was done for them.
            self.reached["comparison_timeout_s"] += 1
            return Overloaded(f"the schemas were not compared within {self._limits.comparison_timeout_s} s")
        timeout = pending.call.timeout
        self.reached["request_timeout_s"] += timeout is None
        after = f"no reply within {self._limits.request_timeout_s if timeout is None else timeout} s"
        if pending.stage is _HELD:
            return DeadlineExceeded(f"{after}: {self._hindrance or f'there was no broker at {self._address}'}")
        return DeadlineExceeded(after)

    def _give_up(self, pending: Pending, error: HootError) -> list[Effect]:
        """Ends it at our end, and tells the broker if it may have it."""
        effects = self._end(pending, error)
        if pending.stage is _HELD or pending.stage is _COMPARED or pending.call.command is not _REQUEST:
            return effects
        cancel = Message((), Command.CANCEL, ContentType.EMPTY, pending.call.request_id, options=NO_OPTIONS)
        return [*effects, Send(cancel)] if self._link.state is _UP else effects

    def _end(self, pending: Pending, result: Message | HootError | None) -> list[Effect]:
        request_id = pending.call.request_id
        del self._pending[request_id]
        self._bytes -= pending.size
        self._deadlines.discard(request_id, pending.deadline)
        if pending.stage is _PAUSED:
            self._pauses.discard(request_id, pending.paused_until)
        elif pending.stage is _COMPARED:
            self._understanding.leave(pending)
        if pending.inflow is not None and pending.inflow.look_at is not None:
            self._inflows.looks.discard(request_id, pending.inflow.look_at)
        if pending.version is None:
            return [Outcome(request_id, result)]
        del self._understanding.questions[pending.version]
        effects: list[Effect] = []
        for waiting in pending.waiting.values():
            waiting.stage = _HELD
            if isinstance(result, HootError):
                effects += self._end(waiting, result)
        return effects

    def _drop(self, reason: Dropped) -> list[Effect]:
        self.dropped[reason] += 1
        return []
