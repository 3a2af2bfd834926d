"""Who stands behind an identity: each belongs to the key that used it first, and to no other until that has gone.

A routing id is the name under which replies find their peer, and libzmq gives it to whoever connects with it last
(ROUTER_HANDOVER, without which no peer could come back). So a peer that knew another's could speak in its name and get
what is sent to it. With keys it cannot: what comes under an identity from another key than its owner's is let go, and
nothing is sent there until the owner has spoken again.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from hootbus.bus.access import Access
from hootbus.bus.limits import Limits
from hootbus.bus.tally import Dropped, Tally

_LOOKED_AT: Final = 8


class _Owner:
    """Whose an identity is, when it was last used, and whether somebody else holds its connection."""

    def __init__(self, principal: bytes, connection: int, now: float) -> None:
        self.principal = principal
        self.connection = connection
        self.seen_at = now
        self.usurped = False
        self.usurper = -1


class Identities:
    """Lets messages in or not. Without keys everybody is let in, and nothing is remembered.

    `in_use` tells whether the broker still has something of a peer, whose identity is not given away then.
    """

    def __init__(self, access: Access, limits: Limits, tally: Tally, in_use: Callable[[bytes], bool]) -> None:
        self.access = access
        self._limits = limits
        self._tally = tally
        self._in_use = in_use
        # By the message that was looked at last, if it took an identity: the owner's connection, which is mute from
        # then on and does not know (measured), and the usurper's.
        self.taken: tuple[int, int] | None = None
        # How many of them are in somebody else's hands.
        self.usurped = 0
        # The one that was silent for longest first.
        self._owners: OrderedDict[bytes, _Owner] = OrderedDict()

    def __len__(self) -> int:
        """Identities that have an owner."""
        return len(self._owners)

    def admits(self, identity: bytes, principal: bytes, connection: int, now: float) -> bool:
        """Whether a message of this sender's is taken in; counted if not. For a bus with keys."""
        owner = self._owners.get(identity)
        self.taken = None
        if owner is None:
            if not self._make_room():
                self._tally.drop(Dropped.IDENTITIES_FULL)
                return False
            owner = self._owners[identity] = _Owner(principal, connection, now)
        elif owner.principal != principal:
            if not owner.usurped or owner.usurper != connection:
                self.usurped += not owner.usurped
                owner.usurped, owner.usurper = True, connection
                self.taken = (owner.connection, connection)
            self._tally.drop(Dropped.IDENTITY_TAKEN)
            return False
        self.usurped -= owner.usurped
        owner.usurped = False
        owner.connection = connection
        owner.seen_at = now
        self._owners.move_to_end(identity)
        return True

    def owner(self, identity: bytes) -> bytes:
        """The key whose identity it is, b"" for nobody's, or for a service that the broker has dialled."""
        owner = self._owners.get(identity)
        return owner.principal if owner is not None else b""

    def is_owned(self, identity: bytes) -> bool:
        """Whether it is somebody's."""
        return identity in self._owners

    def is_usurped(self, identity: bytes) -> bool:
        """Whether what is sent there would come to somebody else."""
        owner = self._owners.get(identity)
        return owner is not None and owner.usurped

    def forget_idle(self, now: float) -> None:
        """Gives away the identities of peers that have been silent for long and have nothing here any more."""
        while self._owners:
            identity, owner = next(iter(self._owners.items()))
            if now - owner.seen_at < self._limits.identity_idle_s:
                return
            if self._in_use(identity):
                # It is looked at again when others have been.
                owner.seen_at = now
                self._owners.move_to_end(identity)
            else:
                self._tally.reached["identity_idle_s"] += 1
                self._forget(identity)

    def _make_room(self) -> bool:
        """Whether there is room for one more; of those that are idle the most silent has to go for it."""
        if len(self._owners) < self._limits.identities:
            return True
        self._tally.reached["identities"] += 1
        # Only a few are looked at: a full table must not make each message dear.
        for _ in range(min(_LOOKED_AT, len(self._owners))):
            identity = next(iter(self._owners))
            if not self._in_use(identity):
                self._forget(identity)
                return True
            self._owners.move_to_end(identity)
        return False

    def _forget(self, identity: bytes) -> None:
        self.usurped -= self._owners.pop(identity).usurped
