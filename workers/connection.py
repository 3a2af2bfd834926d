"""The shell of a session on asyncio: one DEALER socket, its monitor, a timer, and an outbox for when it is full.

It has no rules of its own: it tells the session what happened, sends what it says, and passes on every other effect.
Everything here runs on the loop that opened it.
"""

import asyncio
import itertools
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from hootbus.frames.address import BusAddress
from hootbus.frames.context import aligned_context
from hootbus.frames.errors import BadFrame, Denied
from hootbus.frames.keys import Keys
from hootbus.frames.message import Message, parse, serialize
from hootbus.frames.sockets import LinkChange, Monitor, connect_again, dealer
from hootbus.frames.wire import SENT, Wire
from hootbus.workers.handshakes import RETRY_S, Handshakes
from hootbus.workers.limits import Limits
from hootbus.workers.session import (
    Barred,
    Connected,
    Disconnected,
    Effect,
    Event,
    Malformed,
    Received,
    Send,
    Ticked,
    Unsent,
)

IDENTITY_BYTES: Final = 16
_MS_PER_S: Final = 1000
# Messages that wait for the end of a turn of the loop; more than that leave at once.
_OUTGOING_MAX: Final = 256


class Session(Protocol):
    """What a connection needs of a session. `reached` counts limits by name, the connection's among them."""

    @property
    def reached(self) -> dict[str, int]: ...

    def handle(self, event: Event, now: float) -> list[Effect]: ...
    def wake_at(self) -> float | None: ...


def new_identity() -> bytes:
    """A random ROUTING_ID. Its first byte is not 0, as libzmq keeps such identities for itself."""
    return bytes([1 + secrets.randbelow(255)]) + secrets.token_bytes(IDENTITY_BYTES - 1)


