"""Every bound of the broker, with its default. Each is a setting of `hoot broker`, and reaching it is counted."""

import math
from typing import Final

import msgspec
from msgspec import structs

MEBIBYTE: Final = 1024 * 1024
# Each beat is a message to every worker; shorter than this the broker would do nothing else.
HEARTBEAT_INTERVAL_MIN_S: Final = 0.01

# What happens at an interval, and bounds nothing: nobody is ever held back by it.
INTERVALS: Final = frozenset({"heartbeat_interval_s"})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Counts, bytes and seconds that the core keeps to.

    A request or registration that would go over a bound is answered `overloaded`; nothing is dropped in silence.
    """

    services: int = 10_000
    workers: int = 10_000
    # Clients that are told when the broker ends; the others see their connection break.
    clients: int = 10_000
    slots_per_worker: int = 65_535
    # Requests without an outcome: all of them, and of one client. The latter keeps a client's replies within the pipe
    # that libzmq holds for it (frames.sockets.PIPE_MESSAGES).
    requests: int = 200_000
    requests_per_client: int = 10_000
    # Workers that one gather may be for.
    gather_workers: int = 1_000
    # Requests waiting for a worker of one service.
    queue_messages: int = 10_000
    queue_bytes: int = 512 * MEBIBYTE
    # Bodies the broker holds on to, in queues and for a second try.
    held_bytes: int = 1024 * MEBIBYTE
    # Workers that may die with a request before it is quarantined; how many such requests are remembered, and the bytes
    # of their bodies.
    strikes: int = 2
    quarantined: int = 1_000
    quarantined_bytes: int = 64 * MEBIBYTE
    # Replies that are kept for a client that asks again, as the first one did not reach it: their count, bytes and age.
    outcomes: int = 10_000
    outcome_bytes: int = 64 * MEBIBYTE
    outcome_age_s: float = 60.0
    # Workers whose schema is still to be judged, and clients' comparisons that wait: all, and of one client.
    pending_workers: int = 1_000
    comparisons: int = 1_000
    comparisons_per_client: int = 16
    # Schemas that peers have sent: of one of them, and all that are kept to compare others with, or wait for that.
    # Clients' comparisons may hold half of the latter.
    schema_bytes: int = 4 * MEBIBYTE
    held_schema_bytes: int = 256 * MEBIBYTE
    # Versions that the workers of one service may speak at once, and of clients that were compared with them by method.
    versions_per_service: int = 16
    compared_versions: int = 256
    # Services that the metrics tell apart; the others are told together.
    metric_services: int = 100
    # Peers whose identities are known to be their keys'; those of whom nothing is open make room for others.
    identities: int = 100_000

    # How long a worker may take to send its schema, and the judge to judge it.
    schema_timeout_s: float = 10.0
    judge_timeout_s: float = 10.0
    request_timeout_s: float = 3600.0
    drain_timeout_s: float = 30.0
    heartbeat_interval_s: float = 1.0
    suspect_after_s: float = 3.0
    lost_after_s: float = 60.0
    lost_after_max_s: float = 3600.0
    # How long accepted requests wait for the next worker of a service that lost its last one.
    linger_s: float = 5.0
    # How long an identity belongs to the key that used it last, when nothing of it is open.
    identity_idle_s: float = 3600.0

    def __post_init__(self) -> None:
        for name, value in structs.asdict(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}; a limit is a number from 0 on")
        if self.heartbeat_interval_s < HEARTBEAT_INTERVAL_MIN_S:
            raise ValueError(
                f"heartbeat_interval_s is {self.heartbeat_interval_s}, less than {HEARTBEAT_INTERVAL_MIN_S}"
            )
