"""What has changed between two versions of a schema, and whether they can live side by side."""

from hootbus.schemas.evolution.changes import KINDS, Change, Kind, Verdict
from hootbus.schemas.evolution.comparison import compare, interoperable

__all__ = ["KINDS", "Change", "Kind", "Verdict", "compare", "interoperable"]
