"""What the broker counts, by fixed names: nothing a peer sends can add a name."""

from enum import StrEnum

from hootbus.frames.errors import ERRORS


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
    CREDIT_UNSUPPORTED = "credit_unsupported"
    BAD_REGISTRATION = "bad_registration"


class Tally:
    """The counters of one broker, since it started."""

    requests: int = 0
    replies: int = 0
    partials: int = 0
    merged: int = 0
    retried: int = 0
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

    def __init__(self) -> None:
        self.dropped: dict[str, int] = dict.fromkeys(Dropped, 0)
        self.errors: dict[str, int] = {kind.code: 0 for kind in ERRORS}
        # Which frame of those counted as bad_frame was wrong.
        self.malformed: dict[str, int] = {}
