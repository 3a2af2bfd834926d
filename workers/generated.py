"""What the service modules of `hoot schema gen` are made of: typed clients and workers over those of the bus.

A method's parameter struct is the body of the request and its result struct that of the reply; one without fields is an
empty body. The generated classes say which structs; how they travel is said here.
"""

from abc import ABC
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Self, TypeAlias, TypedDict, TypeVar

import msgspec
from msgspec import UNSET

from hootbus.schemas import CapnpBody, StructType, TypedReader
from hootbus.schemas.records import Record
from hootbus.schemas.writer import write_fields, write_record
from hootbus.workers.async_client import AsyncClient
from hootbus.workers.calls import DEFAULT_TIMEOUT_S
from hootbus.workers.client import Client
from hootbus.workers.request import Request
from hootbus.workers.response import Response
from hootbus.workers.worker import Worker

__all__ = [
    "Answer",
    "AsyncClient",
    "AsyncServiceClient",
    "Body",
    "Client",
    "Items",
    "MethodTypes",
    "Request",
    "ServiceClient",
    "ServiceWorker",
    "Signals",
]

R = TypeVar("R", bound=TypedReader)

Body: TypeAlias = R | CapnpBody | Record | Mapping[str, object]
"""What a struct may be sent as: a message that was written or read, a record, or its fields."""

Answer: TypeAlias = Body[R] | Response | Awaitable[Body[R] | Response]
"""What a method may return, `async` or not."""

Items: TypeAlias = Iterator[Body[R]] | AsyncIterator[Body[R]]
"""What a method may be that answers bit by bit: a generator, `async` or not."""


Signals: TypeAlias = Iterator[None] | AsyncIterator[None]
"""What a method may be that streams without the schema saying what."""


class MethodTypes(msgspec.Struct, frozen=True):
    """A method as it is served: its name on the bus, the function's, and its structs, None for those without fields."""

    name: str
    attribute: str
    takes: Any = None
    gives: Any = None


class CallOptions(TypedDict):
    """As a client's `call` takes them."""

    timeout: float | None
    idempotent: bool
    wait: bool


class _Options:
    """What the requests of a typed client have in common."""

    service_name: ClassVar[str] = ""

    def __init__(
        self,
        service: str | None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        idempotent: bool = False,
        wait: bool = False,
    ) -> None:
        self._service = service or self.service_name
        self._options = CallOptions(timeout=timeout, idempotent=idempotent, wait=wait)

    def _target(self, method: str) -> str:
        return f"{self._service}/{method}"


class ServiceClient(_Options):
    """Calls the methods of a service with a `Client`. Its heirs are generated.

    A method takes the fields of its parameter struct as keywords, or the struct as a whole: a message, a record, a
    dict. It gives a reader over the reply. `service` is the service's name on the bus; the options are those of
    `Client.call`. Raises a HootError, and FieldError for what does not fit the schema.
    """

    def __init__(self, bus: Client, service: str | None = None, **options: Any) -> None:  # noqa: ANN401  # as _Options
        super().__init__(service, **options)
        self._bus = bus

    def with_options(
        self, *, timeout: float | None = DEFAULT_TIMEOUT_S, idempotent: bool = False, wait: bool = False
    ) -> Self:
        """The same client with other options for its requests."""
        return type(self)(self._bus, self._service, timeout=timeout, idempotent=idempotent, wait=wait)

    def _ask(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> R:
        return self._bus.call(self._target(method), body_of(takes, body, fields), **self._options).capnp(gives)

    def _tell(self, method: str, takes: StructType | None, body: object, fields: Mapping[str, object]) -> None:
        self._bus.call(self._target(method), body_of(takes, body, fields), **self._options)

    def _stream(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> Iterator[R]:
        for item in self._bus.stream(self._target(method), body_of(takes, body, fields), **self._options):
            yield item.capnp(gives)

    def _signals(
        self, method: str, takes: StructType | None, body: object, fields: Mapping[str, object]
    ) -> Iterator[None]:
        for _ in self._bus.stream(self._target(method), body_of(takes, body, fields), **self._options):
            yield None


class AsyncServiceClient(_Options):
    """As `ServiceClient`, with an `AsyncClient`: its methods are awaited, or gone through with `async for`."""

    def __init__(self, bus: AsyncClient, service: str | None = None, **options: Any) -> None:  # noqa: ANN401  # as _Options
        super().__init__(service, **options)
        self._bus = bus

    def with_options(
        self, *, timeout: float | None = DEFAULT_TIMEOUT_S, idempotent: bool = False, wait: bool = False
    ) -> Self:
        """The same client with other options for its requests."""
        return type(self)(self._bus, self._service, timeout=timeout, idempotent=idempotent, wait=wait)

    async def _ask(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> R:
        return (await self._bus.call(self._target(method), body_of(takes, body, fields), **self._options)).capnp(gives)

    async def _tell(self, method: str, takes: StructType | None, body: object, fields: Mapping[str, object]) -> None:
        await self._bus.call(self._target(method), body_of(takes, body, fields), **self._options)

    async def _stream(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> AsyncIterator[R]:
        stream = self._bus.stream(self._target(method), body_of(takes, body, fields), **self._options)
        async with aclosing(stream):
            async for item in stream:
                yield item.capnp(gives)

    async def _signals(
        self, method: str, takes: StructType | None, body: object, fields: Mapping[str, object]
    ) -> AsyncIterator[None]:
        async with aclosing(
            self._bus.stream(self._target(method), body_of(takes, body, fields), **self._options)
        ) as stream:
            async for _ in stream:
                yield None


class ServiceWorker(ABC):  # noqa: B024  # its heirs have the abstract methods
    """What offers a service: its methods, to be written in an heir of a generated class.

    A method gets a reader of its parameter struct, unless that has no fields, and the `Request`. It may be `async`, and
    where it answers bit by bit a generator; what it is decides where it runs, as with `Worker.method`.
    """

    service_name: ClassVar[str] = ""
    capnp_methods: ClassVar[tuple[MethodTypes, ...]] = ()

    def add_to(self, worker: Worker) -> Worker:
        """Offers the methods with this worker, which may have others."""
        for method in self._all_methods():
            function: Callable[..., Any] = getattr(self, method.attribute)
            worker.add_method(function, name=method.name, takes=method.takes, returns=method.gives)
        return worker

    def new_worker(self, service: str | None = None, **options: Any) -> Worker:  # noqa: ANN401  # Worker's
        """A worker that offers the methods, under the interface's name unless it is given another."""
        return self.add_to(Worker(service or self.service_name, **options))

    def _all_methods(self) -> Iterator[MethodTypes]:
        """Its own and those it extends, each name once."""
        found: dict[str, MethodTypes] = {}
        for kind in type(self).__mro__:
            for method in vars(kind).get("capnp_methods", ()):
                found.setdefault(method.name, method)
        return iter(found.values())


def body_of(takes: StructType | None, body: object, fields: Mapping[str, object]) -> object:
    """A request's body: the struct as it was given, else its fields, those that are not UNSET."""
    given = {name: value for name, value in fields.items() if value is not UNSET}
    if takes is None:
        return None
    if body is None:
        return write_fields(takes, given)
    if given:
        raise TypeError("a method takes its struct as a whole or its fields, not both")
    return write_record(takes, body) if isinstance(body, Record | Mapping) else body
