"""What the broker answers itself: hoot.broker and hoot.events, the same in JSON and in Cap'n Proto."""

from typing import Any

import pytest

from bus_world.world import (
    CAPNPROTO,
    EMPTY,
    INSTANCE,
    JSON,
    RAW,
    A,
    B,
    C,
    D,
    World,
    ready,
    refused,
    reply,
    request,
    rid,
    sent,
)
from hootbus.bus.effects import Publish, Send
from hootbus.bus.inputs import Malformed
from hootbus.frames.errors import BadBody, HootError, UnknownMethod, UnknownService, UnsupportedContentType
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType, Flag
from hootbus.schemas import StructType, read_capnp, read_json, standard, type_id, write_capnp, write_json

broker = standard.broker


def a_busy_world() -> World:
    world = World()
    world.get(ready(b"w", slots=2, methods=("upper", "lower")))
    world.get(ready(b"x", methods=("upper",)))
    world.join_plain(b"p", b"other")
    for request_id in (A, B, C, D):
        world.get(request(b"c", request_id))
    world.get(reply(b"x", B))
    world.get(reply(b"stranger", B))
    world.get(request(b"c", rid(9), b"nobody"))
    world.step(Malformed(MalformedMessage("request id", "short", (b"m",))))
    world.now += 2.5
    return world


def ask(world: World, method: str, kind: ContentType) -> Message:
    return sent(world.get(request(b"asker", D, b"hoot.broker/" + method.encode(), b"", kind=kind)))


def as_json(value: Any) -> Any:  # noqa: ANN401  # any JSON
    """A Cap'n Proto struct as the JSON has it: counters are a map there."""
    if isinstance(value, dict):
        return {name: {} if (name, field) == ("dropped", []) else as_json(field) for name, field in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(item, dict) and item.keys() == {"name", "value"} for item in value):
            return {item["name"]: item["value"] for item in value}
        return [as_json(item) for item in value]
    return value


def test_the_status_says_who_the_broker_is_and_what_it_counted() -> None:
    told = read_json(ask(a_busy_world(), "status", JSON).body)
    counted = {kind: told.pop(kind) for kind in ("counters", "errors", "dropped", "failures", "reached")}
    assert told == {
        "broker": INSTANCE.hex(),
        "version": "1.2.3",
        "state": "serving",
        "pid": 77,
        "uptimeSecs": 2,
        "services": 2,
        "workers": 3,
        "queued": 0,
        "inFlight": 3,
        "heldBytes": 0,
    }
    assert {name: count for name, count in counted["counters"].items() if count} == {
        "requests": 4,
        "replies": 1,
        "workers_attached": 3,
    }
    assert {name: count for name, count in counted["errors"].items() if count} == {"unknown_service": 1}
    assert {name: count for name, count in counted["dropped"].items() if count} == {
        "bad_frame": 1,
        "bad_frame.request_id": 1,
        "reply_unasked": 1,
    }
    assert not any((*counted["failures"].values(), *counted["reached"].values()))


def test_services_are_told_by_name_with_their_slots_and_methods() -> None:
    told = read_json(ask(a_busy_world(), "services", EMPTY).body)
    assert told["services"] == [
        {
            "name": "other",
            "workers": 1,
            "slots": 1,
            "free": 1,
            "queued": 0,
            "queuedBytes": 0,
            "inFlight": 0,
            "requests": 0,
            "replies": 0,
            "errors": 0,
            "methods": [],
            "versions": [],
            "pending": 0,
            "refused": 0,
            "dropped": {},
            "unjudged": 0,
        },
        {
            "name": "text",
            "workers": 2,
            "slots": 3,
            "free": 0,
            "queued": 0,
            "queuedBytes": 0,
            "inFlight": 3,
            "requests": 4,
            "replies": 1,
            "errors": 0,
            "methods": ["lower", "upper"],
            "versions": [],
            "pending": 0,
            "refused": 0,
            "dropped": {},
            "unjudged": 0,
        },
    ]


def test_workers_are_told_under_names_of_the_brokers_own() -> None:
    answer = ask(a_busy_world(), "workers", RAW)
    told = read_json(answer.body)["workers"]
    assert [(worker["id"], worker["service"], worker["extension"]) for worker in told] == [
        ("w1", "text", True),
        ("w2", "text", True),
        ("w3", "other", False),
    ]
    assert told[0] == {
        "id": "w1",
        "service": "text",
        "name": "name of w",
        "hostname": "host",
        "version": "0.1",
        "state": "ready",
        "pid": 5,
        "slots": 2,
        "inFlight": 2,
        "done": 0,
        "silentMs": 2500,
        "connectedSecs": 2,
        "extension": True,
    }


@pytest.mark.parametrize(
    ("method", "struct"),
    [
        ("status", broker.Status),
        ("services", broker.Services),
        ("workers", broker.Workers),
        ("latencies", broker.Latencies),
        ("drain", broker.Drain),
    ],
)
def test_capnp_and_json_say_the_same(method: str, struct: StructType) -> None:
    in_json = ask(a_busy_world(), method, JSON)
    in_capnp = ask(a_busy_world(), method, CAPNPROTO)
    assert (in_json.content_type, in_capnp.content_type) == (JSON, CAPNPROTO)
    assert as_json(read_capnp(in_capnp.body, struct).to_dict()) == read_json(in_json.body)
    assert in_capnp.options is not None
    assert in_capnp.options.schema_id == type_id(struct)


