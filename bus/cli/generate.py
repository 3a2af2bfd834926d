"""`hoot schema gen`, and `capnpc-hootbus`, which `capnp compile -o hootbus` runs: a schema's Python, in files."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hootbus.bus.cli.bodies import SchemaMistake
from hootbus.bus.cli.settings import Failed, setting

if TYPE_CHECKING:
    from hootbus.schemas import model

_EPILOG: Final = """\b
Of clip.capnp there will be:
  clip_capnp.py, .pyi  its structs, enums and constants, typed; no schema file
                       and no compiler is needed to import them
  clip_types.py        a record for each struct, for JSON and for keeping
  clip_bus.py          for each interface a client, an asyncio client and the
                       base of a worker
\b
Examples:
  hoot schema gen clip.capnp -o .
  hoot schema gen schemas/*.capnp -o src/studio/wire
  hoot schema gen schemas/*.capnp -o src/studio/wire --check
  capnp compile -o hootbus:src/studio/wire schemas/clip.capnp
\b
If DIR has an __init__.py its modules import each other as those of a package,
else by their names alone. A clip_bus.py that was generated while there was an
interface is removed when there is none. Exit status 1 if --check finds any file
otherwise.
"""


@click.command(epilog=_EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(exists=True, dir_okay=False))
@setting(
    "--output",
    "-o",
    type=click.Path(file_okay=False),
    default=".",
    show_default=True,
    metavar="DIR",
    help="Where the modules are to be; made if it is not there.",
)
@setting(
    "--import-path",
    "-I",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help='Where `import "/..."` looks. Repeatable.',
)
@setting("--check", is_flag=True, help="Write nothing: are the modules there, and what they would be?")
def gen(files: tuple[str, ...], output: str, import_path: tuple[str, ...], check: bool) -> None:
    """Generate typed Python for schemas."""
    from hootbus.schemas import SchemaError
    from hootbus.schemas.codegen.generate import apart
    from hootbus.schemas.compiling import compile_files

    folder = Path(output)
    try:
        made = _generated(apart(compile_files(files, import_path)), folder)
    except SchemaError as error:
        raise SchemaMistake(str(error)) from None
    if not check:
        try:
            write_modules(made, folder)
        except OSError as error:
            raise Failed("cannot_write", f"{error.filename}: {error.strerror}") from None
        return
    left = _left_over(made, folder)
    stale = [*(path for path, text in made.items() if not _is(folder / path, text)), *left]
    for path in stale:
        click.echo(os.path.join(output, path))
    if stale:
        count = len(made) + len(left)
        raise Failed("stale", f"{len(stale)} of {count} modules are not what the schemas say; run without --check")


def plugin() -> None:
    """The script `capnpc-hootbus`: a compiler's request on stdin, modules into the current folder."""
    from hootbus.schemas import BodyError, SchemaError
    from hootbus.schemas.transfer import REQUEST_BYTES_MAX, read_request

    if sys.stdin.isatty():
        sys.exit("capnpc-hootbus is run by `capnp compile -o hootbus`; by hand there is `hoot schema gen`")
    try:
        schema = read_request(sys.stdin.buffer.read(REQUEST_BYTES_MAX + 1))
    except BodyError as error:
        sys.exit(f"capnpc-hootbus: no request of the schema compiler: {error}")
    try:
        write_modules(_generated(schema, Path()), Path())
    except SchemaError as error:
        sys.exit(f"capnpc-hootbus: {error}")
    except OSError as error:
        sys.exit(f"capnpc-hootbus: cannot write {error.filename}: {error.strerror}")


def _generated(schema: "model.Schema", folder: Path) -> dict[str, str]:
    """The modules by their paths; says on stderr which others they will want."""
    from hootbus.schemas.codegen.generate import generate, left_out

    for name in left_out(schema):
        click.echo(f"{name} is needed, too: generate its modules into the same folder", err=True)
    return generate(schema, is_package=(folder / "__init__.py").is_file())


def write_modules(modules: Mapping[str, str], folder: Path) -> None:
    """Writes what is new or has changed; what has not keeps its date. Removes what is left over."""
    for path, text in modules.items():
        target = folder / path
        if not _is(target, text):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for path in _left_over(modules, folder):
        (folder / path).unlink()


def _left_over(modules: Mapping[str, str], folder: Path) -> list[str]:
    """Modules of the same files that were generated once, and would not be now."""
    from hootbus.schemas.codegen.generate import never_made
    from hootbus.schemas.codegen.text import HEADER

    return [path for path in never_made(modules) if _begins(folder / path, f"# {HEADER}\n".encode())]


def _begins(target: Path, beginning: bytes) -> bool:
    if not target.is_file():
        return False
    with target.open("rb") as file:
        return file.read(len(beginning)) == beginning


def _is(target: Path, text: str) -> bool:
    return target.is_file() and target.read_bytes() == text.encode()
