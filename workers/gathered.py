"""What a gather gives: one worker's answer, which is a reply or an error."""

from typing import Any, Final

from hootbus.frames.errors import BadFrame, HootError
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType, Flag
from hootbus.workers.content import Reply
from hootbus.workers.failure import error_of

# As a plain number: `&` with an enum costs more than all else that is done with a flag.
_PLAIN: Final[int] = Flag.PLAIN.value


class Gathered(Reply, eq=False, gc=True):
    """The answer of one worker to a request that went to all of a service.

    `worker` is the broker's name for it, as `hoot workers` shows it. If `error` is not None it has no content, and
    reading it raises that error.
    """

    worker: str = ""
    error: HootError | None = None

    def __repr__(self) -> str:
        said = f"{self.size} bytes, {self._content_type.name}" if self.error is None else self.error.code
        return f"<Gathered from {self.worker}: {said}>"

    @property
    def body(self) -> Any:  # noqa: ANN401  # any JSON value is possible
        """As `Reply.body`; raises the error if there is one."""
        self._check()
        return super().body

    @property
    def raw(self) -> memoryview:
        """As `Reply.raw`; raises the error if there is one."""
        self._check()
        return super().raw

    def _expect(self, content_type: ContentType) -> None:
        self._check()
        super()._expect(content_type)

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


def gathered_of(message: Message) -> Gathered:
    """The answer in a PARTIAL of a gather."""
    options = message.options
    number, flags, schema_id = (options.credit, options.flags, options.schema_id) if options is not None else (0, 0, 0)
    # A worker that sends no options says in the body alone that it failed.
    error = error_of(message.__replace__(options=None) if flags & _PLAIN else message)
    worker = f"w{number}"
    if error is not None:
        return Gathered(ContentType.EMPTY, b"", worker=worker, error=error)
    return Gathered(message.content_type, message.body, schema_id, message.attachments, worker=worker)


def as_gathered(item: Reply) -> Gathered:
    """The item that a gather gives. Raises BadFrame if it is the reply of a single worker."""
    if isinstance(item, Gathered):
        return item
    raise BadFrame("the broker knows no gather, and has asked one worker")
