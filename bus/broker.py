"""The broker's shell: it takes the bus's endpoints, begins all that belongs to a broker, and ends it again.

What it does in between is told in `serving`.
"""

import logging
import os
import secrets
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from importlib.metadata import version
from typing import Final, TypeVar

import zmq

from hootbus.bus.access import Access
from hootbus.bus.core import Core
from hootbus.bus.court import Court
from hootbus.bus.dialout import DialOut, Line
from hootbus.bus.door import DESCRIPTORS_MIN, Doorkeeper
from hootbus.bus.guard import (
    CannotServe,
    IpcFolder,
    is_loopback,
    raise_descriptor_limit,
    require_closed,
    require_loopback,
)
from hootbus.bus.hootenanny import BareEventFeed
from hootbus.bus.inputs import Drain, Judged
from hootbus.bus.judgement import Verdict
from hootbus.bus.limits import Limits
from hootbus.bus.notify import Notifier
from hootbus.bus.proxy import PUBLISH_INSIDE, EventProxy, last_endpoint
from hootbus.bus.security import Security
from hootbus.bus.serving import Serving
from hootbus.bus.wishes import Wishes
from hootbus.frames.address import BusAddress, parse_address
from hootbus.frames.context import aligned_context, fallbacks
from hootbus.frames.sockets import Monitor, event_socket, router
from hootbus.frames.wire import Wire

_log = logging.getLogger("hootbus.broker")
T = TypeVar("T")

# Three free ports in a row are soon found; a machine where they are not has other troubles.
_PORT_TRIES: Final = 100
_INSTANCE_BYTES: Final = 16
# What was sent last, goodbyes among them, gets this long to leave.
_LINGER_MS: Final = 500


