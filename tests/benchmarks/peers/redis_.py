"""Redis: lists as queues of requests and of replies, publish and subscribe for events; redis-py with hiredis.

A request is pushed to the list of its service, with the name of the list for its reply in front: the queue of
redis.io/docs/latest/commands/blpop. Both ends take all that is there with one command (BLMPOP with COUNT) and send what
is due together, in one variadic push or one pipeline, as redis.io/docs/latest/develop/using-commands/pipelining has it;
with transaction=False, as nothing here must be atomic. Answers are parsed by hiredis, which redis-py takes where it is
installed (redis-py's README, "Installation"); the socket is a Unix one, the faster for one host
(redis.io/docs/latest/operate/oss_and_stack/management/optimization/benchmarks).
"""

import asyncio
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from benchmarks.flood import serve_publisher, serve_subscriber
from benchmarks.load import PROBE, check, serve_calls, serve_window
from benchmarks.peers.peer import Middle, Peer
from benchmarks.processes import Processes, serves, unix
from benchmarks.role import Line
from benchmarks.work import burn

if TYPE_CHECKING:
    from redis import Redis

_CHANNEL: Final = b"bench"
# In front of each request: the list that wants the reply.
_NAME_BYTES: Final = 16
_NUMBER_BYTES: Final = 8
_TAKE_MAX: Final = 256
# A worker leaves some to the others.
_WORKER_TAKES_MAX: Final = 32
# As many bytes as one command may bring back: the answer to one is held whole, at both ends.
_TAKE_BYTES_MAX: Final = 32_000_000
# With redis-py's own 64 KiB, bodies of a megabyte are a third slower.
_READ_BYTES: Final = 1 << 20
# A list or a channel may have nothing for long: redis-py would give up after 5 s.
_FOR_EVER: Final = 0
_PUBLISH_AT_ONCE: Final = 100
# Nothing is to be kept, and a subscriber that is behind is not to be cut off (the default is at 32 MB): what is behind
# waits in the server, as it does in NATS with the settings given there.
_SERVER: Final = """
port 0
unixsocket {folder}/redis
dir {folder}
save ""
appendonly no
client-output-buffer-limit pubsub 0 0 0
"""


def _connect(address: str) -> "Redis":
    from redis import Redis

    return Redis(unix_socket_path=address, socket_read_size=_READ_BYTES, socket_timeout=None)


def worker(line: Line, *, address: str, service: str, handler: str, loops: int) -> None:
    redis = _connect(address)
    line.ready()
    at_once = _WORKER_TAKES_MAX
    while True:
        requests = _taken(redis.blmpop(_FOR_EVER, 1, service, direction="LEFT", count=at_once))
        replies = redis.pipeline(transaction=False)
        for request in requests:
            if loops:
                burn(loops)
            replies.rpush(request[:_NAME_BYTES], request[_NAME_BYTES:])
        replies.execute()
        at_once = min(_WORKER_TAKES_MAX, _at_once(len(requests[-1])))


class _Batches:
    """Sends all requests that are due with one command, and takes all replies that are there with another."""

    def __init__(self, address: str, service: str) -> None:
        self._redis = _connect(address)
        self._service = service
        self._reply_to = uuid4().bytes
        self._numbers = count()
        self._open: set[bytes] = set()
        self.ask(PROBE, 1)
        self.take(len(PROBE))

    def ask(self, body: bytes, count: int) -> None:
        numbers = [number.to_bytes(_NUMBER_BYTES, "big") for number in islice(self._numbers, count)]
        self._open.update(numbers)
        self._redis.rpush(self._service, *[self._reply_to + number + body for number in numbers])

    def take(self, size: int) -> int:
        answer = self._redis.blmpop(_FOR_EVER, 1, self._reply_to, direction="LEFT", count=_at_once(size))
        replies = _taken(answer)
        for reply in replies:
            self._open.remove(reply[:_NUMBER_BYTES])
            check(len(reply) - _NUMBER_BYTES, size)
        return len(replies)


class _Callers:
    """Many tasks that wait for a reply each; what they ask in one turn of the loop goes with one command."""

    def __init__(self, address: str, service: str) -> None:
        from redis.asyncio import Redis

        # One connection to push with, and one that waits for replies most of the time.
        self._requests, self._replies = (
            Redis(
                unix_socket_path=address,
                single_connection_client=True,
                socket_read_size=_READ_BYTES,
                socket_timeout=None,
            )
            for _ in range(2)
        )
        self._service = service
        self._reply_to = uuid4().bytes
        self._numbers = count()
        self._open: dict[bytes, asyncio.Future[int]] = {}
        self._due: list[bytes] = []
        self._is_due = asyncio.Event()
        self._at_once = _TAKE_MAX

    async def call(self, body: bytes) -> int:
        number = next(self._numbers).to_bytes(_NUMBER_BYTES, "big")
        reply = self._open[number] = asyncio.get_running_loop().create_future()
        self._due.append(self._reply_to + number + body)
        self._at_once = _at_once(len(body))
        self._is_due.set()
        size: int = await reply
        return size

    async def push(self) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            due, self._due = self._due, []
            await self._requests.rpush(self._service, *due)

    async def take(self) -> None:
        while True:
            answer = await self._replies.blmpop(_FOR_EVER, 1, self._reply_to, direction="LEFT", count=self._at_once)
            for reply in _taken(answer):
                self._open.pop(reply[:_NUMBER_BYTES]).set_result(len(reply) - _NUMBER_BYTES)


def _at_once(size: int) -> int:
    return max(1, min(_TAKE_MAX, _TAKE_BYTES_MAX // size))


def _taken(answer: Any) -> list[bytes]:  # noqa: ANN401  (redis-py says no more of it)
    """The messages of an answer to BLMPOP, behind the name of their list."""
    messages: list[bytes] = answer[1]
    return messages


def single_client(line: Line, *, address: str, service: str) -> None:
    serve_window(line, _Batches(address, service))


def client(line: Line, *, address: str, service: str) -> None:
    async def main() -> None:
        callers = _Callers(address, service)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(callers.push())
            tasks.create_task(callers.take())
            await callers.call(PROBE)
            await serve_calls(line, callers.call)

    asyncio.run(main())


class _Publisher:
    def __init__(self, address: str) -> None:
        self._events = _connect(address).pipeline(transaction=False)

    def publish(self, body: bytes) -> None:
        self._events.publish(_CHANNEL, body)
        if len(self._events) >= _PUBLISH_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        self._events.execute()


def publisher(line: Line, *, address: str) -> None:
    events = _Publisher(address)
    serve_publisher(line, events.publish, events.flush)


def subscriber(line: Line, *, address: str) -> None:
    subscription = _connect(address).pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(_CHANNEL)
    events = subscription.listen()
    serve_subscriber(line, lambda: next(events)["data"])


def _start(processes: Processes, folder: Path) -> Middle:
    settings = folder / "redis.conf"
    settings.write_text(_SERVER.format(folder=folder))
    child = processes.program("redis-server", str(settings))
    serves(child, unix(folder / "redis"))
    return Middle(str(folder / "redis"), child)


REDIS: Final = Peer(
    system="redis",
    note="lists by hand: no timeouts, no outcome if a worker is lost",
    modules=("redis", "hiredis"),
    programs=("redis-server",),
    start_middle=_start,
    worker=worker,
    client=client,
    single_client=single_client,
    publisher=publisher,
    subscriber=subscriber,
)
BATCHES: Final = replace(
    REDIS,
    system="redis batches",
    note="all requests that are due go with one command and no caller waits for its own: a transfer, not calls",
    client=single_client,
)
