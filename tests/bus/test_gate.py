"""The gate: types that no worker of the service has yet are judged before they are spoken to."""

import sys
from typing import Any

import pytest

from bus_world.gate import (
    CLIP,
    OTHER,
    R1,
    R2,
    V1,
    V2,
    V3,
    asked,
    attach,
    both,
    calls,
    compares,
    shown,
    status_of,
    to_judge,
    typed,
    typed_ready,
    verdict,
)
from bus_world.world import (
    EMPTY,
    JSON,
    RAW,
    READY_ID,
    A,
    B,
    C,
    D,
    World,
    beat,
    dismissed,
    goodbye,
    handed,
    heartbeat,
    obituary,
    ready,
    request,
    sent,
    welcome,
)
from bus_world.world import refused as no
from hootbus.bus.effects import Judge, Send
from hootbus.bus.inputs import Judged, Received, Ticked
from hootbus.bus.judgement import Case, Claim, Finding, Verdict
from hootbus.bus.limits import Limits
from hootbus.frames.errors import (
    BadBody,
    BrokerStopping,
    Cancelled,
    DeadlineExceeded,
    Denied,
    Overloaded,
    SchemaMismatch,
    UnknownService,
)
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import UNKNOWN_VERSION, Command, Flag
from hootbus.schemas import read_json


def received(message: Message) -> Received:
    return Received(message)


AGAIN = b"R" * 16
MISMATCH = SchemaMismatch.number


def refused(identity: bytes, error: Exception, ready_id: bytes = READY_ID) -> Send:
    assert isinstance(error, BadBody | BrokerStopping | Overloaded | SchemaMismatch)
    return dismissed(identity, ready_id, error)


def listed(world: World, what: bytes = b"workers") -> list[dict[str, Any]]:
    answer = sent(world.get(request(b"admin", D, b"hoot.broker/" + what, b"", kind=JSON)))
    found: list[dict[str, Any]] = read_json(answer.body)[what.decode()]
    return found


# Workers


def test_a_worker_of_a_new_version_is_asked_for_its_schema_judged_and_welcomed() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    assert to_judge(world.get(shown(question))) == (Claim((typed(),), b"nodes"), ())
    assert world.step(Judged(Verdict(Finding.FINE, names=(("Clip", "Report"),)))) == [welcome(b"w")]
    assert [worker["state"] for worker in listed(world)] == ["ready"]


def test_until_then_it_is_listed_as_pending_and_gets_no_work() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    assert world.get(request(b"c")) == []
    (worker,) = listed(world)
    assert (worker["state"], worker["name"], worker["service"]) == ("pending", "w", "text")
    (service,) = listed(world, b"services")
    assert (service["workers"], service["pending"], service["queued"]) == (0, 1, 1)
    world.get(shown(question))
    assert world.step(Judged(Verdict(Finding.FINE, names=(("", ""),)))) == [welcome(b"w"), handed(b"w", request(b"c"))]


def test_where_strangers_are_served_nobodys_schema_is_asked_for() -> None:
    world = World(judging=False)
    assert world.get(typed_ready(b"w")) == [welcome(b"w")]
    assert world.get(typed_ready(b"x", (typed(V2),))) == [welcome(b"x")]
    # Nothing is known of what they speak, so nothing is held against it.
    asks = calls(b"c", A, V3)
    assert world.get(asks) == [handed(b"w", asks)]
    # Nor is it kept from whoever looks at the services.
    assert world.get(ready(b"y")) == [welcome(b"y")]
    (service,) = listed(world, b"services")
    assert (service["workers"], service["unjudged"], service["versions"]) == (3, 2, [])
    question = compares(b"c", B)
    error = "this broker asks nobody who they are (--insecure), so it looks at nobody's schema"
    assert world.get(question) == [no(question, Denied(error))]


def test_an_equal_version_costs_no_judge() -> None:
    world = World()
    attach(world, b"w0")
    for number in range(1, 1000):
        identity = b"w%d" % number
        assert world.core.handle(received(typed_ready(identity)), world.now)[-1] is not None
        assert world.core._gate.find(identity) is None
    assert world.core.tally.judged == 1
    (service,) = listed(world, b"services")
    (version,) = service["versions"]
    assert version["workers"] == 1000


