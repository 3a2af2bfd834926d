"""Worlds in a storm: whatever the network and the processes do, the bus keeps its promises.

`python -m pytest tests/sim --sim-seeds 0:10000` runs many; a failure says how to run its seed alone.
"""

from typing import Final

import pytest

from sim.world import World

# So many worlds are one test, far from its time limit.
_WORLDS: Final = 100


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The seeds to run, in portions. The options are unknown where this folder is not named on the command line."""
    if "seeds" not in metafunc.fixturenames:
        return
    alone = metafunc.config.getoption("--sim-seed", None)
    if alone is not None:
        portions = [range(alone, alone + 1)]
    else:
        first, last = map(int, str(metafunc.config.getoption("--sim-seeds", "0:300")).split(":"))
        portions = [range(at, min(at + _WORLDS, last)) for at in range(first, last, _WORLDS)]
    metafunc.parametrize("seeds", portions, ids=lambda portion: f"{portion.start}-{portion.stop - 1}")


def test_every_world_keeps_every_promise(seeds: range) -> None:
    for seed in seeds:
        World(seed).run()


def test_a_seed_tells_the_same_story_again() -> None:
    stories = []
    for _ in range(2):
        world = World(7)
        world.run()
        stories.append(world.digest())
    assert stories[0] == stories[1]
