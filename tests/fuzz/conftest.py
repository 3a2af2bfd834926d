"""One broker for all hostile peers of a module: what one of them leaves behind, the next would meet."""

import sys
from collections.abc import Iterator

import pytest

from fuzz.served import Served, serving


@pytest.fixture(scope="module")
def process() -> Iterator[Served]:
    if sys.platform != "linux":
        pytest.skip("looks at the broker's process through /proc")
    with serving() as served:
        with served.scene():
            # What is made once and kept, memory most of all, is there before anything is compared.
            for _ in range(20):
                served.serves_well()
        yield served


@pytest.fixture
def served(process: Served) -> Iterator[Served]:
    """The broker before and after a test: it serves as ever, and has let go of what the test had it hold."""
    threads, descriptors = process.threads(), process.descriptors()
    with process.scene():
        yield process
    with process.scene():
        process.serves_well()
    # A socket of a peer that has left is closed by libzmq's own thread, soon.
    process.until(lambda status: process.descriptors() <= descriptors + 8, "descriptors are not given back")
    status = process.status()
    assert (status["inFlight"], status["queued"], status["heldBytes"]) == (0, 0, 0)
    assert process.threads() == threads
