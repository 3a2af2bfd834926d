"""The pytest fixture `hoot_bus`: a running broker inside the test's own process, and peers that end with the test.

pytest loads this in every run of everyone who has hootbus installed, so nothing heavy is imported before a test asks.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hootbus.bus.embedded import EmbeddedBroker


@pytest.fixture
def hoot_bus() -> "Iterator[EmbeddedBroker]":
    """A bus of the test's own, on a fresh ipc address.

    `hoot_bus.address` is its address; `client()`, `async_client()`, `publisher()`, `subscriber(*topics)` give peers of
    it, `worker(worker)` attaches a worker until the test ends. All of them are closed afterwards.
    """
    from hootbus.bus.embedded import EmbeddedBroker

    with EmbeddedBroker() as bus:
        yield bus
