"""What the broker counts, by fixed names: nothing a peer sends can add a name."""

from enum import StrEnum
from typing import Final

from hootbus.bus.limits import INTERVALS, Limits
from hootbus.bus.state import Service
from hootbus.frames.errors import ERRORS

# What a worker may have made up counts under one name.
OTHER: Final = "other"
_CODES: Final[dict[int, str]] = {kind.number: kind.code for kind in ERRORS}


def code_of(status: int) -> str:
    """The name to count a reply's status under: the code, or `other` if it is none of ours."""
    return _CODES.get(status, OTHER)


class Dropped(StrEnum):
    """Why a message went no further."""

    BAD_FRAME = "bad_frame"
    REPLY_UNASKED = "reply_unasked"
    REPLY_LATE = "reply_late"
    REPLY_ONE_WAY = "reply_one_way"
    PARTIAL_UNASKED = "partial_unasked"
    PARTIAL_LATE = "partial_late"
    CLIENT_GONE = "client_gone"
    CLIENT_FULL = "client_full"
    WORKER_GONE = "worker_gone"
    WORKER_FULL = "worker_full"
    ERROR_ONE_WAY = "error_one_way"
    CANCEL_UNKNOWN = "cancel_unknown"
    CREDIT_UNKNOWN = "credit_unknown"
    CREDIT_LATE = "credit_late"
    BAD_REGISTRATION = "bad_registration"
    # From another key than the one whose identity it is; to an identity that another key holds the connection of; from
    # a key that is not let in any more; of a peer that found no room for its identity.
    IDENTITY_TAKEN = "identity_taken"
    IDENTITY_HELD = "identity_held"
    KEY_UNKNOWN = "key_unknown"
    IDENTITIES_FULL = "identities_full"


class Tally:
    """The counters of one broker, since it started."""

    requests: int = 0
    replies: int = 0
    partials: int = 0
    gathers: int = 0
    merged: int = 0
    retried: int = 0
    # Requests that came again after their reply was sent, and got that once more.
    replayed: int = 0
    quarantined: int = 0
    workers_attached: int = 0
    workers_lost: int = 0
    disconnects: int = 0
    # Schemas that were judged, and how many of them speak another language, are no schema or not what was announced,
    # or could not be judged; and workers that did not send theirs.
    judged: int = 0
    schemas_incompatible: int = 0
    schemas_unsound: int = 0
    schemas_unjudged: int = 0
    schemas_unanswered: int = 0
    # How often nobody was let in for want of descriptors.
    connections_hung: int = 0
    doors_closed: int = 0
    # Connections that did not come about: their key is not let in, or has not the right; or keys do not match at all.
    handshakes_denied: int = 0
    handshakes_failed: int = 0

    def __init__(self) -> None:
        self.dropped: dict[str, int] = dict.fromkeys(Dropped, 0)
        # Of these, what belongs to no service; the others are counted there, too.
        self.dropped_elsewhere: dict[str, int] = {}
        # Outcomes by code: the broker's own, and those of workers.
        self.errors: dict[str, int] = {kind.code: 0 for kind in ERRORS}
        self.failures: dict[str, int] = {**self.errors, OTHER: 0}
        # How often each of the limits held something back, by its name.
        self.reached: dict[str, int] = {name: 0 for name in Limits.__struct_fields__ if name not in INTERVALS}
        # Which frame of those counted as bad_frame was wrong.
        self.malformed: dict[str, int] = {}

    def drop(self, reason: Dropped, service: Service | None = None) -> None:
        """A message went no further; `service` is whose it was."""
        counts = self.dropped_elsewhere if service is None else service.dropped
        self.dropped[reason] += 1
        counts[reason] = counts.get(reason, 0) + 1

    def failed(self, code: str) -> None:
        """A worker has answered with this error, a `code_of`."""
        self.failures[code] += 1
