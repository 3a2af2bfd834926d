"""docs/schemas.md: its commands do what it shows, and its table is what the code says."""

import re
from pathlib import Path
from typing import Final

from docs.blocks import read_blocks
from docs.reader import Reader
from hootbus.schemas.evolution import KINDS

PAGE: Final = Path(__file__).parents[2] / "docs" / "schemas.md"


def test_the_commands_do_what_is_shown(tmp_path: Path) -> None:
    with Reader(tmp_path, "ipc:///nobody/asks/a/bus") as reader:
        reader.follow(read_blocks(PAGE))


def test_the_table_is_that_of_the_code() -> None:
    listed = re.findall(r"^\| .+ \| (\w+) \| `([a-z-]+)` \|$", PAGE.read_text(), re.MULTILINE)
    assert [(verdict, kind) for verdict, kind in listed] == [(str(kind.verdict), kind.code) for kind in KINDS.values()]
