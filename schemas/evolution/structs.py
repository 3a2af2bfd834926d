"""The changes of a struct: its fields, matched by their numbers, and where they lie in the bits.

Groups are seen through, as the bits have none; a union is what its members share, the place that says which is set.
"""

import re
from collections.abc import Iterator
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.bits import Arms, GroupMember, Leaf, bits_of, is_unset, members_of
from hootbus.schemas.evolution import changes
from hootbus.schemas.evolution.annotations import report_annotations
from hootbus.schemas.evolution.changes import Verdict
from hootbus.schemas.evolution.retyping import retyped
from hootbus.schemas.evolution.versions import Report, Versions
from hootbus.schemas.evolution.words import spelled, value_of

# What a name begins or ends with that says: nobody uses this any more.
_RETIRED: Final = re.compile(
    r"(?:removed|obsolete|deprecated|unused)(?:[A-Z0-9].*)?"
    r"|.+(?:Removed|Obsolete|Deprecated|Unused|REMOVED|OBSOLETE|DEPRECATED|UNUSED)"
)


def is_retired(old_name: str, new_name: str) -> bool:
    """Whether a new name only says that what had the old one is not used any more."""
    return _RETIRED.fullmatch(new_name) is not None and _RETIRED.fullmatch(old_name) is None


def report_struct(versions: Versions, old: model.Struct, new: model.Struct, report: Report) -> None:
    """Reports the changes of a struct."""
    _StructChanges(versions, old, new, report).report()


