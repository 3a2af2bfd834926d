"""A broker in a thread of the test's process, and what the process has open."""

import os
import threading
from concurrent.futures import Future

from hootbus.bus.broker import Broker
from hootbus.frames.address import BusAddress

PATIENCE_S = 10.0


class Serving:
    """A broker in a thread. `ended` has what `run` raised, or None once it returned."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.ready: Future[BusAddress] = Future()
        self.ended: Future[None] = Future()
        self.thread = threading.Thread(target=self._run, name="test-broker", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.broker.run(self.ready.set_result)
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    @property
    def address(self) -> BusAddress:
        """Where it serves."""
        return self.ready.result(PATIENCE_S)

    def join(self) -> None:
        """Waits for the end. Raises what `run` raised."""
        self.ended.result(PATIENCE_S)
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()


def descriptors() -> dict[str, str]:
    """The process's open descriptors and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one of listdir itself
            continue
    return found