def test_workers_of_one_new_version_that_come_together_are_judged_once() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"one")))
    assert world.get(typed_ready(b"two")) == world.get(typed_ready(b"three")) == []
    world.get(shown(question))
    assert world.step(Judged(Verdict(Finding.FINE, names=(("", ""),)))) == [
        welcome(b"one"),
        welcome(b"two"),
        welcome(b"three"),
    ]


def test_another_version_is_held_against_all_that_are_spoken() -> None:
    world = World()
    attach(world, b"one", typed(V1), nodes=b"1")
    question = asked(world.get(typed_ready(b"two", [typed(V2)])))
    claim, known = to_judge(world.get(shown(question, b"2")))
    assert (claim, known) == (Claim((typed(V2),), b"2"), (Claim((typed(V1),), b"1"),))
    world.step(Judged(Verdict(Finding.FINE, names=(("", ""),))))
    question = asked(world.get(typed_ready(b"three", [typed(V3)])))
    assert len(to_judge(world.get(shown(question, b"3")))[1]) == 2


def test_an_incompatible_one_is_refused_with_the_differences_and_so_are_those_like_it() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    question = asked(world.get(typed_ready(b"two", [typed(V2)])))
    world.get(typed_ready(b"three", [typed(V2)]))
    world.get(shown(question))
    error = SchemaMismatch("Clip.rate: was Int32, is Text; and more", details="Clip.rate: was Int32, is Text\nand more")
    assert world.step(verdict(Finding.INCOMPATIBLE, "Clip.rate: was Int32, is Text", "and more")) == [
        refused(b"two", error),
        refused(b"three", error),
    ]
    assert [worker["state"] for worker in listed(world)] == ["ready"]
    (service,) = listed(world, b"services")
    assert service["refused"] == 2
    assert world.core.tally.schemas_incompatible == 1


def test_one_that_has_lied_is_refused_and_the_next_is_asked() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"one")))
    world.get(typed_ready(b"two"))
    world.get(shown(question))
    next_question, told = world.step(verdict(Finding.UNSOUND, "no"))
    assert told == refused(b"one", BadBody("the schema is not what was announced: no"))
    to_judge(world.get(shown(asked([next_question]))))
    assert world.core.tally.schemas_unsound == 1


@pytest.mark.parametrize(("kind", "status"), [(EMPTY, 0), (RAW, 0), (JSON, 0), (JSON, 3)])
def test_an_answer_that_is_no_schema_is_refused(kind: int, status: int) -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    error = BadBody("the answer to hoot.worker/schema is no schema")
    assert world.get(shown(question, kind=kind, status=status)) == [refused(b"w", error)]  # type: ignore[arg-type]  # one of four
    assert world.core.tally.schemas_unsound == 1
    assert listed(world) == []


def test_one_that_does_not_answer_is_told_to_try_later() -> None:
    world = World(Limits(schema_timeout_s=2.0))
    asked(world.get(typed_ready(b"w")))
    world.get(typed_ready(b"w"), after=1.0)
    error = Overloaded("no answer to hoot.worker/schema within 2 s")
    assert world.tick(after=1.5) == [refused(b"w", error)]
    assert world.core.tally.schemas_unanswered == 1
    assert len(listed(world)) == 0


def test_the_same_ready_again_changes_nothing_and_another_begins_anew() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    assert world.get(typed_ready(b"w")) == []
    world.get(shown(question))
    second = asked(world.get(typed_ready(b"w", ready_id=AGAIN)))
    assert world.step(Judged(Verdict(Finding.FINE, names=(("", ""),)))) == []
    to_judge(world.get(shown(second)))
    assert world.step(Judged(Verdict(Finding.FINE, names=(("", ""),)))) == [welcome(b"w", AGAIN)]


@pytest.mark.parametrize("judged", [False, True])
@pytest.mark.parametrize("end", ["goodbye", "obituary", "connection"])
def test_one_that_goes_while_it_waits_is_forgotten(end: str, judged: bool) -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    if judged:
        world.get(shown(question))
    if end == "connection":
        (probe,) = [effect for effect in world.step(Ticked(), after=1.0) if isinstance(effect, Send)]
        assert probe == beat(b"w")
        world.gone(probe.message)
    else:
        world.get(goodbye(b"w") if end == "goodbye" else obituary(b"w"))
    assert listed(world) == []
    if judged:
        assert world.step(Judged(Verdict(Finding.FINE, names=(("", ""),)))) == []
    assert world.core._gate.held_bytes == 0
    assert world.tick(after=60.0) == []


