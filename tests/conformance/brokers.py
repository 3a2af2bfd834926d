"""The brokers that the vectors run against: ours, in a thread, or the one that `--broker` names."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from hootbus.bus.broker import Broker
from hootbus.bus.dialout import parse_dial_out
from hootbus.bus.limits import Limits
from hootbus.frames.address import BusAddress, parse_address

_START_S: Final = 10.0
_END_S: Final = 10.0


class Endpoints(msgspec.Struct, frozen=True):
    """Where the peers of a vector connect. A broker that only speaks HOOT01 has but the first."""

    requests: str
    subscribe: str = ""
    publish: str = ""
    bare: str = ""


def given(address: str) -> Endpoints:
    """Those of `--broker`: a bus address, or the very endpoint of any ZeroMQ transport."""
    try:
        bus = parse_address(address)
    except ValueError:
        return Endpoints(address)
    return Endpoints(bus.requests, bus.subscribe, bus.publish)


@contextmanager
def own(transport: str, **settings: Any) -> Iterator[Endpoints]:  # noqa: ANN401  # what a vector's `broker` table has
    """A broker of ours until the end of the block."""
    folder = tempfile.mkdtemp(prefix="hoot")
    address = f"ipc://{folder}/bus" if transport == "ipc" else "tcp://127.0.0.1:0"
    bare = f"ipc://{folder}/bare" if settings.get("hootenanny_events") else ""
    broker = Broker(
        parse_address(address),
        limits=msgspec.convert(settings.get("limits", {}), Limits),
        default_service=settings.get("default_service", ""),
        connect=tuple(map(parse_dial_out, settings.get("connect", ()))),
        hootenanny_events=bare,
    )
    served: Future[BusAddress] = Future()
    thread = threading.Thread(target=_serve, args=(broker, served), name="broker under test")
    thread.start()
    try:
        bus = served.result(_START_S)
        yield Endpoints(bus.requests, bus.subscribe, bus.publish, bare)
    finally:
        broker.stop()
        thread.join(_END_S)
        shutil.rmtree(folder)
        assert not thread.is_alive(), "the broker did not end"


def _serve(broker: Broker, served: "Future[BusAddress]") -> None:
    try:
        broker.run(on_ready=served.set_result)
    except Exception as error:  # the test that waits for the broker gets it, or pytest shows it as any thread's
        if served.done():
            raise
        served.set_exception(error)
