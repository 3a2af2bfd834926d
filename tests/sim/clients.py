"""Those who ask: a client of ours with its callers, and a plain HOOT01 client."""

from functools import partial
from typing import TYPE_CHECKING

from bus_world.indexes import agree
from hootbus.frames.message import Message
from hootbus.frames.protocol import Command, ContentType
from hootbus.workers.client_session import ClientSession
from hootbus.workers.failure import error_of
from hootbus.workers.link import LinkState
from hootbus.workers.session import Call, Closed, Effect, Linked, Outcome, Part, Unsent, Waiting
from sim.asks import Ask
from sim.network import Line, brief
from sim.peers import Peer, SessionPeer
from sim.tables import check_client, check_client_idle
from sim.versions import TYPE, comparison, fingerprint
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.world import World


class SimClient(SessionPeer):
    """A client of ours and the callers behind it."""

    def __init__(self, world: "World", name: str, identity: bytes = b"") -> None:
        super().__init__(world, name, identity or b"C" + world.new_bytes(15))
        self.limits = world.profile.peer
        self.asks: dict[bytes, Ask] = {}
        self.unread: dict[bytes, int] = {}
        self.links = 0
        session = ClientSession(
            new_id=lambda: world.new_bytes(16),
            random=world.random.random,
            now=world.clock.now,
            limits=self.limits,
        )
        self.client = session
        self.begin(session)

    @property
    def linked(self) -> bool:
        """Whether its session has found the broker."""
        return self.client.link is LinkState.UP

    def ask(self, ask: Ask, content_type: ContentType, body: bytes) -> None:
        """A caller asks."""
        self.asks[ask.request_id] = ask
        call = Call(
            request_id=ask.request_id,
            service=ask.service,
            content_type=content_type,
            body=body,
            attachments=(b"attached",) * ask.attachments,
            traceparent=ask.token,
            flags=ask.flags,
            timeout=ask.timeout,
            command=Command.HEARTBEAT if ask.ping else Command.REQUEST,
            schema_id=TYPE if ask.version else 0,
            fingerprint=fingerprint(ask.version) if ask.version else 0,
            comparison=partial(comparison, ask.service, ask.version) if ask.version else None,
        )
        self.carry_out(self.client.request(call, self.world.clock.now))

    def cancel(self, ask: Ask) -> None:
        """The caller gives up."""
        if ask.settled:
            return
        ask.cancelled = True
        self.world.note(self.name, lambda: f"cancels {ask.token.decode()}")
        self.carry_out(self.client.cancel(ask.request_id, self.world.clock.now))
        if not ask.settled:
            raise Violation(f"{ask}: cancelled without an outcome")

    def close(self) -> None:
        """The program ends the client in good order."""
        for ask in self.asks.values():
            ask.cancelled = True
        self.carry_out(self.client.close(self.world.clock.now))
        if self.asks:
            raise Violation(f"{self.name} is closed, and {len(self.asks)} requests have no outcome")
        self.die(orderly=True)

    def send(self, message: Message) -> None:
        random = self.world.random
        if self.world.stormy and message.command is Command.REQUEST and random.random() < 0.005:
            # The socket is full, and so is the outbox.
            self.world.note(self.name, lambda: f"-x {brief(message)}")
            self.world.clock.after(0.0, lambda: self.do(lambda: self.tell(Unsent(message))))
        else:
            super().send(message)

    def die(self, orderly: bool = False) -> None:
        for ask in self.asks.values():
            ask.forgotten = not ask.settled
        super().die(orderly)

    def effect(self, effect: Effect) -> None:
        now = self.world.clock.now
        if isinstance(effect, Outcome):
            ask = self.asks.pop(effect.request_id, None) or self.world.asks.find(self.identity, effect.request_id)
            if ask is None:
                raise Violation(f"{self.name}: an outcome for nothing")
            self.unread.pop(effect.request_id, None)
            result = effect.result
            self.world.note(
                self.name,
                lambda: f"outcome of {ask.token.decode()} : {brief(result) if isinstance(result, Message) else result}",
            )
            ask.ended(result, now)
        elif isinstance(effect, Part):
            part = self.asks.get(effect.request_id) or self.world.asks.find(self.identity, effect.request_id)
            if part is None:
                raise Violation(f"{self.name}: a part of nothing")
            part.part(effect.message)
            self._read_later(effect.request_id)
        elif isinstance(effect, Linked):
            self.links += 1
        elif not isinstance(effect, Waiting | Closed):
            raise Violation(f"{self.name}: {effect}")

    def _read_later(self, request_id: bytes) -> None:
        self.unread[request_id] = self.unread.get(request_id, 0) + 1
        if self.unread[request_id] > self._most(request_id):
            raise Violation(f"{self.name} has {self.unread[request_id]} unread parts of one stream")
        self.world.clock.after(self.world.random.random() * 0.05, lambda: self.do(lambda: self._read(request_id)))

    def _most(self, request_id: bytes) -> int:
        """How many items of a stream may be unread; one more for each time that the connection broke."""
        ask = self.asks.get(request_id)
        if ask is not None and ask.gather:
            return self.limits.gather_answers
        return self.limits.stream_window + self.links

    def _read(self, request_id: bytes) -> None:
        if self.unread.get(request_id):
            self.unread[request_id] -= 1
            self.carry_out(self.client.took(request_id, self.world.clock.now))

    def check(self) -> None:
        agree(f"requests of {self.name}", len(self.client), len(self.asks))
        if self.world.looks_closely():
            check_client(self.client, self.limits)

    def check_idle(self) -> None:
        """When everything has settled."""
        check_client_idle(self.client)