class Broker:
    """One broker. `run` serves in the calling thread until it has drained or is stopped.

    `drain`, `reload` and `stop` may be called from any thread and from signal handlers. `notifier` is told how it goes,
    and its watchdog is fed by the very loop that serves.
    """

    def __init__(
        self,
        address: BusAddress,
        *,
        limits: Limits | None = None,
        default_service: str = "",
        connect: tuple[DialOut, ...] = (),
        hootenanny_events: str = "",
        insecure: bool = False,
        notifier: Notifier | None = None,
        security: Security | None = None,
    ) -> None:
        self.address = address
        self._limits = limits
        self._default_service = default_service
        self._connect = connect
        self._hootenanny_events = hootenanny_events
        self._insecure = insecure
        self._notifier = notifier or Notifier()
        self._security = security
        self._wishes = Wishes()
        self._lines: dict[bytes, Line] = {}
        self._begun = False

    def run(self, on_ready: Callable[[BusAddress], None] | None = None) -> None:
        """Binds, serves, and returns when the broker has ended. Raises CannotServe if it cannot begin. Runs once.

        `on_ready` is called with the address once it serves; a tcp address with port 0 has got its port by then.
        """
        if self._begun:
            raise RuntimeError("a Broker runs once")
        self._begun = True
        descriptors = raise_descriptor_limit()
        if descriptors < DESCRIPTORS_MIN:
            raise CannotServe(
                f"{descriptors} files may be open, and a broker wants {DESCRIPTORS_MIN} at least; raise `ulimit -n`"
            )
        security = self._security
        keys = security.keys if security is not None else None
        require_loopback(self.address.requests, insecure=self._insecure, keyed=keys is not None)
        require_loopback(self._hootenanny_events, insecure=self._insecure)
        if keys is not None:
            require_closed(self._hootenanny_events, self._connect, insecure=self._insecure)
        with ExitStack() as stack:
            self._wishes.open()
            stack.callback(self._wishes.looks.end)
            stack.callback(self._wishes.close)
            folder = None
            if self.address.directory is not None:
                folder = stack.enter_context(IpcFolder(self.address))
            door = Doorkeeper(folder.move_door if folder is not None else None, descriptors)
            context = aligned_context()
            # ETERM ends the threads of the proxy and the feed, which close their sockets; they are waited for then.
            threads = stack.enter_context(ExitStack())
            stack.callback(context.term)
            for fallback in fallbacks(context):
                _log.warning("%s", fallback)
            if security is not None:
                security.open(context, stack, threads)
            proxy = EventProxy(context, keys, backlog=door.waiting)
            threads.callback(proxy.join)
            stack.callback(proxy.close)
            wire = Wire(router(context, keys, backlog=door.waiting), keys is not None)
            stack.callback(wire.close, _LINGER_MS)
            self._bind(wire, proxy)
            if folder is not None:
                folder.make_private()
            monitor = Monitor(wire.socket)
            stack.callback(monitor.close)
            watched = security.watch(*proxy.sockets, stack) if security is not None else []
            proxy.start()
            publisher = event_socket(context, zmq.PUB)
            stack.callback(publisher.close, 0)
            publisher.connect(PUBLISH_INSIDE)
            if self._hootenanny_events:
                feed = BareEventFeed(context, self._hootenanny_events)
                threads.callback(feed.join)
                feed.start()
            self._dial(context, stack)
            core = Core(
                instance=secrets.token_bytes(_INSTANCE_BYTES),
                new_id=lambda: uuid.uuid4().bytes,
                now=time.monotonic(),
                limits=self._limits,
                default_service=self._default_service,
                version=version("hootbus"),
                pid=os.getpid(),
                # Without keys the address is all that tells a user from a stranger.
                access=Access(admin=folder is not None) if security is None else security.access,
                judging=not self._serves_strangers(),
            )
            court = Court(core.limits.judge_timeout_s, self._judged)
            stack.callback(court.close)
            if self._serves_strangers():
                _log.warning("everyone who reaches %s may use the bus; nobody's schema is judged", self.address.text)
            if on_ready is not None:
                on_ready(self.address)
            self._notifier.ready(f"serving {self.address.text}")
            Serving(
                self.address,
                core,
                self._wishes,
                wire=wire,
                monitor=monitor,
                watched=watched,
                lines=self._lines,
                publisher=publisher,
                court=court,
                door=door,
                notifier=self._notifier,
                security=security,
            ).run()

    def drain(self) -> None:
        """Takes no new requests, finishes what is there (for `drain_timeout_s` at most), then ends."""
        self._wishes.take_in(Drain())

    def on_reload(self, hook: Callable[[], None]) -> None:
        """Has it called by `reload`, in the order of these calls. One that raises leaves what it is about as it was."""
        self._wishes.reload_hooks.append(hook)

    def reload(self) -> None:
        """Has the keys that are let in and their rights read again, and what `on_reload` was given called.

        On the broker's thread, between two messages.
        """
        self._wishes.reload = True
        self._wishes.wake()

    def stop(self) -> None:
        """Ends now; requests without an outcome are left to their clients' clocks."""
        self._wishes.stop = True
        self._wishes.wake()

    def look(self, at: Callable[[Core, float], T]) -> Future[T]:
        """Has the core looked at between two messages, with the time; from any thread. Cancelled if the broker ends.

        A look must change nothing and be short: the broker does nothing else meanwhile.
        """
        future = self._wishes.looks.ask(at)
        self._wishes.wake()
        return future

    def _judged(self, verdict: Verdict) -> None:
        """On the court's thread."""
        self._wishes.take_in(Judged(verdict))

    # Beginning

    def _bind(self, wire: Wire, proxy: EventProxy) -> None:
        """Takes the bus's three endpoints; for port 0 finds a port where all three are free."""
        wanted = self.address
        problem: Exception | None = None
        for _ in range(_PORT_TRIES if wanted.port == 0 else 1):
            try:
                wire.socket.bind(wanted.requests)
            except zmq.ZMQError as error:
                problem = error
                continue
            bound = last_endpoint(wire.socket)
            try:
                # Only the port is taken from there: libzmq says [::ffff:127.0.0.1] for the 127.0.0.1 it was given.
                # One so high that there are no three behind it is no address.
                host, port = wanted.text.rpartition(":")[0], bound.rpartition(":")[2]
                address = parse_address(f"{host}:{port}") if wanted.port == 0 else wanted
                proxy.bind(address)
            except (zmq.ZMQError, ValueError) as error:
                wire.socket.unbind(bound)
                problem = error
                continue
            self.address = address
            return
        raise CannotServe(f"cannot serve {wanted.text}: {problem}")

    def _dial(self, context: zmq.Context[zmq.Socket[bytes]], stack: ExitStack) -> None:
        for target in self._connect:
            try:
                line = Line(context, target)
            except zmq.ZMQError as error:
                raise CannotServe(f"cannot connect to {target.service} at {target.endpoint}: {error}") from None
            stack.callback(line.close)
            self._lines[line.identity] = line

    def _serves_strangers(self) -> bool:
        """Whether whoever reaches the address may be anybody."""
        return self._security is None and not is_loopback(self.address.requests)
