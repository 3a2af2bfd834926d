"""Every bound and interval of a peer, with its default. Reaching a bound is an error somebody sees, and is counted."""

import math
from typing import Final

import msgspec
from msgspec import structs

from hootbus.frames.options import U32_MAX

# What happens at an interval, and bounds nothing; and the end of a socket, which is libzmq's and not told.
UNCOUNTED: Final = frozenset(
    {"backoff_s", "backoff_max_s", "greeting_interval_s", "heartbeat_interval_s", "credit_interval_s", "linger_s"}
)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Counts, bytes and seconds that the sessions and their shells keep to."""

    # Requests of one client without an outcome, and the bytes of their bodies; beyond them `overloaded`.
    requests: int = 100_000
    request_bytes: int = 1024 * 1024 * 1024
    # Items of a streamed reply that its producer may be ahead of their reader. One that does not keep to it ends with
    # `overloaded`.
    stream_window: int = 256
    # Answers to a gather that may be unread; the broker bounds how many there are.
    gather_answers: int = 10_000
    # How often an idempotent request is sent again after `overloaded` or `broker_stopping`.
    retries: int = 4
    # Messages that wait in front of a full socket.
    outbox: int = 250_000
    # Messages taken from a socket before other work on the loop gets its turn.
    receive_batch: int = 32
    # Items that a generator on a thread may be ahead of the socket, within its stream's window.
    partials_ahead: int = 64

    backoff_s: float = 0.05
    backoff_max_s: float = 5.0
    # A hello or READY without an answer is sent again after this time.
    greeting_interval_s: float = 1.0
    heartbeat_interval_s: float = 1.0
    # How long a stream of which all is read may be quiet before its producer is told again how much it may send.
    credit_interval_s: float = 1.0
    # How long a broker may be missing before it is said aloud.
    patience_s: float = 1.0
    # How long a worker may take to finish what it has when it stops.
    drain_timeout_s: float = 30.0
    # For requests whose caller gives no timeout, as the broker's own: nobody waits for ever.
    request_timeout_s: float = 3600.0
    # How long the broker may take to compare schemas, and how often one request may need that: each time that a service
    # gets a worker of another version.
    comparison_timeout_s: float = 30.0
    comparisons: int = 3
    # How long one-way requests go by what was compared: nobody would tell that a worker of another version has come
    # since, with which the broker does not know this one to go together.
    understood_s: float = 5.0
    # How long a closing socket may take to hand over what was sent.
    linger_s: float = 0.5

    def __post_init__(self) -> None:
        for name, value in structs.asdict(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} is {value}; a limit is a number from 0 on")
        if not 1 <= self.stream_window <= U32_MAX:
            raise ValueError(f"stream_window is {self.stream_window}; a stream has room for 1 to {U32_MAX} items")


def none_reached() -> dict[str, int]:
    """How often each limit held something back, by its name: not once so far."""
    return {name: 0 for name in Limits.__struct_fields__ if name not in UNCOUNTED}


def backoff(attempt: int, jitter: float, limits: Limits) -> float:
    """Seconds before try number `attempt` (from 0) is repeated: exponential, capped, spread over its whole width.

    `jitter` is a random number in [0, 1), so that peers that failed together do not come back together.
    """
    return jitter * min(limits.backoff_max_s, limits.backoff_s * 2.0 ** min(attempt, 32))
