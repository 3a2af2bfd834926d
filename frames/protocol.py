"""The numbers of HOOT01 and of our extension, each named once (docs/protocol.md)."""

from enum import IntEnum
from typing import Final

SIGNATURE: Final = b"HOOT01"
REQUEST_ID_BYTES: Final = 16
EXTENSION_VERSION: Final = 1

# Frames of a message behind its route; the options are the next one.
FRAMES_PLAIN: Final = 7

# What a worker may call its service, as a regular expression.
SERVICE_NAME: Final = "[a-z0-9][a-z0-9._-]*"

# Bounds on what a peer may send. Each is checked while parsing and again before we send.
RETURN_ADDRESSES_MAX: Final = 8
ROUTE_FRAME_BYTES_MAX: Final = 255
SERVICE_BYTES_MAX: Final = 255
TRACEPARENT_BYTES_MAX: Final = 512
OPTIONS_BYTES_MAX: Final = 512
ATTACHMENTS_MAX: Final = 64
MESSAGE_BYTES_MAX: Final = 256 * 1024 * 1024
# Identity, return addresses, the seven, options, attachments: no message has more.
FRAMES_MAX: Final = 1 + RETURN_ADDRESSES_MAX + FRAMES_PLAIN + 1 + ATTACHMENTS_MAX


class Command(IntEnum):
    """Frame 1. The first five are HOOT01; the others go only to peers that sent options."""

    READY = 1
    REQUEST = 2
    REPLY = 3
    HEARTBEAT = 4
    DISCONNECT = 5
    CANCEL = 6
    PARTIAL = 7
    CREDIT = 8


class ContentType(IntEnum):
    """Frame 2: what the body is."""

    EMPTY = 0
    CAPNPROTO = 1
    RAW_BINARY = 2
    JSON = 3


class Flag(IntEnum):
    """Bits of `Options.flags`. No IntFlag: its operators cost 0.5 µs each, those of int a tenth."""

    IDEMPOTENT = 1
    ONE_WAY = 2
    WAIT = 4
    PARTIALS = 8
    WORKER = 16
    # Set by the broker alone: the request, or the answer in a PARTIAL of a gather, comes from a peer without options.
    PLAIN = 32
    # To every worker of the service; each one's answer is a PARTIAL.
    GATHER = 64


# The one service under `hoot.` that a worker offers: `hoot recorder`, which keeps events for those who come late.
RECORDER: Final = b"hoot.recorder"
# What every worker of ours answers by itself: the schema of its methods' types.
WORKER_SCHEMA: Final = b"hoot.worker/schema"
# Where a client has its schema compared with that of a service's workers.
COMPARE: Final = b"hoot.broker/compare"
# The details of the `schema_mismatch` that asks a client for that.
UNKNOWN_VERSION: Final = "unknown_version"
