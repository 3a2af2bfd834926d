"""hoot.quarantine: requests that took down their workers are looked at, tried once more, let go of."""

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from bus_world.gate import V1, V2, attach, calls, status_of, typed
from bus_world.world import (
    CAPNPROTO,
    JSON,
    PARTING_S,
    A,
    B,
    C,
    D,
    World,
    cancel,
    delivered,
    failed,
    goodbye,
    handed,
    obituary,
    refused,
    reply,
    request,
    rid,
    sent,
)
from hootbus.bus.access import Access
from hootbus.bus.effects import Send
from hootbus.bus.limits import Limits
from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import (
    BadBody,
    BrokerStopping,
    Cancelled,
    HandlerFailed,
    Overloaded,
    Quarantined,
    SchemaMismatch,
    UnknownMethod,
    UnknownService,
    UnsupportedContentType,
)
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import ContentType, Flag
from hootbus.schemas import read_capnp, read_json, standard, write_json, write_struct

KILLED_TWO = Quarantined("2 workers went down with this request")
REFUSED = Quarantined("this request took down the workers that tried it")


def quarantined(
    limits: Limits | None = None, number: int = 1, body: Buffer = b"body", attachments: tuple[Buffer, ...] = ()
) -> World:
    """A world where so many requests of client c are in quarantine, with the ids from 1 on; its worker is `w`."""
    world = World(limits)
    for at in range(1, number + 1):
        world.join(b"v")
        world.join(b"u")
        poison = request(
            b"c", rid(at), b"text/upper", body, flags=Flag.IDEMPOTENT, attachments=attachments, schema_id=7
        )
        first = sent(world.get(poison)).route[0]
        world.dies(first)
        assert failed(poison, KILLED_TWO) in world.dies(b"v" if first == b"u" else b"u")
    world.join(b"w")
    return world


def asking(method: str, body: Any = None, kind: ContentType = JSON, request_id: bytes = D) -> Message:  # noqa: ANN401  # JSON
    return request(b"op", request_id, b"hoot.quarantine/" + method.encode(), write_json(body or {}), kind=kind)


def ask(world: World, method: str, body: Any = None) -> Any:  # noqa: ANN401  # JSON
    return read_json(sent(world.get(asking(method, body, request_id=B))).body)


def retry(name: str = "q1", request_id: bytes = D) -> Message:
    return asking("retry", {"id": name}, request_id=request_id)


def again(body: Buffer = b"body", request_id: bytes = D) -> Message:
    """The request as its retry is handed to a worker."""
    return request(b"op", request_id, b"text/upper", body, flags=Flag.IDEMPOTENT, schema_id=7)


def test_what_is_in_quarantine_is_told_the_oldest_first() -> None:
    world = quarantined(number=2)
    world.now += 90.0
    told = ask(world, "list")["requests"]
    assert [each["id"] for each in told] == ["q1", "q2"]
    assert told[0] == {
        "id": "q1",
        "service": "text/upper",
        "contentType": "raw_binary",
        "bytes": 4,
        "held": True,
        "strikes": 2,
        "ageSecs": 90,
        "retrying": False,
    }
    assert world.core.tally.quarantined == 2
    assert world.core.tally.reached["strikes"] == 2


def test_a_request_in_quarantine_is_shown_with_its_body() -> None:
    told = ask(quarantined(attachments=(b"one", b"two")), "show", {"id": "q1"})
    assert (b64decode(told["body"]), told["attachments"], told["request"]["bytes"]) == (b"body", 2, 10)


def test_a_body_that_is_too_large_for_an_answer_is_not_shown() -> None:
    told = ask(quarantined(body=bytes(4 * 1024 * 1024 + 1)), "show", {"id": "q1"})
    assert (told["body"], told["request"]["held"]) == ("", True)