class IdSource:
    """Request ids: 8 random bytes that name the source, and a count. Cheaper than 16 random bytes each.

    May be called from any thread: `next` on a count is one step.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_bytes(8)
        self._count = itertools.count(1)

    def __call__(self) -> bytes:
        return self._prefix + next(self._count).to_bytes(8, "little")


class Connection:
    """One peer's socket, connected to a bus and driven by the running loop.

    `carry_out` gets every effect that is not a Send. A message that a full socket does not take waits in the outbox,
    bounded, until it does; one that waits when the connection goes is given back to the session.
    """

    def __init__(
        self,
        address: BusAddress,
        session: Session,
        carry_out: Callable[[Effect], None],
        limits: Limits,
        log: logging.Logger,
        identity: bytes | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._session = session
        self._carry_out = carry_out
        self._limits = limits
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._outgoing: list[Message] = []
        self._outbox: deque[Message] = deque()
        self._room: deque[Callable[[], None]] = deque()
        self._pump_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._open = True
        self._endpoint = address.requests
        self._handshakes = Handshakes(keys is not None)
        # A context of its own: it is never shared over a fork, and ends with the connection.
        self._context = aligned_context()
        socket = dealer(self._context, identity or new_identity(), keys=keys)
        self._wire = Wire(socket)
        # Before the connection is begun, as its first event would be missed.
        self._monitor = Monitor(socket)
        socket.connect(address.requests)
        self._fd: int = socket.fileno()
        self._monitor_fd: int = self._monitor.socket.fileno()
        self._loop.add_reader(self._fd, self._pump)
        self._loop.add_reader(self._monitor_fd, self._watch)
        self._pump_soon()
        self._watch()

    @property
    def backed_up(self) -> bool:
        """Whether messages wait for room in the socket."""
        return bool(self._outbox)

    def when_room(self, callback: Callable[[], None]) -> None:
        """Calls back once nothing waits for room in the socket: at once, mostly."""
        if self._outbox and self._open:
            self._room.append(callback)
        else:
            callback()

    def tell(self, event: Event) -> None:
        """Tells the session, and carries out what it answers."""
        self.carry_out(self._session.handle(event, time.monotonic()))

    def carry_out(self, effects: list[Effect], *, now: bool = False) -> None:
        """Carries out a session's effects, in order. What is sent leaves in the next turn, or `now`."""
        for effect in effects:
            if type(effect) is Send:
                self._send(effect.message)
            else:
                self._carry_out(effect)
        # A send takes in what libzmq has to say, so the descriptor may not show what has come meanwhile; and the
        # session may want to be woken earlier than before. One look, later on, serves all that is carried out now.
        if now:
            self._pump()
        else:
            self._pump_soon()

    def flush(self) -> None:
        """Sends what waits for the end of this turn."""
        if self._outgoing or self._outbox:
            self._flush()
            self._pump_soon()

    def close(self) -> None:
        """Closes the socket, without waiting; `end` does that, as it would hold up the loop."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._fd)
        self._loop.remove_reader(self._monitor_fd)
        if self._timer is not None:
            self._timer.cancel()
        self._flush()
        self._outbox.clear()
        self._call_room()
        self._monitor.close()
        self._wire.close(int(self._limits.linger_s * _MS_PER_S))

    def end(self) -> None:
        """Once it is closed: returns when what was handed to it has left, or `linger_s` is over. For any thread."""
        self._context.term()

    # Sending.

    def _send(self, message: Message) -> None:
        """The message leaves with all others of this turn of the loop, as each wake-up of libzmq's thread is dear."""
        if not self._open:
            return
        self._outgoing.append(message)
        if len(self._outgoing) >= _OUTGOING_MAX:
            self._flush()

    def _flush(self) -> bool:
        """Sends what it can; whether that was anything."""
        sent = False
        # Taken first: whatever becomes of one of them, none is met a second time.
        outgoing, self._outgoing = self._outgoing, []
        outbox, send = self._outbox, self._wire.send
        while outbox:
            try:
                if send(serialize(outbox[0])) != SENT:
                    break
                sent = True
            except Exception as error:  # noqa: BLE001  # a program's buffer may raise anything; others must still leave
                self._give_back(outbox[0], error)
            outbox.popleft()
        for message in outgoing:
            try:
                if outbox or send(serialize(message)) != SENT:
                    self._put_aside(message)
                else:
                    sent = True
            except Exception as error:  # noqa: BLE001  # as above
                self._give_back(message, error)
        if self._room and not outbox:
            self._call_room()
        return sent

    def _give_back(self, message: Message, error: Exception) -> None:
        """A message that cannot be sent, as when its buffer was released meanwhile."""
        self._log.warning("a %s cannot be sent: %s: %s", message.command.name, type(error).__name__, error)
        self._loop.call_soon(self.tell, Unsent(message, error))

    def _put_aside(self, message: Message) -> None:
        if len(self._outbox) < self._limits.outbox:
            self._outbox.append(message)
        else:
            self._session.reached["outbox"] += 1
            self._loop.call_soon(self.tell, Unsent(message))

    def _call_room(self) -> None:
        while self._room:
            self._room.popleft()()

    # Receiving.

    def _pump_soon(self) -> None:
        if not self._pump_due and self._open:
            self._pump_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Sends what waits and takes in what has come, and comes back until nothing has.

        The descriptor tells of changes, not of what is left, and a send takes note of them too; so only an empty look
        after the last send is the end. In between, others on the loop get their turn: they have replies to work with.
        """
        self._pump_due = False
        if not self._open:
            return
        self._flush()
        more = True
        try:
            more = self._receive()
        finally:
            # Also when an effect has raised: what came behind that message must not wait for the next to come.
            if more:
                self._pump_soon()
        if self._flush():
            self._pump_soon()
        self._set_timer()

    def _receive(self) -> bool:
        """Takes in what has come, up to a batch; whether to look again: it was a lot, or there is an answer to send."""
        now = time.monotonic()
        receive, handle, carry_out = self._wire.receive, self._session.handle, self._carry_out
        for taken in range(self._limits.receive_batch):
            frames = receive()
            if frames is None:
                return taken > 0 and bool(self._outgoing or self._outbox)
            try:
                event: Event = Received(parse(frames))
            except BadFrame:
                event = Malformed()
            for effect in handle(event, now):
                if type(effect) is Send:
                    self._send(effect.message)
                else:
                    carry_out(effect)
            if self._closed():
                return False
        self._session.reached["receive_batch"] += 1
        return True

    def _watch(self) -> None:
        """Tells the session of the connection's ups and downs."""
        if not self._open:
            return
        for change in self._monitor.read():
            if change is LinkChange.UP:
                self._handshakes.succeeded()
                self.tell(Connected())
            elif change is LinkChange.DOWN:
                self._went_down()
            else:
                self._shut_out(change)
            if self._closed():
                return

    def _shut_out(self, change: LinkChange) -> None:
        if change is not LinkChange.CUT:
            self._loop.call_later(RETRY_S, self._connect_again)
        failure = self._handshakes.failed(change)
        if failure is None:
            return
        if failure.fresh:
            self._log.warning("%s", failure.words)
        self.tell(Barred(Denied(failure.words), failure.hopeless))

    def _connect_again(self) -> None:
        if self._open:
            connect_again(self._wire.socket, self._endpoint)

    def _closed(self) -> bool:
        """Whether an effect has closed the connection; a function, so that the type checker asks each time too."""
        return not self._open

    def _went_down(self) -> None:
        self.tell(Disconnected())
        unsent = [*self._outbox, *self._outgoing]
        self._outbox.clear()
        self._outgoing.clear()
        for message in unsent:
            self.tell(Unsent(message))
        self._call_room()

    # Time.

    def _set_timer(self) -> None:
        """One timer, moved only to come earlier: one that comes too early finds nothing to do and sets the next."""
        wake_at = self._session.wake_at()
        if wake_at is None or not self._open:
            return
        # The loop's clock is time.monotonic.
        if wake_at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = wake_at
            self._timer = self._loop.call_at(wake_at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        if self._open:
            self.tell(Ticked())
