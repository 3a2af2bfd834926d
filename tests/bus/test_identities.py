"""On a bus with keys an identity is its owner's, and rights are kept to: whole stories, without a socket."""

from bus_world.gate import asked, shown, typed_ready
from bus_world.world import (
    READY_ID,
    A,
    B,
    World,
    cancel,
    cancelled,
    delivered,
    dismissed,
    goodbye,
    handed,
    heartbeat,
    partial,
    ready,
    refused,
    reply,
    request,
    sent,
    welcome,
)
from hootbus.bus.access import Access, Known, Rights
from hootbus.bus.effects import Effect, Expel, Send
from hootbus.bus.inputs import AccessChanged, Malformed, Received
from hootbus.bus.limits import Limits
from hootbus.frames.errors import Denied, Overloaded
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Command, ContentType

ALICE, BOB, EVE = (name * 40 for name in (b"a", b"b", b"e"))
DRAIN = b"hoot.broker/drain"


def access(**rights: Rights) -> Access:
    """Alice and Bob, and Eve, who is let in as well: it is the identity that she has not."""
    keys = {"alice": ALICE, "bob": BOB, "eve": EVE}
    return Access({key: Known(name, rights.get(name, Rights())) for name, key in keys.items()})


def world(**rights: Rights) -> World:
    """Bob's worker w and Alice's client c are there."""
    world = World(access=access(**rights))
    assert world.hear(BOB, ready(b"w", slots=2)) == [welcome(b"w")]
    return world


# Connections have no number in these stories.
EXPELLED = Expel(EVE, (-1, -1))


def no(key: str, what: str, right: str) -> Denied:
    return Denied(f"the key {key!r} may not {what}: it lacks the right {right!r}")


def test_with_keys_a_request_goes_its_way() -> None:
    bus = world()
    assert bus.hear(ALICE, request(b"c")) == [handed(b"w", request(b"c"))]
    assert bus.hear(BOB, reply(b"w")) == [delivered(request(b"c"), reply(b"w"))]
    assert bus.dropped() == {}


def test_a_reply_under_another_workers_identity_is_let_go_and_the_request_stays() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    assert bus.hear(EVE, reply(b"w", body=b"forged")) == [EXPELLED]
    assert bus.dropped() == {"identity_taken": 1}
    assert bus.hear(BOB, reply(b"w")) == [delivered(request(b"c"), reply(b"w"))]


def test_a_reply_under_an_identity_of_ones_own_answers_nobody_elses_request() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    assert bus.hear(EVE, reply(b"e", body=b"forged")) == []
    assert bus.hear(EVE, ready(b"e", b"other")) == [welcome(b"e")]
    assert bus.hear(EVE, reply(b"e", body=b"forged")) == []
    assert bus.hear(EVE, partial(b"e")) == []
    assert bus.dropped() == {"reply_unasked": 2, "partial_unasked": 1}
    assert bus.hear(BOB, reply(b"w")) == [delivered(request(b"c"), reply(b"w"))]


def test_nobody_cancels_anothers_request() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    assert bus.hear(EVE, cancel(b"e")) == []
    assert bus.hear(EVE, cancel(b"c")) == [EXPELLED]
    assert bus.dropped() == {"cancel_unknown": 1, "identity_taken": 1}
    # Who holds the identity's connection gets nothing: what was for its owner is kept back.
    assert bus.hear(BOB, reply(b"w")) == []
    assert bus.dropped()["identity_held"] == 1


def test_the_owner_gets_its_replies_again_once_it_has_spoken() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    assert bus.hear(EVE, heartbeat(b"c")) == [EXPELLED]
    greeting = Message((b"c",), Command.HEARTBEAT, ContentType.EMPTY, READY_ID, options=Options())
    assert sent(bus.hear(ALICE, greeting)).command is Command.HEARTBEAT
    assert bus.hear(BOB, reply(b"w")) == [delivered(request(b"c"), reply(b"w"))]


def test_nobody_says_goodbye_for_another_nor_registers_in_its_place() -> None:
    bus = world()
    before = bus.core._roster.workers[b"w"]
    assert bus.hear(EVE, heartbeat(b"w")) == [EXPELLED]
    for message in (goodbye(b"w"), ready(b"w", b"other", ready_id=B), reply(b"w"), partial(b"w")):
        assert bus.hear(EVE, message) == []
    credit = Message((b"w",), Command.CREDIT, ContentType.EMPTY, A, options=Options())
    assert bus.hear(EVE, credit) == []
    assert bus.dropped() == {"identity_taken": 6}
    assert bus.core._roster.workers[b"w"] is before
    assert b"other" not in bus.core._requests.services


