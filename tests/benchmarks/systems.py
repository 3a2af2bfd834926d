"""A system while it is measured: its broker, and the workers, clients, publishers or subscribers of a question."""

from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from benchmarks.peers.peer import Peer
from benchmarks.processes import Child, Processes, ProcessFailed, ready
from benchmarks.role import Role

SERVICE: Final = "echo"
_WARM_BYTES: Final = 100
_WARM_IN_FLIGHT: Final = 64
_WARM_S: Final = 0.2
_FIRST_S: Final = 0.02
# Marks are asked for so often; a subscriber that has not had all after so long has lost its connection.
_MARK_EVERY_S: Final = 0.05
_MARKS_MAX: Final = 600


class Load(NamedTuple):
    requests: int
    seconds: float


class Flood(NamedTuple):
    """What became of events: all subscribers together, from the first that one of them had to the last."""

    sent: int
    received: int
    seconds: float


class _System:
    """The processes of one peer. They are kept, and may be started anew after one has failed."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self.peer = peer
        self._folder = folder
        self._processes: Processes | None = None

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self.peer.system

    def processes_or_fail(self) -> Processes:
        """Its processes. Raises ProcessFailed if it did not come up again after it had failed."""
        if self._processes is None:
            raise ProcessFailed(f"{self.name} is not running")
        return self._processes

    def restart(self) -> None:
        self.close()
        # A short name, as sockets go there: the path of one has at most 107 bytes (unix(7)).
        self._processes = Processes(Path(mkdtemp(dir=self._folder, prefix="s")))
        try:
            self._start(self._processes)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def _start(self, processes: Processes) -> None:
        raise NotImplementedError


class Requests(_System):
    """Workers that answer and a client that asks; clients are started when they are first needed."""

    def __init__(self, peer: Peer, folder: Path, *, workers: int = 1, handler: str = "inline", loops: int = 0) -> None:
        super().__init__(peer, folder)
        self._workers = workers
        self._handler = handler
        self._loops = loops

    def load(self, size: int, in_flight: int, seconds: float) -> Load:
        """Whole requests for so many seconds; with one at a time, by the peer's client for that."""
        client = self._client(many=in_flight > 1, size=size)
        answer = client.ask(do="load", bytes=size, in_flight=in_flight, seconds=seconds)
        return Load(answer["requests"], answer["seconds"])

    def latencies(self, size: int, seconds: float) -> list[float]:
        """Microseconds of every request, one at a time."""
        answer = self._client(many=False, size=size).ask(do="latencies", bytes=size, seconds=seconds)
        taken: list[float] = answer["us"]
        return taken

    def processes(self) -> dict[str, list[int]]:
        """The pids of what carries a load with many in flight: broker (if there is one), worker, client."""
        pids = {"worker": [child.pid for child in self._worker_children], "client": [self._client(many=True).pid]}
        return pids if self._middle.broker is None else {"broker": [self._middle.broker.pid], **pids}

    def _start(self, processes: Processes) -> None:
        self._clients: dict[Role, Child] = {}
        self._known: set[tuple[Role, int]] = set()
        self._middle = self.peer.start_middle(processes, processes.folder)
        work = {"service": SERVICE, "handler": self._handler, "loops": self._loops}
        self._worker_children = [
            processes.start(self.peer.worker, address=self._middle.address, **work, **self.peer.worker_options)
            for _ in range(self._workers)
        ]
        ready(*self._worker_children)

    def _client(self, *, many: bool, size: int = _WARM_BYTES) -> Child:
        """The client for many in flight or for one; it has run warm, and has had a reply of this size."""
        processes = self.processes_or_fail()
        role = self.peer.client if many else self.peer.single_client
        client = self._clients.get(role) or self._start_client(processes, role, many=many)
        if (role, size) not in self._known:
            # The first of a size may be slow: buffers grow, and zenoh makes its shared memory.
            client.ask(do="load", bytes=size, in_flight=1, seconds=_FIRST_S)
            self._known.add((role, size))
        return client

    def _start_client(self, processes: Processes, role: Role, *, many: bool) -> Child:
        options = {"address": self._middle.address, "service": SERVICE, **self.peer.client_options}
        client = processes.start(role, **options)
        ready(client)
        # An interpreter's first thousand requests are slow: it specializes its code, and pages are touched.
        client.ask(do="load", bytes=_WARM_BYTES, in_flight=_WARM_IN_FLIGHT if many else 1, seconds=_WARM_S)
        self._clients[role] = client
        return client


class Events(_System):
    """Publishers and subscribers of one topic."""

    def __init__(self, peer: Peer, folder: Path, *, publishers: int, subscribers: int) -> None:
        super().__init__(peer, folder)
        self._numbers = publishers, subscribers
        self._run = 0

    def flood(self, size: int, seconds: float, most: int) -> Flood:
        """All publishers publish flat out for so many seconds, but no more than `most` events each."""
        self.processes_or_fail()
        self._listen()
        for number, publisher in enumerate(self._publishers):
            publisher.tell(do="flood", run=self._run, publisher=number, bytes=size, seconds=seconds, most=most)
        sent = sum(publisher.answer()["sent"] for publisher in self._publishers)
        heard = [facts for facts in self._mark_until_all_have_answered() if facts["received"]]
        if not heard:
            raise ProcessFailed(f"{self.name} delivered none of {sent} events")
        took_ns = max(facts["last_ns"] for facts in heard) - min(facts["first_ns"] for facts in heard)
        received = sum(facts["received"] for facts in heard)
        return Flood(sent * len(self._subscribers), received, took_ns / 1e9)

    def _start(self, processes: Processes) -> None:
        assert self.peer.publisher is not None
        assert self.peer.subscriber is not None
        publishers, subscribers = self._numbers
        address = self.peer.start_middle(processes, processes.folder).address
        self._subscribers = [processes.start(self.peer.subscriber, address=address) for _ in range(subscribers)]
        self._publishers = [processes.start(self.peer.publisher, address=address) for _ in range(publishers)]
        ready(*self._subscribers, *self._publishers)
        # A round of marks alone: after it everyone is known to hear everyone.
        self._listen()
        self._mark_until_all_have_answered()

    def _listen(self) -> None:
        self._run += 1
        for subscriber in self._subscribers:
            subscriber.ask(run=self._run, publishers=len(self._publishers))

    def _mark_until_all_have_answered(self) -> list[dict[str, Any]]:
        for _ in range(_MARKS_MAX):
            for number, publisher in enumerate(self._publishers):
                publisher.ask(do="mark", run=self._run, publisher=number)
            if all(subscriber.has_answered(_MARK_EVERY_S) for subscriber in self._subscribers):
                return [subscriber.answer() for subscriber in self._subscribers]
        raise ProcessFailed(f"{self.name}: the end of the events does not come through")
