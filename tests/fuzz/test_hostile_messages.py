"""Messages that no honest peer sends, against a broker's process: each is counted, and answered where it can be."""

import random

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.notation import COMMANDS, CONTENT_TYPES, SIGNATURE, options
from fuzz.messages import BODIES, IDS, hostile_bodies, message, mutated
from fuzz.served import MEBIBYTE, Served, fence, flush, receive, serving

PLAIN = message("HEARTBEAT", "EMPTY", IDS[0], b"", b"")


def test_0_to_200_frames_of_garbage_are_counted_each(served: Served) -> None:
    chance = random.Random(1)
    before = served.dropped()
    peer = served.peer()
    for count in range(201):
        # The least that ZeroMQ can send is one empty frame.
        peer.send_multipart([chance.randbytes(chance.randrange(40)) for _ in range(count)] or [b""])
    fence(peer)
    after = served.dropped()
    assert after["bad_frame"] - before["bad_frame"] == 201
    assert after["bad_frame.signature"] - before.get("bad_frame.signature", 0) == 201


def test_a_message_with_0_to_200_frames_behind_the_signature(served: Served) -> None:
    before = served.dropped()
    peer = served.peer()
    for count in range(201):
        peer.send_multipart([SIGNATURE, *[b""] * count])
    fence(peer)
    after = served.dropped()
    assert after["bad_frame"] - before["bad_frame"] == 201
    assert after["bad_frame.frames"] - before.get("bad_frame.frames", 0) == 6


def test_0_to_200_return_addresses(served: Served) -> None:
    before = served.dropped()
    peer = served.peer()
    for count in range(201):
        peer.send_multipart([*[b"a"] * count, *PLAIN])
    answers = flush(peer)
    assert answers == [[*[b"a"] * count, *PLAIN] for count in range(9)]
    assert served.dropped()["bad_frame"] - before["bad_frame"] == 192


@pytest.mark.parametrize(
    ("place", "field", "wrong"),
    [
        (0, "signature", [b"", b"HOOT0", b"HOOT011", b"HOOT02", b"hoot01", b"HOOT01" * 50_000]),
        (1, "command", [b"", b"\2", b"\0\0", b"\0\t", b"\xff\xff", b"\2\0", b"\0\2\0", b"\0\2" * 5000]),
        (2, "content_type", [b"", b"\0", b"\0\4", b"\xff\xff", b"\1\0", b"\0\0\1", b"\0\1" * 5000]),
        (3, "request_id", [b"", b"i" * 15, b"i" * 17, b"i" * 100_000]),
        (4, "service", [b"s" * 256, b"s" * 100_000]),
        (5, "traceparent", [b"t" * 513, b"t" * 100_000]),
        (7, "options", [b"o", b"o" * 32, bytes(33), bytes(520), b"\4" + bytes(31), b"o" * 100_000]),
    ],
)
def test_a_header_that_is_cut_short_or_too_long_is_counted_by_its_name(
    served: Served, place: int, field: str, wrong: list[bytes]
) -> None:
    before = served.dropped()
    peer = served.peer()
    for command in COMMANDS:
        for frame in wrong:
            frames = [*message(command, "EMPTY", IDS[0], b"", b""), b""]
            frames[place] = frame
            peer.send_multipart(frames)
    # Of all these only the sender of a REQUEST can be told, if its id can be read.
    told = 0 if field in ("signature", "command", "request_id") else len(wrong)
    answers = flush(peer)
    assert len(answers) == told
    assert all(answer[1] == COMMANDS["REPLY"] and b'"bad_frame"' in answer[6] for answer in answers)
    after = served.dropped()
    assert after[f"bad_frame.{field}"] - before.get(f"bad_frame.{field}", 0) == len(wrong) * len(COMMANDS)
    assert after["bad_frame"] - before["bad_frame"] == len(wrong) * len(COMMANDS)


