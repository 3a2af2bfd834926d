"""Who is to be told when the broker ends: clients that have said hello."""

from typing import Final

from hootbus.bus import answers
from hootbus.bus.effects import Effect, Send
from hootbus.bus.limits import Limits
from hootbus.bus.tally import Tally
from hootbus.frames.errors import BrokerStopping
from hootbus.frames.malformed import Route
from hootbus.frames.message import Message

_LIMIT: Final = "clients"


class Clients:
    """Clients by their route, the oldest forgotten beyond the bound: they find out by themselves, a little later.

    The broker ends with every open request answered. So a client may take what it has not heard of by then for never
    accepted, and give it to the next broker. Except one for which there was no room once: it may have missed a reply.
    """

    def __init__(self, limits: Limits, tally: Tally) -> None:
        self._limits = limits
        self._tally = tally
        # Whether it has had all that was meant for it.
        self._heard_all: dict[Route, bool] = {}
        self._by_identity: dict[bytes, dict[Route, None]] = {}

    def __len__(self) -> int:
        return len(self._heard_all)

    def greeted(self, message: Message) -> None:
        """Its HEARTBEAT. A plain peer does not know what a DISCONNECT says to a client."""
        if message.options is None:
            return
        route = message.route
        if route in self._heard_all:
            return
        if len(self._heard_all) >= self._limits.clients:
            self._tally.reached[_LIMIT] += 1
            # Who has made up many return addresses makes room itself, and costs nobody else the word.
            own = self._by_identity.get(route[0])
            self.left(next(iter(own or self._heard_all)))
        self._heard_all[route] = True
        self._by_identity.setdefault(route[0], {})[route] = None

    def missed(self, route: Route) -> None:
        """Something could not be sent to it."""
        if route in self._heard_all:
            self._heard_all[route] = False

    def left(self, route: Route) -> None:
        """It is gone."""
        if self._heard_all.pop(route, None) is None:
            return
        own = self._by_identity[route[0]]
        del own[route]
        if not own:
            del self._by_identity[route[0]]

    def dismiss_all(self, error: BrokerStopping) -> list[Effect]:
        """The broker ends: a DISCONNECT to each."""
        told: list[Effect] = [
            Send(answers.disconnect(route, True, error=error))
            for route, all_heard in self._heard_all.items()
            if all_heard
        ]
        self._heard_all.clear()
        self._by_identity.clear()
        return told
