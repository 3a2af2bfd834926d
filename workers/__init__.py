"""What a program embeds: workers, clients, publishers and subscribers, and the errors they raise."""

from hootbus.frames.errors import (
    BadBody,
    BadFrame,
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    Denied,
    HandlerFailed,
    HootError,
    Overloaded,
    Quarantined,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
    WorkerLost,
)
from hootbus.frames.keys import Keys
from hootbus.workers.async_client import AsyncClient
from hootbus.workers.client import Client
from hootbus.workers.content import Reply
from hootbus.workers.event import Event
from hootbus.workers.gathered import Gathered
from hootbus.workers.limits import Limits
from hootbus.workers.negotiation import Hello, HelloAck, agree, anegotiate, negotiate, speak_majors
from hootbus.workers.publisher import Publisher
from hootbus.workers.request import Request
from hootbus.workers.response import Response
from hootbus.workers.subscriber import Subscriber
from hootbus.workers.worker import Worker

__all__ = [
    "AsyncClient",
    "BadBody",
    "BadFrame",
    "BrokerStopping",
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "Denied",
    "Event",
    "Gathered",
    "HandlerFailed",
    "Hello",
    "HelloAck",
    "HootError",
    "Keys",
    "Limits",
    "Overloaded",
    "Publisher",
    "Quarantined",
    "Reply",
    "Request",
    "Response",
    "SchemaMismatch",
    "Subscriber",
    "UnknownMethod",
    "UnknownService",
    "UnsupportedContentType",
    "Worker",
    "WorkerLost",
    "agree",
    "anegotiate",
    "negotiate",
    "speak_majors",
]
