"""`hoot schema check | fingerprint`: whether two versions of schemas get along, and what types mean on the wire."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from hootbus.bus.cli.bodies import SchemaMistake
from hootbus.bus.cli.output import print_json, print_table
from hootbus.bus.cli.revisions import Place, schema_place
from hootbus.bus.cli.settings import Failed, json_option, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from hootbus.schemas import model
    from hootbus.schemas.evolution import Change

F = TypeVar("F", bound="Callable[..., Any]")

_CHECK_EPILOG: Final = """\b
Examples:
  hoot schema check old/clip.capnp clip.capnp
  hoot schema check HEAD:schemas schemas
  hoot schema check v1.2.0:./clip.capnp clip.capnp --json
\b
OLD and NEW are a file, a folder with all .capnp files under it, or either as
it was in a revision of git: REV:PATH from the top of the repository, REV:./PATH
from here. Types are the same if their ids are, wherever they stand.
\b
Verdicts:
  compatible  old and new programs do not notice
  care        the bytes are understood; JSON, source or an old reader may not be
  breaking    values are lost, misread or refused
\b
Exit status: 0 nothing breaking, 1 something breaking (or, with --strict, that
needs care), 2 wrong usage, or a schema that does not compile.
"""
_FINGERPRINT_EPILOG: Final = """\b
Examples:
  hoot schema fingerprint clip.capnp
  hoot schema fingerprint clip.capnp:Clip
  hoot schema fingerprint clip.capnp:Clip --describe
\b
A fingerprint changes when a message of the type, or of any type in it, would be
written or read otherwise, or its fields and enumerants are called otherwise: not
with names of types and files, comments or order.
"""
_COLORS: Final = {"breaking": "red", "care": "yellow", "compatible": "green"}
_VERDICTS: Final = tuple(_COLORS)


class _NotCompiled(SchemaMistake):
    """A schema that does not compile. Exit status 2, as 1 says that what was compared does not fit."""

    exit_code = 2


def _import_option(help_text: str) -> "Callable[[F], F]":
    return setting(
        "--import-path",
        "-I",
        multiple=True,
        type=click.Path(exists=True, file_okay=False),
        metavar="DIR",
        help=help_text,
    )


@click.command(epilog=_CHECK_EPILOG)
@click.argument("old")
@click.argument("new")
@_import_option('Where `import "/..."` looks; of a revision\'s, as it was then. Repeatable.')
@setting("--strict", is_flag=True, help="Fail on changes that need care, too.")
@json_option
def check(old: str, new: str, import_path: tuple[str, ...], strict: bool, json: bool) -> None:
    """Tell what has changed between two versions of schemas, and whether they can live side by side."""
    from hootbus.schemas.evolution import compare

    with schema_place(old, import_path) as before, schema_place(new, import_path) as after:
        if before.path.is_file() != after.path.is_file():
            raise click.UsageError("compare a file with a file, or a folder with a folder")
        # Two files are versions of one, whatever they are called.
        names = list(before.files()) if before.path.is_file() else None
        changes = compare(_compiled(before), _compiled(after, names))
    worst = next((verdict for verdict in _VERDICTS if any(each.verdict == verdict for each in changes)), "compatible")
    if json:
        print_json({"verdict": worst, "changes": changes})
    else:
        for line in _lines(changes):
            click.echo(line)
    if worst == "breaking" or (strict and worst == "care"):
        raise Failed("breaking_changes" if worst == "breaking" else "needs_care", _counts(changes), as_json=json)
    if not json:
        click.echo(_counts(changes))


@click.command(epilog=_FINGERPRINT_EPILOG)
@click.argument("place", metavar="FILE[:TYPE]")
@_import_option('Where `import "/..."` looks. Repeatable.')
@setting("--describe", is_flag=True, help="Show what the fingerprint is made of; it takes a TYPE.")
@json_option
def fingerprint(place: str, import_path: tuple[str, ...], describe: bool, json: bool) -> None:
    """Show the fingerprints of the types and methods of a schema file."""
    from hootbus.schemas.fingerprint import describe as description

    path, name = (place, "") if os.path.exists(place) else place.rpartition(":")[::2]
    with schema_place(path, import_path) as found:
        schema = _compiled(found)
    rows = [row for row in _fingerprints(schema) if not name or row[0] == name]
    if name and not rows:
        raise click.BadParameter(f"{path} has no struct, enum or method {name!r}")
    if not describe:
        if json:
            print_json([{"name": name, "id": type_id, "fingerprint": value} for name, type_id, value in rows])
        else:
            print_table(("name", "id", "fingerprint"), rows, empty=f"{path} has no structs")
        return
    if not name or not rows[0][1]:
        raise click.UsageError("--describe takes FILE:TYPE")
    text = description(schema, int(rows[0][1][1:], 16))
    if json:
        print_json(text.splitlines())
    else:
        click.echo(text)


def _compiled(place: Place, names: Sequence[str] | None = None) -> "model.Schema":
    from hootbus.schemas import SchemaError
    from hootbus.schemas.compiling import compile_files

    files = place.files()
    if not files:
        raise click.BadParameter(f"{place.shown}: no .capnp files")
    try:
        return compile_files(list(files.values()), place.imports, names or list(files))
    except SchemaError as error:
        raise _NotCompiled(place.named(str(error))) from None


def _lines(changes: "Sequence[Change]") -> Iterator[str]:
    """The changes, the worst of each file first."""
    from hootbus.schemas.evolution.changes import NOTHING

    ordered = sorted(changes, key=lambda change: (change.file, _VERDICTS.index(change.verdict)))
    for file, group in groupby(ordered, lambda change: change.file):
        yield file
        for change in group:
            verdict = click.style(f"{change.verdict:<10}", fg=_COLORS[change.verdict])
            yield f"  {verdict}  {change.where or 'the file'}  {change.reason}  [{change.kind}]"
            for who, meets in (("old reader", change.old_reader), ("old writer", change.old_writer)):
                if meets != NOTHING:
                    yield f"              {who}: {meets}"


def _counts(changes: "Sequence[Change]") -> str:
    counts = Counter(str(change.verdict) for change in changes)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in _VERDICTS if counts[verdict]) or "no changes"


def _fingerprints(schema: "model.Schema") -> Iterator[tuple[str, str, str]]:
    """Name, id and fingerprint of each type in the files; a method has no id."""
    from hootbus.schemas import model
    from hootbus.schemas.fingerprint import fingerprint as of
    from hootbus.schemas.fingerprint import method_fingerprint

    files = {file.name for file in schema.files}
    nodes = [node for node in schema.nodes.values() if node.file_name in files]
    for node in sorted(nodes, key=lambda node: node.path):
        body = node.body
        if isinstance(body, model.Enum) or (isinstance(body, model.Struct) and not body.is_group):
            yield node.path, f"@{node.id:#018x}", f"{of(schema, node.id):#018x}"
        elif isinstance(body, model.Interface):
            for method in body.methods:
                value = method_fingerprint(of(schema, method.request.id), of(schema, method.reply.id))
                yield f"{node.path}.{method.name}", "", f"{value:#018x}"
