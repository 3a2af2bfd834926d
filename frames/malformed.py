"""What is said of frames that are no message."""

from typing import TypeAlias

from hootbus.frames.errors import BadFrame
from hootbus.frames.protocol import ContentType

Route: TypeAlias = tuple[bytes, ...]


class MalformedMessage(BadFrame):
    """Frames that are no message. `field` names the frame; `route` and `request_id` are there as far as readable.

    `request_id` is set only for a REQUEST, the one command whose sender waits for an answer.
    """

    def __init__(
        self,
        field: str,
        reason: str,
        route: Route = (),
        request_id: bytes | None = None,
        content_type: ContentType = ContentType.EMPTY,
    ) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.route = route
        self.request_id = request_id
        self.content_type = content_type
