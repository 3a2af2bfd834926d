"""A peer that keeps to nothing: it registers as it likes, answers what it was not asked, and speaks for others."""

from typing import TYPE_CHECKING, Final

from hootbus.frames.errors import HandlerFailed, WorkerLost
from hootbus.frames.message import Message
from hootbus.frames.options import NO_OPTIONS, Options
from hootbus.frames.protocol import WORKER_SCHEMA, Command, ContentType, Flag
from hootbus.schemas import Registration, write_registration
from sim.asks import FORGED
from sim.peers import Peer
from sim.versions import AGREED, LIE, method
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.world import World

_EVERY_S: Final = 0.08
_NAMES: Final = (b"hoot.mine", b"NO NAME", b"")
_OURS: Final = Options(flags=Flag.WORKER)


class Rogue(Peer):
    """It speaks our extension. What it says under another's request id must reach nobody."""

    def __init__(self, world: "World", name: str, services: list[bytes]) -> None:
        super().__init__(world, name, b"R" + world.new_bytes(15))
        self._services = services
        self._requests: list[Message] = []
        self._parts: dict[bytes, int] = {}
        # Whoever gets this must have asked for it, in a request that was handed to this one.
        self._body = FORGED + self.identity
        self._act_later()

    def _act_later(self) -> None:
        self.world.clock.after(self.world.random.expovariate(1 / _EVERY_S), lambda: self.do(self._act))

    def _act(self) -> None:
        if not self.world.stormy:
            self.die()
            return
        self._act_later()
        if self.line is not None:
            acts = (self._ready, self._answer, self._answer, self._give_part, self._steal, self._beat, self._leave)
            self.world.random.choice(acts)()

    def received(self, message: Message) -> None:
        match message.command:
            case Command.REQUEST if message.service == WORKER_SCHEMA:
                self._show(message)
            case Command.REQUEST:
                self._requests.append(message)
            case Command.REPLY | Command.PARTIAL:
                raise Violation(f"{self.name}, which never asks, gets {message}")

    def _say(self, command: Command, request_id: bytes, body: bytes = b"", options: Options = NO_OPTIONS) -> None:
        self.send(Message((), command, ContentType.RAW_BINARY, request_id, b"", b"", body, options))

    def _ready(self) -> None:
        random = self.world.random
        service = random.choice((*self._services, *_NAMES) if random.random() < 0.3 else self._services)
        methods = (method(AGREED),) if self.world.typed and random.random() < 0.5 else ()
        registration = Registration(
            worker_id=self.identity, name=self.name, slots=random.choice((1, 2, 9)), methods=methods
        )
        ready_id = self.world.new_bytes(16)
        body = write_registration(ready_id, registration)
        kind = ContentType.CAPNPROTO if random.random() < 0.9 else ContentType.JSON
        self.send(Message((), Command.READY, kind, ready_id, service, body=body, options=_OURS))

    def _show(self, question: Message) -> None:
        """Its schema: a lie, too much, an error, or nothing at all."""
        chance = self.world.random.random()
        if chance < 0.3:
            return
        body = bytes(1000) if chance < 0.5 else LIE
        options = Options(status=HandlerFailed.number) if chance > 0.9 else NO_OPTIONS
        kind = ContentType.CAPNPROTO
        self.send(Message((), Command.REPLY, kind, question.request_id, body=body, options=options))

    def _answer(self) -> None:
        """One of the requests that it has, or had, rightly; at times twice."""
        if not self._requests:
            return
        random = self.world.random
        request = random.choice(self._requests)
        if random.random() < 0.7:
            self._requests.remove(request)
        options = Options(sequence=self._parts.get(request.request_id, 0))
        self._say(Command.REPLY, request.request_id, self._body, options)

    def _give_part(self) -> None:
        """Of a stream that may not have been asked for."""
        if self._requests:
            request = self.world.random.choice(self._requests)
            part = self._parts.get(request.request_id, 0)
            self._parts[request.request_id] = part + 1
            self._say(Command.PARTIAL, request.request_id, self._body, Options(sequence=part))

    def _steal(self) -> None:
        """What is another's is answered, streamed to, cancelled and credited."""
        strangers = [ask.request_id for ask in self.world.asks.open()[-8:]]
        mine = {request.request_id for request in self._requests}
        strangers = [request_id for request_id in strangers if request_id not in mine]
        if strangers:
            command = self.world.random.choice((Command.REPLY, Command.PARTIAL, Command.CANCEL, Command.CREDIT))
            self._say(command, self.world.random.choice(strangers), self._body)

    def _beat(self) -> None:
        self._say(Command.HEARTBEAT, self.world.new_bytes(16), options=self.world.random.choice((_OURS, NO_OPTIONS)))

    def _leave(self) -> None:
        """A goodbye, a drain, its own obituary, or nothing but the end of the connection."""
        random = self.world.random
        match random.randrange(4):
            case 0:
                self._say(Command.DISCONNECT, self.world.new_bytes(16))
            case 1:
                self._say(Command.DISCONNECT, self.world.new_bytes(16), options=Options(deadline_ms=200))
            case 2:
                self._say(Command.DISCONNECT, self.world.new_bytes(16), options=Options(status=WorkerLost.number))
            case _ if self.line is not None:
                self.world.network.cut(self.line)
