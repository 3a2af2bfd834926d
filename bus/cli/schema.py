"""`hoot schema convert | dump | canonical`, and the group of all: Cap'n Proto messages in files and pipes."""

import os
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from hootbus.bus.cli.bodies import struct_type
from hootbus.bus.cli.evolution import check, fingerprint
from hootbus.bus.cli.forms import FORMS, READABLE, SEGMENTED, SINGLE, conversion, fail, read_messages, written
from hootbus.bus.cli.generate import gen
from hootbus.bus.cli.output import print_json_line
from hootbus.bus.cli.results import STDOUT, output_option, result_file
from hootbus.bus.cli.settings import Failed, json_option, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from hootbus.schemas import Segments, StructType
    from hootbus.schemas.forms.outline import Outline, Part

F = TypeVar("F", bound="Callable[..., Any]")

_DEPTH: Final = 16
# As deep as any reader goes.
_DEPTH_MAX: Final = 64
_LIMIT: Final = 200
_WORD: Final = 8

_EPILOG: Final = """\b
Examples:
  hoot schema dump message.bin
  hoot schema dump --schema clip.capnp:Clip message.bin
  hoot schema convert json:binary --schema clip.capnp:Clip clip.json -o clip.bin
  hoot schema canonical clip.bin | sha256sum
  hoot schema gen clip.capnp -o .
  hoot schema check HEAD:schemas schemas
"""
_CONVERT_EPILOG: Final = f"""\b
Forms, as the capnp tool names them:
  binary       as bodies are sent: a segment table, then the segments
  packed       the same, with zeros left out
  flat         the words of one segment, without a table
  flat-packed  the same, packed
  canonical    flat, and equal for equal messages
  text         struct literals: (title = "kick", samples = [0, 0.5])
  json         the mapping of Cap'n Proto's own JsonCodec, a line each
\b
Examples:
  hoot schema convert json:binary --schema clip.capnp:Clip clip.json -o clip.bin
  hoot schema convert binary:text --schema clip.capnp:Clip clip.bin
  hoot schema convert packed:binary < clip.packed | hoot schema dump
  echo '(title = "kick")' | hoot schema convert text:json --schema clip.capnp:Clip
\b
Of {", ".join(form for form in FORMS if form not in SINGLE)} there may be several messages in a row. A JSON
field that the schema does not have is an error, and nothing is dropped.
"""
_DUMP_EPILOG: Final = """\b
Examples:
  hoot schema dump message.bin
  hoot schema dump message.bin --depth 3 --limit 20
  hoot schema dump message.bin --json | jq .segments
  hoot schema dump --schema clip.capnp:Clip message.bin
\b
Without a schema every line is a pointer: its name, where it is, where it leads,
and what is there. Places are SEGMENT:WORD, sizes of structs data + pointers.
Bytes that look like text are shown as text, a pointer that cannot be followed
with what is wrong.
Exit status 1 if anything is wrong with the message; what only a newer schema
has a name for is said on stderr, and is no fault.
"""
_CANONICAL_EPILOG: Final = """\b
Examples:
  hoot schema canonical clip.bin -o clip.canonical
  hoot schema canonical clip.bin | sha256sum
  hoot schema canonical --check --flat clip.canonical
\b
Equal messages have equal canonical words, however they were built: these can be
compared, hashed and signed. Exit status 1 if --check finds the input otherwise.
\b
Bare words do not say that they are bare: --flat cannot tell whether the input
has a segment table. Where it could be one, a warning on stderr says so.
"""


def _load(ctx: click.Context, param: click.Parameter, place: str | None) -> "StructType | None":
    return None if place is None else struct_type(place, ctx.params["import_path"])


def _schema_options(command: F) -> F:
    """`--schema` and the folders for its imports; the function gets the struct as `schema`."""
    command = setting("--schema", metavar="FILE.capnp:TYPE", callback=_load, help="The type of the messages' root.")(
        command
    )
    return setting(
        "--import-path",
        "-I",
        multiple=True,
        # Known before the schema is loaded.
        is_eager=True,
        type=click.Path(exists=True, file_okay=False),
        metavar="DIR",
        help='Where the schema\'s `import "/..."` looks. Repeatable.',
    )(command)


