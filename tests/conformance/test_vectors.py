"""Every vector of `vectors/`, played by peers that share no code with the bus."""

from contextlib import ExitStack

import pytest

from conformance.brokers import Endpoints
from conformance.play import Brokers, Stage, load

VECTORS = load()


@pytest.mark.parametrize("name", VECTORS, ids=list(VECTORS))
def test_the_broker_keeps_to(name: str, brokers: Brokers) -> None:
    vector = VECTORS[name]
    stage = Stage(Endpoints(""))
    with ExitStack() as broker:
        # The peers leave before a broker of the vector's own does.
        try:
            settings = stage.cast(vector)
            stage.play(vector, brokers(vector, settings, broker))
        finally:
            stage.close()
