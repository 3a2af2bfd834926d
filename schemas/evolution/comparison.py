"""Two versions of a schema compared, whole or by what two peers exchange."""

from collections.abc import Iterable, Iterator, Mapping

from hootbus.schemas import model
from hootbus.schemas.bits import leaves_of, members_of
from hootbus.schemas.evolution import changes
from hootbus.schemas.evolution.changes import Change, Verdict
from hootbus.schemas.evolution.declarations import change_of_whole, changes_of
from hootbus.schemas.evolution.versions import Report, Versions
from hootbus.schemas.evolution.words import id_of
from hootbus.schemas.fingerprint import contained, facts_of


def compare(old: model.Schema, new: model.Schema) -> tuple[Change, ...]:
    """All that has changed from the old version to the new one, in the order of the old one's text, then what is new.

    Declarations are the same if their ids are, wherever they stand and whatever they are called; else if they have the
    same name at the same place, and then the change of the id is one of the changes. Compared are the files that were
    asked for and what these need of others.
    """
    before, after = list(_declared(old)), list(_declared(new))
    versions = Versions(old, new, _twins(old, new, before, after))
    found: list[Change] = []
    for node in before:
        twin = versions.twins.get(node.id)
        if twin is not None:
            found += changes_of(versions, node, new.node(twin))
        elif node.scope_id:
            # All but files, and the structs of parameter lists, which go with their methods.
            found.append(change_of_whole(node, added=False))
    taken = set(versions.twins.values())
    requested = _nested(new, [file.id for file in new.files])
    found += [change_of_whole(node, added=True) for node in requested if node.id not in taken and node.scope_id]
    return tuple(found)


def interoperable(a: model.Schema, a_type: int, b: model.Schema, b_type: int) -> tuple[Change, ...]:
    """What keeps two peers from understanding each other, of whose schemas one is newer, nobody knows which.

    Each type that a message can contain must be a version of the other's: then a struct may be newer here and another
    one there. Empty if they understand each other, as they do if their fingerprints are equal; else the breaking
    changes from `a` to `b`. Both may be a peer's, if `transfer` has read them.
    """
    if a_type != b_type:
        report = Report(a.node(a_type))
        report.add(changes.TYPE_ID_CHANGED, "", id_of(a_type), id_of(b_type))
        return tuple(report.changes)
    common = _exchanged(a, b, a_type)
    same = {type_id: type_id for type_id in common}
    forth, back = Versions(a, b, same), Versions(b, a, same)
    found: list[Change] = []
    for type_id in common:
        if facts_of(a, a.node(type_id)) == facts_of(b, b.node(type_id)):
            continue
        breaking = _breaking(forth, type_id)
        if breaking and _breaking(back, type_id):
            found += breaking
    return tuple(found)


def _breaking(versions: Versions, type_id: int) -> list[Change]:
    found = changes_of(versions, versions.old.node(type_id), versions.new.node(type_id))
    return [change for change in found if change.verdict is Verdict.BREAKING]


def _exchanged(a: model.Schema, b: model.Schema, root: int) -> list[int]:
    """The types that a message of this one may contain for both, the root first."""
    found: dict[int, None] = {}
    waiting = [root]
    while waiting:
        type_id = waiting.pop()
        if type_id not in found:
            found[type_id] = None
            theirs = set(contained(b, b.node(type_id)))
            waiting += [each for each in contained(a, a.node(type_id)) if each in theirs]
    return list(found)


def _declared(schema: model.Schema) -> Iterator[model.Node]:
    """The files that were asked for and what is in them, in the order of their text; then what they need besides."""
    seen: set[int] = set()
    for node in _nested(schema, [file.id for file in schema.files]):
        seen.add(node.id)
        yield node
    needed = [each for node_id in sorted(seen) for each in model.named_by(schema.node(node_id))]
    while needed:
        node_id = needed.pop()
        # 0 is the scope of what has none.
        found = schema.find(node_id)
        if found is not None and node_id not in seen:
            seen.add(node_id)
            needed += model.named_by(found)
            if not isinstance(found.body, model.File) and not _is_group(found):
                yield found


