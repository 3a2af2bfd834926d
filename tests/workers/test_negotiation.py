"""Agreeing on a major: the rule alone, and by the method `hello` over a bus."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import CapnpBody, standard, write_struct
from hootbus.workers import (
    BadBody,
    Hello,
    HelloAck,
    SchemaMismatch,
    Worker,
    agree,
    anegotiate,
    negotiate,
    speak_majors,
)

MAJORS = st.integers(1, 2**16 - 1)


@pytest.mark.parametrize(
    ("supported", "preferred", "agreed"),
    [
        ((1, 2), 0, (2, 7)),
        ((1, 2), 1, (1, 4)),
        ((1, 3), 3, (1, 4)),
        ((2, 1, 9), 5, (2, 7)),
        ((2,), 2, (2, 7)),
    ],
)
def test_the_preferred_major_if_both_have_it_else_the_highest(
    supported: tuple[int, ...], preferred: int, agreed: tuple[int, int]
) -> None:
    assert agree(Hello(supported, preferred), {1: 4, 2: 7}) == HelloAck(*agreed)


@given(st.lists(MAJORS, max_size=5), MAJORS, st.dictionaries(MAJORS, st.integers(0, 9), max_size=5))
def test_what_is_agreed_on_both_have_or_both_are_named(
    supported: list[int], preferred: int, offered: dict[int, int]
) -> None:
    try:
        ack = agree(Hello(tuple(supported), preferred), offered)
    except SchemaMismatch as error:
        assert not set(supported) & offered.keys()
        assert all(str(major) in error.message for major in (*supported, *offered))
    else:
        assert ack.agreed_major in supported
        assert offered[ack.agreed_major] == ack.agreed_minor
        assert ack.agreed_major == preferred or preferred not in set(supported) & offered.keys()


@pytest.fixture
def speaking(hoot_bus: EmbeddedBroker) -> EmbeddedBroker:
    worker = Worker("prover")
    speak_majors(worker, {1: 4, 2: 7})
    hoot_bus.worker(worker)
    return hoot_bus


def test_a_client_and_a_service_agree(speaking: EmbeddedBroker) -> None:
    client = speaking.client()
    assert negotiate(client, "prover", supported=[1, 2, 3]) == HelloAck(2, 7)
    assert negotiate(client, "prover", supported=[1, 2], preferred=1) == HelloAck(1, 4)
    assert client.call("prover/hello", {"supportedMajors": [1]}).json() == {"agreedMajor": 1, "agreedMinor": 4}

    async def main() -> HelloAck:
        async with speaking.async_client() as bus:
            return await anegotiate(bus, "prover", supported=[1])

    assert asyncio.run(main()) == HelloAck(1, 4)


def test_without_a_common_major_both_are_told_what_the_other_speaks(speaking: EmbeddedBroker) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        negotiate(speaking.client(), "prover", supported=[4, 3])
    assert caught.value.message == "no major version in common: the client speaks 3, 4, the service 1, 2"


def test_a_service_from_before_is_named_as_such(hoot_bus: EmbeddedBroker) -> None:
    worker = Worker("prover")
    worker.method(name="rank")(lambda request: request)
    hoot_bus.worker(worker)
    with pytest.raises(SchemaMismatch) as caught:
        negotiate(hoot_bus.client(), "prover", supported=[2, 3])
    assert caught.value.message == (
        "prover is from before versions were agreed on: it has no method 'hello'; this client speaks major 2, 3"
    )


def test_a_service_that_agrees_on_what_nobody_asked_for_is_not_believed(hoot_bus: EmbeddedBroker) -> None:
    worker = Worker("prover")

    @worker.method(name="hello")
    def hello() -> CapnpBody:
        return write_struct(standard.common.HelloAck, agreedMajor=9)

    hoot_bus.worker(worker)
    with pytest.raises(SchemaMismatch, match="prover agreed on major 9, and was only asked for 2"):
        negotiate(hoot_bus.client(), "prover", supported=[2])


def test_the_list_is_bounded_on_both_sides(speaking: EmbeddedBroker) -> None:
    many = list(range(1, 66))
    with pytest.raises(BadBody, match="supportedMajors: 65 of them, at most 64"):
        speaking.client().call("prover/hello", write_struct(standard.common.Hello, supportedMajors=many))
    with pytest.raises(ValueError, match="65 majors; it takes from 1 to 64"):
        negotiate(speaking.client(), "prover", supported=many)


@pytest.mark.parametrize(
    ("offered", "expected"),
    [
        ({}, "0 majors"),
        ({0: 1}, "0 is no major version"),
        ({2**16: 1}, "65536 is no major version"),
        ({1: -1}, "1.-1 is no version"),
    ],
)
def test_what_is_no_version_is_a_mistake(offered: dict[int, int], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        speak_majors(Worker("prover"), offered)


def test_what_is_preferred_must_be_supported(speaking: EmbeddedBroker) -> None:
    with pytest.raises(ValueError, match="3 is preferred, but not supported: 1, 2"):
        negotiate(speaking.client(), "prover", supported=[1, 2], preferred=3)