@pytest.mark.parametrize("method", ["list", "show", "drop"])
def test_capnp_says_the_same(method: str) -> None:
    question = write_struct(standard.broker.QuarantineQuestion, id="" if method == "list" else "q1").buffer
    world = quarantined()
    answer = sent(world.get(request(b"op", D, b"hoot.quarantine/" + method.encode(), question, kind=CAPNPROTO)))
    struct = {
        "list": standard.broker.Quarantine,
        "show": standard.broker.QuarantineShown,
        "drop": standard.broker.QuarantineDropped,
    }[method]
    told = read_capnp(answer.body, struct).to_dict()
    in_json = ask(quarantined(), method, {} if method == "list" else {"id": "q1"})
    if method == "show":
        in_json["body"] = b64decode(in_json["body"])
    assert told == in_json


def test_a_retry_that_succeeds_ends_the_quarantine_and_who_asked_gets_the_reply() -> None:
    world = quarantined()
    assert world.get(retry()) == [handed(b"w", again())]
    assert ask(world, "list")["requests"][0]["retrying"]
    answer = reply(b"w", D)
    assert world.get(answer) == [delivered(retry(), answer)]
    assert ask(world, "list") == {"requests": []}
    client = request(b"c", rid(1), flags=Flag.IDEMPOTENT)
    assert world.get(client) == [handed(b"w", client)]


def test_another_death_keeps_it_with_one_more_strike() -> None:
    world = quarantined()
    world.get(retry())
    died = Quarantined("3 workers went down with this request")
    assert world.dies(b"w") == [failed(retry(), died)]
    (told,) = ask(world, "list")["requests"]
    assert (told["id"], told["strikes"], told["retrying"]) == ("q1", 3, False)
    world.join(b"x")
    assert world.get(retry()) == [handed(b"x", again())]


def test_a_retry_that_a_handler_refuses_or_nobody_waits_for_changes_nothing() -> None:
    world = quarantined()
    world.get(retry())
    world.get(reply(b"w", D).__replace__(options=Options(status=HandlerFailed.number)))
    assert world.core.tally.failures["handler_error"] == 1
    world.get(retry())
    assert world.get(cancel(b"op", D))[0] == failed(retry(), Cancelled("cancelled by the client"))
    (told,) = ask(world, "list")["requests"]
    assert (told["strikes"], told["retrying"]) == (2, False)


def test_what_is_being_retried_is_not_retried_beside_that() -> None:
    world = quarantined()
    world.get(retry())
    second = retry(request_id=C)
    assert world.get(second) == [refused(second, Overloaded("q1 is being carried out already"))]


def test_a_retry_waits_for_a_free_worker_and_has_company_of_its_kind_nowhere() -> None:
    world = quarantined(number=2)
    world.join(b"x")
    assert sent(world.get(retry("q1", C))).route == (b"w",)
    assert sent(world.get(retry("q2", D))).route == (b"x",)
    world.get(reply(b"x", D))
    (told,) = ask(world, "list")["requests"]
    assert told["id"] == "q1"


def test_a_retry_from_a_plain_client_strikes_as_well() -> None:
    world = quarantined()
    plain = request(b"op", D, b"hoot.quarantine/retry", b'{"id": "q1"}', kind=JSON, plain=True)
    assert sent(world.get(plain)).route == (b"w",)
    world.dies(b"w")
    assert ask(world, "list")["requests"][0]["strikes"] == 3


def test_dropping_forgets_it_and_its_client_may_ask_again() -> None:
    world = quarantined(number=2)
    client = request(b"c", rid(1), flags=Flag.IDEMPOTENT)
    assert world.get(client) == [refused(client, REFUSED)]
    assert ask(world, "drop", {"id": "q1"}) == {"dropped": 1}
    assert world.get(client) == [handed(b"w", client)]
    assert ask(world, "drop", {"all": True}) == {"dropped": 1}
    assert ask(world, "list") == {"requests": []}


def test_what_was_dropped_while_it_was_retried_does_not_come_back() -> None:
    world = quarantined()
    world.get(retry(request_id=C))
    ask(world, "drop", {"id": "q1"})
    world.dies(b"w")
    assert ask(world, "list") == {"requests": []}


def test_what_does_not_fit_is_kept_without_its_body() -> None:
    world = quarantined(Limits(quarantined_bytes=7), number=2)
    assert [each["held"] for each in ask(world, "list")["requests"]] == [True, False]
    assert world.core.tally.reached["quarantined_bytes"] == 1
    why = BadBody("q2 cannot be carried out: there was no room for its body")
    assert world.get(retry("q2")) == [refused(retry("q2"), why)]
    assert ask(world, "show", {"id": "q2"})["body"] == ""
    ask(world, "drop", {"id": "q2"})


