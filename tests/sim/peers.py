"""A process beside the broker: a socket that connects by itself, and (for ours) the shell of a session."""

from typing import TYPE_CHECKING, Final

from hootbus.frames.buffer import Frames
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse, serialize
from hootbus.workers.client_session import ClientSession
from hootbus.workers.session import Connected, Disconnected, Effect, Event, Malformed, Received, Send, Ticked, Unsent
from hootbus.workers.worker_session import WorkerSession
from sim.clock import Action, Alarm
from sim.network import Line, brief
from sim.violation import Violation

if TYPE_CHECKING:
    from sim.world import World

# The monitor's news and the messages reach a session by different ways, so news may be late.
_NEWS_S: Final = 0.02


class Peer:
    """A process with one socket. It connects by itself, again and again; what it cannot send waits in `outbox`."""

    plain = False
    # Whether the broker connects to it.
    dialled = False

    def __init__(self, world: "World", name: str, identity: bytes) -> None:
        self.world = world
        self.name = name
        self.identity = identity
        self.alive = True
        self.line: Line | None = None
        self._outbox: list[Message] = []
        self.hung = False
        self._backlog: list[Action] = []
        self._told_at = 0.0
        world.clock.after(world.random.random() * 0.1, self._connect)

    # Life

    def do(self, action: Action) -> None:
        """Runs it, unless the process hangs (then later) or is dead (then never)."""
        if self.hung:
            self._backlog.append(action)
        elif self.alive:
            action()

    def hang(self, seconds: float) -> None:
        """The process does nothing for so long; its connection stays."""
        self.hung = True
        self.world.note(self.name, lambda: f"hangs for {seconds:.2f} s")
        self.world.clock.after(seconds, self.wake)

    def wake(self) -> None:
        """The process goes on, with what has come meanwhile."""
        self.hung = False
        backlog, self._backlog = self._backlog, []
        for action in backlog:
            self.do(action)

    def die(self, orderly: bool = False) -> None:
        """The process is gone."""
        self.alive = False
        self.world.note(self.name, lambda: "ends" if orderly else "dies")
        if self.line is not None:
            if orderly:
                self.world.network.close(self.line)
            else:
                self.world.network.cut(self.line, at_once=self.world.random.random() < 0.5)
            self.line = None

    # The socket

    def _connect(self) -> None:
        if not self.alive or self.line is not None:
            return
        if self.plain and not self.dialled:
            # A socket without a routing id of its own gets another one for each connection.
            self.identity = b"\0" + self.world.new_bytes(4)
        line = self.world.network.new_line(self.identity, self, self.dialled)
        if not self.world.network.connect(line):
            self.world.clock.after(0.02 + self.world.random.random() * 0.2, self._connect)
            return
        self.line = line
        self.world.note(self.name, lambda: f"is connected as {line.identity[:4].hex()}")
        waiting, self._outbox = self._outbox, []
        for message in waiting:
            self.send(message)
        self._news(self.connected)

    def line_broke(self, line: Line) -> None:
        """The socket finds its connection gone, and connects anew."""
        if self.line is not line:
            return
        self.line = None
        self.world.note(self.name, lambda: "is disconnected")
        self._news(self.disconnected)
        self.world.clock.after(self.world.random.random() * 0.1, self._connect)

    def _news(self, told: Action) -> None:
        # In their order, whatever each one's delay.
        self._told_at = max(self.world.clock.now + self.world.random.random() * _NEWS_S, self._told_at)
        self.world.clock.at(self._told_at, lambda: self.do(told))

    def frames_came(self, frames: Frames) -> None:
        """The socket has a message."""
        self.do(lambda: self._take(frames))

    def _take(self, frames: Frames) -> None:
        try:
            message = parse(frames)
        except MalformedMessage:
            self.world.note(self.name, lambda: "<- rubbish")
            self.malformed()
            return
        self.world.note(self.name, lambda: f"<- {brief(message)}")
        self.received(message)

    def send(self, message: Message) -> None:
        """To the socket."""
        if self.line is None:
            self._outbox.append(message)
            return
        self.world.note(self.name, lambda: f"-> {brief(message)}")
        self.world.network.up(self.line, serialize(message))

    def took_outbox(self) -> list[Message]:
        """What waited for a connection, and is given back."""
        waiting, self._outbox = self._outbox, []
        return waiting

    # What the process makes of it

    def connected(self) -> None:
        """The connection is up."""

    def disconnected(self) -> None:
        """The connection is gone."""
        self.took_outbox()

    def received(self, message: Message) -> None:
        """A message came."""

    def malformed(self) -> None:
        """Frames came that are no message."""

    def check(self) -> None:
        """Raises Violation if its own account is wrong."""


class SessionPeer(Peer):
    """The shell of a session: it tells what happens, sends what is to be sent, and keeps the timer."""

    session: ClientSession | WorkerSession

    def begin(self, session: ClientSession | WorkerSession) -> None:
        """With the session made, the timer starts."""
        self.session = session
        self._alarm = Alarm(self.world.clock, self.world.lateness, lambda: self.do(self._tick))
        self._alarm.set(session.wake_at())

    def tell(self, event: Event) -> None:
        """Tells the session, and carries out what it answers."""
        self.carry_out(self.session.handle(event, self.world.clock.now))

    def _tick(self) -> None:
        self.tell(Ticked())
        wake_at = self.session.wake_at()
        if self.alive and wake_at is not None and wake_at <= self.world.clock.now:
            raise Violation(f"{self.name} has ticked and wants to be woken at a time that is past")

    def carry_out(self, effects: list[Effect]) -> None:
        """In order."""
        for effect in effects:
            if isinstance(effect, Send):
                self.sending(effect.message)
                self.send(effect.message)
            else:
                self.effect(effect)
        if self.alive:
            self._alarm.set(self.session.wake_at())
            self.check()

    def sending(self, message: Message) -> None:
        """The session sends."""

    def effect(self, effect: Effect) -> None:
        """Every effect that is no Send."""

    def connected(self) -> None:
        self.tell(Connected())

    def disconnected(self) -> None:
        self.tell(Disconnected())
        for message in self.took_outbox():
            self.tell(Unsent(message))

    def received(self, message: Message) -> None:
        self.tell(Received(message))

    def malformed(self) -> None:
        self.tell(Malformed())
