"""SIGSTOP and SIGCONT: processes that hang and come back; clients and subscribers that do not read."""

import sys

import pytest
import zmq

from benchmarks.crowd.procfs import descriptors
from benchmarks.processes import rss_bytes
from chaos import listening
from chaos.ledger import OK
from chaos.stage import Stage
from cli.shell import until
from hootbus.frames import Command, ContentType, Message, Wire, aligned_context, dealer, parse_address, serialize
from hootbus.workers import Publisher, Subscriber
from hootbus.workers.connection import IdSource, new_identity

SETTLED = 100
MEBIBYTE = 1024 * 1024
BODY_BYTES = 200
FLOOD = 16_000

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")


def test_a_worker_that_hangs_is_lost_and_attaches_again_when_it_comes_back(stage: Stage) -> None:
    stage.start_broker()
    workers = [stage.start_worker() for _ in range(2)]
    for worker in workers:
        worker.answer()
    for name in ("a", "b"):
        stage.start_asker(name, seed=ord(name))
    stage.answered(SETTLED)
    stage.pause(workers[0])
    # Found by its connection, long before it would be by its silence.
    stage.until_workers(1)
    stage.answered(SETTLED)
    stage.resume(workers[0])
    stage.until_workers(2)
    stage.answered(SETTLED)
    sums = stage.settle()
    assert set(sums.outcomes) <= {OK, "worker_lost"}, sums
    assert set(sums.of_repeatable) == {OK}, sums
    stage.until_idle()


def test_a_broker_that_hangs_for_a_moment_costs_no_request(stage: Stage) -> None:
    broker = stage.start_broker()
    stage.start_worker().answer()
    stage.start_asker("a", idempotent=1.0, patient=True, repeat_streams=False)
    stage.answered(SETTLED)
    stage.pause(broker)
    # Requests go on being sent to it until every caller waits for one.
    stage.resume(broker)
    stage.answered(SETTLED)
    assert set(stage.settle().outcomes) == {OK}
    stage.until_idle()


@linux
def test_a_client_that_hangs_with_its_replies_under_way_is_let_go_and_has_its_outcomes_later(stage: Stage) -> None:
    broker = stage.start_broker()
    stage.start_worker().answer()
    stage.start_asker("well", idempotent=1.0)
    stage.answered(SETTLED)
    connections = descriptors(broker.pid)
    hung = stage.start_asker("hung", timeout_s=2.0, reply_bytes=1000, streams=0.0)
    stage.answered(SETTLED)
    stage.pause(hung.child)
    stage.answered(SETTLED)
    # Its connection is found dead, and what was still to be sent to it goes with it.
    until(lambda: descriptors(broker.pid) == connections, "its connection is closed")
    stage.answered(SETTLED)
    stage.resume(hung.child)
    stage.answered(SETTLED)
    sums = stage.settle()
    assert set(sums.outcomes) <= {OK, "deadline_exceeded"}, sums
    stage.until_idle()


@linux
def test_a_client_that_asks_and_never_reads_fills_its_own_pipe_and_nothing_else(stage: Stage) -> None:
    broker = stage.start_broker()
    stage.start_worker().answer()
    stage.start_asker("well")
    stage.answered(SETTLED)
    before = rss_bytes(broker.pid)
    # A peer of its own make, which takes in one message: each question is answered at once.
    context = aligned_context()
    socket = dealer(context, new_identity())
    socket.setsockopt(zmq.RCVHWM, 1)
    wire = Wire(socket)
    wire.socket.connect(parse_address(stage.address).requests)
    new_id = IdSource()
    asked = 0
    try:
        while not stage.ask_broker("status")["dropped"]["client_full"]:
            for _ in range(5000):
                asked += 1
                wire.send(serialize(Message((), Command.HEARTBEAT, ContentType.EMPTY, new_id())))
        grown = rss_bytes(broker.pid) - before
        assert grown < 64 * MEBIBYTE, f"grown by {grown} bytes over {asked} questions"
        stage.answered(SETTLED)
    finally:
        wire.close(0)
        context.term()
    assert set(stage.settle().outcomes) == {OK}


@linux
def test_a_subscriber_that_hangs_has_what_waits_for_it_counts_the_rest_and_slows_nobody(stage: Stage) -> None:
    stage.start_broker()
    with Publisher(stage.address) as publisher, Subscriber("jobs.", address=stage.address) as quick:
        slow = stage.start(listening.listen_slowly, address=stage.address, topic="jobs.")
        slow.answer()
        publisher.publish("jobs.done", bytes(BODY_BYTES))
        assert slow.answer()["sequence"] == 0
        quick.receive(10)
        stage.pause(slow)
        # More than the pipe to it and the system take; what comes then is lost for it, and for it alone.
        published = 1
        for _ in range(FLOOD):
            publisher.publish("jobs.done", bytes(BODY_BYTES))
            quick.receive(10)
            published += 1
        stage.resume(slow)
        told = {"received": 0, "lost": 0}
        while told["received"] + told["lost"] < published:
            # Only a next event can show what is missing in front of it.
            publisher.publish("jobs.done", bytes(BODY_BYTES))
            quick.receive(10)
            published += 1
            told = slow.ask(seconds=0.1)
    assert told["received"] + told["lost"] == published
    assert told["lost"] >= 10
    assert quick.lost == 0