def test_of_too_many_the_oldest_is_forgotten() -> None:
    world = quarantined(Limits(quarantined=1), number=2)
    assert [each["id"] for each in ask(world, "list")["requests"]] == ["q2"]
    assert world.core.tally.reached["quarantined"] == 1


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("show", {"id": "q9"}, BadBody("no request 'q9' is in quarantine")),
        ("retry", {}, BadBody("no request '' is in quarantine")),
        ("drop", {}, BadBody("either id or all says what is to be dropped")),
        ("drop", {"id": "q1", "all": True}, BadBody("either id or all says what is to be dropped")),
        ("free", {}, UnknownMethod("hoot.quarantine has the methods list, show, retry and drop")),
    ],
)
def test_what_cannot_be_done_is_said(method: str, body: Any, error: Exception) -> None:  # noqa: ANN401  # JSON
    world = quarantined()
    asked = asking(method, body)
    assert world.get(asked) == [refused(asked, error)]  # type: ignore[arg-type]  # a HootError, by its base


def test_a_retry_needs_a_worker_and_a_broker_that_stays() -> None:
    world = quarantined()
    world.dies(b"w")
    assert world.get(retry()) == [refused(retry(), UnknownService("no worker offers 'text'"))]
    world.join(b"w")
    world.get(request(b"c", B))
    world.drain()
    assert world.get(retry()) == [refused(retry(), BrokerStopping("the broker takes no new requests"))]


def test_the_question_is_json_or_capnp() -> None:
    why = UnsupportedContentType("hoot.quarantine/show takes JSON or Cap'n Proto")
    asked = asking("show", kind=ContentType.RAW_BINARY)
    assert World().get(asked) == [refused(asked, why)]


@pytest.mark.parametrize(
    ("frame", "needed"),
    [
        (b"hoot.quarantine/list", True),
        (b"hoot.quarantine/retry", True),
        (b"hoot.quarantine", True),
        (b"hoot.broker/drain", True),
        (b"hoot.broker/status", False),
        (b"text/drain", False),
    ],
)
def test_one_place_says_what_needs_the_right_to_administer(frame: bytes, needed: bool) -> None:
    assert Access(admin=False).may_call(b"", frame) is not needed


def test_a_retry_that_no_worker_understands_any_more_is_refused_as_any_request() -> None:
    world = World()
    attach(world, b"v", typed(V1))
    world.join(b"u")
    poison = calls(b"c", A, V1, flags=Flag.IDEMPOTENT)
    first = sent(world.get(poison)).route[0]
    world.dies(first)
    world.dies(b"v" if first == b"u" else b"u")
    attach(world, b"w", typed(V2))
    (told,) = world.get(retry())
    assert isinstance(told, Send)
    assert status_of(told.message)[0] == SchemaMismatch.number
    (kept,) = ask(world, "list")["requests"]
    assert (kept["strikes"], kept["retrying"]) == (2, False)


@pytest.mark.parametrize("words", [(goodbye, obituary), (obituary, goodbye), (obituary, obituary, goodbye)])
def test_whoever_has_said_goodbye_has_not_died_whatever_else_is_heard_of_its_end(
    words: tuple[Callable[[bytes], Message], ...],
) -> None:
    world = World(Limits(strikes=1))
    world.join(b"w")
    world.get(request(b"c", A, flags=Flag.IDEMPOTENT))
    for word in words:
        world.get(word(b"w"))
    assert world.tick(after=PARTING_S) == []
    assert sent(world.join(b"v")).request_id == A
    assert world.errors() == {}


def test_a_dialled_service_that_said_goodbye_and_is_back_at_once_has_not_died() -> None:
    world = World(Limits(strikes=1))
    world.dial(b"w")
    world.get(request(b"c", A, flags=Flag.IDEMPOTENT))
    world.get(goodbye(b"w"))
    assert [effect.message.request_id for effect in world.dial(b"w") if isinstance(effect, Send)] == [A]
    assert world.errors() == {}