class _StructChanges:
    def __init__(self, versions: Versions, old: model.Struct, new: model.Struct, report: Report) -> None:
        self._versions = versions
        self._report = report
        members = list(members_of(versions.old, old)), list(members_of(versions.new, new))
        self._old, self._new = ([each for each in found if isinstance(each, Leaf)] for found in members)
        self._by_path = {leaf.path: leaf for leaf in self._new}
        self._old_groups, self._new_groups = (
            {each.path: each for each in found if isinstance(each, GroupMember)} for found in members
        )
        self._old_unions = {_union_of(member) for leaf in self._old for member in _around(leaf)}
        self._new_members = {member for leaf in self._new for member in _around(leaf)}
        self._new_unions = set(map(_union_of, self._new_members))

    def report(self) -> None:
        matched: set[int] = set()
        # The members of unions that are there already, or have been formed around what was there.
        kept = {member for leaf in self._old for member in _around(leaf)}
        for old, new in self._matched():
            if new is None:
                self._removed(old)
            else:
                matched.add(id(new))
                kept.update(_around(new))
                self._changed(old, new)
                if self._by_path.get(old.path, new) is not new:
                    self._report.add(changes.FIELD_NAME_REUSED, ".".join(old.path), now=".".join(new.path))
        for new in self._new:
            if id(new) not in matched:
                self._added(new, kept)
        for path, group in self._new_groups.items():
            if path in self._old_groups:
                before = self._old_groups[path].field.annotations
                report_annotations(self._report, ".".join(path), before, group.field.annotations)

    def _matched(self) -> Iterator[tuple[Leaf, Leaf | None]]:
        """Each old field with the new one that it has become."""
        # What lies where it lay under the name that it had is the same, whatever its number: fingerprints say so, too.
        unmoved = self._unmoved()
        taken = {id(new) for new in unmoved.values()}
        by_number = {leaf.field.ordinal: leaf for leaf in self._new if id(leaf) not in taken}
        # Each that has gone with its name. A name may also have been given to another field since, and that one's, too.
        named = {
            old.path: same
            for old in self._old
            if (same := self._by_path.get(old.path)) is not None
            and not self._has_lost_name(old, by_number.get(old.field.ordinal), same)
        }

        def is_renamed(old: Leaf, numbered: Leaf) -> bool:
            is_loose = old.path not in named or is_retired(old.name, numbered.name)
            return is_loose and numbered.path not in named

        for old in self._old:
            found = unmoved.get(old.path)
            if found is None:
                found = by_number.get(old.field.ordinal)
                if found is None or not (found.name == old.name or is_renamed(old, found)):
                    found = named.get(old.path)
            yield old, found

    def _unmoved(self) -> dict[tuple[str, ...], Leaf]:
        """The new fields that are the old ones in every respect but their numbers and groups, by the old one's path."""
        # At a place there is one. A Void lies nowhere.
        old_places, new_places = (
            {
                (leaf.name, leaf.arms, bits_of(leaf.slot.type), leaf.slot.offset): leaf
                for leaf in leaves
                if bits_of(leaf.slot.type) != 0
            }
            for leaves in (self._old, self._new)
        )
        return {
            old.path: new_places[place]
            for place, old in old_places.items()
            if place in new_places and self._lies_there(old, new_places[place])
        }

    def _lies_there(self, old: Leaf, new: Leaf) -> bool:
        """Whether the bits of one are the bits of the other, and mean the same values."""
        was, now = old.slot, new.slot
        is_there = old.arms == new.arms and was.offset == now.offset and _same_default(was, now)
        return is_there and retyped(self._versions, was.type, now.type) is None

    def _has_lost_name(self, old: Leaf, numbered: Leaf | None, named: Leaf) -> bool:
        """Whether the one that has the old one's number is the old one still, and its name is another field's now.

        Where that one's type is the same, it may as well be the old one, moved.
        """
        if numbered is None or numbered is named or not self._lies_there(old, numbered):
            return False
        return self._is_of_another_type(old, named)

    def _is_of_another_type(self, old: Leaf, new: Leaf) -> bool:
        kind = retyped(self._versions, old.slot.type, new.slot.type)
        return kind is not None and kind.verdict is Verdict.BREAKING

    def _changed(self, old: Leaf, new: Leaf) -> None:
        name = ".".join(old.path)
        report = self._report
        if old.field.ordinal != new.field.ordinal:
            kind = changes.FIELD_RENUMBERED_IN_PLACE if self._lies_there(old, new) else changes.FIELD_RENUMBERED
            report.add(kind, name, old.field.ordinal, new.field.ordinal)
            return
        if is_retired(old.name, new.name):
            report.add(changes.FIELD_RETIRED, name, old.name, new.name)
        elif old.name != new.name:
            report.add(changes.FIELD_RENAMED, name, old.name, new.name)
        if old.arms != new.arms:
            self._changed_arms(name, old, new)
        elif old.path[:-1] != new.path[:-1]:
            self._regrouped(old, new)
        self._changed_value(name, old, new)
        report_annotations(report, name, old.field.annotations, new.field.annotations)

    def _changed_arms(self, name: str, old: Leaf, new: Leaf) -> None:
        """A field that is in other unions than it was, or another member of them."""
        report = self._report
        added = [arm for arm in new.arms if arm not in old.arms]
        lost = [arm for arm in old.arms if arm not in new.arms]
        if len(added) == len(lost) == 1 and len(old.arms) == len(new.arms):
            (was_at, was), (now_at, now) = lost[0], added[0]
            if was != now:
                member = old.path[: old.depths[old.arms.index(lost[0])]]
                if report.once("renumbered", member):
                    report.add(changes.ARM_RENUMBERED, ".".join(member), was, now)
            elif report.once("moved", was_at, now_at):
                report.add(changes.UNION_MOVED, ".".join(old.path[: old.depths[old.arms.index(lost[0])] - 1]))
        elif lost:
            report.add(changes.OUT_OF_UNION, name)
        elif any(member[-1] in added and _union_of(member) in self._old_unions for member in _around(new)):
            report.add(changes.INTO_OLD_UNION, name)
        elif any(value for _, value in added):
            report.add(changes.INTO_UNION_LATE, name, now=max(value for _, value in added))
        else:
            report.add(changes.INTO_UNION, name)

    def _regrouped(self, old: Leaf, new: Leaf) -> None:
        before, after = old.path[:-1], new.path[:-1]
        if len(before) != len(after):
            was, now = (".".join(path) or "the struct itself" for path in (before, after))
            self._report.add(changes.FIELD_REGROUPED, ".".join(old.path), was, now)
            return
        depth = next(at for at, (was, now) in enumerate(zip(before, after, strict=True)) if was != now) + 1
        name, new_name = before[:depth], after[:depth]
        if not self._report.once("group", name, new_name):
            return
        if (arms := self._exchanged(old, name, new_name)) is not None:
            self._report.add(changes.ARM_RENUMBERED, ".".join(name), *arms)
        else:
            self._report.add(changes.GROUP_RENAMED, ".".join(name), name[-1], new_name[-1])

    def _exchanged(self, old: Leaf, name: tuple[str, ...], new_name: tuple[str, ...]) -> tuple[int, int] | None:
        """What the name of a union's member stood for and stands for, if two members have exchanged theirs.

        It says what is set: where the two are alike, one is then taken for the other.
        """
        same, there = self._by_path.get(old.path), self._new_groups.get(name)
        if len(name) not in old.depths or same is None or there is None or new_name not in self._old_groups:
            return None
        around = old.arms[: old.depths.index(len(name)) + 1]
        if there.arms[:-1] != around[:-1] or there.arms == around or self._is_of_another_type(old, same):
            return None
        return around[-1][1], there.arms[-1][1]

    def _changed_value(self, name: str, old: Leaf, new: Leaf) -> None:
        report, versions = self._report, self._versions
        was, now = old.slot, new.slot
        kind = retyped(versions, was.type, now.type)
        if kind is not None:
            report.add(kind, name, spelled(versions.old, was.type), spelled(versions.new, now.type))
        if kind is changes.FIELD_FROM_VOID or (kind is not None and kind.verdict is Verdict.BREAKING):
            # Of what is no longer the same kind of thing neither place nor default can be compared.
            return
        if was.offset != now.offset and bits_of(was.type) != 0:
            report.add(changes.FIELD_MOVED, name, was.offset, now.offset)
        if not _same_default(was, now):
            if bits_of(was.type) is None:
                report.add(changes.POINTER_DEFAULT_CHANGED, name)
            else:
                before, after = value_of(was.type, was.default), value_of(now.type, now.default)
                report.add(changes.DEFAULT_CHANGED, name, before, after)

    def _removed(self, old: Leaf) -> None:
        for member, length in zip(_around(old), old.depths, strict=True):
            if member not in self._new_members and _union_of(member) in self._new_unions:
                if self._report.once("removed", member):
                    self._report.add(changes.ARM_REMOVED, ".".join(old.path[:length]))
                return
        self._report.add(changes.FIELD_REMOVED, ".".join(old.path))

    def _added(self, new: Leaf, kept: set[Arms]) -> None:
        report = self._report
        kept_unions = set(map(_union_of, kept))
        for member, length in zip(_around(new), new.depths, strict=True):
            if _union_of(member) not in kept_unions:
                if report.once("union", _union_of(member)):
                    report.add(changes.UNION_ADDED, ".".join(new.path[: length - 1]) or "(union)")
                return
            if member not in kept:
                if report.once("member", member):
                    report.add(changes.ARM_ADDED, ".".join(new.path[:length]), now=member[-1][1])
                return
        report.add(changes.FIELD_ADDED, ".".join(new.path), now=value_of(new.slot.type, new.slot.default))


def _around(leaf: Leaf) -> list[Arms]:
    """The members of unions that a field is in, each with those around it."""
    return [leaf.arms[:depth] for depth in range(1, len(leaf.arms) + 1)]


def _union_of(member: Arms) -> tuple[Arms, int]:
    """The union that this is a member of. Two that are never there together may say at one place what is set."""
    return member[:-1], member[-1][0]


def _same_default(was: model.Slot, now: model.Slot) -> bool:
    if is_unset(was.type, was.default) and is_unset(now.type, now.default):
        return True
    # As text, since NaN is not equal to itself, and -0.0 is equal to 0.0.
    return repr(was.default) == repr(now.default)