class PlainClient(Peer):
    """A HOOT01 client without our extension: it must get exactly one message per request, and nothing else."""

    plain = True

    def __init__(self, world: "World", name: str, identity: bytes = b"") -> None:
        super().__init__(world, name, b"")
        self.linked = False
        self._asks: dict[bytes, Ask] = {}

    def ask(self, ask: Ask, content_type: ContentType, body: bytes) -> None:
        """It asks, if it is connected; it knows of nothing that could be done otherwise."""
        self._asks[ask.request_id] = ask
        self.send(
            Message(
                ask.addresses, Command.REQUEST, content_type, ask.request_id, ask.service, ask.token, body, None, ()
            )
        )

    def cancel(self, ask: Ask) -> None:
        """It has no way to."""

    def connected(self) -> None:
        self.linked = True

    def disconnected(self) -> None:
        super().disconnected()
        self.linked = False

    def line_broke(self, line: Line) -> None:
        # Under its next identity it gets no more replies to what it asked under this one.
        self._forget()
        super().line_broke(line)

    def close(self) -> None:
        """It says goodbye, and wants nothing more."""
        self.send(Message((), Command.DISCONNECT, ContentType.EMPTY, self.world.new_bytes(16)))
        self.die(orderly=True)

    def die(self, orderly: bool = False) -> None:
        self._forget()
        super().die(orderly)

    def _forget(self) -> None:
        for ask in self._asks.values():
            ask.forgotten = ask.forgotten or not ask.settled

    def check_idle(self) -> None:
        """Its callers have all they are owed, or will never get it."""
        for ask in self._asks.values():
            if not ask.settled and not ask.silent:
                raise Violation(f"all is quiet, and {ask} has no outcome")

    def received(self, message: Message) -> None:
        ask = self._asks.get(message.request_id)
        if ask is None or message.command is not Command.REPLY or message.route != ask.addresses:
            raise Violation(f"{self.name}, a plain client, gets {message}")
        if 0 < ask.outcomes <= ask.copies + ask.echoes:
            ask.outcomes += 1
            return
        ask.ended(error_of(message) or message, self.world.clock.now)