def test_one_whose_pipe_had_no_room_for_the_question_begins_anew() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"w")))
    assert world.full(question) == []
    asked(world.get(typed_ready(b"w")))


def test_its_heartbeats_are_no_strangers() -> None:
    world = World()
    asked(world.get(typed_ready(b"w")))
    assert world.get(heartbeat(b"w")) == []


def test_a_version_is_forgotten_with_its_last_worker_so_that_a_service_can_begin_anew() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    world.get(typed_ready(b"two", [typed(V1)]))
    world.leaves(b"one")
    assert world.core._gate.held_bytes == len(b"nodes")
    world.leaves(b"two")
    assert world.core._gate.held_bytes == 0
    assert to_judge(world.get(shown(asked(world.get(typed_ready(b"three", [typed(V2)]))))))[1] == ()


def test_plain_workers_and_methods_without_types_are_not_asked() -> None:
    world = World()
    world.join(b"ours")
    world.get(ready(b"named", methods=["play"]))
    plain = typed_ready(b"plain")
    assert world.get(Message((b"plain",), Command.READY, plain.content_type, A, b"text", body=plain.body)) == []
    assert len(listed(world)) == 3


def test_a_stopping_broker_dismisses_who_waits() -> None:
    world = World()
    attach(world, b"in")
    asked(world.get(typed_ready(b"w", [typed(V2)])))
    question = compares(b"c", A, V3)
    to_judge(world.get(question))
    world.get(request(b"c", B))
    effects = world.drain()
    assert refused(b"w", BrokerStopping("the broker takes no new workers")) in effects
    (answer,) = [effect.message for effect in effects if isinstance(effect, Send) and effect.message.route == (b"c",)]
    assert status_of(answer)[0] == BrokerStopping.number
    assert status_of(sent(world.get(compares(b"c", C, V3))))[0] == BrokerStopping.number
    assert world.step(verdict(Finding.FINE)) == []


# Bounds


def test_more_pending_workers_than_may_be_are_told_to_try_later() -> None:
    world = World(Limits(pending_workers=1))
    asked(world.get(typed_ready(b"one")))
    error = Overloaded("1 workers wait for their schemas to be judged")
    assert world.get(typed_ready(b"two")) == [refused(b"two", error)]


def test_pending_workers_count_as_workers() -> None:
    world = World(Limits(workers=1))
    asked(world.get(typed_ready(b"one")))
    assert world.get(ready(b"two")) == [refused(b"two", Overloaded("the broker has as many workers as it may"))]


def test_a_service_has_so_many_versions_and_no_more() -> None:
    world = World(Limits(versions_per_service=1))
    attach(world, b"one", typed(V1))
    error = Overloaded("the workers of 'text' speak 1 versions already")
    assert world.get(typed_ready(b"two", [typed(V2)])) == [refused(b"two", error)]


def test_of_versions_that_came_together_only_so_many_get_in() -> None:
    world = World(Limits(versions_per_service=1))
    first, second = (
        asked(world.get(typed_ready(b"one", [typed(V1)]))),
        asked(world.get(typed_ready(b"two", [typed(V2)]))),
    )
    world.get(shown(first))
    world.get(shown(second))
    fine = Judged(Verdict(Finding.FINE, names=(("", ""),)))
    welcomed, next_case = world.step(fine)
    assert welcomed == welcome(b"one")
    assert isinstance(next_case, Judge)
    assert world.step(fine) == [refused(b"two", Overloaded("the workers of 'text' speak 1 versions already"))]
    assert world.core._gate.held_bytes == len(b"nodes")


def test_a_schema_that_is_too_large_is_refused() -> None:
    world = World(Limits(schema_bytes=4))
    question = asked(world.get(typed_ready(b"w")))
    assert world.get(shown(question)) == [refused(b"w", BadBody("a schema of 5 bytes, at most 4"))]


def test_no_more_bytes_of_schemas_are_held_than_may_be() -> None:
    world = World(Limits(held_schema_bytes=8))
    attach(world, b"one", typed(V1))
    question = asked(world.get(typed_ready(b"two", [typed(V2)])))
    error = Overloaded("the broker holds as many bytes of schemas as it may")
    assert world.get(shown(question)) == [refused(b"two", error)]
    assert status_of(sent(world.get(compares(b"c", A))))[0] == Overloaded.number


# Clients


