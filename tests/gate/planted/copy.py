"""A client that copies each body that it is given, to be on the safe side."""

from typing import Any
from unittest import mock

from hootbus.schemas import CapnpBody
from hootbus.workers import Client, Reply

_call = Client.call


def cautious(self: Client, target: str, body: CapnpBody, **options: Any) -> Reply:  # noqa: ANN401  # passed on
    """As Client.call."""
    return _call(self, target, CapnpBody(bytes(body.buffer), body.type_id), **options)


mock.patch.object(Client, "call", cautious).start()