def test_a_request_is_not_handed_to_who_has_taken_a_workers_connection() -> None:
    bus = world()
    bus.hear(EVE, heartbeat(b"w"))
    effects = bus.hear(ALICE, request(b"c"))
    assert not any(isinstance(effect, Send) and effect.message.route[0] == b"w" for effect in effects)
    # The worker's own connection was cut by that, so it comes back with a READY, and gets what waits.
    assert bus.hear(BOB, ready(b"w", ready_id=B)) == [welcome(b"w", B), handed(b"w", request(b"c"))]


def test_what_is_no_message_does_not_speak_for_another_either() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    malformed = MalformedMessage("service", "too long", (b"c",), B)
    assert bus.step(Malformed(malformed, EVE)) == [EXPELLED]
    assert bus.dropped() == {"identity_taken": 1, "bad_frame": 1}
    assert bus.hear(BOB, reply(b"w")) == []


def test_each_right_that_is_missing_is_named() -> None:
    bus = world(alice=Rights(call=("audio/*",), subscribe=False), eve=Rights(offer=("audio",)))
    asked = request(b"c", service=b"text/upper")
    assert bus.hear(ALICE, asked) == [refused(asked, no("alice", "call 'text/upper'", "call"))]
    echo = request(b"c", B, b"hoot.events/echo")
    assert bus.hear(ALICE, echo) == [refused(echo, no("alice", "call 'hoot.events/echo'", "subscribe"))]
    drain = request(b"c", B, DRAIN)
    assert bus.hear(ALICE, drain) == [refused(drain, no("alice", "call 'hoot.broker/drain'", "admin"))]
    assert bus.core.state == "serving"
    assert bus.hear(EVE, ready(b"e")) == [dismissed(b"e", READY_ID, no("eve", "offer 'text'", "offer"))]
    assert bus.errors() == {"denied": 3}
    assert bus.dropped() == {"bad_registration": 1}


def test_who_may_not_call_the_default_service_does_not_reach_it_by_another_name() -> None:
    bus = World(default_service="text", access=access(alice=Rights(call=("other", "x*"))))
    bus.hear(BOB, ready(b"w"))
    asked = request(b"c", A, service=b"xyz/upper")
    assert bus.hear(ALICE, asked) == [refused(asked, no("alice", "call 'text/upper'", "call"))]


def test_a_right_to_the_default_service_that_is_taken_away_ends_what_it_has_taken() -> None:
    bus = World(default_service="text", access=access())
    bus.hear(BOB, ready(b"w"))
    asked = request(b"c", A, service=b"xyz/upper")
    bus.hear(ALICE, asked)
    denied = no("alice", "call 'text/upper'", "call")
    told: list[Effect] = bus.step(AccessChanged(access(alice=Rights(call=("xyz",)))))
    assert told == [refused(asked, denied), cancelled(b"w", denied)]


def test_who_may_administer_may_drain() -> None:
    bus = world(alice=Rights(admin=True))
    bus.hear(ALICE, request(b"c", B, DRAIN))
    assert bus.core.state == "draining"


def test_without_keys_nobody_drains_over_an_address_that_all_reach() -> None:
    bus = World(access=Access(admin=False))
    drain = request(b"c", B, DRAIN)
    error = Denied("'hoot.broker/drain' needs an ipc address, or keys and the right 'admin'")
    assert bus.get(drain) == [refused(drain, error)]
    assert bus.core.state == "serving"


def test_a_revoked_keys_worker_is_dismissed_and_its_client_told() -> None:
    bus = world()
    bus.hear(EVE, ready(b"e", b"audio"))
    bus.hear(ALICE, request(b"c"))
    bus.hear(EVE, request(b"x", B))
    left = Access({ALICE: Known("alice", Rights()), BOB: Known("bob", Rights())})
    gone = Denied("this key is not among those that the broker lets in (any more)")
    told: list[Effect] = bus.step(AccessChanged(left))
    assert told == [
        dismissed(b"e", error=gone),
        refused(request(b"x", B), gone),
        cancelled(b"w", gone, B),
    ]
    assert b"e" not in bus.core._roster.workers
    # What it sends from now on is for nobody, but a request has its answer.
    assert bus.hear(EVE, heartbeat(b"x")) == [Expel(b"", (-1,))]
    assert bus.hear(EVE, request(b"x", B)) == [refused(request(b"x", B), gone)]
    assert bus.dropped() == {"key_unknown": 2}
    assert bus.hear(BOB, reply(b"w")) == [delivered(request(b"c"), reply(b"w"))]


