"""A stage for each story, on both kinds of address or on the one that the story is about."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.stage import Stage


@pytest.fixture(params=["ipc", "tcp"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """On ipc and on tcp."""
    wanted = f"ipc://{tmp_path_factory.mktemp('b')}" if request.param == "ipc" else "tcp://127.0.0.1:0"
    with Stage(tmp_path, wanted) as stage:
        yield stage


@pytest.fixture
def stage(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """On ipc, as most buses are."""
    with Stage(tmp_path, f"ipc://{tmp_path_factory.mktemp('b')}") as stage:
        yield stage


@pytest.fixture
def tcp_stage(tmp_path: Path) -> Iterator[Stage]:
    """On tcp, for what only that can suffer."""
    with Stage(tmp_path, "tcp://127.0.0.1:0") as stage:
        yield stage
