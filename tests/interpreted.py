"""A pytest plugin that runs our modules from their source where they were compiled as well: `-p interpreted`.

For tests that put something in a method's place, which compiled code would not look up, and for others once more, as
both forms must behave the same. It is to be loaded before any module of ours: `PYTHONPATH=tests pytest -p interpreted`.
"""

import sys
from importlib.abc import PathEntryFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_FOLDERS: Final = {str(_ROOT / folder) for folder in ("bus", "frames", "schemas", "workers")}
# Python looks for extension modules first; here it is the other way round.
_source_first: Final = FileFinder.path_hook(
    (SourceFileLoader, SOURCE_SUFFIXES), (ExtensionFileLoader, EXTENSION_SUFFIXES)
)


def _ours(path: str) -> PathEntryFinder:
    if path not in _FOLDERS:
        raise ImportError(path)
    return _source_first(path)


sys.path_hooks.insert(0, _ours)
sys.path_importer_cache.clear()
