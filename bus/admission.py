"""Who is let in on a bus with keys: whose an identity is, and what its key may do.

Without keys nothing of this is asked, but for what only the operator may do.
"""

from collections import deque
from collections.abc import Callable

from hootbus.bus.access import Access
from hootbus.bus.effects import Effect, Expel, Note, Send
from hootbus.bus.gate import Gate
from hootbus.bus.identities import Identities
from hootbus.bus.inputs import Received, Undeliverable
from hootbus.bus.limits import Limits
from hootbus.bus.requests import Requests
from hootbus.bus.roster import Roster
from hootbus.bus.tally import Dropped, Tally
from hootbus.frames.errors import Denied, HootError, Overloaded
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command


class Admission:
    """Judges who sends, and takes back what was granted under `access` that is no more."""

    def __init__(
        self,
        access: Access,
        limits: Limits,
        tally: Tally,
        requests: Requests,
        roster: Roster,
        gate: Gate,
        effects: list[Effect],
    ) -> None:
        self.access = access
        self.identities = Identities(access, limits, tally, self._is_in_use)
        self._tally = tally
        self._requests = requests
        self._roster = roster
        self._gate = gate
        self._effects = effects

    def call_refusal(self, identity: bytes, service: bytes) -> HootError | None:
        """The refusal if this peer may not call what the service frame names."""
        owner = self.identities.owner(identity)
        refusal = self.access.call_refusal(owner, service)
        if refusal is not None and self.access.keyed:
            shown = service.decode(errors="replace")
            self._effects.append(Note("request_denied", {"key": self.access.name(owner), "service": shown}))
        return refusal

    def default_refusal(self, identity: bytes, *, service: bytes, default: bytes) -> HootError | None:
        """The refusal if this peer may not call the default service, which stands in for what it has named.

        Who may not reach a service by its name must not reach it by another.
        """
        _, slash, method = service.partition(b"/")
        return self.call_refusal(identity, default + slash + method)

    def offer_refusal(self, identity: bytes, service: bytes) -> HootError | None:
        """The refusal if this peer may not offer the service."""
        return self.access.offer_refusal(self.identities.owner(identity), service)

    def lets_in(self, message: Message, event: Received, now: float) -> bool:
        """Whether the message is its sender's to send. What an owner has here, a stranger does not touch."""
        principal = event.principal
        if not self.is_owner(message.route[0], principal, event.connection, now):
            if message.command is Command.REQUEST and not self.identities.is_owned(message.route[0]):
                self._requests.refuse(message, Overloaded("the broker knows as many peers as it may"))
            return False
        # Nobody who connects is without a key: b"" is what the broker itself has dialled.
        if not principal or self.access.knows(principal):
            return True
        self._tally.drop(Dropped.KEY_UNKNOWN)
        if message.command is Command.REQUEST:
            self._requests.refuse(message, Denied("this key is not among those that the broker lets in (any more)"))
        else:
            # Its next attempt to connect is refused in words.
            self._effects.append(Expel(b"", (event.connection,)))
        return False

    def is_owner(self, identity: bytes, principal: bytes, connection: int, now: float) -> bool:
        """Whether the identity is this key's to use; whoever takes another's is cut off."""
        if self.identities.admits(identity, principal, connection, now):
            return True
        if self.identities.taken is not None:
            self._effects.append(Note("identity_taken", {"key": self.access.name(principal)}))
            self._effects.append(Expel(principal, self.identities.taken))
        return False

    def _is_in_use(self, identity: bytes) -> bool:
        return (
            identity in self._roster.workers
            or self._gate.find(identity) is not None
            or bool(self._requests.of_client(identity))
        )

    def hold_back(self, missed: Callable[[Undeliverable, float], None], now: float) -> None:
        """What was to go to an identity whose connection somebody else holds is `missed`: its owner's is gone."""
        waiting = deque(self._effects)
        self._effects.clear()
        kept: list[Effect] = []
        while waiting:
            effect = waiting.popleft()
            if isinstance(effect, Send) and self.identities.is_usurped(effect.message.route[0]):
                self._tally.drop(Dropped.IDENTITY_HELD)
                missed(Undeliverable(effect.message, True), now)
                waiting.extend(self._effects)
                self._effects.clear()
            else:
                kept.append(effect)
        self._effects.extend(kept)

    def change(self, access: Access, now: float) -> None:
        """Who may not any more is told, and what they had here ends."""
        self.access = self.identities.access = access
        owner = self.identities.owner
        for worker in list(self._roster.workers.values()):
            denied = None if worker.dialled else access.offer_refusal(owner(worker.identity), worker.service.name)
            if denied is not None:
                self._roster.dismiss(worker, denied, now)
        for candidate in list(self._gate):
            denied = access.offer_refusal(owner(candidate.route[0]), candidate.service)
            if denied is not None:
                self._gate.revoke(candidate, denied, now)
        for request in self._requests.all_open():
            identity, taker = request.client.identity, request.service.name
            may_not = self.call_refusal(identity, request.target) or self.default_refusal(
                identity, service=request.target, default=taker
            )
            if may_not is not None:
                self._requests.revoke(request, may_not, now)
