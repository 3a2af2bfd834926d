"""Who may do what."""

import pytest

from hootbus.bus.access import Access, Known, Rights
from hootbus.bus.zap import objection

ALICE, BOB, EVE = (name * 40 for name in (b"a", b"b", b"e"))


def access(alice: Rights, bob: Rights | None = None) -> Access:
    return Access({ALICE: Known("alice", alice), BOB: Known("bob", bob or Rights())})


@pytest.mark.parametrize(
    ("patterns", "service", "allowed"),
    [
        (("*",), b"text", True),
        (("text", "audio.*"), b"audio.peaks", True),
        (("text", "audio.*"), b"audio", False),
        ((), b"text", False),
        (("*",), b"hoot.recorder", False),
        (("h*",), b"hoot.recorder", False),
        (("hoot.recorder",), b"hoot.recorder", True),
        (("TEXT",), b"text", False),
        (("*",), b"\xff", True),
    ],
)
def test_a_key_offers_what_its_patterns_name(patterns: tuple[str, ...], service: bytes, allowed: bool) -> None:
    judge = access(Rights(offer=patterns))
    assert judge.may_offer(ALICE, service) is allowed
    assert (judge.offer_refusal(ALICE, service) is None) is allowed


@pytest.mark.parametrize(
    ("patterns", "target", "allowed"),
    [
        (("*",), b"text/upper", True),
        (("text",), b"text/upper", True),
        (("text",), b"text", True),
        (("text/*",), b"text/upper", True),
        (("text/*",), b"text", True),
        (("text/upper",), b"text/lower", False),
        # The worker would choose the method, and it need not be this one.
        (("text/upper",), b"text", False),
        (("te*/up*",), b"text/upper", True),
        (("text/*",), b"texts/upper", False),
        # A star for services goes over no slash, and one for methods over all there are.
        (("*x/y",), b"text/x/y", False),
        ((), b"text/upper", False),
    ],
)
def test_a_key_calls_what_its_patterns_name(patterns: tuple[str, ...], target: bytes, allowed: bool) -> None:
    judge = access(Rights(call=patterns))
    assert judge.may_call(ALICE, target) is allowed
    # The second answer is a kept one.
    assert judge.may_call(ALICE, target) is allowed
    assert judge.may_call(EVE, target) is False


def test_what_the_broker_tells_of_itself_all_may_ask_that_are_let_in() -> None:
    judge = access(Rights(offer=(), call=(), publish=False, subscribe=False))
    for method in (b"status", b"services", b"workers", b"schema", b"compare"):
        assert judge.may_call(ALICE, b"hoot.broker/" + method)
        assert not judge.may_call(EVE, b"hoot.broker/" + method)


@pytest.mark.parametrize("target", [b"hoot.broker/drain", b"hoot.quarantine", b"hoot.quarantine/drop"])
def test_to_administer_is_a_right_of_its_own(target: bytes) -> None:
    judge = access(Rights(call=("*", "hoot.*")), Rights(admin=True))
    assert [judge.may_call(key, target) for key in (ALICE, BOB, EVE)] == [False, True, False]
    assert [judge.may_administer(key) for key in (ALICE, BOB, EVE)] == [False, True, False]
    refusal = judge.call_refusal(ALICE, target)
    assert refusal is not None
    assert refusal.message == f"the key 'alice' may not call {target.decode()!r}: it lacks the right 'admin'"


@pytest.mark.parametrize("target", [b"hoot.events/echo", b"hoot.recorder/since"])
def test_who_may_not_listen_gets_events_by_no_other_way(target: bytes) -> None:
    judge = access(Rights(call=("*",), subscribe=False))
    assert [judge.may_call(key, target) for key in (ALICE, BOB)] == [False, True]


def test_without_keys_all_is_allowed_and_the_address_tells_who_administers() -> None:
    for admin in (True, False):
        judge = Access(admin=admin)
        assert not judge.keyed
        assert judge.may_offer(b"", b"text")
        assert judge.may_call(b"", b"text/upper")
        assert judge.may_publish(b"")
        assert judge.may_subscribe(b"")
        assert judge.may_administer(b"") is judge.may_call(b"", b"hoot.broker/drain") is admin


def test_answers_are_kept_for_a_bounded_number_of_targets() -> None:
    judge = access(Rights())
    for number in range(10_050):
        judge.may_call(ALICE, b"text%d" % number)
    assert len(judge._calls) <= 10_000


@pytest.mark.parametrize(
    ("domain", "allowed"), [(b"requests", True), (b"publish", False), (b"subscribe", True), (b"", False)]
)
def test_the_doorkeeper_lets_each_key_to_the_sockets_it_has_the_right_to(domain: bytes, allowed: bool) -> None:
    judge = access(Rights(publish=False))
    assert (objection(judge, domain, ALICE) == "") is allowed
    assert objection(judge, domain, EVE)
