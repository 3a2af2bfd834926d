"""One seed's world: a storm of requests and faults, then peace, in which everything must come right again.

The cores and sessions are the real ones; the network, the processes and the callers are not. Everything is drawn from
one `Random(seed)`, so that a seed is a whole story and can be told again.
"""

import hashlib
from collections.abc import Callable
from random import Random
from typing import Final

from bus_world.indexes import agree
from bus_world.inspect import kept
from conformance import capnp_bytes
from hootbus.frames.errors import Overloaded
from hootbus.frames.message import Message
from hootbus.frames.protocol import ContentType, Flag
from sim.asks import NOBODYS, Ask, Asks
from sim.broker import SimBroker
from sim.clients import PlainClient, SimClient
from sim.clock import Clock
from sim.network import Network
from sim.profile import LINGER_S, NOTICED_S, REQUEST_TIMEOUT_S, draw
from sim.rogues import Rogue
from sim.versions import AGREED, VERSIONS
from sim.violation import Trace, Violation
from sim.workers import DialledService, PlainWorker, SimWorker

# In peace: how long until everybody has found everybody. READY refused by a stopping broker backs off up to 5 s.
_RECONNECTED_S: Final = 30.0
# No request outlives its own deadline, the broker's, or the wait for a worker that never comes, by more than this.
_SETTLED_S: Final = REQUEST_TIMEOUT_S + LINGER_S + 8.0
_FRESH_S: Final = 4.0
# Steps from one look at all tables to the next, which takes longer than what it looks at.
_CHECKED_EVERY: Final = 16
_STEPS_MAX: Final = 100_000
_TIMEOUTS_S: Final = (0.05, 0.3, 1.0, 4.0, 10.0)
_HOUSE: Final = (b"hoot.broker", b"hoot.broker/status", b"hoot.broker/services", b"hoot.broker/workers", b"hoot.none")
_CONTENT: Final = (ContentType.EMPTY, ContentType.CAPNPROTO, ContentType.RAW_BINARY, ContentType.JSON)


