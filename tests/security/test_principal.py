"""Who sent a message, as both doors to libzmq tell it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from hootbus.bus.access import Access, Known, Rights
from hootbus.bus.zap import Authenticator
from hootbus.frames import fallback, wire
from hootbus.frames.context import aligned_context
from hootbus.frames.keys import Keys
from hootbus.frames.sockets import dealer, router


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    context = aligned_context()
    yield context
    context.term()


@pytest.mark.parametrize("door", [wire.Wire, fallback.Wire])
def test_a_message_comes_with_the_key_of_its_sender(
    door: Callable[..., Any], context: "zmq.Context[zmq.Socket[bytes]]"
) -> None:
    broker = Keys(*zmq.curve_keypair())
    peers = [Keys(*zmq.curve_keypair(), broker.public) for _ in range(2)]
    keeper = Authenticator(context, Access({peer.public: Known("peer", Rights()) for peer in peers}))
    keeper.start()
    served = router(context, broker)
    served.bind("tcp://127.0.0.1:*")
    authenticated, plain = door(served, True), door(dealer(context))
    assert (authenticated.principal, plain.principal) == (b"", b"")
    connections, senders = set(), []
    for peer in (*peers, peers[0]):
        sender = dealer(context, keys=peer)
        senders.append(sender)
        sender.connect(str(served.getsockopt_string(zmq.LAST_ENDPOINT)))
        sender.send_multipart([b"one", b"", b"x" * 100_000])
        assert served.poll(10_000)
        assert len(authenticated.receive()) == 4
        assert authenticated.principal == peer.public
        connections.add(authenticated.descriptor)
    assert len(connections) == 3
    assert -1 not in connections
    assert authenticated.receive() is None
    assert (plain.principal, plain.descriptor) == (b"", -1)
    for socket in (*senders, served, plain.socket):
        socket.close(0)


def test_a_key_that_has_claimed_anothers_identity_is_kept_out() -> None:
    context = aligned_context()
    key = zmq.curve_keypair()[0]
    keeper = Authenticator(context, Access({key: Known("eve", Rights())}))
    question = [b"1.0", b"id", b"requests", b"10.0.0.1", b"", b"CURVE", zmq.utils.z85.decode(key)]
    assert keeper._answer(question) == [b"1.0", b"id", b"200", b"", key, b""]
    for wrong in (
        question[:3],
        [b"2.0", *question[1:]],
        [*question[:5], b"NULL", b""],
        # A name that whoever connects has chosen.
        [*question[:5], b"PLAIN", question[6]],
        [*question[:6], b"short"],
    ):
        assert keeper._answer(wrong)[2] == b"400"
    keeper.bar(key)
    assert keeper._answer(question)[2] == b"400"
    assert keeper.denied == 6
    keeper.close()
    context.term()