def test_a_right_that_is_taken_away_ends_what_rests_on_it_and_nothing_else() -> None:
    bus = world()
    bus.hear(ALICE, request(b"c"))
    bus.hear(EVE, request(b"x", B))
    effects = bus.step(AccessChanged(access(eve=Rights(call=()))))
    error = no("eve", "call 'text'", "call")
    assert effects == [refused(request(b"x", B), error), cancelled(b"w", error, B)]


def test_the_connections_that_are_cut_are_the_owners_last_one_and_the_usurpers() -> None:
    bus = world()
    for number in (5, 6):
        bus.step(Received(request(b"c", A), ALICE, number))
    assert bus.step(Received(cancel(b"c"), EVE, 7)) == [Expel(EVE, (6, 7))]


def test_an_identity_is_free_again_when_its_owner_has_been_silent_for_long_and_has_nothing() -> None:
    bus = World(Limits(identity_idle_s=10.0), access=access())
    bus.hear(BOB, ready(b"w"))
    bus.hear(ALICE, request(b"c"))
    bus.hear(BOB, reply(b"w"))
    for _ in range(12):
        bus.hear(BOB, heartbeat(b"w"), after=1.0)
        bus.tick()
    assert bus.core._admission.identities.owner(b"c") == b""
    assert bus.core._admission.identities.owner(b"w") == BOB
    assert sent(bus.hear(EVE, request(b"c", B))).route[0] == b"w"


def test_who_is_silent_and_waits_for_a_reply_keeps_its_identity() -> None:
    bus = World(Limits(identity_idle_s=10.0), access=access())
    bus.hear(BOB, ready(b"w"))
    bus.hear(ALICE, request(b"c"))
    for _ in range(12):
        bus.hear(BOB, heartbeat(b"w"), after=1.0)
        bus.tick()
    assert bus.core._admission.identities.owner(b"c") == ALICE


def test_an_identity_that_somebody_else_holds_is_forgotten_with_its_owner() -> None:
    bus = World(Limits(identity_idle_s=10.0), access=access())
    bus.hear(ALICE, heartbeat(b"c", Options()))
    assert bus.hear(EVE, heartbeat(b"c", Options())) == [EXPELLED]
    assert bus.core._admission.identities.is_usurped(b"c")
    bus.tick(after=10.0)
    assert not bus.core._admission.identities.is_owned(b"c")
    assert sent(bus.hear(EVE, heartbeat(b"c", Options()))).route == (b"c",)


def test_a_worker_whose_right_is_taken_away_while_its_schema_is_asked_for_does_not_come_in() -> None:
    bus = world()
    question = asked(bus.hear(EVE, typed_ready(b"e", service=b"audio")))
    error = no("eve", "offer 'audio'", "offer")
    assert bus.step(AccessChanged(access(eve=Rights(offer=())))) == [dismissed(b"e", READY_ID, error)]
    assert bus.hear(EVE, shown(question)) == []
    assert b"e" not in bus.core._roster.workers
    assert len(bus.core._gate) == 0


def test_identities_are_bounded_and_those_in_use_are_not_given_away() -> None:
    bus = World(Limits(identities=2), access=access())
    bus.hear(BOB, ready(b"w"))
    for number in range(5):
        bus.hear(EVE, Message((b"%d" % number,), Command.HEARTBEAT, ContentType.EMPTY, A, options=Options()))
    assert len(bus.core._admission.identities) == 2
    assert bus.core._admission.identities.owner(b"w") == BOB
    bus.hear(ALICE, request(b"c"))
    assert bus.hear(EVE, heartbeat(b"9")) == []
    late = request(b"8", B)
    assert bus.hear(EVE, late) == [refused(late, Overloaded("the broker knows as many peers as it may"))]
    assert bus.dropped() == {"identities_full": 2}
    assert bus.core.tally.reached["identities"] == 7


def test_a_dialled_service_needs_no_key() -> None:
    bus = World(access=access())
    bus.dial(b"l")
    assert bus.hear(ALICE, request(b"c")) == [handed(b"l", request(b"c"), sent_id(bus), plain=True)]
    assert bus.get(reply(b"l", sent_id(bus), plain=True)) != []
    # But it is a worker, and nothing else.
    (answer,) = bus.get(request(b"l", B))
    assert isinstance(answer, Send)
    assert answer.message.options is not None
    assert answer.message.options.status == Denied.number


def sent_id(bus: World) -> bytes:
    """The id under which the dialled service has the request."""
    (worker,) = bus.core._roster.workers.values()
    return next(iter(worker.in_flight), A)