class World:
    """All of it. `run` raises Violation, with the trace and the command that shows it again.

    A `thorough` one looks at everything after each step, which takes three times as long and tells the same story.
    """

    def __init__(self, seed: int, thorough: bool = False) -> None:
        self.seed = seed
        self.thorough = thorough
        self.random = Random(seed)
        # By itself, so that the other stories of a seed do not depend on it.
        self.types = Random(f"types of {seed}")
        self.gathers = Random(f"gathers of {seed}")
        self.typed = self.types.random() < 0.5
        self.profile = draw(self.random)
        self.clock = Clock()
        self.asks = Asks()
        self.network = Network(self.clock, self.random, self.profile, self.asks)
        self.trace = Trace()
        self.broker = SimBroker(self, "b0")
        self.clients: dict[str, SimClient | PlainClient] = {}
        self.workers: dict[str, SimWorker | PlainWorker] = {}
        self._brokers = 1
        self.leaving = False
        self._services = [b"svc%d" % number for number in range(self.profile.services)]
        for number in range(self.profile.clients):
            self.clients[f"c{number}"] = SimClient(self, f"c{number}")
        for number in range(self.profile.plain_clients):
            self.clients[f"p{number}"] = PlainClient(self, f"p{number}")
        # Each place has one service for good; each service has a place.
        self._places = {
            f"w{number}": self._draw_place(number) for number in range(max(self.profile.workers, self.profile.services))
        }
        for name in self._places:
            self._hire(name)
        self.rogues = [Rogue(self, f"r{number}", self._services) for number in range(self.profile.rogues)]

    def _draw_place(self, number: int) -> tuple[bytes, type[SimWorker | PlainWorker]]:
        service = self._services[number] if number < len(self._services) else self.random.choice(self._services)
        if self.random.random() < self.profile.dialled:
            return service, DialledService
        return service, PlainWorker if self.random.random() < self.profile.plain_workers else SimWorker

    # What the actors need

    @property
    def stormy(self) -> bool:
        """Whether things go wrong on purpose."""
        return self.network.stormy

    def new_bytes(self, count: int) -> bytes:
        """Random bytes."""
        return self.random.randbytes(count)

    def draw_version(self) -> int:
        """A version of the services' types, 0 where they have none."""
        if not self.typed:
            return 0
        return self.types.choice(VERSIONS) if self.stormy else AGREED

    def lateness(self) -> float:
        """How late a timer is."""
        return self.random.choice((0.0, 0.001, 0.01)) * self.random.random()

    def note(self, who: str, what: Callable[[], str]) -> None:
        """A line of the trace."""
        self.trace.add(self.clock.now, who, what)

    def digest(self) -> str:
        """Of all that has happened."""
        return hashlib.sha256("\n".join(self.trace.lines()).encode()).hexdigest()

    def looks_closely(self) -> bool:
        """Whether all is to be checked after this step, and not only what is soon done."""
        return self.thorough or self.clock.steps % _CHECKED_EVERY == 0

    # The story

    def run(self) -> None:
        """Storm, peace, and a last look."""
        try:
            self._storm()
            self._peace()
            self._last_look()
            self._farewell()
        except Exception as error:
            # Whatever a core or session raises is as bad as a broken promise.
            raise Violation(self._report(error)) from error

    def _report(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {error}"
        return (
            f"{text}\n\nat {self.clock.now - 1000:.4f} s, step {self.clock.steps}, in the world of seed {self.seed}:\n"
            f"{self.trace.about(text)}\n\n{text}\n"
            f"again with:  python -m pytest tests/sim -k promise --sim-seed {self.seed}"
        )

    def _storm(self) -> None:
        end = self.clock.now + self.profile.storm_s
        for name in self.clients:
            self._ask_later(name)
        if self.profile.faults_per_s:
            self._fault_later()
        while self.clock.now < end + self.clock.slept:
            self.clock.run(end + self.clock.slept, self._check)

    def _peace(self) -> None:
        self.note("world", lambda: "peace")
        network = self.network
        network.stormy = False
        network.apart.clear()
        if not self.broker.alive:
            self._start_broker()
        if self.broker.core.state == "draining":
            self.clock.run(self.clock.now + 3.0, self._check, lambda: not self.broker.alive)
            if self.broker.alive:
                raise Violation("the broker was asked to drain, and does not end")
            self._start_broker()
        for peer in [*self._peers(), *self.rogues]:
            peer.wake()
        for rogue in self.rogues:
            rogue.die()
        for worker in list(self.workers.values()):
            if isinstance(worker, SimWorker) and worker.alive and worker.version not in (0, AGREED):
                # One that all others have to go with would keep them out.
                worker.die()
        for line in list(network.lines):
            line.full_until = 0.0
            if self.profile.hostile or line.untold:
                # A message lost on a connection that holds has left slots taken for good: TCP does not do that. And a
                # plain worker that was not told that it is no longer in has no way to find out.
                network.cut(line)
        self.clock.run(self.clock.now + _RECONNECTED_S, self._check, self._all_linked)
        if not self._all_linked():
            raise Violation(f"not reconnected: {[peer.name for peer in self._peers() if not peer.linked]}")
        # Those that are gone have been noticed.
        self.clock.run(self.clock.now + 2 * NOTICED_S, self._check)
        self.clock.run(self.clock.now + _SETTLED_S, self._check, self._all_settled)
        for ask in self.asks.open():
            # A plain client has no clock of its own, and nobody repeats to it what got lost.
            if not (ask.plain and ask.silent):
                raise Violation(f"no outcome for {ask}")
        self.clock.run(self.clock.now + _SETTLED_S, self._check, self._all_idle)
        self._settle_down()

    def _settle_down(self) -> None:
        """What is still under way arrives, and what clients that died had asked runs out of time."""
        self.clock.run(self.clock.now + 2.0, self._check)
        # A question of a session whose answer got lost has a deadline of its own, and nobody may wait for it any more.
        self.clock.run(self.clock.now + _TIMEOUTS_S[-1] + 2.0, self._check, self._all_ended)
        self.broker.check_idle()
        for client in self.clients.values():
            client.check_idle()

    def _last_look(self) -> None:
        """Everything works again."""
        asked = []
        for name in self.clients:
            for service in self._services:
                asked.append(self._ask(name, service, 0, None))
                self.clock.run(self.clock.now + _FRESH_S, self._check, lambda: asked[-1].settled)
            # And what takes more than one message each way.
            for flags in (Flag.PARTIALS, Flag.PARTIALS | Flag.GATHER):
                asked.append(self._ask(name, self._services[0], flags, None))
                self.clock.run(self.clock.now + _FRESH_S, self._check, lambda: asked[-1].settled)
        for ask in asked:
            # A gather is as many requests as there are workers, and the bounds of some worlds are tight.
            crowded = ask.gather and isinstance(ask.result, Overloaded)
            if not isinstance(ask.result, Message) and not crowded:
                raise Violation(f"in peace {ask} ended with {ask.result!r}")
        self._settle_down()

    def _farewell(self) -> None:
        """All leave in good order, and the broker remembers nobody."""
        self.leaving = True
        for client in self.clients.values():
            client.close()
        for worker in self.workers.values():
            worker.stop(1.0)
        self.clock.run(self.clock.now + 3.0, self._check)
        agree("what is kept for nobody", kept(self.broker.core), dict.fromkeys(kept(self.broker.core), 0))

    def _peers(self) -> list[SimClient | PlainClient | SimWorker | PlainWorker]:
        return [*self.clients.values(), *self.workers.values()]

    def _all_linked(self) -> bool:
        return all(peer.linked for peer in self._peers()) and len(self.workers) == len(self._places)

    def _all_settled(self) -> bool:
        return all(ask.plain and ask.silent for ask in self.asks.open())

    def _all_idle(self) -> bool:
        return self._all_settled() and all(worker.idle for worker in self.workers.values())

    def _all_ended(self) -> bool:
        ours = [client for client in self.clients.values() if isinstance(client, SimClient)]
        return not self.broker.busy and not any(client.client._pending for client in ours)

    def _client(self, name: str) -> SimClient | PlainClient:
        return self.clients[name]

    # Those who ask

    def _ask_later(self, name: str) -> None:
        self.clock.after(self.random.expovariate(self.profile.asks_per_s), lambda: self._ask_again(name))

    def _ask_again(self, name: str) -> None:
        if not self.stormy:
            return
        self._ask_later(name)
        random, client = self.random, self.clients[name]
        if isinstance(client, PlainClient) and client.line is None:
            return
        flags = Flag.IDEMPOTENT * (random.random() < 0.5)
        flags |= Flag.ONE_WAY * (random.random() < 0.1)
        flags |= Flag.WAIT * (random.random() < 0.2)
        flags |= Flag.PARTIALS * (random.random() < 0.2 and not flags & Flag.ONE_WAY)
        service = random.choice(self._services) if random.random() < 0.95 else random.choice(NOBODYS)
        if not self.typed and random.random() < 0.3:
            service += random.choice((b"/do", b"/do", b"/old", b"/none"))
        timeout = random.choice((None, *_TIMEOUTS_S))
        kind = "ping" if random.random() < 0.03 else ""
        if random.random() < 0.03:
            kind, service = "house", random.choice(_HOUSE)
        elif random.random() < 0.002:
            # An operator asks it to finish and end.
            kind, service = "house", b"hoot.broker/drain"
        if not kind and self.gathers.random() < 0.1:
            flags = Flag.PARTIALS | Flag.GATHER | Flag.IDEMPOTENT * (flags & Flag.IDEMPOTENT)
        ask = self._ask(name, service, flags, timeout, kind, random.random() < self.profile.poisonous)
        if random.random() < 0.1:
            self.clock.after(random.expovariate(5), lambda: client.do(lambda: client.cancel(ask)))

    def _ask(
        self, name: str, service: bytes, flags: int, timeout: float | None, kind: str = "", poison: bool = False
    ) -> Ask:
        random, client = self.random, self.clients[name]
        plain = isinstance(client, PlainClient)
        ask = Ask(
            token=b"t%d" % len(self.asks.all),
            client=name,
            identity=client.identity,
            request_id=self._request_id(name),
            service=service,
            flags=0 if plain or kind == "ping" else int(flags),
            timeout=None if plain else timeout,
            asked_at=self.clock.now,
            plain=plain,
            ping=kind == "ping" and not plain,
            house=kind == "house",
            attachments=2 if self.stormy and not plain and random.random() < 0.1 else 0,
            length=random.randint(0, 6),
            poison=poison,
            version=0 if plain or kind else self.draw_version(),
            addresses=random.choice(((), (b"",), (b"far", b""))) if plain else (),
        )
        self.asks.add(ask)
        self.note(name, lambda: f"asks {ask}")
        if ask.service in (b"hoot.broker", *NOBODYS) and random.random() < 0.7:
            client.ask(ask, ContentType.CAPNPROTO, capnp_bytes.envelope(ask.request_id, capnp_bytes.PING))
        else:
            client.ask(ask, random.choice(_CONTENT), bytes(random.choice((0, 10, 150))))
        return ask

    def _request_id(self, name: str) -> bytes:
        """Mostly a new one, at times one that another client uses too: ids are only unique per client.

        Not where messages come twice: the copy of a worker's reply would be taken for the other's.
        """
        if self.profile.doubled:
            return self.new_bytes(16)
        if self.random.random() < 0.1:
            used = {ask.request_id for ask in self.asks.all.values() if ask.client == name}
            others = [ask.request_id for ask in self.asks.open() if ask.request_id not in used]
            if others:
                return self.random.choice(others[-5:])
        return self.new_bytes(16)

    # Those who answer

    def _hire(self, name: str, identity: bytes = b"") -> None:
        """A worker process starts in this place."""
        service, kind = self._places[name]
        if issubclass(kind, SimWorker):
            self.workers[name] = kind(self, name, service, self.random.randint(1, 3), identity)
        else:
            self.workers[name] = kind(self, name, service)

    def _replace(self, name: str) -> None:
        worker = self.workers.get(name)
        if worker is None or worker.alive:
            return
        del self.workers[name]
        identity = worker.identity if self.random.random() < 0.2 and isinstance(worker, SimWorker) else b""
        self.clock.after(self.random.random(), lambda: self._hire(name, identity))

    # What goes wrong

    def _fault_later(self) -> None:
        self.clock.after(self.random.expovariate(self.profile.faults_per_s), self._fault)

    def _fault(self) -> None:
        if not self.stormy:
            return
        self._fault_later()
        faults = (
            (6, self._cut_line),
            (3, self._fill_pipe),
            (2, self._part_group),
            (3, self._hang_somebody),
            (3, self._kill_worker),
            (2, self._stop_worker),
            (1, self._kill_client),
            (1, self._end_broker),
            (0.5, self._restart_broker_again_and_again),
            (0.5, self._sleep),
        )
        self.random.choices([fault for _, fault in faults], [weight for weight, _ in faults])[0]()

    def _cut_line(self) -> None:
        if self.network.lines:
            line = self.random.choice(self.network.lines)
            self.note("world", lambda: f"cuts the connection of {line.peer.name}")
            self.network.cut(line, at_once=self.random.random() < 0.5)

    def _fill_pipe(self) -> None:
        if self.network.lines:
            line = self.random.choice(self.network.lines)
            self.note("world", lambda: f"fills the pipe to {line.peer.name}")
            line.full_until = self.clock.now + self.random.random() * 0.5

    def _part_group(self) -> None:
        network, names = self.network, [*self.clients, *self.workers]
        group = self.random.sample(names, self.random.randint(1, len(names)))
        self.note("world", lambda: f"parts {group} from the broker")
        network.apart.update(group)
        for line in list(network.lines):
            if line.peer.name in group:
                network.cut(line)
        self.clock.after(self.random.random() * 1.5, lambda: network.apart.difference_update(group))

    def _hang_somebody(self) -> None:
        self.random.choice(self._peers()).hang(self.random.choice((0.1, 0.5, 4.0)) * self.random.random())

    def _kill_worker(self) -> None:
        if self.workers:
            self.random.choice(list(self.workers.values())).die()

    def _stop_worker(self) -> None:
        if self.workers:
            worker = self.random.choice(list(self.workers.values()))
            within = self.random.choice((0.0, 0.2, 2.0))
            worker.do(lambda: worker.stop(within))

    def _kill_client(self) -> None:
        name = self.random.choice(list(self.clients))
        old = self.clients[name]
        if not old.hung and self.random.random() < 0.3:
            old.close()
        else:
            old.die()
        # A program that comes back under its old name.
        identity = old.identity if self.random.random() < 0.3 and isinstance(old, SimClient) else b""
        self.clients[name] = type(old)(self, name, identity)

    def _end_broker(self) -> None:
        broker = self.broker
        if not broker.alive:
            return
        if self.random.random() < 0.5:
            broker.crash()
            self.clock.after(self.random.random(), self._start_broker)
        else:
            broker.drain()

    def broker_ended(self) -> None:
        """It was asked to; whoever looks after it starts another."""
        self.clock.after(self.random.random(), self._start_broker)

    def _restart_broker_again_and_again(self) -> None:
        for _ in range(self.random.randint(2, 4)):
            self.clock.after(self.random.random() * 0.5, self._crash_and_start)

    def _crash_and_start(self) -> None:
        if self.stormy and self.broker.alive:
            self.broker.crash()
            self.clock.after(self.random.random() * 0.05, self._start_broker)

    def _sleep(self) -> None:
        """The machine is closed, and opened again."""
        seconds = self.random.choice((0.3, 1.0, 5.0, 70.0))
        self.note("world", lambda: f"sleeps for {seconds} s")
        self.clock.sleep(seconds)

    def _start_broker(self) -> None:
        if self.broker.alive:
            return
        self.broker = SimBroker(self, f"b{self._brokers}")
        self._brokers += 1
        self.note(self.broker.name, lambda: "starts")

    # After every step

    def _check(self) -> None:
        if self.clock.steps > _STEPS_MAX:
            raise Violation("the world does not come to rest")
        self.broker.check()
        for name, worker in () if self.leaving else [*self.workers.items()]:
            if not worker.alive:
                self._replace(name)
        if self.looks_closely() and not self.clock.behind:
            now = self.clock.now
            for ask in self.asks.open():
                if not ask.plain and ask.overdue(now - 0.1):
                    self._check_overdue(ask)

    def _check_overdue(self, ask: Ask) -> None:
        client = self.clients[ask.client]
        if client.identity == ask.identity and not client.hung:
            raise Violation(f"no outcome for {ask}, though its time is over")


def play(seed: int) -> None:
    """Runs the world of this seed. One that fails is run again, checked at each step, to show where it began."""
    try:
        World(seed).run()
    except Violation:
        World(seed, thorough=True).run()
        raise