def test_an_empty_broker_answers_in_both_forms_too() -> None:
    for method in ("services", "workers"):
        assert read_json(ask(World(), method, JSON).body)[method] == []
        assert ask(World(), method, CAPNPROTO).content_type is CAPNPROTO


def test_a_plain_client_is_answered_without_options_along_its_route() -> None:
    asked = request(b"c", A, b"hoot.broker/status", b"", plain=True, route=(b"", b"via"), kind=JSON)
    answer = sent(World().get(asked))
    assert (answer.route, answer.request_id, answer.options) == ((b"c", b"", b"via"), A, None)


METHODS = UnknownMethod("hoot.broker has the methods status, services, workers, latencies, schema, compare and drain")


@pytest.mark.parametrize(
    ("service", "error"),
    [
        (b"hoot.broker", METHODS),
        (b"hoot.broker/", METHODS),
        (b"hoot.broker/stop", METHODS),
        (b"hoot.broker/\xff", METHODS),
        (b"hoot.events", UnknownMethod("hoot.events has the method echo")),
        (b"hoot.jobs/list", UnknownService("the broker itself has no service 'hoot.jobs'")),
        (b"hoot.\xff", UnknownService("the broker itself has no service 'hoot.\ufffd'")),
    ],
)
@pytest.mark.parametrize("kind", [JSON, CAPNPROTO])
def test_what_the_broker_itself_does_not_offer_is_said(service: bytes, error: HootError, kind: ContentType) -> None:
    asked = request(b"c", A, service, b"", kind=kind)
    assert World().get(asked) == [refused(asked, error)]


# hoot.events/echo


def echo(body: bytes, kind: ContentType = JSON, flags: int = 0) -> Message:
    return request(b"c", A, b"hoot.events/echo", body, kind=kind, flags=flags)


def test_an_echo_is_published_and_then_answered_in_the_form_it_was_asked() -> None:
    topic = "hoot.echo.5f2a"
    publish, answer = World().get(echo(write_json({"topic": topic})))
    assert publish == Publish(topic.encode())
    assert isinstance(answer, Send)
    assert read_json(answer.message.body) == {"topic": topic}
    publish, answer = World().get(echo(write_capnp(broker.EchoRequest.new_message(topic=topic)), CAPNPROTO))
    assert publish == Publish(topic.encode())
    assert isinstance(answer, Send)
    assert read_capnp(answer.message.body, broker.EchoRequest).to_dict() == {"topic": topic}


@pytest.mark.parametrize(
    "topic", ["jobs.done", "hoot.echo", "hoot.", "", "hoot.echo." + "x" * 60, "hoot.echo.\u00e9", "HOOT.ECHO.A"]
)
@pytest.mark.parametrize("kind", [JSON, CAPNPROTO])
def test_nothing_is_published_in_anothers_name(topic: str, kind: ContentType) -> None:
    as_capnp = write_capnp(broker.EchoRequest.new_message(topic=topic))
    asked = echo(as_capnp if kind is CAPNPROTO else write_json({"topic": topic}), kind)
    why = BadBody("the topic must begin with 'hoot.echo.' and have at most 64 ASCII characters")
    assert World().get(asked) == [refused(asked, why)]


def _not_utf_8() -> bytes:
    return write_capnp(broker.EchoRequest.new_message(topic="hoot.echo.x")).replace(b"echo", b"\xff\xfe\xff\xfe")


def _wild_pointer() -> bytes:
    body = bytearray(write_capnp(broker.EchoRequest.new_message(topic="hoot.echo.x")))
    body[16:20] = b"\xfd\xff\xff\x7f"
    return bytes(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b"\xff", JSON),
        (b"[]", JSON),
        (b'{"topic": 1}', JSON),
        (b'{"topic": "hoot.echo.\\ud800"}', JSON),
        (b"", CAPNPROTO),
        (b"12345678", CAPNPROTO),
        (bytes(16), CAPNPROTO),
        (_not_utf_8(), CAPNPROTO),
        (_wild_pointer(), CAPNPROTO),
    ],
)
def test_an_echo_that_cannot_be_read_is_a_bad_body(body: bytes, kind: ContentType) -> None:
    world = World()
    answer = sent(world.get(echo(body, kind)))
    assert answer.options is not None
    assert answer.options.status == BadBody.number
    assert world.errors() == {"bad_body": 1}


def test_an_echo_takes_json_or_capnp() -> None:
    why = UnsupportedContentType("hoot.events/echo takes JSON or Cap'n Proto")
    for kind in (RAW, EMPTY):
        assert World().get(echo(b"{}", kind)) == [refused(echo(b"{}", kind), why)]


def test_a_one_way_echo_is_published_and_not_answered() -> None:
    world = World()
    asked = echo(b'{"topic": "hoot.echo.a"}', flags=Flag.ONE_WAY)
    assert world.get(asked) == [Publish(b"hoot.echo.a")]
    assert world.dropped() == {"reply_one_way": 1}
    assert asked.command is Command.REQUEST
