"""A storm: faults of a seed come upon a bus under load. When it is over everything works, and the ledger balances."""

import itertools
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.processes import Child
from chaos.faults import Fault, Planned, plan
from chaos.ledger import Balance
from chaos.proxy import Proxy
from chaos.stage import Asker, Stage
from hootbus.frames import parse_address

_WORKERS: Final = 3
_CLIENTS: Final = 4
_CALM: Final = 200
_TIMEOUT_S: Final = 5.0


class Storm:
    """One bus, on ipc for an even seed, else on tcp: there the last worker and client are behind a proxy."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._seed = seed
        self._folder = folder
        self._is_tcp = seed % 2 == 1
        self._stack = ExitStack()
        self._names = (f"c{number}" for number in itertools.count())

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            wanted = "tcp://127.0.0.1:0" if self._is_tcp else f"ipc://{self._folder}/b"
            self._stage = stack.enter_context(Stage(self._folder, wanted))
            self._broker = self._stage.start_broker()
            self._proxy: Proxy | None = None
            if (port := parse_address(self._stage.address).port) is not None:
                self._proxy = stack.enter_context(Proxy(port))
            self._workers = [self._new_worker(place) for place in range(_WORKERS)]
            self._clients = [self._new_client(place) for place in range(_CLIENTS)]
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def rage(self, faults: int, say: Callable[[str], object]) -> Balance:
        """So many faults, and what the ledger says when it is calm again. Raises an AssertionError if that is wrong."""
        for planned in itertools.islice(plan(self._seed, tcp=self._is_tcp), faults):
            self._stage.answered(planned.after)
            say(f"  {planned}")
            self._play(planned)
        self._stage.until_workers(_WORKERS)
        self._stage.answered(_CALM)
        sums = self._stage.settle()
        self._stage.until_idle()
        dropped = self._stage.ask_broker("status")["dropped"]
        assert not dropped["bad_frame"], dropped
        return sums

    def _play(self, planned: Planned) -> None:
        worker, client = planned.victim % _WORKERS, planned.victim % _CLIENTS
        match planned.fault:
            case Fault.KILL_WORKER:
                self._stage.kill(self._workers[worker])
                self._workers[worker] = self._new_worker(worker)
            case Fault.DRAIN_WORKER:
                self._stage.end(self._workers[worker])
                self._workers[worker] = self._new_worker(worker)
            case Fault.HANG_WORKER:
                self._hang(self._workers[worker], planned.seconds)
            case Fault.KILL_CLIENT:
                self._stage.kill_asker(self._clients[client])
                self._clients[client] = self._new_client(client)
            case Fault.HANG_CLIENT:
                self._hang(self._clients[client].child, planned.seconds)
            case Fault.KILL_BROKER:
                self._stage.kill(self._broker)
                self._broker = self._stage.start_broker()
            case Fault.DRAIN_BROKER:
                self._stage.end(self._broker)
                self._broker = self._stage.start_broker()
            case Fault.HANG_BROKER:
                self._hang(self._broker, planned.seconds)
            case Fault.CUT_WORKER | Fault.CUT_CLIENT:
                # Both are behind it, and may be cut off together.
                assert self._proxy is not None
                self._proxy.freeze(*planned.directions)

    def _hang(self, child: Child, seconds: float) -> None:
        self._stage.pause(child)
        # This is the fault itself: to be away for so long.
        time.sleep(seconds)
        self._stage.resume(child)

    def _new_worker(self, place: int) -> Child:
        child = self._stage.start_worker(address=self._way(place == _WORKERS - 1))
        child.answer()
        return child

    def _new_client(self, place: int) -> Asker:
        return self._stage.start_asker(
            next(self._names),
            seed=self._seed * _CLIENTS + place,
            address=self._way(place == _CLIENTS - 1),
            timeout_s=_TIMEOUT_S,
            given_up=0.03,
            patient=place % 2 == 0,
            repeat_streams=False,
            reply_bytes=1000 * place,
        )

    def _way(self, is_last: bool) -> str:
        """The address for one of them."""
        return self._proxy.address if self._proxy is not None and is_last else self._stage.address


def storm(seed: int, faults: int, say: Callable[[str], object]) -> Balance:
    """One from beginning to end."""
    with tempfile.TemporaryDirectory(prefix="hoot") as folder, Storm(seed, Path(folder)) as raging:
        return raging.rage(faults, say)
