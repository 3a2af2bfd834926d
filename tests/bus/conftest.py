"""What the tests with real sockets share: short folders, and a broker in a thread."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
import zmq

from bus_world.serving import PATIENCE_S, Serving
from hootbus.bus.broker import Broker
from hootbus.frames.address import parse_address


@pytest.fixture
def folder() -> Iterator[str]:
    """A private folder whose path is short enough for a socket."""
    path = tempfile.mkdtemp(prefix="hoot")
    yield path
    shutil.rmtree(path)


class KeepingContext(zmq.Context["zmq.Socket[bytes]"]):
    """Holds its sockets until it ends, so that a test need not close each."""

    kept: ClassVar[list[zmq.Socket[bytes]]] = []

    def socket(self, *args: Any, **kwargs: Any) -> zmq.Socket[bytes]:  # noqa: ANN401  # as in pyzmq
        made = super().socket(*args, **kwargs)
        self.kept.append(made)
        return made


@pytest.fixture
def context() -> Iterator[KeepingContext]:
    """A context for the test's own peers; every socket of it gives up after a while."""
    made = KeepingContext()
    made.linger = 0
    made.rcvtimeo = int(PATIENCE_S * 1000)
    made.sndtimeo = int(PATIENCE_S * 1000)
    yield made
    made.destroy(0)
    made.kept.clear()


@pytest.fixture
def serve(folder: str) -> Iterator[Callable[..., Serving]]:
    """Starts brokers, on an ipc address of the test's own if no other is given."""
    started: list[Serving] = []

    def start(address: str = f"ipc://{folder}", **settings: object) -> Serving:
        serving = Serving(Broker(parse_address(address), **settings))  # type: ignore[arg-type]  # Broker's own keywords
        started.append(serving)
        serving.address  # noqa: B018  # it serves from here on
        return serving

    yield start
    for serving in started:
        serving.broker.stop()
        serving.join()
