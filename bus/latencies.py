"""How long things took, as counts between fixed bounds: for Prometheus's histograms, and to read percentiles from."""

from typing import Final

# A lone request on one machine takes some 0.2 ms, and minutes are long. The same bounds for all, so that counts of
# several services can be added, and those of two moments subtracted.
_FIRST_S: Final = 2.0**-13
_BOUNDS: Final = 23
BOUNDS_S: Final = tuple(_FIRST_S * 2**place for place in range(_BOUNDS))


class Latencies:
    """How many took how long.

    `counts[i]` is those of at most `BOUNDS_S[i]`, and more than the bound before; the last took longer than all bounds.
    """

    def __init__(self) -> None:
        self.counts: list[int] = [0] * (_BOUNDS + 1)
        self.total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        # Compiled, doubling a number up to there takes 30 ns, where `bisect` takes 210 (measured): the broker's core
        # does this twice for each request, on which it spends 1.7 µs.
        place = 0
        bound = _FIRST_S
        while seconds > bound and place < _BOUNDS:
            bound *= 2.0
            place += 1
        self.counts[place] += 1
        self.total_s += seconds

    def merge(self, other: "Latencies") -> None:
        """All of the other's, too."""
        for place, count in enumerate(other.counts):
            self.counts[place] += count
        self.total_s += other.total_s