_input_argument = click.argument("source", metavar="[INPUT]", type=click.File("rb"), default="-")


@click.group(epilog=_EPILOG)
def schema() -> None:
    """Cap'n Proto messages and schemas: look at them, convert them, compare them, generate Python."""


schema.add_command(check)
schema.add_command(fingerprint)
schema.add_command(gen)


@schema.command(epilog=_CONVERT_EPILOG)
@click.argument("forms", metavar="FROM:TO", type=conversion)
@_input_argument
@output_option
@_schema_options
@setting("--short", is_flag=True, help="Text on one line per message.")
@setting(
    "--segment-size",
    type=click.IntRange(min=1),
    metavar="WORDS",
    help="Write binary messages in segments of so many words, to test readers with.",
)
def convert(
    forms: tuple[str, str],
    source: IO[bytes],
    output: str,
    schema: "StructType | None",
    import_path: tuple[str, ...],
    short: bool,
    segment_size: int | None,
) -> None:
    """Convert messages from one form into another."""
    from hootbus.schemas import BodyError, FieldError

    form, target = forms
    if schema is None and not {form, target}.isdisjoint(READABLE):
        raise click.UsageError(f"{' and '.join(READABLE)} need --schema FILE.capnp:TYPE")
    if segment_size is not None and target not in SEGMENTED:
        raise click.UsageError(f"--segment-size is for {' and '.join(SEGMENTED)}: {target} has one segment")
    if short and target not in READABLE:
        raise click.UsageError(f"--short is for {' and '.join(READABLE)}: {target} has no lines")
    _refuse_input(source, output)
    if target not in READABLE:
        _refuse_terminal(output)
    with result_file(output) as result:
        for index, message in enumerate(read_messages(source, form, schema)):
            if index and target in SINGLE:
                raise Failed("bad_body", f"more than one message, and {target} has no way to tell where one ends")
            try:
                converted = written(message, target, schema, short=short, segment_words=segment_size or 0)
            except (BodyError, FieldError) as error:
                fail(error, index)
            result.write(converted)
            # Whoever reads along gets it at once.
            result.flush()


@schema.command(epilog=_DUMP_EPILOG)
@_input_argument
@_schema_options
@setting(
    "--depth", type=click.IntRange(1, _DEPTH_MAX), default=_DEPTH, show_default=True, help="So many levels at most."
)
@setting("--limit", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="So many objects at most.")
@json_option
def dump(
    source: IO[bytes],
    schema: "StructType | None",
    import_path: tuple[str, ...],
    depth: int,
    limit: int,
    json: bool,
) -> None:
    """Show what is in binary messages: with --schema as text, without one their structure."""
    if schema is not None:
        _dump_fields(source, schema, json)
        return
    from hootbus.schemas.forms import outline

    def show(message: "Segments") -> int:
        """Prints a message, whole or not; how much is wrong with it."""
        found = outline(message, depth=depth, limit=limit)
        if json:
            print_json_line(found)
        else:
            for line in _lines(found):
                click.echo(line)
        return _faults(found.root)

    faults = sum(map(show, read_messages(source, "binary", None, cut_short=show)))
    if faults:
        raise Failed("bad_body", f"{faults} {'pointer' if faults == 1 else 'pointers'} that cannot be followed")


@schema.command(epilog=_CANONICAL_EPILOG)
@_input_argument
@output_option
@setting("--flat", is_flag=True, help="The input is words without a segment table; whether it has one cannot be told.")
@setting("--check", is_flag=True, help="Write nothing: is the input canonical?")
def canonical(source: IO[bytes], output: str, flat: bool, check: bool) -> None:
    """Write a message's canonical words, without a segment table."""
    from hootbus.schemas import BodyError
    from hootbus.schemas.canonical import canonical as canonical_words

    _refuse_input(source, output)
    if not check:
        _refuse_terminal(output)
    message, *more = read_messages(source, "flat" if flat else "binary", None)
    if more:
        raise Failed("bad_body", f"{len(more) + 1} messages, and canonical words have no way to tell where one ends")
    if flat and _could_be_framed(message):
        click.echo("warning: the input could also be a message with a segment table: --flat cannot tell", err=True)
    try:
        words = canonical_words(message)
    except BodyError as error:
        fail(error, 0)
    if not check:
        with result_file(output) as result:
            result.write(words)
    elif difference := _difference(message, words):
        raise Failed("not_canonical", difference)