@pytest.mark.parametrize("fingerprint", [V1, both(V1, R1), 0])
def test_a_request_of_a_version_that_is_spoken_goes_to_a_worker(fingerprint: int) -> None:
    world = World()
    attach(world, b"w")
    message = calls(b"c", A, fingerprint)
    (effect,) = world.get(message)
    assert isinstance(effect, Send)
    assert effect.message.route == (b"w",)


@pytest.mark.parametrize("service", [b"text/play", b"text"])
def test_one_of_another_type_is_answered_with_both(service: bytes) -> None:
    world = World()
    attach(world, b"w")
    answer = sent(world.get(calls(b"c", A, V1 + 7, OTHER, service)))
    assert status_of(answer) == (MISMATCH, "")
    assert b"takes Clip (@0x000000000000c11b)" in bytes(answer.body)
    assert b"of type @0x00000000000007e4" in bytes(answer.body)


def test_one_of_an_unknown_version_is_told_to_have_it_compared_and_goes_then() -> None:
    world = World()
    attach(world, b"w")
    assert status_of(sent(world.get(calls(b"c", A, V2)))) == (MISMATCH, UNKNOWN_VERSION)
    claim, known = to_judge(world.get(compares(b"c", B)))
    assert (claim.nodes, [each.name for each in known[0].methods]) == (b"mine", ["play"])
    assert sent(world.step(verdict(Finding.FINE))).command is Command.REPLY
    assert sent(world.get(calls(b"c", A, V2))).route == (b"w",)


def test_the_method_that_needs_no_name_is_compared_too() -> None:
    world = World()
    attach(world, b"w")
    _, known = to_judge(world.get(compares(b"c", B, target="text")))
    assert [each.name for each in known[0].methods] == [""]
    world.step(verdict(Finding.FINE))
    assert sent(world.get(calls(b"c", A, V2, service=b"text"))).route == (b"w",)


def test_one_that_does_not_go_together_hears_the_differences() -> None:
    world = World()
    attach(world, b"w")
    to_judge(world.get(compares(b"c", B)))
    answer = sent(world.step(verdict(Finding.INCOMPATIBLE, "Clip.rate: was Int32, is Text")))
    assert status_of(answer) == (MISMATCH, "Clip.rate: was Int32, is Text")
    assert status_of(sent(world.get(calls(b"c", A, V2)))) == (MISMATCH, UNKNOWN_VERSION)


def test_the_same_version_of_another_client_is_not_judged_again() -> None:
    world = World()
    attach(world, b"w")
    to_judge(world.get(compares(b"c", A)))
    assert world.get(compares(b"d", B)) == []
    first, second = world.step(verdict(Finding.FINE))
    assert isinstance(first, Send)
    assert isinstance(second, Send)
    assert (first.message.route, second.message.route) == ((b"c",), (b"d",))
    assert world.core.tally.judged == 2


def test_a_version_that_comes_takes_back_what_clients_were_told() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    world.get(compares(b"c", A))
    world.step(verdict(Finding.FINE))
    attach(world, b"two", typed(V3))
    assert status_of(sent(world.get(calls(b"c", A, V2)))) == (MISMATCH, UNKNOWN_VERSION)


def test_a_version_that_goes_leaves_it() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    attach(world, b"two", typed(V3))
    world.get(compares(b"c", A))
    world.step(verdict(Finding.FINE))
    world.leaves(b"two")
    assert sent(world.get(calls(b"c", A, V2))).route == (b"one",)


def test_what_waits_for_a_worker_is_looked_at_again_when_one_of_another_version_comes() -> None:
    world = World()
    world.get(calls(b"c", A, V2, flags=Flag.WAIT))
    world.get(calls(b"c", B, V1, flags=Flag.WAIT))
    question = asked(world.get(typed_ready(b"w")))
    world.get(shown(question))
    effects = world.step(Judged(Verdict(Finding.FINE, names=(("Clip", "Report"),))))
    assert effects[0] == welcome(b"w")
    refusal, work = [effect.message for effect in effects[1:] if isinstance(effect, Send)]
    assert status_of(refusal) == (MISMATCH, UNKNOWN_VERSION)
    assert (work.route, work.request_id) == ((b"w",), B)


def test_what_could_not_be_sent_to_one_version_is_looked_at_again_for_the_next() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    work = sent(world.get(calls(b"c", A, V1)))
    # Another keeps the service from being forgotten.
    world.get(calls(b"c", B, V1))
    world.gone(work)
    world.tick(after=1.0)
    question = asked(world.get(typed_ready(b"two", [typed(V2)])))
    world.get(shown(question))
    effects = world.step(Judged(Verdict(Finding.FINE, names=(("Clip", "Report"),))))
    refusals = [effect.message for effect in effects[1:] if isinstance(effect, Send)]
    assert [status_of(message) for message in refusals] == [(MISMATCH, UNKNOWN_VERSION)] * 2


