"""Ends in good order, in mid-traffic: whatever was accepted is carried out, and whatever was not is known not to be."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from cli.shell import Started, is_alive, started, until
from ends.ledger import Ledger, write_program
from hootbus.bus.embedded import EmbeddedBroker
from hootbus.frames import (
    Command,
    ContentType,
    Message,
    Options,
    Wire,
    aligned_context,
    dealer,
    parse,
    parse_address,
    serialize,
)
from hootbus.frames.errors import BrokerStopping
from hootbus.frames.options import NO_OPTIONS
from hootbus.frames.protocol import Flag
from hootbus.schemas import Registration, write_registration
from hootbus.workers import AsyncClient
from hootbus.workers.failure import refusal_of

Story = Callable[[AsyncClient, Ledger], Awaitable[None]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_program(tmp_path)


def play(address: str, folder: Path, story: Story, *, patient: bool = False) -> Ledger:
    """Traffic, and what happens meanwhile; the ledger, balanced."""

    async def run() -> Ledger:
        async with AsyncClient(address) as bus:
            await bus.call("text/pid", wait=True)
            async with Ledger(bus, folder, patient=patient) as ledger:
                await ledger.answered()
                await story(bus, ledger)
            return ledger

    ledger = asyncio.run(run())
    ledger.balance()
    return ledger


async def ended(process: Started) -> int:
    return await asyncio.to_thread(process.process.wait, 30)


async def pids(bus: AsyncClient, wanted: Callable[[set[int]], bool]) -> set[int]:
    """The processes that are attached, once they are as wanted."""
    async with asyncio.timeout(30):
        while True:
            told = (await bus.call("hoot.broker/workers", idempotent=True)).json()["workers"]
            found = {worker["pid"] for worker in told if worker["state"] != "draining"}
            if wanted(found):
                return found
            await asyncio.sleep(0.02)


def test_a_broker_told_to_end_finishes_what_it_accepted_and_its_successor_takes_what_may_be_repeated(
    folder: Path,
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(started("broker", bus=f"ipc://{folder}/b", log=folder / "first.log"))
        address = first.line()["bus"]
        options = ("-n", "2", "program:worker")
        stack.enter_context(started("worker", *options, bus=address, cwd=folder, log=folder / "workers.log"))

        async def story(bus: AsyncClient, ledger: Ledger) -> None:
            first.process.send_signal(signal.SIGTERM)
            assert await ended(first) == 0
            second = stack.enter_context(started("broker", bus=address, log=folder / "second.log"))
            await asyncio.to_thread(second.line)
            await ledger.answered()
            assert len(await pids(bus, lambda found: len(found) == 2)) == 2

        ledger = play(address, folder, story, patient=True)
    assert set(ledger.outcomes("again")) == {"ok"}, ledger.outcomes()
    # Those that came while it drained were refused, and carried out by nobody.
    assert set(ledger.outcomes("once")) <= {"ok", "broker_stopping"}, ledger.outcomes()


def test_a_broker_that_ends_tells_its_peers_so(tmp_path: Path) -> None:
    """The peers here are bare sockets: a client that has said hello, a plain one, and a worker."""
    context = aligned_context()
    with started("broker", bus=f"ipc://{tmp_path}/b", log=tmp_path / "log") as broker, ExitStack() as stack:
        stack.callback(context.term)
        address = parse_address(broker.line()["bus"])

        def say(message: Message) -> Wire:
            wire = Wire(dealer(context))
            stack.callback(wire.close, 0)
            wire.socket.connect(address.requests)
            assert wire.socket.poll(5000, zmq.POLLOUT)
            wire.send(serialize(message))
            assert heard(wire).command is Command.HEARTBEAT
            return wire

        identity = bytes([1]) * 16
        registration = Registration(
            worker_id=identity, name="w", hostname="h", version="0", pid=1, slots=1, extension_version=1
        )
        hello = Message((), Command.HEARTBEAT, ContentType.EMPTY, identity, options=NO_OPTIONS)
        client, plain = say(hello), say(Message((), Command.HEARTBEAT, ContentType.EMPTY, identity))
        options = Options(flags=Flag.WORKER)
        body = write_registration(identity, registration)
        worker = say(Message((), Command.READY, ContentType.CAPNPROTO, identity, b"text", body=body, options=options))
        assert broker.end() == 0
        for told in (worker, client):
            while (message := heard(told)).command is Command.HEARTBEAT:
                pass
            assert message.command is Command.DISCONNECT
            assert isinstance(refusal_of(message), BrokerStopping)
        assert plain.receive() is None


def heard(wire: Wire) -> Message:
    assert wire.socket.poll(5000, zmq.POLLIN)
    frames = wire.receive()
    assert frames is not None
    return parse(frames)


def test_workers_told_to_end_finish_what_they_have_and_nothing_that_others_can_take_is_refused(
    hoot_bus: EmbeddedBroker, folder: Path
) -> None:
    options = ("worker", "program:worker")
    with ExitStack() as stack:
        workers = [
            stack.enter_context(started(*options, bus=hoot_bus.address, cwd=folder, log=folder / f"{number}.log"))
            for number in (1, 2)
        ]
        for worker in workers:
            worker.line()

        async def story(bus: AsyncClient, ledger: Ledger) -> None:
            workers[0].process.send_signal(signal.SIGTERM)
            assert await ended(workers[0]) == 0
            await ledger.answered()

        ledger = play(hoot_bus.address, folder, story)
    assert set(ledger.outcomes()) == {"ok"}, ledger.outcomes()


def test_sighup_replaces_one_process_after_the_other_and_no_request_notices(
    hoot_bus: EmbeddedBroker, folder: Path
) -> None:
    # One process alone: its successor has to serve before it ends.
    options = ("worker", "-n", "1", "program:worker")
    with started(*options, bus=hoot_bus.address, cwd=folder, log=folder / "log") as supervisor:

        async def story(bus: AsyncClient, ledger: Ledger) -> None:
            before = await pids(bus, lambda found: len(found) == 1)
            supervisor.process.send_signal(signal.SIGHUP)
            await pids(bus, lambda found: len(found) == 1 and not found & before)
            await ledger.answered()
            await asyncio.to_thread(until, lambda: not any(map(is_alive, before)), "the old one has ended")
            # What cannot begin replaces nothing.
            (folder / "program.py").write_text("broken = 1 / 0\n")
            supervisor.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(until, lambda: "stays as it is" in supervisor.err, "the new one has failed")
            await ledger.answered()

        ledger = play(hoot_bus.address, folder, story)
        assert supervisor.end() == 0
    assert set(ledger.outcomes()) == {"ok"}, ledger.outcomes()


def test_a_worker_that_has_done_its_part_is_replaced_and_no_request_notices(
    hoot_bus: EmbeddedBroker, folder: Path
) -> None:
    options = ("worker", "-n", "1", "--recycle-requests", "50", "program:worker")
    with started(*options, bus=hoot_bus.address, cwd=folder, log=folder / "log") as supervisor:

        async def story(bus: AsyncClient, ledger: Ledger) -> None:
            before = await pids(bus, lambda found: len(found) == 1)
            await pids(bus, lambda found: len(found) == 1 and not found & before)
            await ledger.answered()
            await asyncio.to_thread(until, lambda: "has ended as asked" in supervisor.err, "the old one has ended")

        ledger = play(hoot_bus.address, folder, story)
        assert supervisor.end() == 0
        assert "again in" not in supervisor.err
    assert set(ledger.outcomes()) == {"ok"}, ledger.outcomes()


def test_a_lone_worker_that_has_more_memory_than_it_may_drains_and_ends_well(
    hoot_bus: EmbeddedBroker, folder: Path
) -> None:
    options = ("worker", "--recycle-mb", "1", "program:worker")
    with started(*options, bus=hoot_bus.address, cwd=folder, log=folder / "log") as worker:
        worker.line()
        assert worker.process.wait(30) == 0
        assert "is to be recycled" in worker.err