def _could_be_framed(words: "Segments") -> bool:
    """Whether bare words can be read as a message with a segment table, too."""
    from hootbus.schemas import BodyError
    from hootbus.schemas.canonical import canonical as canonical_words

    try:
        canonical_words(words[0])
    except BodyError:
        return False
    return True


def _refuse_input(source: IO[bytes], output: str) -> None:
    """A mistake, mostly: the messages would be gone in the form in which they were."""
    # A pipe has no name.
    name = getattr(source, "name", "")
    if output != STDOUT and os.path.exists(name) and os.path.exists(output) and os.path.samefile(name, output):
        raise click.UsageError(f"{output} is the input: write to another file")


def _refuse_terminal(output: str) -> None:
    if sys.stdout.isatty() and output == STDOUT:
        raise click.UsageError("binary would garble the terminal: -o FILE, or pipe it on")


def _dump_fields(source: IO[bytes], schema: "StructType", as_json: bool) -> None:
    from hootbus.schemas import BodyError, FieldError, validate

    form = "json" if as_json else "text"
    for index, message in enumerate(read_messages(source, "binary", None)):
        try:
            unknown = validate(message, schema)
            click.echo(written(message, form, schema, short=False, segment_words=0), nl=False)
        except (BodyError, FieldError) as error:
            raise Failed("bad_body", f"message {index + 1}: {error}; without --schema its structure is shown") from None
        for found in unknown:
            click.echo(f"not in this schema: {found.field or 'the root'} is ({found.value})", err=True)


def _difference(message: "Segments", words: bytearray) -> str:
    """How a message differs from its canonical words, empty if it does not."""
    if len(message) > 1:
        return f"{len(message)} segments, not 1"
    found = message[0]
    for at in range(0, min(len(found), len(words)), _WORD):
        if found[at : at + _WORD] != words[at : at + _WORD]:
            return f"word {at // _WORD} is {found[at : at + _WORD].hex()}, not {words[at : at + _WORD].hex()}"
    return "" if len(found) == len(words) else f"{len(found) // _WORD} words, not {len(words) // _WORD}"


def _lines(found: "Outline") -> Iterator[str]:
    sizes = " + ".join(map(str, found.segments))
    yield f"message of {len(found.segments)} {'segment' if len(found.segments) == 1 else 'segments'}, {sizes} words"
    if found.root is None:
        yield "root  null"
    else:
        yield from _part_lines(found.root, "")


def _part_lines(part: "Part", indent: str) -> Iterator[str]:
    way = f"{part.at} -> {f'far {part.far} -> ' if part.far else ''}{part.place}".removesuffix(" -> ")
    shown = _quoted(part.shown) if part.kind == "text" else part.shown
    yield f"{indent}{part.step}  {way}  {_what(part)}" + (f"  {shown}" if shown else "")
    for inner in part.parts:
        yield from _part_lines(inner, indent + "  ")
    if part.left_out:
        yield f"{indent}  ... {part.left_out} more"


def _what(part: "Part") -> str:
    """What a pointer leads to, and how large that is."""
    sizes = "" if part.data_words is None else f"{part.data_words} + {part.pointers} words"
    if part.count is None:
        return part.fault or " of ".join(filter(None, (part.kind, sizes)))
    return f"{part.kind}, {part.count} × {part.element}" + (f" of {sizes}" if sizes else "")


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


def _faults(part: "Part | None") -> int:
    return 0 if part is None else bool(part.fault) + sum(map(_faults, part.parts))
