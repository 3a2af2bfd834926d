"""What a handler may return when a body alone does not say it."""

from collections.abc import Iterable


class Response:
    """A handler's result with attachments: further frames that go with the body, sent without being looked into.

    `body` is anything a handler may return; `attachments` are buffers, at most 64.
    """

    __slots__ = ("attachments", "body", "schema_id")

    def __init__(self, body: object = None, *, attachments: Iterable[object] = (), schema_id: int = 0) -> None:
        self.body = body
        self.attachments = tuple(attachments)
        self.schema_id = schema_id