def test_all_commands_and_content_types_that_there_are_not(served: Served) -> None:
    before = served.dropped()
    peer = served.peer()
    for number in [0, *range(9, 200), 255, 256, 512, 65535]:
        peer.send_multipart([SIGNATURE, number.to_bytes(2, "big"), CONTENT_TYPES["EMPTY"], IDS[0], b"", b"", b""])
        peer.send_multipart([SIGNATURE, COMMANDS["REPLY"], (number or 4).to_bytes(2, "big"), IDS[0], b"", b"", b""])
    fence(peer)
    after = served.dropped()
    for field in ("command", "content_type"):
        assert after[f"bad_frame.{field}"] - before.get(f"bad_frame.{field}", 0) == 196


def test_bodies_that_are_not_what_they_claim_to_be(served: Served) -> None:
    worker, client, other = served.peer(), served.peer(), served.peer()
    services = (b"", b"hoot.events/echo", b"hoot.broker/status")
    asked = 0
    for body in hostile_bodies().values():
        for more in ((), (options(flags=16),)):
            worker.send_multipart(message("READY", "CAPNPROTO", IDS[0], b"up", body, *more))
            for service in services:
                client.send_multipart(message("REQUEST", "CAPNPROTO", asked.to_bytes(16), service, body, *more))
                asked += 1
        other.send_multipart(message("HEARTBEAT", "CAPNPROTO", IDS[0], b"", body))
        assert receive(other) == PLAIN
    answers = flush(client)
    assert [answer[3] for answer in answers] == [number.to_bytes(16) for number in range(asked)]
    assert {answer[1] for answer in answers} == {COMMANDS["REPLY"]}
    worker.send_multipart(message("DISCONNECT", "EMPTY", IDS[0], b"", b""))
    flush(worker)
    fence(client)


def test_json_bodies_that_are_not_what_they_claim_to_be(served: Served) -> None:
    client = served.peer()
    for body in [*hostile_bodies().values(), *BODIES, b'{"topic":"hoot.echo.\\u0000"}', b"[" * MEBIBYTE, b"1" * 5000]:
        client.send_multipart(message("REQUEST", "JSON", IDS[0], b"hoot.events/echo", body))
        assert receive(client)[3] == IDS[0]
    fence(client)


def test_replies_that_nobody_asked_for_reach_nobody(served: Served) -> None:
    before = served.dropped()
    client, forger = served.peer(ROUTING_ID=b"a client"), served.peer()
    for identifier in IDS:
        client.send_multipart(message("REQUEST", "JSON", identifier, b"later", b"{}", options(flags=4)))
    fence(client)
    for identifier in IDS:
        for route in ([], [b"a client"], [b"a client", b""]):
            for command in ("REPLY", "PARTIAL", "CANCEL", "CREDIT"):
                forger.send_multipart([*route, *message(command, "JSON", identifier, b"later", b"{}", options())])
    fence(forger)
    fence(client)
    after = served.dropped()
    for reason in ("reply_unasked", "partial_unasked", "cancel_unknown", "credit_unknown"):
        assert after[reason] - before[reason] == 9, reason
    client.send_multipart(message("DISCONNECT", "EMPTY", IDS[0], b"", b""))
    assert {frames[3] for frames in flush(client)} == set(IDS)


@pytest.mark.parametrize(
    "identity",
    [b"HOOT01", b"\0", b"\0dial-out-0", b"\0\0\0\0\1", b"i" * 255, b"\xff", b"hoot.broker", b"well"],
    ids=["signature", "zero", "dial-out", "automatic", "long", "not UTF-8", "broker", "short"],
)
def test_an_identity_of_any_form_gets_its_own_answers_and_no_others(served: Served, identity: bytes) -> None:
    peer = served.peer(ROUTING_ID=identity)
    fence(peer)
    peer.send_multipart([b"HOOT0", *message("REQUEST", "JSON", IDS[0], b"nobody", b"{}")])
    assert receive(peer)[:5] == [b"HOOT0", SIGNATURE, COMMANDS["REPLY"], CONTENT_TYPES["JSON"], IDS[0]]
    served.serves_well()
    fence(peer)


