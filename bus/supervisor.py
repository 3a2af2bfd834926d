"""Several processes of one worker: started, restarted when they die, and taken along when the supervisor ends.

The processes are new interpreters, not forks: a ZeroMQ context does not survive a fork. One that is to be replaced
while all is well, as after SIGHUP, ends only once its successor serves: whoever asks for the service finds it.
"""

import math
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import Final

import msgspec

from hootbus.bus.hangup import Terminal
from hootbus.bus.lifeline import CANNOT_BEGIN, Lifeline
from hootbus.bus.member import Member
from hootbus.bus.notify import Notifier
from hootbus.bus.obituary import ending, tell_gone
from hootbus.frames.address import BusAddress
from hootbus.frames.keys import Keys

_log = getLogger("hootbus.supervisor")

# Beyond the time the workers have to drain: for stop hooks and the interpreter's own end.
_GRACE_S: Final = 5.0
_IDLE_S: Final = 60.0


class Backoff(msgspec.Struct):
    """How long to wait before a process that ended is started again: doubling, bounded, forgotten once one lived."""

    first_s: float = 0.1
    most_s: float = 10.0
    settled_after_s: float = 10.0
    failures: int = 0

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a process that lived this long."""
        if lived_s >= self.settled_after_s:
            self.failures = 0
        delay = self.first_s * 2.0 ** min(self.failures, 16)
        self.failures += 1
        return min(self.most_s, delay)


class Place(msgspec.Struct, eq=False):
    """One place among the supervised: the process in it, or when the next one is due; and who is to follow it."""

    number: int
    backoff: Backoff
    start_at: float = 0.0
    member: Member | None = None
    successor: Member | None = None
    # A successor that could not begin is not tried again at once.
    relief_at: float = 0.0


class Counts(msgspec.Struct):
    """What became of the processes: those that died and were started again, those that were relieved in good order."""

    restarted: int = 0
    relieved: int = 0


class Supervisor:
    """Keeps `count` processes of `command` running until SIGTERM or SIGINT; SIGHUP has each relieved by a new one.

    Each gets its routing id from here, so that the broker can be told at once which worker has died. A first process
    that cannot begin at all (a module that is not there) ends everything: `run` then returns 1.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        bus: BusAddress,
        *,
        drain_timeout_s: float,
        backoff: Backoff | None = None,
        notifier: Notifier | None = None,
        keys: Keys | None = None,
    ) -> None:
        self._keys = keys
        self._command = command
        self._bus = bus
        self._drain_timeout_s = drain_timeout_s
        self._notifier = notifier or Notifier()
        # The processes are watched as closely as their supervisor is.
        self._watchdog_s = 2 * self._notifier.interval_s if self._notifier.watched else math.inf
        backoff = backoff or Backoff()
        self._places = [Place(number, msgspec.structs.replace(backoff)) for number in range(1, count + 1)]
        # Who is to be relieved, one after the other: at most one process more than there are places runs at a time.
        self._relief: deque[Member] = deque()
        self._rolling = False
        # A command that cannot be started even once is no command.
        self._started = False
        self._serves = False
        self._stopping = False
        # What the signals' handlers note for the loop, which alone looks after the processes: a handler that signalled
        # them would miss the one that is being started at that moment.
        self._stop_asked = self._kill_asked = self._roll_asked = False
        self._status = 0
        self._told = ""
        self.counts = Counts()

    def run(self) -> int:
        """Returns the exit status once every process has ended. For the main thread, as it takes the signals."""
        self._terminal = Terminal()
        with Lifeline() as lifeline, self._signals() as wake:
            try:
                self._supervise(lifeline, wake)
            finally:
                for member in self._members():
                    member.kill()
                    member.process.wait()
        return self._status

    def _supervise(self, lifeline: Lifeline, wake: int) -> None:
        while True:
            now = time.monotonic()
            self._obey(now)
            for member in self._members():
                member.listen(now)
            self._reap(now)
            if self._stopping and not self._members():
                return
            if not self._stopping:
                for place in self._places:
                    if place.member is None and now >= place.start_at:
                        place.member = self._start(place, now, lifeline)
                self._relieve(now, lifeline)
            for member in self._members():
                if now >= self._kill_at(member):
                    member.kill()
            self._report(now)
            # A process's end is a signal, too, and wakes.
            heard: list[int | Member] = [wake, *self._members()]
            select.select(heard, [], [], min(_IDLE_S, max(0.0, self._due(now) - time.monotonic())))
            with suppress(BlockingIOError):
                os.read(wake, 512)

    # What was asked for.

    def _obey(self, now: float) -> None:
        if self._stop_asked and not self._stopping:
            self._stop(now)
        if self._roll_asked:
            self._roll_asked = False
            if not self._stopping:
                self._roll(now)

    def _stop(self, now: float) -> None:
        """Has every process drain; those that take longer than they have time for are killed."""
        self._stopping = True
        self._relief.clear()
        self._notifier.stopping("draining")
        for member in self._members():
            member.end(now)

    def _roll(self, now: float) -> None:
        # Whoever has started by now, also one that is about to follow another.
        waiting = set(self._relief)
        self._relief.extend(
            member for member in self._members() if member.told_to_end is None and member not in waiting
        )
        self._rolling = True
        _log.info("replacing %d processes, one after the other", len(self._relief))
        self._notifier.reloading(now, "replacing the processes")

    # Those that end, and those that follow.

    def _start(self, place: Place, now: float, lifeline: Lifeline) -> Member | None:
        """A process, or None if the system has no room for another: then the place is due again later."""
        try:
            member = Member(place.number, self._command, lifeline, self._watchdog_s)
        except OSError as error:
            if not self._started:
                raise
            delay_s = place.backoff.after(0.0)
            place.start_at = place.relief_at = now + delay_s
            reason = error.strerror or error
            _log.error("worker %d cannot be started (%s); again in %.1f s", place.number, reason, delay_s)
            return None
        self._started = True
        return member

    def _reap(self, now: float) -> None:
        for place in self._places:
            if place.successor is not None and (status := self._ended(place.successor)) is not None:
                self._failed_to_follow(place, place.successor, status, now)
            if place.member is not None and (status := self._ended(place.member)) is not None:
                self._followed(place, place.member, status, now)

    def _ended(self, member: Member) -> int | None:
        status = member.ended()
        # One that ended by itself has said goodbye; one that could not begin, or not before we stopped it, was never
        # there.
        if status is not None and status not in (0, CANNOT_BEGIN) and not member.ended_as_asked(status):
            tell_gone(self._bus, member.identity, self._keys)
        return status

    def _failed_to_follow(self, place: Place, member: Member, status: int, now: float) -> None:
        place.successor = None
        if self._stopping:
            return
        place.relief_at = now + place.backoff.after(now - member.started_at)
        # What is there goes on: a new version that does not start takes nothing down.
        _log.error("worker %d stays as it is: the process to follow it %s", place.number, ending(status))
        self._relief.clear()
        self._rolled()

    def _followed(self, place: Place, member: Member, status: int, now: float) -> None:
        place.member, place.successor = place.successor, None
        if self._stopping:
            return
        if member.ended_as_asked(status):
            self.counts.relieved += 1
            place.start_at = now
            why = f" ({member.recycle})" if member.recycle else ""
            _log.info("worker %d (pid %d) has ended as asked%s", place.number, member.pid, why)
            return
        if status == CANNOT_BEGIN and place.backoff.failures == 0:
            self._status = 1
            self._stop(now)
            return
        self.counts.restarted += 1
        delay_s = place.backoff.after(now - member.started_at)
        place.start_at = now + delay_s
        what = f"again in {delay_s:.1f} s" if place.member is None else "another has its place already"
        _log.warning("worker %d (pid %d) %s; %s", place.number, member.pid, ending(status), what)

    def _relieve(self, now: float, lifeline: Lifeline) -> None:
        """Sees to it that a new process serves, then that the old one ends."""
        for place in self._places:
            member = place.member
            if member is None or member.told_to_end is not None:
                continue
            if place.successor is not None:
                if place.successor.ready:
                    member.end(now)
            elif member.recycle and now >= place.relief_at and member not in self._relief:
                self._relief.append(member)
        if any(place.successor is not None or _leaves(place.member) for place in self._places):
            return
        while self._relief:
            member = self._relief.popleft()
            for place in self._places:
                if place.member is member:
                    place.successor = self._start(place, now, lifeline)
                    if place.successor is None:
                        # What is there goes on.
                        self._relief.clear()
                        self._rolled()
                    return
        self._rolled()

    def _rolled(self) -> None:
        if self._rolling:
            self._rolling = False
            self._notifier.ready(self._summary())

    # How it goes.

    def _members(self) -> list[Member]:
        return [member for place in self._places for member in (place.member, place.successor) if member is not None]

    def _kill_at(self, member: Member) -> float:
        if member.told_to_end is None or member.killed:
            return math.inf
        return 0.0 if self._kill_asked else member.told_to_end + self._drain_timeout_s + _GRACE_S

    def _due(self, now: float) -> float:
        """When to look again though nothing happens."""
        due = [self._kill_at(member) for member in self._members()]
        if not self._stopping:
            due += [place.start_at for place in self._places if place.member is None]
            due += [place.relief_at for place in self._places if place.relief_at > now]
        if self._notifier.watched and self._serves:
            # Not at once again while it is overdue, as it is when a process hangs.
            due.append(max(self._notifier.due, now + self._notifier.interval_s / 4))
        return min(due, default=math.inf)

    def _report(self, now: float) -> None:
        """Tells the service manager, which takes the silence of one process for that of all."""
        hung = [member for member in self._members() if not member.healthy(now)]
        for member in hung:
            if not member.said_hung:
                member.said_hung = True
                _log.error("worker %d (pid %d) hangs: the watchdog is not fed any more", member.number, member.pid)
        # Before that nobody watches, and beats would only fill the manager's queue.
        if self._serves and not hung:
            self._notifier.feed(now)
        if self._stopping or self._rolling:
            return
        summary = self._summary()
        if not self._serves and all(place.member is not None and place.member.ready for place in self._places):
            self._serves = True
            self._notifier.ready(summary)
        elif summary != self._told:
            self._notifier.status(summary)
        self._told = summary

    def _summary(self) -> str:
        attached = sum(place.member is not None and place.member.ready for place in self._places)
        counts = self.counts
        return (
            f"{attached} of {len(self._places)} attached, "
            f"{counts.restarted} restarted, {counts.relieved} relieved in good order"
        )

    # Signals.

    @contextmanager
    def _signals(self) -> Iterator[int]:
        """SIGTERM and SIGINT stop, SIGHUP replaces; every signal, SIGCHLD among them, makes the descriptor readable."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        handlers: dict[signal.Signals, Callable[[int, object], None]] = {
            signal.SIGTERM: self._terminated,
            signal.SIGINT: self._interrupted,
            signal.SIGHUP: self._hung_up,
            signal.SIGCHLD: lambda number, frame: None,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reader)
            os.close(writer)

    def _terminated(self, number: int, frame: object) -> None:
        self._stop_asked = True

    def _interrupted(self, number: int, frame: object) -> None:
        self._kill_asked = self._stop_asked or self._stopping
        self._stop_asked = True

    def _hung_up(self, number: int, frame: object) -> None:
        if self._terminal.is_gone():
            self._stop_asked = True
        else:
            self._roll_asked = True


def _leaves(member: Member | None) -> bool:
    return member is not None and member.told_to_end is not None
