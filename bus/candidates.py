"""Who waits at the gate: workers, the versions that they state, and the schemas that are to prove them."""

from hootbus.bus.judgement import Claim
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message
from hootbus.schemas import Method, Registration


class Candidate:
    """A worker that is not in yet. `asked_id` is that of the request for its schema, b"" if another one is asked."""

    asked_id: bytes = b""

    def __init__(self, message: Message, registration: Registration, inquiry: "Inquiry", now: float) -> None:
        self.route: Route = message.route
        self.ready_id = message.request_id
        self.registration = registration
        self.inquiry = inquiry
        self.since = now

    @property
    def identity(self) -> bytes:
        """The peer's routing id."""
        return self.route[0]

    @property
    def service(self) -> bytes:
        """The name of the service it offers."""
        return self.inquiry.service


class Inquiry:
    """A version that is new to its service, and the workers that speak it: the first is asked for its schema."""

    proof: "Proof | None" = None

    def __init__(self, service: bytes, methods: tuple[Method, ...]) -> None:
        self.service = service
        self.methods = methods
        self.waiting: dict[bytes, Candidate] = {}

    @property
    def first(self) -> Candidate:
        """Whose schema is judged for all of them."""
        return next(iter(self.waiting.values()))


class Proof:
    """The schema that an inquiry's first worker has sent: a case for the judge."""

    def __init__(self, inquiry: Inquiry, nodes: bytes) -> None:
        self.inquiry = inquiry
        self.service = inquiry.service
        self.claim = Claim(inquiry.methods, nodes)