def test_a_peer_that_takes_a_workers_identity_gets_what_that_worker_gets_and_no_more(served: Served) -> None:
    client = served.peer()
    worker = served.peer(ROUTING_ID=b"the worker")
    worker.send_multipart(message("READY", "EMPTY", IDS[0], b"up", b""))
    flush(worker)
    client.send_multipart(message("REQUEST", "RAW", IDS[1], b"up", b"for the worker"))
    while receive(worker)[1] != COMMANDS["REQUEST"]:
        pass
    # It is the same peer again as far as anybody can tell: WIRE §2, "Identity". What it had in flight is lost with its
    # registration, not handed to it.
    thief = served.peer(ROUTING_ID=b"the worker")
    thief.send_multipart(message("READY", "EMPTY", IDS[2], b"up", b""))
    assert flush(thief) == []
    worker.close()
    assert b'"worker_lost"' in receive(client)[6]
    fence(client)
    thief.send_multipart(message("DISCONNECT", "EMPTY", IDS[2], b"", b""))
    flush(thief)


def test_mutated_messages_leave_a_broker_that_serves(served: Served) -> None:
    peers = [served.peer() for _ in range(4)] + [served.peer(ROUTING_ID=b"HOOT01")]
    judge = served.peer()
    steps = st.lists(st.tuples(st.integers(0, len(peers) - 1), mutated()), max_size=10)

    @settings(max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck])
    @given(steps)
    def send(messages: list[tuple[int, list[bytes]]]) -> None:
        for number, frames in messages:
            if frames and b"hoot.broker/drain" not in frames:
                peers[number].send_multipart(frames)
        for peer in peers:
            while peer.poll(0):
                peer.recv_multipart()
        fence(judge)

    send()
    for peer in peers:
        peer.send_multipart(message("DISCONNECT", "EMPTY", IDS[0], b"", b""))
        peer.send_multipart(message("DISCONNECT", "EMPTY", IDS[0], b"", b""))
        flush(peer)


def test_a_dialled_service_cannot_be_spoken_for() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    service = context.socket(zmq.ROUTER)
    service.setsockopt(zmq.LINGER, 0)
    port = service.bind_to_random_port("tcp://127.0.0.1")
    try:
        with serving(f"text=tcp://127.0.0.1:{port}") as served, served.scene():
            served.until(lambda status: status["workers"] == 1, "the service is not dialled")
            client = served.peer()
            client.send_multipart(message("REQUEST", "RAW", IDS[0], b"text", b"hello"))
            while (frames := receive(service))[2] == COMMANDS["HEARTBEAT"]:
                pass
            for number in range(3):
                forger = served.peer(ROUTING_ID=b"\0dial-out-%d" % number)
                forger.send_multipart(message("REPLY", "RAW", frames[4], b"text", b"forged"))
                forger.send_multipart(message("DISCONNECT", "EMPTY", IDS[1], b"text", b""))
                fence(forger)
            service.send_multipart([frames[0], *message("REPLY", "RAW", frames[4], b"text", b"HELLO")])
            assert receive(client)[6] == b"HELLO"
    finally:
        context.destroy(linger=0)


def test_a_storm_of_bad_messages_takes_no_memory(served: Served) -> None:
    peer = served.peer()
    chance = random.Random(2)

    with served.grows_at_most(16 * MEBIBYTE):
        for _ in range(5_000):
            peer.send_multipart([b"x" * chance.randrange(3000), b"y" * 100])
            peer.send_multipart(message("REPLY", "RAW", chance.randbytes(16), chance.randbytes(100), b"z" * 2000))
            peer.send_multipart(message("CANCEL", "RAW", chance.randbytes(16), chance.randbytes(9), b""))
        fence(peer)
