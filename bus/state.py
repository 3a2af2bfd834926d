"""What the core remembers: clients, requests, workers, services, and how they refer to each other.

Plain records with the few rules that keep their own counts right; what happens to them is decided in `core`.
"""

import re
from enum import Enum
from typing import Final

from hootbus.bus.latencies import Latencies
from hootbus.bus.lazyheap import LazyHeap
from hootbus.bus.queues import Queue
from hootbus.bus.versions import Version, Versions
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import SERVICE_NAME, ContentType, Flag

# As plain numbers: `&` with an enum costs more than all else that is done with a flag.
_IDEMPOTENT: Final[int] = Flag.IDEMPOTENT.value
_ONE_WAY: Final[int] = Flag.ONE_WAY.value

_SERVICE_NAME: Final = re.compile(SERVICE_NAME.encode())


def is_service_name(name: bytes) -> bool:
    """Whether a worker may offer a service under this name."""
    return _SERVICE_NAME.fullmatch(name) is not None


class Client:
    """A peer with requests that have no outcome yet, by their ids."""

    def __init__(self, identity: bytes) -> None:
        self.identity = identity
        self.open: dict[bytes, Request] = {}
        # The parts of its gathers that have no answer.
        self.parts = 0


class Phase(Enum):
    """Where a request is."""

    QUEUED = "queued"
    HANDED = "handed"
    # Its client has its outcome; a worker may still owe a reply for it.
    OVER = "over"


class Request:
    """One request, from its arrival to the moment nobody owes anything for it.

    `target` is its service frame, as its client wrote it. `message` is its payload, kept while it is queued and, if it
    is idempotent, for a second try. `order` is that of arrival, among all requests.
    """

    phase: Phase = Phase.QUEUED
    worker: "Worker | None" = None
    wire_id: bytes = b""
    # Whether a worker that has left had it; and how many of those did not leave but died.
    tried: bool = False
    strikes: int = 0
    # That of its service's versions when it was last held against them.
    epoch: int = 0
    # Of a stream with flow control: its client takes the items before this one. It only grows.
    credit: int = 0
    # Of a gather: its parts that have no answer, by their workers' numbers, and how many have been answered.
    parts: "dict[int, Request] | None" = None
    answered: int = 0
    # Of such a part: the gather, and whose it is. It is no request of its client's, and has no deadline of its own.
    gather: "Request | None" = None
    addressee: "Worker | None" = None
    # Whether its deadline is the broker's, as its client gave none.
    timed_here: bool = False
    # What is carried out once more by it, if it is somebody's retry of a quarantined request.
    isolated: "Isolated | None" = None
    accepted_at: float = 0.0
    # What its client said of it, while a plain worker has it, which is told nothing of that.
    said: Options | None = None

    def __init__(
        self,
        client: Client,
        request_id: bytes,
        route: Route,
        content_type: ContentType,
        extended: bool,
        flags: int,
        deadline: float,
        service: "Service",
        target: bytes,
        message: Message | None,
        size: int,
        order: int,
    ) -> None:
        self.client = client
        self.request_id = request_id
        self.route = route
        self.content_type = content_type
        self.extended = extended
        self.flags = flags
        self.deadline = deadline
        self.service = service
        self.target = target
        self.message = message
        self.size = size
        self.order = order

    @property
    def idempotent(self) -> bool:
        """Whether it may be carried out twice."""
        return bool(self.flags & _IDEMPOTENT)

    @property
    def one_way(self) -> bool:
        """Whether its client wants no reply."""
        return bool(self.flags & _ONE_WAY)


class Isolated:
    """A request in quarantine. `message` is None if there was no room for it; `size` is that of its body.

    `key` is its client's identity and its id. `service` is whom it went to, which its service frame, `target`, does not
    name where the broker's default service took it.
    """

    # As it is being carried out once more.
    retry: Request | None = None

    def __init__(
        self, number: int, key: tuple[bytes, bytes], service: bytes, message: Message, strikes: int, since: float
    ) -> None:
        self.number = number
        self.key = key
        self.service = service
        self.target = message.service
        self.content_type = message.content_type
        self.size: int = message.size
        self.strikes = strikes
        self.since = since
        self.message: Message | None = message

    @property
    def id(self) -> str:
        """What people call it."""
        return f"q{self.number}"

    @property
    def retrying(self) -> bool:
        """Whether it is being carried out once more."""
        return self.retry is not None and self.retry.phase is not Phase.OVER


class Worker:
    """A registered worker. `in_flight` has what it owes replies for, by the ids it knows them under."""

    name: str = ""
    hostname: str = ""
    version: str = ""
    pid: int = 0
    # Of the READY that registered it: the same one again, doubled on its way, changes nothing.
    ready_id: bytes = b""
    methods: tuple[str, ...] = ()
    # The service frames that name them; none: it takes whatever comes, or does not say.
    frames: frozenset[bytes] = frozenset()
    # What it states of its methods' types, None for nothing.
    speaks: Version | None = None
    # Whether it states types, and nobody has looked at them.
    unjudged: bool = False
    done: int = 0
    # How many of those in flight have been through a worker's death: one at the most.
    struck: int = 0
    suspect: bool = False
    # Its pipe refused a message: it gets no more until it is heard of, or the next heartbeat finds room.
    stalled: bool = False
    # Why it is about to be let go, and whether it has died; it is stalled until then, whatever is heard of it.
    going: str = ""
    died: bool = False
    # It has said goodbye: what it says behind that counts for nothing.
    left: bool = False
    draining: bool = False
    drain_id: bytes = b""
    drain_until: float = 0.0
    ticket: int = 0

    def __init__(
        self,
        route: Route,
        service: "Service",
        number: int,
        extended: bool,
        dialled: bool,
        slots: int,
        connected_at: float,
        seen_at: float,
        lost_after_s: float,
    ) -> None:
        self.route = route
        self.service = service
        self.number = number
        self.extended = extended
        self.dialled = dialled
        self.slots = slots
        self.connected_at = connected_at
        self.seen_at = seen_at
        self.lost_after_s = lost_after_s
        self.in_flight: dict[bytes, Request] = {}
        # Parts of gathers that are for this worker and wait for a slot, which they get before the service's queue; by
        # the order of their gathers. Whoever has such a part takes no more.
        self.awaited: dict[int, Request] = {}

    @property
    def identity(self) -> bytes:
        """The peer's routing id."""
        return self.route[0]

    @property
    def takes_more(self) -> bool:
        """Whether it may get another request now."""
        return len(self.in_flight) < self.slots and not self.draining and not self.stalled

    @property
    def state(self) -> str:
        """In one word, for people."""
        if self.draining:
            return "draining"
        if self.stalled:
            return "stalled"
        return "suspect" if self.suspect else "ready"


