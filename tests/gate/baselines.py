"""The committed counts that new ones are held against: baselines.json, one number a line."""

import json
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from gate.counts import Measured

FILE: Final = Path(__file__).with_name("baselines.json")
# By variant, and by the module that measures.
Baselines: TypeAlias = dict[str, dict[str, Measured]]


def read() -> Baselines:
    """All of them; none if there is no file yet."""
    return msgspec.json.decode(FILE.read_bytes(), type=Baselines) if FILE.exists() else {}


def write(baselines: Baselines) -> None:
    """Replaces them. Sorted, so that a new baseline shows as its differences."""
    FILE.write_text(json.dumps(baselines, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
