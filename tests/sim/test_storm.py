"""Worlds in a storm: whatever the network and the processes do, the bus keeps its promises.

`python -m pytest tests/sim --sim-seeds 0:10000` runs many, `make soak` runs them until it is told to stop; a failure
says how to run its seed alone.
"""

from pathlib import Path
from typing import Final

import pytest

from sim.world import World, play

# So many worlds are one test, far from its time limit.
_WORLDS: Final = 100
_KEPT: Final = Path(__file__).parent / "seeds.txt"
_MOST: Final = "0:2000"


def _kept_seeds() -> list[int]:
    lines = _KEPT.read_text().splitlines()
    return [int(line.split()[0]) for line in lines if line and not line.startswith("#")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The seeds to run, in portions. The options are unknown where this folder is not named on the command line."""
    if "seeds" not in metafunc.fixturenames:
        return
    alone = metafunc.config.getoption("--sim-seed", None)
    if alone is not None:
        portions = {str(alone): [alone]}
    else:
        first, last = map(int, str(metafunc.config.getoption("--sim-seeds", None) or _MOST).split(":"))
        portions = {"kept": _kept_seeds()}
        for at in range(first, last, _WORLDS):
            portion = range(at, min(at + _WORLDS, last))
            portions[f"{portion.start}-{portion.stop - 1}"] = [*portion]
    metafunc.parametrize("seeds", portions.values(), ids=portions.keys())


def test_every_world_keeps_every_promise(seeds: list[int]) -> None:
    for seed in seeds:
        play(seed)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_seed_tells_the_same_story_again(thorough: bool) -> None:
    stories = []
    for look in (False, thorough):
        world = World(7, look)
        world.run()
        stories.append(world.digest())
    assert stories[0] == stories[1]