class Service:
    """A name with its workers and the requests that wait for one of them."""

    # The only worker there is: the common case, which needs no order (a fifth of the core's time per request).
    sole: Worker | None = None
    # Without a worker: when those in the queue that did not ask to wait are given up.
    give_up_at: float = 0.0
    requests: int = 0
    replies: int = 0
    partials: int = 0
    errors: int = 0
    # Workers that were not let in, for their types.
    refused: int = 0
    # Whether some workers have methods that others do not have, as while newer ones replace older ones.
    mixed: bool = False

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.versions: Versions = Versions(name)
        self.workers: dict[bytes, Worker] = {}
        self.free: LazyHeap[Worker] = LazyHeap()
        self.queue: Queue = Queue()
        # Workers for which parts of gathers wait.
        self.awaited: dict[bytes, Worker] = {}
        # Messages that went no further, by reason: bounded, as the reasons are.
        self.dropped: dict[str, int] = {}
        # Which of the errors that `errors` counts, by their codes.
        self.errors_by_code: dict[str, int] = {}
        # From a request's acceptance until it is handed to a worker (each time), and until its reply.
        self.waited: Latencies = Latencies()
        self.took: Latencies = Latencies()
        # How many workers have the same methods.
        self._alike: dict[frozenset[bytes], int] = {}

    @property
    def queue_bytes(self) -> int:
        """Bodies and attachments of what waits."""
        return self.queue.bytes

    def failed(self, code: str) -> None:
        """One more request with an error for its outcome."""
        self.errors += 1
        self.errors_by_code[code] = self.errors_by_code.get(code, 0) + 1

    def add(self, worker: Worker) -> None:
        """One more worker. It is to be offered, once it may get work."""
        self.workers[worker.identity] = worker
        self._count(worker.frames, 1)
        before = self.sole
        self.sole = worker if len(self.workers) == 1 else None
        if before is not None:
            self.offer(before)

    def remove(self, worker: Worker) -> None:
        """One worker less."""
        del self.workers[worker.identity]
        self._count(worker.frames, -1)
        worker.ticket = 0
        self.sole = None
        if len(self.workers) == 1:
            (self.sole,) = self.workers.values()
            self.sole.ticket = 0

    def announce(self, worker: Worker, methods: tuple[str, ...]) -> None:
        """What a worker of this service offers."""
        self._count(worker.frames, -1)
        worker.methods = methods
        worker.frames = frozenset([self.name + b"/" + method.encode() for method in methods])
        self._count(worker.frames, 1)

    def _count(self, frames: frozenset[bytes], more: int) -> None:
        count = self._alike.get(frames, 0) + more
        if count:
            self._alike[frames] = count
        else:
            del self._alike[frames]
        self.mixed = len(self._alike) > 1

    def exchange(self, worker: Worker, frame: bytes, struck: bool) -> Worker | None:
        """Who gets a request under this service frame instead of the worker that was picked: one with the method.

        None if all of them are busy; a `struck` request is not for one that has such a one. The picked one if it has
        the method, or if nobody has: it will say so.
        """
        if not worker.frames or frame in worker.frames:
            return worker
        best: Worker | None = None
        is_offered = False
        for each in self.workers.values():
            if each.frames and frame not in each.frames:
                continue
            is_offered = True
            if not each.takes_more or (struck and each.struck):
                continue
            if best is None or _load(each) < _load(best):
                best = each
        if not is_offered:
            return worker
        self.offer(worker)
        if best is not None:
            best.ticket = 0
        return best

    def offering(self, frame: bytes) -> list[Worker]:
        """Those who stay and have the method of this service frame; all who stay if nobody has, as they will say so."""
        staying = [worker for worker in self.workers.values() if not worker.draining and not worker.going]
        return [worker for worker in staying if not worker.frames or frame in worker.frames] or staying

    def pick(self) -> Worker | None:
        """The worker to get the next request, None if none has a free slot. It is to be offered again then."""
        sole = self.sole
        if sole is None:
            return self.free.pop()
        return sole if sole.takes_more else None

    def offer(self, worker: Worker) -> None:
        """Puts the worker where its load belongs, or out if it can take nothing."""
        if self.sole is not None:
            return
        if worker.takes_more:
            self.free.push(_load(worker), worker)
        else:
            worker.ticket = 0


def _load(worker: Worker) -> float:
    # A suspect one comes behind all others, whatever their load; one with a struck request behind those, so that the
    # first is free for another such request if any is, and company stays away from what may kill.
    return len(worker.in_flight) / worker.slots + worker.suspect + 2 * worker.struck