def _nested(schema: model.Schema, roots: list[int]) -> Iterator[model.Node]:
    """Nodes with all that is declared within them, and the structs that methods' parameter lists make."""
    waiting = roots[::-1]
    seen: set[int] = set()
    while waiting:
        node_id = waiting.pop()
        node = schema.find(node_id)
        if node is None or node_id in seen:
            continue
        seen.add(node_id)
        yield node
        inner = [nested.id for nested in node.nested]
        if isinstance(node.body, model.Struct):
            # Types may be declared within a group.
            for member in members_of(schema, node.body):
                if isinstance(member.field.place, model.Group):
                    inner += [nested.id for nested in schema.node(member.field.place.id).nested]
        elif isinstance(node.body, model.Interface):
            for method in node.body.methods:
                for kind in (method.request, method.reply):
                    found = schema.find(kind.id)
                    if found is not None and not found.scope_id:
                        inner.append(kind.id)
        waiting += inner[::-1]


def _is_group(node: model.Node) -> bool:
    return isinstance(node.body, model.Struct) and node.body.is_group


def _twins(old: model.Schema, new: model.Schema, before: list[model.Node], after: list[model.Node]) -> dict[int, int]:
    """The declarations that are the same in both: by their ids, else by their names at the same place."""
    twins = {node.id: node.id for node in before if new.find(node.id) is not None}
    by_name = {file.name: file.id for file in new.files if old.find(file.id) is None}
    for file in old.files:
        if file.id in twins:
            continue
        if file.name in by_name:
            twins[file.id] = by_name[file.name]
        elif len(old.files) == len(new.files) == 1:
            twins[file.id] = new.files[0].id
    by_place = {(node.scope_id, node.name): node.id for node in after if old.find(node.id) is None}
    # A scope comes before what is in it.
    for node in before:
        place = (twins.get(node.scope_id, 0), node.name)
        if node.id not in twins and node.scope_id and place in by_place:
            twins[node.id] = by_place[place]
        if isinstance(node.body, model.Interface) and node.id in twins:
            twins |= _parameter_lists(old, new, node.body, new.node(twins[node.id]).body, twins)
    return _by_members(old, new, before, after, twins) | twins


def _by_members(
    old: model.Schema, new: model.Schema, before: list[model.Node], after: list[model.Node], twins: Mapping[int, int]
) -> dict[int, int]:
    """The types that were renamed or moved without their ids, as far as their members show which these are."""
    taken = set(twins.values())
    gone = _with_members(old, [node for node in before if node.scope_id and node.id not in twins])
    come = _with_members(new, [node for node in after if node.scope_id and node.id not in taken])
    found: dict[int, int] = {}
    for members, nodes in gone.items():
        others = come.get(members, [])
        for node in nodes:
            named = [other for other in others if other.name == node.name]
            if len(named) == 1 or len(nodes) == len(others) == 1:
                twin = (named or others)[0]
                others.remove(twin)
                found[node.id] = twin.id
                if isinstance(node.body, model.Interface):
                    found |= _parameter_lists(old, new, node.body, twin.body, twins)
    return found


def _with_members(schema: model.Schema, nodes: Iterable[model.Node]) -> dict[tuple[object, ...], list[model.Node]]:
    """Types by what they are and their members' names, numbers and places; without those that have none."""
    found: dict[tuple[object, ...], list[model.Node]] = {}
    for node in nodes:
        body = node.body
        members: list[object] = []
        if isinstance(body, model.Struct):
            leaves = leaves_of(schema, body)
            members += [(leaf.path, leaf.field.ordinal, leaf.arms, leaf.slot.offset) for leaf in leaves]
        elif isinstance(body, model.Enum):
            members += [enumerant.name for enumerant in body.enumerants]
        elif isinstance(body, model.Interface):
            members += [method.name for method in body.methods]
        if members:
            found.setdefault((type(body), *members), []).append(node)
    return found


def _parameter_lists(
    old: model.Schema, new: model.Schema, was: model.Interface, now: model.Body, twins: Mapping[int, int]
) -> dict[int, int]:
    """The structs that parameter lists have made: their ids follow from the interface's and the method's number."""
    found: dict[int, int] = {}
    methods = {method.name: method for method in now.methods} if isinstance(now, model.Interface) else {}
    for method in was.methods:
        if (other := methods.get(method.name)) is not None:
            for before, after in ((method.request.id, other.request.id), (method.reply.id, other.reply.id)):
                made = old.find(before), new.find(after)
                if before not in twins and all(node is not None and not node.scope_id for node in made):
                    found[before] = after
    return found