def test_if_the_machine_has_no_time_to_judge_all_may_try_again() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"one")))
    world.get(typed_ready(b"two"))
    to_judge(world.get(shown(question)))
    error = Overloaded("the schema was not judged: the machine has no time for it")
    effects = world.step(verdict(Finding.UNHEARD, "the machine has no time for it"))
    assert [effect for effect in effects if isinstance(effect, Send)] == [
        refused(b"one", error),
        refused(b"two", error),
    ]
    assert world.core._gate.held_bytes == 0


def test_one_that_takes_too_long_may_try_again_and_the_next_is_asked() -> None:
    world = World()
    question = asked(world.get(typed_ready(b"one")))
    world.get(typed_ready(b"two"))
    to_judge(world.get(shown(question)))
    next_question, told = world.step(verdict(Finding.TOO_LONG, "it takes longer than 10 s"))
    assert told == refused(b"one", Overloaded("the schema was not judged: it takes longer than 10 s"))
    to_judge(world.get(shown(asked([next_question]))))
    assert world.core.tally.schemas_unjudged == 1


def test_workers_and_clients_are_judged_in_turn() -> None:
    world = World()
    attach(world, b"w")
    for number in range(3):
        world.get(compares(b"c", bytes([number]) * 16, 0xC0 + number))
    for name in (b"x", b"y"):
        world.get(shown(asked(world.get(typed_ready(name, service=name)))))
    order = []
    for _ in range(4):
        order += [case.claim.methods[0].request_fingerprint for case in judged_next(world)]
    assert order == [V1, 0xC1, V1, 0xC2]


def judged_next(world: World) -> list[Case]:
    """What is judged once it is found that the present case is no schema."""
    return [effect.case for effect in world.step(verdict(Finding.UNSOUND, "")) if isinstance(effect, Judge)]


def test_what_a_client_that_says_goodbye_has_asked_is_not_judged() -> None:
    world = World()
    attach(world, b"w")
    world.get(compares(b"c", A, V2))
    world.get(compares(b"c", B, V3))
    world.get(goodbye(b"c"))
    assert world.core._gate.held_bytes == len(b"nodes")
    assert world.step(verdict(Finding.FINE)) == []


def test_nor_what_one_has_asked_whose_answer_finds_it_gone() -> None:
    world = World()
    attach(world, b"w")
    world.get(compares(b"c", A, V2))
    world.get(compares(b"c", B, V3))
    first, second = world.step(verdict(Finding.UNSOUND, ""))
    assert isinstance(first, Send)
    assert isinstance(second, Judge)
    world.gone(first.message)
    assert world.step(verdict(Finding.FINE)) == []


def test_a_question_can_be_cancelled_and_asked_again() -> None:
    world = World()
    attach(world, b"w")
    question = compares(b"c", A, V3)
    cancel = Message(question.route, Command.CANCEL, EMPTY, A, options=question.options)
    to_judge(world.get(question))
    assert status_of(sent(world.get(cancel)))[0] == Cancelled.number
    assert world.get(question) == []
    # That was the verdict on the first.
    to_judge(world.step(verdict(Finding.FINE)))
    assert sent(world.step(verdict(Finding.FINE))).request_id == A


def test_a_question_whose_time_is_over_is_not_judged() -> None:
    world = World()
    attach(world, b"w")
    to_judge(world.get(compares(b"c", A, V3)))
    world.get(compares(b"c", B, V2).__replace__(options=Options(deadline_ms=500)))
    world.tick(after=1.0)
    effects = world.step(verdict(Finding.UNSOUND, ""))
    assert not [effect for effect in effects if isinstance(effect, Judge)]
    assert {status_of(effect.message)[0] for effect in effects if isinstance(effect, Send)} == {
        BadBody.number,
        DeadlineExceeded.number,
    }


def test_nobody_to_compare_with_is_no_obstacle() -> None:
    world = World()
    assert sent(world.get(compares(b"c", A))).command is Command.REPLY


def test_so_many_comparisons_wait_and_no_more() -> None:
    world = World(Limits(comparisons=1))
    attach(world, b"w")
    to_judge(world.get(compares(b"c", A)))
    assert status_of(sent(world.get(compares(b"c", B))))[0] == Overloaded.number


