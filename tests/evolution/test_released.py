"""Our own schemas: what is in the checkout can live beside what was last released."""

from pathlib import Path
from typing import Final

from hootbus.schemas.compiling import compile_files
from hootbus.schemas.evolution import Verdict, compare

ROOT: Final = Path(__file__).parents[2]
RELEASED: Final = sorted((ROOT / "tests" / "released").glob("*.capnp"))


def test_the_schemas_break_nothing_that_was_released() -> None:
    names = [path.name for path in RELEASED]
    old = compile_files(RELEASED, names=names)
    found = compare(old, compile_files([ROOT / "schemas" / name for name in names], names=names))
    assert [str(change) for change in found if change.verdict is Verdict.BREAKING] == []
