"""`hoot.quarantine`: looks at requests that took down their workers, has one tried again, lets go of them."""

from typing import Final

import msgspec

from hootbus.bus.requests import Requests
from hootbus.bus.state import Isolated
from hootbus.bus.statements import (
    DroppedAnswer,
    QuarantineAnswer,
    QuarantinedAnswer,
    QuarantineQuestion,
    ShownAnswer,
    question,
)
from hootbus.frames.errors import BadBody, BrokerStopping, Overloaded, UnknownMethod, UnknownService
from hootbus.frames.message import Message
from hootbus.frames.options import Options
from hootbus.frames.protocol import Flag
from hootbus.schemas import standard

QUARANTINE: Final = b"hoot.quarantine"
# Of a body in an answer: a few bytes ask for it, and the broker does nothing else while it writes it.
_SHOWN_BYTES_MAX: Final = 4 * 1024 * 1024


class Ward:
    """Answers for the quarantine."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._quarantine = requests.quarantine

    def ask(self, message: Message, method: str, state: str, now: float) -> msgspec.Struct | None:
        """The answer; None if it is to come from a worker. Raises the HootError that whoever asks is told."""
        match method:
            case "list":
                return QuarantineAnswer(tuple(_told(each, now) for each in self._quarantine.all()))
            case "show":
                return self._show(self._named(_asked(message)), now)
            case "retry":
                if state != "serving":
                    raise BrokerStopping("the broker takes no new requests")
                self._retry(self._named(_asked(message)), message, now)
                return None
            case "drop":
                return self._drop(_asked(message))
        raise UnknownMethod("hoot.quarantine has the methods list, show, retry and drop")

    def _named(self, asked: QuarantineQuestion) -> Isolated:
        found = self._quarantine.find(asked.id)
        if found is None:
            raise BadBody(f"no request {asked.id!r} is in quarantine")
        return found

    def _show(self, isolated: Isolated, now: float) -> ShownAnswer:
        message = isolated.message
        body = bytes(message.body) if message is not None and len(message.body) <= _SHOWN_BYTES_MAX else b""
        return ShownAnswer(_told(isolated, now), body, len(message.attachments) if message is not None else 0)

    def _retry(self, isolated: Isolated, asked: Message, now: float) -> None:
        """Whoever asks takes the place of its client."""
        if isolated.retrying:
            raise Overloaded(f"{isolated.id} is being carried out already")
        if isolated.message is None:
            raise BadBody(f"{isolated.id} cannot be carried out: there was no room for its body")
        service = self._requests.services.get(isolated.service)
        if service is None or not service.workers:
            raise UnknownService(f"no worker offers {isolated.service.decode()!r}")
        options, said = asked.options, isolated.message.options
        if options is not None:
            # It may go to another worker if its own leaves in peace, as it could before.
            flags = Flag.IDEMPOTENT | options.flags & (Flag.ONE_WAY | Flag.PARTIALS)
            schema_id, fingerprint = (said.schema_id, said.fingerprint) if said is not None else (0, 0)
            options = Options(
                options.deadline_ms, flags, schema_id=schema_id, credit=options.credit, fingerprint=fingerprint
            )
        again = isolated.message.__replace__(route=asked.route, request_id=asked.request_id, options=options)
        self._requests.accept(again, service, now, isolated)
        retry = self._requests.find(asked.route[0], asked.request_id)
        if retry is not None:
            # What the broker has to say of it answers the question that was asked.
            retry.target, retry.content_type = asked.service, asked.content_type

    def _drop(self, asked: QuarantineQuestion) -> DroppedAnswer:
        if asked.all == bool(asked.id):
            raise BadBody("either id or all says what is to be dropped")
        dropped = self._quarantine.all() if asked.all else [self._named(asked)]
        for isolated in dropped:
            self._quarantine.remove(isolated)
        return DroppedAnswer(len(dropped))


def _asked(message: Message) -> QuarantineQuestion:
    return question(message, QuarantineQuestion, standard.broker.QuarantineQuestion)


def _told(isolated: Isolated, now: float) -> QuarantinedAnswer:
    return QuarantinedAnswer(
        id=isolated.id,
        service=isolated.target.decode(errors="replace"),
        contentType=isolated.content_type.name.lower(),
        bytes=isolated.size,
        held=isolated.message is not None,
        strikes=isolated.strikes,
        ageSecs=int(now - isolated.since),
        retrying=isolated.retrying,
    )