def test_no_client_takes_the_places_of_the_others() -> None:
    world = World(Limits(comparisons_per_client=2))
    attach(world, b"w")
    to_judge(world.get(compares(b"c", A)))
    assert world.get(compares(b"c", B, V3)) == []
    answer = sent(world.get(compares(b"c", C)))
    assert status_of(answer)[0] == Overloaded.number
    assert b"2 schemas of this client wait to be compared" in bytes(answer.body)
    assert world.core.tally.errors[Overloaded.code] == 1
    assert world.get(compares(b"d", A, V3)) == []
    # What is answered leaves its place, and the same request again takes none.
    world.step(verdict(Finding.FINE))
    assert world.get(compares(b"c", B, V3)) == []
    assert world.get(compares(b"c", C, R2)) == []


def test_comparisons_leave_half_of_the_bytes_to_workers() -> None:
    world = World(Limits(held_schema_bytes=20))
    attach(world, b"one", nodes=b"first")
    question = asked(world.get(typed_ready(b"two", [typed(V3)])))
    to_judge(world.get(compares(b"c", A)))
    world.get(compares(b"d", A))
    assert status_of(sent(world.get(compares(b"e", A))))[0] == Overloaded.number
    world.get(shown(question, b"second"))
    world.step(verdict(Finding.FINE))
    assert welcome(b"two") in world.step(Judged(Verdict(Finding.FINE, names=(("", ""),))))


def test_so_many_compared_versions_are_remembered() -> None:
    world = World(Limits(compared_versions=1))
    attach(world, b"w")
    for version in (V2, V3):
        world.get(compares(b"c", A, version))
        world.step(verdict(Finding.FINE))
    assert status_of(sent(world.get(calls(b"c", A, V2)))) == (MISMATCH, UNKNOWN_VERSION)
    assert sent(world.get(calls(b"c", A, V3))).route == (b"w",)


@pytest.mark.parametrize("body", [b"", b"nonsense", bytes(16)])
def test_a_question_that_cannot_be_read_is_refused(body: bytes) -> None:
    world = World()
    attach(world, b"w")
    message = compares(b"c", A).__replace__(body=body)
    (answer,) = world.get(message)
    assert isinstance(answer, Send)


def test_a_question_about_what_is_no_service_frame_is_refused() -> None:
    world = World()
    attach(world, b"w")
    answer = sent(world.get(compares(b"c", A, target="t" * 256)))
    assert status_of(answer)[0] == BadBody.number


def test_what_waits_to_be_compared_holds_no_more_than_its_schema() -> None:
    world = World()
    attach(world, b"w")
    message = compares(b"c", A, V2)
    body = bytearray(message.body)
    before = sys.getrefcount(body)
    to_judge(world.get(message.__replace__(body=body)))
    assert sys.getrefcount(body) == before


def test_what_a_service_speaks_can_be_asked() -> None:
    world = World()
    attach(world, b"one", typed(V1))
    attach(world, b"two", typed(V2, R2))
    world.get(typed_ready(b"three", [typed(V2, R2)]))
    answer = sent(world.get(request(b"c", A, b"hoot.broker/schema", b'{"service":"text"}', kind=JSON)))
    first, second = read_json(answer.body)["versions"]
    assert (first["version"]["workers"], second["version"]["workers"]) == (2, 1)
    (method,) = first["version"]["methods"]
    assert (method["name"], method["request"], method["requestType"]) == ("play", "Clip", f"{CLIP:#018x}")
    assert (method["requestFingerprint"], method["replyFingerprint"]) == (f"{V2:#018x}", f"{R2:#018x}")
    nobody = sent(world.get(request(b"c", A, b"hoot.broker/schema", b'{"service":"none"}', kind=JSON)))
    assert status_of(nobody)[0] == UnknownService.number


def test_an_answer_has_so_many_bytes_of_schemas_and_always_that_of_most_workers() -> None:
    world = World(Limits(schema_bytes=8 << 20))
    for identity, version in ((b"one", V1), (b"two", V2), (b"three", V3)):
        attach(world, identity, typed(version), nodes=bytes(3 << 20))
    answer = sent(world.get(request(b"c", A, b"hoot.broker/schema", b'{"service":"text"}', kind=JSON)))
    assert [bool(each["nodes"]) for each in read_json(answer.body)["versions"]] == [True, False, False]
