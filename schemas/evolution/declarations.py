"""The changes of everything but structs: enums, interfaces, constants, annotations, and of names and parameters."""

from hootbus.schemas import model
from hootbus.schemas.evolution import changes
from hootbus.schemas.evolution.annotations import report_annotations
from hootbus.schemas.evolution.changes import Kind, Verdict
from hootbus.schemas.evolution.retyping import retyped
from hootbus.schemas.evolution.structs import is_retired, report_struct
from hootbus.schemas.evolution.versions import Report, Versions
from hootbus.schemas.evolution.words import a_kind_of, id_of, kind_of, spelled

ADDED: dict[type, Kind] = {model.Const: changes.CONST_ADDED, model.AnnotationDeclaration: changes.ANNOTATION_ADDED}
REMOVED: dict[type, Kind] = {
    model.Const: changes.CONST_REMOVED,
    model.AnnotationDeclaration: changes.ANNOTATION_REMOVED,
}


def changes_of(versions: Versions, old: model.Node, new: model.Node) -> list[changes.Change]:
    """The changes of one node, not of those that it names."""
    report = Report(old)
    _report_name(versions, old, new, report)
    if type(old.body) is not type(new.body):
        report.add(changes.TYPE_KIND_CHANGED, "", a_kind_of(old), a_kind_of(new))
        return report.changes
    if old.parameters != new.parameters:
        report.add(changes.PARAMETERS_CHANGED, "", ", ".join(old.parameters), ", ".join(new.parameters))
    report_annotations(report, "", old.annotations, new.annotations)
    was, now = old.body, new.body
    if isinstance(was, model.Struct) and isinstance(now, model.Struct):
        report_struct(versions, was, now, report)
    elif isinstance(was, model.Enum) and isinstance(now, model.Enum):
        _report_enum(was, now, report)
    elif isinstance(was, model.Interface) and isinstance(now, model.Interface):
        _report_interface(versions, was, now, report)
    elif isinstance(was, model.Const) and isinstance(now, model.Const):
        if (was.type, repr(was.value)) != (now.type, repr(now.value)):
            report.add(changes.CONST_CHANGED)
    elif isinstance(was, model.AnnotationDeclaration) and was != now:
        report.add(changes.ANNOTATION_CHANGED)
    return report.changes


def change_of_whole(node: model.Node, *, added: bool) -> changes.Change:
    """That a declaration is new, or is there no more."""
    report = Report(node)
    special = (ADDED if added else REMOVED).get(type(node.body))
    kind = special or (changes.TYPE_ADDED if added else changes.TYPE_REMOVED)
    report.add(kind, "", now=kind_of(node))
    return report.changes[0]


def _report_name(versions: Versions, old: model.Node, new: model.Node, report: Report) -> None:
    is_file = isinstance(old.body, model.File)
    # A file may be called as one likes; a method's parameters are called after it.
    has_name = not is_file and old.scope_id and new.scope_id
    is_moved = has_name and not versions.same(old.scope_id, new.scope_id)
    if old.id != new.id and (is_moved or (has_name and old.name != new.name)):
        now = f"{new.file_name}:{new.path}" if old.file_name != new.file_name else new.path
        report.add(changes.TYPE_RENAMED_WITHOUT_ID, "", id_of(old.id), now)
    elif old.id != new.id:
        kind = changes.FILE_ID_CHANGED if is_file else changes.TYPE_ID_CHANGED
        report.add(kind, "", id_of(old.id), id_of(new.id))
    elif is_moved:
        report.add(changes.TYPE_MOVED, "", now=f"{new.file_name}:{new.path}")
    elif has_name and old.name != new.name:
        report.add(changes.TYPE_RENAMED, "", now=new.name)


def _report_enum(old: model.Enum, new: model.Enum, report: Report) -> None:
    numbers = {enumerant.name: number for number, enumerant in enumerate(new.enumerants)}
    added = numbers.keys() - {enumerant.name for enumerant in old.enumerants}
    for number, was in enumerate(old.enumerants):
        now = new.enumerants[number] if number < len(new.enumerants) else None
        is_unused = now is not None and now.name in added and is_retired(was.name, now.name)
        if was.name in numbers and not is_unused:
            now = new.enumerants[numbers[was.name]]
            if numbers[was.name] != number:
                report.add(changes.ENUMERANT_RENUMBERED, was.name, number, numbers[was.name])
        elif now is not None and now.name in added:
            added.remove(now.name)
            kind = changes.ENUMERANT_RETIRED if is_unused else changes.ENUMERANT_RENAMED
            report.add(kind, was.name, was.name, now.name)
            if was.name in numbers:
                report.add(changes.ENUMERANT_NAME_REUSED, was.name, now=now.name)
                if numbers[was.name] >= len(old.enumerants):
                    added.add(was.name)
        else:
            report.add(changes.ENUMERANT_REMOVED, was.name)
            continue
        report_annotations(report, was.name, was.annotations, now.annotations)
    for enumerant in new.enumerants:
        if enumerant.name in added:
            report.add(changes.ENUMERANT_ADDED, enumerant.name, now=numbers[enumerant.name])


def _report_interface(versions: Versions, old: model.Interface, new: model.Interface, report: Report) -> None:
    numbers = {method.name: number for number, method in enumerate(new.methods)}
    added = numbers.keys() - {method.name for method in old.methods}
    for number, was in enumerate(old.methods):
        now = new.methods[number] if number < len(new.methods) else None
        if was.name in numbers:
            now = new.methods[numbers[was.name]]
            if numbers[was.name] != number:
                report.add(changes.METHOD_RENUMBERED, was.name, number, numbers[was.name])
        elif now is not None and now.name in added:
            added.remove(now.name)
            report.add(changes.METHOD_RENAMED, was.name, was.name, now.name)
        else:
            report.add(changes.METHOD_REMOVED, was.name)
            continue
        _report_method(versions, was, now, report)
    for method in new.methods:
        if method.name in added:
            report.add(changes.METHOD_ADDED, method.name)
    _report_superclasses(versions, old, new, report)


def _report_superclasses(versions: Versions, old: model.Interface, new: model.Interface, report: Report) -> None:
    before, after = ({each.id: each for each in found.superclasses} for found in (old, new))
    for number, superclass in before.items():
        found = after.get(versions.twins.get(number, number))
        was = spelled(versions.old, superclass)
        if found is None:
            report.add(changes.SUPERCLASS_REMOVED, "", was)
        elif (kind := retyped(versions, superclass, found)) is not None:
            is_breaking = kind.verdict is Verdict.BREAKING
            report.add(changes.SUPERCLASS_CHANGED if is_breaking else kind, "", was, spelled(versions.new, found))
    kept = {versions.twins.get(number, number) for number in before}
    for number, superclass in after.items():
        if number not in kept:
            report.add(changes.SUPERCLASS_ADDED, "", now=spelled(versions.new, superclass))


def _report_method(versions: Versions, old: model.Method, new: model.Method, report: Report) -> None:
    for what, was, now in (("request", old.request, new.request), ("reply", old.reply, new.reply)):
        kind = retyped(versions, was, now)
        if kind is None:
            continue
        before, after = spelled(versions.old, was), spelled(versions.new, now)
        if kind.verdict is Verdict.BREAKING:
            report.add(changes.METHOD_TYPE_CHANGED, old.name, f"{what} was {before}", after)
        else:
            report.add(kind, old.name, before, after)
    if old.parameters != new.parameters:
        report.add(changes.PARAMETERS_CHANGED, old.name, ", ".join(old.parameters), ", ".join(new.parameters))
    report_annotations(report, old.name, old.annotations, new.annotations)
