"""A broker in a thread of this process, with peers that end when it does: for tests, and programs of one process.

It is the broker of `hoot broker`, not an imitation: the messages go through real sockets, on an ipc address of its own.
"""

import shutil
import tempfile
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hootbus.bus.broker import Broker
from hootbus.bus.limits import Limits
from hootbus.frames.address import BusAddress, parse_address
from hootbus.frames.keys import NO_KEYS

if TYPE_CHECKING:
    from hootbus.workers import AsyncClient, Client, Publisher, Subscriber, Worker

_START_S: Final = 10.0
_STOP_S: Final = 10.0
# Where the usual temporary folder is so deep that a socket's path would be too long.
_SHORT_FOLDER: Final = "/tmp"


class EmbeddedBroker:
    """A running broker, from `with` to the end of the block; everything it gave out is closed with it.

    `address` is a bus address, None for an ipc folder of its own that is removed afterwards.
    """

    def __init__(self, address: str | None = None, *, limits: Limits | None = None, default_service: str = "") -> None:
        self._given = address
        self._limits = limits
        self._default_service = default_service
        self._stack = ExitStack()
        self._address = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            broker = Broker(self._place(stack), limits=self._limits, default_service=self._default_service)
            ready: Future[BusAddress] = Future()
            thread = threading.Thread(target=_serve, args=(broker, ready), name="hoot-broker", daemon=True)
            thread.start()
            stack.callback(self._end, broker, thread)
            self._address = ready.result(_START_S).text
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        """Where the bus is, as `Client(address)` and `--bus` take it."""
        return self._address

    def client(self) -> "Client":
        """A blocking client of this bus."""
        from hootbus.workers import Client

        return self._stack.enter_context(Client(self._address, keys=NO_KEYS))

    def async_client(self) -> "AsyncClient":
        """An asyncio client of this bus, for `async with`: only the loop that opened it can close it."""
        from hootbus.workers import AsyncClient

        return AsyncClient(self._address, keys=NO_KEYS)

    def publisher(self) -> "Publisher":
        """A publisher of events on this bus."""
        from hootbus.workers import Publisher

        return self._stack.enter_context(Publisher(self._address, keys=NO_KEYS))

    def subscriber(self, *topics: str) -> "Subscriber":
        """A subscriber to the topics that begin like these, to all if none is given. It misses nothing from here on."""
        from hootbus.workers import Subscriber

        return self._stack.enter_context(Subscriber(*topics, address=self._address, keys=NO_KEYS))

    def worker(self, worker: "Worker") -> "Worker":
        """Runs the worker on this bus, in threads of this process, until the broker ends or it is stopped.

        Returns once the broker has taken it in.
        """
        worker.start(self._address)
        self._stack.callback(worker.stop)
        return worker

    def _place(self, stack: ExitStack) -> BusAddress:
        if self._given is not None:
            return parse_address(self._given)
        folder = _folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return parse_address(f"ipc://{folder}")

    def _end(self, broker: Broker, thread: threading.Thread) -> None:
        if thread.is_alive():
            broker.stop()
        thread.join(_STOP_S)
        assert not thread.is_alive(), "the embedded broker did not end"


def _folder() -> str:
    folder = tempfile.mkdtemp(prefix="hoot")
    try:
        parse_address(f"ipc://{folder}")
    except ValueError:
        shutil.rmtree(folder)
        return tempfile.mkdtemp(prefix="hoot", dir=_SHORT_FOLDER)
    return folder


def _serve(broker: Broker, ready: "Future[BusAddress]") -> None:
    try:
        broker.run(on_ready=ready.set_result)
    except Exception as error:  # whoever waits for the broker gets it, or it is shown as any thread's
        if ready.done():
            raise
        ready.set_exception(error)
