"""Two versions of a schema side by side: which node of the old one is which of the new one."""

from collections.abc import Iterator, Mapping
from typing import Final

from hootbus.schemas import model
from hootbus.schemas.bits import leaves_of
from hootbus.schemas.evolution.changes import Change, Kind


class Versions:
    """The old and the new schema. `twins` are the nodes that are the same declaration, by the old one's id."""

    def __init__(self, old: model.Schema, new: model.Schema, twins: Mapping[int, int]) -> None:
        self.old: Final = old
        self.new: Final = new
        self.twins: Final = twins
        self._origins = {new_id: old_id for old_id, new_id in twins.items()}
        self._replaced: dict[model.ParameterType, model.Type] | None = None

    def same(self, old_id: int, new_id: int) -> bool:
        """Whether these are the same declaration."""
        return self.twins.get(old_id, old_id) == new_id

    def pairs(self) -> Iterator[tuple[model.Node, model.Node]]:
        """Each old node with its twin."""
        for old_id, new_id in self.twins.items():
            yield self.old.node(old_id), self.new.node(new_id)

    def is_new(self, parameter: model.ParameterType) -> bool:
        """Whether a parameter of the new version is one that the old one does not have."""
        old = self.old.find(self._origins.get(parameter.scope_id, parameter.scope_id))
        return old is None or parameter.index >= len(old.parameters)

    def replaced(self, parameter: model.ParameterType) -> model.Type | None:
        """The type in whose place this new parameter stands; None where it replaces several, or none.

        A struct may become generic if all who use it bind the parameter to what it has replaced.
        """
        if self._replaced is None:
            self._replaced = self._find_replaced()
        return self._replaced.get(parameter)

    def _find_replaced(self) -> dict[model.ParameterType, model.Type]:
        found: dict[model.ParameterType, model.Type] = {}
        for old, new in self.pairs():
            if isinstance(old.body, model.Struct) and isinstance(new.body, model.Struct):
                types = {leaf.field.ordinal: leaf.slot.type for leaf in leaves_of(self.old, old.body)}
                for leaf in leaves_of(self.new, new.body):
                    was, now = types.get(leaf.field.ordinal), leaf.slot.type
                    while isinstance(was, model.ListType) and isinstance(now, model.ListType):
                        was, now = was.element, now.element
                    if was is None or not isinstance(now, model.ParameterType) or not self.is_new(now):
                        continue
                    # Of several, the last: whoever uses it then does not fit all of them.
                    found[now] = was
        return found


class Report:
    """The changes of one node, as they are found."""

    def __init__(self, old: model.Node) -> None:
        self._file = old.file_name
        self._where = old.path
        self.changes: Final[list[Change]] = []
        self._said: set[object] = set()

    def add(self, kind: Kind, member: str = "", was: object = "", now: object = "") -> None:
        """A change of the node, or of a member of it."""
        where = ".".join(filter(None, (self._where, member)))
        self.changes.append(kind.change(self._file, where, was, now))

    def once(self, *key: object) -> bool:
        """True the first time: for what concerns many members and is said once."""
        if key in self._said:
            return False
        self._said.add(key)
        return True
