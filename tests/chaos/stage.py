"""A bus under attack: broker, workers and clients as processes of their own, what is done to them, and their ledger."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from benchmarks.processes import Child, Processes
from benchmarks.role import Role
from chaos import asking
from chaos.asking import Manner
from chaos.ledger import Balance, Entries, balance
from chaos.messages import BOOK_VARIABLE
from cli.shell import until
from hootbus.bus.processes import hoot
from hootbus.workers import Client

_EXECUTED: Final = "executed"


class Asker(msgspec.Struct, eq=False):
    """A client's process and its book."""

    name: str
    child: Child
    book: Path
    read: int = 0
    outcomes: int = 0

    def count(self) -> int:
        """How many outcomes it has written down."""
        with self.book.open("rb") as file:
            file.seek(self.read)
            more = file.read()
        self.read += len(more)
        # A line is one write, so what is read ends with one.
        self.outcomes += more.count(b"came ")
        return self.outcomes


class Stage:
    """Everything that one story needs. Whatever was started has ended behind the block."""

    def __init__(self, folder: Path, wanted: str) -> None:
        """The first broker is to serve at `wanted`; those after it serve where it did."""
        self._folder = folder
        self._processes = Processes(folder)
        self.address = wanted
        self.broker: Child | None = None
        self.askers: list[Asker] = []
        # Names of clients that were killed: what became of their last requests nobody has written down.
        self._killed: list[str] = []
        self._gone: list[Asker] = []
        self._paused: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Not asked first: that they end in order is the business of other tests.
        for child in self._processes.children:
            if child.alive:
                os.kill(child.pid, signal.SIGKILL)
        self._processes.close()

    # Who is there

    def start_broker(self, *options: str, descriptors: int = 0) -> Child:
        """A broker, once it serves; one that may have so many files open, if that is given."""
        limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
        self.broker = self._processes.program(*limited, *hoot("broker", "--bus", self.address, *options))
        self.address = self.broker.answer()["bus"]
        return self.broker

    def start_worker(self, *options: str, address: str = "") -> Child:
        """`hoot worker` with the worker that writes down what it does. Each of its processes says when it is ready."""
        variable = f"{BOOK_VARIABLE}={self._folder / _EXECUTED}"
        return self._processes.program(
            "env", variable, *hoot("worker", "--bus", address or self.address, *options, "chaos.worker:worker")
        )

    def start_asker(self, name: str, *, seed: int = 0, address: str = "", **manner: float) -> Asker:
        """A client that asks on until `settle`."""
        book = self._folder / f"asked-{name}"
        book.touch()
        msgspec.convert(manner, Manner)
        child = self._processes.start(
            asking.ask, address=address or self.address, name=name, book=str(book), seed=seed, manner=manner
        )
        child.answer()
        child.tell()
        asker = Asker(name, child, book)
        self.askers.append(asker)
        return asker

    def start(self, role: Role, **options: Any) -> Child:  # noqa: ANN401  # whatever JSON can say
        """A role of another kind."""
        return self._processes.start(role, **options)

    def client(self) -> Client:
        """One in the test's own process."""
        return Client(self.address)

    # What is done to them

    def kill(self, child: Child) -> None:
        """SIGKILL, and nothing is left of it."""
        self._paused.discard(child.pid)
        os.kill(child.pid, signal.SIGKILL)
        self._processes.end([child])

    def kill_asker(self, asker: Asker) -> None:
        self.kill(asker.child)
        self.askers.remove(asker)
        self._killed.append(asker.name)
        self._gone.append(asker)

    def pause(self, child: Child) -> None:
        os.kill(child.pid, signal.SIGSTOP)
        self._paused.add(child.pid)

    def resume(self, child: Child) -> None:
        os.kill(child.pid, signal.SIGCONT)
        self._paused.discard(child.pid)

    def end(self, child: Child) -> None:
        """SIGTERM, and its end is waited for."""
        self._processes.end([child])

    # What is known of them

    def answered(self, more: int) -> None:
        """Returns once the clients that are there have so many further outcomes."""
        goal = sum(asker.count() for asker in self.askers) + more
        until(lambda: sum(asker.count() for asker in self.askers) >= goal, f"{more} more outcomes")
        self._processes.check()

    def settle(self) -> Balance:
        """Has all clients stop, and judges the ledger."""
        for asker in self.askers:
            asker.child.tell()
        for asker in self.askers:
            asker.child.answer()
        entries = Entries()
        everybody = (*self.askers, *self._gone)
        executed = self._folder / _EXECUTED
        entries.read((*(asker.book for asker in everybody), *([executed] if executed.exists() else [])))
        return balance(entries, self._killed)

    def ask_broker(self, method: str) -> Any:  # noqa: ANN401  # JSON is any of six types
        """`hoot.broker/METHOD`, asked anew."""
        with self.client() as client:
            return client.call(f"hoot.broker/{method}").json()

    def until_status(self, holds: Callable[[dict[str, Any]], object], what: str) -> None:
        """Asks for the status until this holds of it."""
        with self.client() as client:
            until(lambda: holds(client.call("hoot.broker/status").json()), what)

    def until_idle(self) -> None:
        """Returns once the broker holds nothing any more."""
        self.until_status(
            lambda status: not (status["inFlight"] or status["queued"] or status["heldBytes"]), "the broker is idle"
        )

    def until_workers(self, count: int) -> None:
        """Returns once so many workers are attached."""
        self.until_status(lambda status: status["workers"] == count, f"there are {count} workers")
