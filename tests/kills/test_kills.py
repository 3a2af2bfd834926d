"""SIGKILL in mid-traffic, to workers and to the broker: every request has one outcome, and everything comes back."""

import asyncio
import os
import signal
import textwrap
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli.shell import started
from hootbus.workers import AsyncClient, HootError

CALLERS = 32
SETTLED = 200
PROGRAM = """
    import os
    from hootbus.workers import Worker

    worker = Worker("text")

    @worker.method
    async def upper(text: str) -> str:
        return text.upper()

    @worker.method
    async def pid() -> int:
        return os.getpid()
"""


class Traffic:
    """Callers that never pause, and a ledger of what became of each request. `patient` ones wait for a worker."""

    def __init__(self, bus: AsyncClient, *, all_idempotent: bool = False, patient: bool = False) -> None:
        self._bus = bus
        self._all_idempotent = all_idempotent
        self._patient = patient
        self._stop = False
        self._asked = 0
        self._goal = 0
        self._reached = asyncio.Event()
        self.outcomes: Counter[str] = Counter()
        self.idempotent: Counter[str] = Counter()

    async def __aenter__(self) -> "Traffic":
        self._callers = [asyncio.create_task(self._call_on(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._callers)
        assert self.outcomes.total() == self._asked, "a request had no outcome, or two"

    async def answered(self, more: int) -> None:
        """Returns once so many further requests were carried out."""
        self._goal = self.outcomes["ok"] + more
        self._reached.clear()
        async with asyncio.timeout(30):
            await self._reached.wait()

    async def _call_on(self, number: int) -> None:
        idempotent = self._all_idempotent or number % 2 == 0
        while not self._stop:
            self._asked += 1
            text = f"request {self._asked}"
            try:
                reply = await self._bus.call("text/upper", text, idempotent=idempotent, wait=self._patient, timeout=20)
                assert reply.json() == text.upper(), "another's reply"
                code = "ok"
            except HootError as error:
                code = error.code
            self.outcomes[code] += 1
            if self.outcomes["ok"] >= self._goal:
                self._reached.set()
            if idempotent:
                self.idempotent[code] += 1


@pytest.fixture(params=["ipc", "tcp"])
def wanted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the first broker is to serve; the next one serves where it did."""
    return f"ipc://{tmp_path_factory.mktemp('b')}" if request.param == "ipc" else "tcp://127.0.0.1:0"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path


async def pids(bus: AsyncClient, count: int) -> set[int]:
    """The processes that answer, once there are so many."""
    found: set[int] = set()
    async with asyncio.timeout(30):
        while len(found) < count:
            replies = await asyncio.gather(*(bus.call("text/pid", wait=True) for _ in range(8)))
            found |= {reply.json() for reply in replies}
    return found


def play(
    address: str, program: Path, tell: Callable[[AsyncClient, Traffic], Awaitable[None]], **traffic_of: bool
) -> Traffic:
    """Two workers, traffic, and what is told to happen meanwhile."""

    async def run() -> Traffic:
        async with AsyncClient(address) as bus:
            await pids(bus, 2)
            async with Traffic(bus, **traffic_of) as traffic:
                await traffic.answered(SETTLED)
                await tell(bus, traffic)
            return traffic

    with started("worker", "-n", "2", "program:worker", bus=address, cwd=program, log=program / "workers.log"):
        return asyncio.run(run())


def test_the_death_of_workers_is_an_outcome_for_whoever_waited(wanted: str, program: Path) -> None:
    async def tell(bus: AsyncClient, traffic: Traffic) -> None:
        for _ in range(3):
            victim = (await pids(bus, 2)).pop()
            os.kill(victim, signal.SIGKILL)
            await traffic.answered(SETTLED)

    with started("broker", bus=wanted, log=program / "broker.log") as broker:
        traffic = play(broker.line()["bus"], program, tell)
    assert set(traffic.outcomes) <= {"ok", "worker_lost"}, traffic.outcomes
    # Whatever may be repeated is carried out, as no two of the deaths were for the same request.
    assert set(traffic.idempotent) == {"ok"}, traffic.idempotent


def test_when_all_workers_die_at_once_whatever_may_be_repeated_is_carried_out_by_the_next(
    wanted: str, program: Path
) -> None:
    async def tell(bus: AsyncClient, traffic: Traffic) -> None:
        victims = await pids(bus, 2)
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        await traffic.answered(SETTLED)
        assert not await pids(bus, 2) & victims

    with started("broker", bus=wanted, log=program / "broker.log") as broker:
        traffic = play(broker.line()["bus"], program, tell, all_idempotent=True, patient=True)
    # Nothing is handed from one dead worker to the other, which would make it guilty of both deaths.
    assert set(traffic.outcomes) == {"ok"}, traffic.outcomes


def test_after_the_death_of_the_broker_everything_finds_its_successor(wanted: str, program: Path) -> None:
    with ExitStack() as brokers:
        first = brokers.enter_context(started("broker", bus=wanted, log=program / "first.log"))
        address = first.line()["bus"]

        async def tell(bus: AsyncClient, traffic: Traffic) -> None:
            first.end(signal.SIGKILL)
            second = brokers.enter_context(started("broker", bus=address, log=program / "second.log"))
            second.line()
            await traffic.answered(SETTLED)
            assert len(await pids(bus, 2)) == 2

        traffic = play(address, program, tell)
    # Between the broker's return and its workers' nobody offers the service to a request that is new.
    assert set(traffic.outcomes) <= {"ok", "worker_lost", "unknown_service"}, traffic.outcomes
    assert set(traffic.idempotent) <= {"ok", "unknown_service"}, traffic.idempotent
