"""How often the log tells the same: peers cause much of what is in it, and must not fill a disk with that."""

from typing import Final

_AGAIN_S: Final = 60.0
_KINDS_MAX: Final = 1000


class Ration:
    """So many lines of a kind in a minute. The counters go on counting what is told no more."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        # Since when, how many were told, and how many were not.
        self._told: dict[str, tuple[float, int, int]] = {}

    def grants(self, kind: str, now: float) -> str | None:
        """What to write behind a line of this kind, mostly nothing; None if it is not to be written."""
        since, told, untold = self._told.get(kind, (now, 0, 0))
        behind = ""
        if now - since >= _AGAIN_S:
            behind = f" ({untold} more like this were not told)" if untold else ""
            since, told, untold = now, 0, 0
        if len(self._told) >= _KINDS_MAX and kind not in self._told:
            self._told.clear()
        if told >= self._lines:
            self._told[kind] = since, told, untold + 1
            return None
        told += 1
        self._told[kind] = since, told, untold
        if told == self._lines and self._lines > 1:
            behind += " (and no more like this for the rest of a minute)"
        return behind
