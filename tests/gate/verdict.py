"""Counts against their baseline: what has grown by more than is allowed, and where it arose."""

from collections.abc import Iterator
from typing import Final

import msgspec

from gate.counts import Counts, Measured, Places, total

GROWTH_MAX: Final = 0.30
# What may be added whatever the share; by how the name begins, the first that fits. One of something small is a choice,
# not a slip, but no copy of a body or frame is small, and what stays for ever must not. How many requests share a
# wake-up's system calls is chance on a busy machine (up to one more for each, measured); when none do it is ten.
_FLOORS: Final = (
    ("copies", 0.0),
    ("frames", 0.0),
    ("blocks left behind", 0.2),
    ("syscalls", 2.0),
    ("", 1.0),
)
_PLACES_SHOWN: Final = 12


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One role's number that is not what it was."""

    what: str
    role: str
    was: Places
    now: Places

    @property
    def by(self) -> float:
        """How much was added, less than 0 if it has shrunk."""
        return total(self.now) - total(self.was)

    @property
    def share(self) -> float:
        """The same as a part of what it was."""
        return self.by / total(self.was) if total(self.was) else float("inf")

    def __str__(self) -> str:
        share = f", {self.share:+.0%}" if total(self.was) else ""
        return f"{self.what}: {self.role} {total(self.was):g} → {total(self.now):g} ({self.by:+.4g}{share})"


def grown(before: Measured, now: Measured) -> list[Change]:
    """What fails."""
    return [change for change in _changes(before, now) if change.by > _floor(change.what) and change.share > GROWTH_MAX]


def shrunk(before: Measured, now: Measured) -> list[Change]:
    """What is so much less that a new baseline should hold on to it."""
    return [
        change for change in _changes(before, now) if -change.by > _floor(change.what) and -change.share > GROWTH_MAX
    ]


def table(change: Change) -> str:
    """The change and where it arose, the largest first."""
    places = {place: (change.was.get(place, 0.0), change.now.get(place, 0.0)) for place in change.was | change.now}
    ordered = sorted(places.items(), key=lambda entry: entry[1][0] - entry[1][1])
    more = [(place, was, now) for place, (was, now) in ordered if now > was]
    lines = [f"{change}; {GROWTH_MAX:.0%} more is allowed"]
    lines += [f"  {now - was:+9.4g}  {was:8g} → {now:<8g}  {place}" for place, was, now in more[:_PLACES_SHOWN]]
    if len(more) > _PLACES_SHOWN:
        lines.append(f"             and {len(more) - _PLACES_SHOWN} places more")
    return "\n".join(lines)


def _changes(before: Measured, now: Measured) -> Iterator[Change]:
    for what in before | now:
        roles_before: Counts = before.get(what, {})
        roles_now: Counts = now.get(what, {})
        for role in sorted(roles_before | roles_now):
            yield Change(what=what, role=role, was=roles_before.get(role, {}), now=roles_now.get(role, {}))


def _floor(what: str) -> float:
    return next(floor for beginning, floor in _FLOORS if what.startswith(beginning))
