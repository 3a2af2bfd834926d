"""Agreeing on a version with a peer whose schemas the broker cannot compare: one that is dialled, or behind a gateway.

A protocol's major changes when old and new peers no longer understand each other, its minor with every addition. The
client says which majors it speaks, the service answers with the one that both keep to: `Hello` and `HelloAck` of
common.capnp, by the method `hello`. `agree` is the rule; the rest carries it over the bus.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from hootbus.frames.errors import BadBody, SchemaMismatch, UnknownMethod
from hootbus.schemas import CapnpBody, standard, write_struct
from hootbus.workers.async_client import AsyncClient
from hootbus.workers.client import Client
from hootbus.workers.content import Reply
from hootbus.workers.worker import Worker

MAJORS_MAX: Final = 64
_VERSION_MAX: Final = 2**16 - 1
_METHOD: Final = "hello"
_TIMEOUT_S: Final = 30.0


class Hello(msgspec.Struct, frozen=True):
    """The majors that a client speaks, and the one that it would rather speak, 0 if it does not mind."""

    supported_majors: tuple[int, ...]
    preferred_major: int = 0


class HelloAck(msgspec.Struct, frozen=True):
    """The version that both keep to."""

    agreed_major: int
    agreed_minor: int


def agree(hello: Hello, offered: Mapping[int, int]) -> HelloAck:
    """The version for this client; `offered` has the minor of each major that is spoken here.

    The preferred major if both have it, else the highest that both have. Raises SchemaMismatch if there is none.
    """
    common = [major for major in hello.supported_majors if major in offered]
    if not common:
        speaks = f"the client speaks {_listed(hello.supported_majors)}, the service {_listed(offered)}"
        raise SchemaMismatch(f"no major version in common: {speaks}")
    major = hello.preferred_major if hello.preferred_major in common else max(common)
    return HelloAck(major, offered[major])


def speak_majors(worker: Worker, offered: Mapping[int, int]) -> None:
    """Gives the worker a method `hello`, which agrees on one of these majors: `speak_majors(worker, {1: 4, 2: 0})`.

    It is one method more: what was the only one, and so the default, is so no longer unless it is declared to be.
    Raises ValueError for no major at all, more than 64, and numbers that are none.
    """
    offered = dict(offered)
    _check_majors(offered)
    for major, minor in offered.items():
        if not 0 <= minor <= _VERSION_MAX:
            raise ValueError(f"{major}.{minor} is no version: minors are numbers from 0 to {_VERSION_MAX}")

    @worker.method(name=_METHOD, inline=True)
    def hello(body: standard.common.Hello) -> CapnpBody:  # type: ignore[name-defined]  # made at run time
        count = len(body.supportedMajors)
        if count > MAJORS_MAX:
            raise BadBody(f"supportedMajors: {count} of them, at most {MAJORS_MAX}")
        ack = agree(Hello(tuple(body.supportedMajors), body.preferredMajor), offered)
        return write_struct(standard.common.HelloAck, agreedMajor=ack.agreed_major, agreedMinor=ack.agreed_minor)


def negotiate(
    client: Client, service: str, supported: Sequence[int], preferred: int = 0, *, timeout: float | None = _TIMEOUT_S
) -> HelloAck:
    """Agrees with a service on one of the majors that this program supports, before anything else is asked of it.

    Raises SchemaMismatch if there is none, or if the service is too old to be asked, and what `call` raises.
    """
    body = _hello(supported, preferred)
    with _too_old(service, supported):
        return _ack(service, supported, client.call(f"{service}/{_METHOD}", body, timeout=timeout, idempotent=True))


async def anegotiate(
    client: AsyncClient,
    service: str,
    supported: Sequence[int],
    preferred: int = 0,
    *,
    timeout: float | None = _TIMEOUT_S,
) -> HelloAck:
    """As `negotiate`, in asyncio."""
    body = _hello(supported, preferred)
    with _too_old(service, supported):
        reply = await client.call(f"{service}/{_METHOD}", body, timeout=timeout, idempotent=True)
        return _ack(service, supported, reply)


def _hello(supported: Sequence[int], preferred: int) -> CapnpBody:
    _check_majors(supported)
    if preferred and preferred not in supported:
        raise ValueError(f"{preferred} is preferred, but not supported: {_listed(supported)}")
    return write_struct(standard.common.Hello, supportedMajors=list(supported), preferredMajor=preferred)


def _ack(service: str, supported: Sequence[int], reply: Reply) -> HelloAck:
    found = reply.capnp(standard.common.HelloAck)
    ack = HelloAck(found.agreedMajor, found.agreedMinor)
    if ack.agreed_major not in supported:
        raise SchemaMismatch(
            f"{service} agreed on major {ack.agreed_major}, and was only asked for {_listed(supported)}"
        )
    return ack


@contextmanager
def _too_old(service: str, supported: Sequence[int]) -> Iterator[None]:
    try:
        yield
    except UnknownMethod as error:
        raise SchemaMismatch(
            f"{service} is from before versions were agreed on: it has no method {_METHOD!r}; "
            f"this client speaks major {_listed(supported)}"
        ) from error


def _check_majors(majors: Iterable[int]) -> None:
    majors = list(majors)
    if not 1 <= len(majors) <= MAJORS_MAX:
        raise ValueError(f"{len(majors)} majors; it takes from 1 to {MAJORS_MAX}")
    for major in majors:
        if not 1 <= major <= _VERSION_MAX:
            raise ValueError(f"{major} is no major version: those are numbers from 1 to {_VERSION_MAX}")


def _listed(majors: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(majors))) or "none"
