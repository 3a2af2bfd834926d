"""Connections between peers and the broker: late, cut, partitioned, full; and, worse than TCP, lossy."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Protocol

from hootbus.frames.buffer import Frames
from hootbus.frames.malformed import MalformedMessage
from hootbus.frames.message import Message, parse
from hootbus.frames.protocol import SIGNATURE, Command
from sim.asks import Asks
from sim.clock import Clock
from sim.profile import LATENCY_MAX_S, NOTICED_S, Profile


class End(Protocol):
    """A peer, as its connection sees it."""

    name: str
    line: "Line | None"

    def frames_came(self, frames: Frames) -> None: ...
    def line_broke(self, line: "Line") -> None: ...


class Line:
    """One connection, from its handshake to its end. What is under way when it is cut is lost."""

    def __init__(self, identity: bytes, peer: End, latency_s: float, dialled: bool = False) -> None:
        self.identity = identity
        self.peer = peer
        self.latency_s = latency_s
        # The broker's own, to a service that waits for it.
        self.dialled = dialled
        self.cut = False
        # The broker's pipe to this peer refuses messages until then.
        self.full_until = 0.0
        # A plain peer's, for which a goodbye of the broker had no room.
        self.untold = False
        self.arrived_up = 0.0
        self.arrived_down = 0.0


class Network:
    """All lines, the broker's end of them (`routes`), and the faults of the profile."""

    def __init__(self, clock: Clock, random: Random, profile: Profile, asks: Asks) -> None:
        self._clock = clock
        self._random = random
        self._profile = profile
        self._asks = asks
        self.routes: dict[bytes, Line] = {}
        self.lines: list[Line] = []
        # Names of peers that cannot reach the broker.
        self.apart: set[str] = set()
        self.stormy = True
        self.broker_takes: Callable[[Line, Frames], None] | None = None
        self.broker_noticed: Callable[[Line], None] | None = None
        self.broker_dialled: Callable[[Line], None] | None = None

    # Connections

    def connect(self, line: Line) -> bool:
        """The handshake; False if there is nobody to shake hands with."""
        if self.broker_takes is None or line.peer.name in self.apart:
            return False
        old = self.routes.get(line.identity)
        self.routes[line.identity] = line
        self.lines.append(line)
        if old is not None:
            # The broker's end of the broken connection gives way to the new one (ROUTER_HANDOVER).
            self.cut(old)
            self._clock.after(self._random.random() * 0.01, partial(self._tell_broker, old))
        if line.dialled and self.broker_dialled is not None:
            self.broker_dialled(line)
        return True

    def new_line(self, identity: bytes, peer: End, dialled: bool = False) -> Line:
        """A connection that is yet to be made. Some are much slower than others."""
        latency_s = self._profile.latency_s * self._random.choice((0.2, 1.0, 1.0, 5.0))
        return Line(identity, peer, latency_s, dialled)

    def cut(self, line: Line, at_once: bool = False) -> None:
        """Breaks it. Either end notices by itself, sometime."""
        if line.cut:
            return
        line.cut = True
        self.lines.remove(line)
        longest = 0.001 if at_once else NOTICED_S
        self._clock.after(self._random.random() * longest, lambda: self._broker_notices(line))
        self._clock.after(self._random.random() * longest, lambda: line.peer.line_broke(line))

    def close(self, line: Line) -> None:
        """The peer closes it in good order: what it has sent may still arrive."""
        self._clock.after(0.2, lambda: self.cut(line, at_once=True))

    def broker_ends(self, linger: float) -> None:
        """The broker's process is gone; with `linger` what it has sent still arrives."""
        self.broker_takes = self.broker_noticed = self.broker_dialled = None
        self.routes.clear()
        for line in list(self.lines):
            self._clock.after(linger, partial(self.cut, line, self._random.random() < 0.7))

    def _broker_notices(self, line: Line) -> None:
        if self.routes.get(line.identity) is line:
            del self.routes[line.identity]
            self._tell_broker(line)

    def _tell_broker(self, line: Line) -> None:
        if self.broker_noticed is not None and not (line.dialled and line.identity in self.routes):
            self.broker_noticed(line)

    # Messages

    def up(self, line: Line, frames: Frames) -> None:
        """From the peer to the broker."""
        line.arrived_up = self._carry(line, frames, line.arrived_up, self._arrive_up)

    def down(self, line: Line, frames: Frames) -> None:
        """From the broker to the peer; `frames` are without the identity."""
        line.arrived_down = self._carry(line, frames, line.arrived_down, self._arrive_down)

    def _carry(self, line: Line, frames: Frames, last: float, arrive: Callable[[Line, Frames], None]) -> float:
        random, profile = self._random, self._profile
        moment = max(last, self._clock.now + min(random.expovariate(1 / line.latency_s), LATENCY_MAX_S))
        copies = 1
        if self.stormy and profile.hostile:
            if random.random() < profile.lost:
                self.lose(line, frames, noticed=False)
                return last
            if random.random() < profile.garbled:
                self.lose(line, frames, noticed=False)
                frames = self._garble(line, frames)
            elif random.random() < profile.doubled:
                copies = 2
                self._copied(line, frames)
            if random.random() < profile.overtaken:
                # It comes later than what is sent after it.
                late = moment + random.random() * 20 * line.latency_s
                self._clock.at(late, lambda: arrive(line, frames))
                return last
        for _ in range(copies):
            self._clock.at(moment, lambda: arrive(line, frames))
        return moment

    def _arrive_up(self, line: Line, frames: Frames) -> None:
        if line.cut or self.broker_takes is None:
            self.lose(line, frames, noticed=True)
        elif self.routes.get(line.identity) is line:
            self.broker_takes(line, frames)

    def _arrive_down(self, line: Line, frames: Frames) -> None:
        if line.cut or line.peer.line is not line:
            self.lose(line, frames, noticed=True)
        else:
            line.peer.frames_came(frames)

    def lose(self, line: Line, frames: Frames, noticed: bool) -> None:
        """Writes down what was lost; `noticed` if the connection broke, which its ends will see."""
        try:
            message = parse(frames)
        except MalformedMessage:
            return
        ask = self._asks.find(line.identity, message.request_id)
        if ask is not None:
            ask.lost(message, noticed)

    def _garble(self, line: Line, frames: Frames) -> Frames:
        """What comes instead: too little, or a command, content type or options that are none."""
        ask = self._asks.find(line.identity, parse(frames).request_id)
        if ask is not None:
            ask.garbled = True
            ask.echoes += 1
        at = frames.index(SIGNATURE)
        match self._random.randrange(4):
            case 0:
                return frames[:-2] if len(frames) == at + 7 else frames[:-3]
            case 1:
                return [*frames[: at + 1], b"\xff\xff", *frames[at + 2 :]]
            case 2:
                return [*frames[: at + 2], b"\xff\xff", *frames[at + 3 :]]
        return [*frames[: at + 7], b"options"]

    def _copied(self, line: Line, frames: Frames) -> None:
        message = parse(frames)
        if message.command is Command.REQUEST:
            # One without a token is the broker's or a session's own question.
            if message.traceparent:
                self._asks.all[message.traceparent].copies += 1
        elif message.command is Command.REPLY and (ask := self._asks.find(line.identity, message.request_id)):
            ask.echoes += 1


def brief(message: Message) -> str:
    """A message in a line of the trace."""
    said: list[Any] = [message.command.name, message.request_id[:4].hex()]
    if message.traceparent:
        said.append(message.traceparent.decode())
    options = message.options
    if options is not None:
        for name in ("deadline_ms", "flags", "status", "sequence"):
            if value := getattr(options, name):
                said.append(f"{name} {value}")
    elif message.command in (Command.REQUEST, Command.REPLY):
        said.append("plain")
    return " ".join(map(str, said))
