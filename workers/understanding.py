"""Which versions the broker has found to be understood, and what is asked of it about others.

A request whose types a service's workers may not understand waits until the broker has compared the schemas. It is
asked once for all that wait for the same.
"""

from collections.abc import Callable
from typing import Final

from hootbus.frames.protocol import COMPARE, ContentType, Flag
from hootbus.workers.limits import Limits
from hootbus.workers.pending import Pending
from hootbus.workers.session import Call

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
# Kept from one-way request to one-way request; programs speak few versions.
_UNDERSTOOD_MAX: Final = 4096


class Understanding:
    """What a client knows of the versions it speaks: each is a target and a fingerprint."""

    def __init__(self, limits: Limits, new_id: Callable[[], bytes], reached: dict[str, int]) -> None:
        self._limits = limits
        self._new_id = new_id
        self._reached = reached
        # What is being compared, and until when what this broker has found to be understood is taken to be so.
        self.questions: dict[tuple[bytes, int], Pending] = {}
        self._understood: dict[tuple[bytes, int], float] = {}

    def covers(self, call: Call, now: float) -> bool:
        """Whether what the call is written with is known to be understood."""
        until = self._understood.get((call.service, call.fingerprint))
        if until is not None and until > now:
            return True
        self._reached["understood_s"] += until is not None
        return False

    def ask(self, pending: Pending, now: float) -> Pending | None:
        """The request waits for its version; the question, if it is still to be asked."""
        call = pending.call
        version = call.service, call.fingerprint
        question = self.questions.get(version)
        if question is not None:
            question.waiting[call.request_id] = pending
            return None
        assert call.comparison is not None, "who states a version can show it"
        timeout = self._limits.comparison_timeout_s
        asked = Call(
            request_id=self._new_id(),
            service=COMPARE,
            content_type=ContentType.CAPNPROTO,
            body=call.comparison(),
            flags=_IDEMPOTENT,
            timeout=timeout,
        )
        # Of no size: the bound on bytes is for what callers ask.
        question = Pending(asked, 0, now + timeout)
        question.version = version
        question.waiting[call.request_id] = pending
        self.questions[version] = question
        return question

    def agreed(self, version: tuple[bytes, int], now: float) -> None:
        """The broker says that they understand each other."""
        if len(self._understood) >= _UNDERSTOOD_MAX:
            self._understood.clear()
        self._understood[version] = now + self._limits.understood_s

    def leave(self, pending: Pending) -> None:
        """The request waits no more, but for the answer: what is asked and given up again and again would pile up."""
        del self.questions[pending.call.service, pending.call.fingerprint].waiting[pending.call.request_id]

    def forget(self) -> None:
        """Another broker may have other workers."""
        self._understood.clear()
