"""The client that speaks JSON, for who wants to look at what goes over the bus: else it does as the generated one.

The bodies are written and read as ever, and are JSON on the way. The workers' library does the same at its end.
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from hootbus.schemas import CapnpBody, StructType, TypedReader, read_capnp
from hootbus.schemas.forms import read_capnp_json, write_capnp_json
from hootbus.workers import BadBody, Reply
from hootbus.workers.generated import body_of
from hootbus.workers.standard.proof_bus import AsyncProverClient

R = TypeVar("R", bound=TypedReader)


class SpelledProverClient(AsyncProverClient):
    """An `AsyncProverClient` whose requests are JSON, and so are the replies."""

    async def _ask(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> R:
        reply = await self._bus.call(self._target(method), _spelled(takes, body, fields), **self._options)
        return _read(reply, gives)

    async def _stream(
        self, method: str, takes: StructType | None, gives: type[R], body: object, fields: Mapping[str, object]
    ) -> AsyncIterator[R]:
        async for item in self._bus.stream(self._target(method), _spelled(takes, body, fields), **self._options):
            yield _read(item, gives)


def _spelled(takes: Any, body: object, fields: Mapping[str, object]) -> object:  # noqa: ANN401  # any struct
    written = body_of(takes, body, fields)
    assert isinstance(written, CapnpBody), "all methods have fields, and get a message or a record"
    return json.loads(write_capnp_json(read_capnp(written.buffer, takes)))


def _read(reply: Reply, gives: type[R]) -> R:
    struct: Any = gives
    try:
        return read_capnp(read_capnp_json(str(reply.raw, "utf-8"), struct).buffer, gives)
    except ValueError as error:
        raise BadBody(str(error)) from error
