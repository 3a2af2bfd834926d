"""Bodies between the shell and the bus: JSON as people write it, and as they read what came."""

import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hootbus.schemas import StructType
    from hootbus.workers.content import Content, Readable


def given_body(text: str | None, raw: IO[bytes] | None, schema: "StructType | None") -> object:
    """The body that the argument JSON and the options --raw and --schema describe together. Raises UsageError."""
    if raw is not None:
        if text is not None or schema is not None:
            raise click.UsageError("--raw is the whole body: give no JSON and no --schema with it")
        return raw.read()
    return capnp_body(text, schema) if schema is not None else json_body(text)


def read_text(text: str) -> bytes:
    """A body given on the command line: `-` and `@-` stand for stdin, `@FILE` for a file. Raises UsageError."""
    if text in ("-", "@-"):
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    try:
        # No JSON begins with an @.
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise click.UsageError(f"the body's file cannot be read: {error}") from None


def json_body(text: str | None) -> "Content | None":
    """The body for the argument JSON, None for none. Raises UsageError for what is no JSON."""
    import msgspec

    from hootbus.frames.protocol import ContentType
    from hootbus.workers.content import Content

    if text is None:
        return None
    written = read_text(text)
    try:
        msgspec.json.decode(written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = f"; a text has its own quotes: '\"{text}\"'" if text.isalnum() else ""
        raise click.UsageError(f"the body is no JSON: {error}{hint}") from None
    return Content(ContentType.JSON, written)


def capnp_body(text: str | None, schema: "StructType") -> object:
    """The message of this type for the argument JSON. Raises UsageError where they do not fit."""
    from hootbus.schemas import BodyError, FieldError
    from hootbus.schemas.forms import read_capnp_json

    try:
        return read_capnp_json(read_text(text).decode() if text is not None else "{}", schema)
    except UnicodeDecodeError as error:
        raise click.UsageError(f"the body is no JSON: {error}") from None
    except (BodyError, FieldError) as error:
        raise click.UsageError(f"the body does not fit the schema: {error}") from None


class SchemaMistake(click.ClickException):
    """A schema that cannot be compiled: one line says where the mistake is, as compilers do. Exit status 1."""

    def show(self, file: IO[str] | None = None) -> None:
        """Says so."""
        click.echo(self.message, err=True)


def schema_file(path: str) -> str:
    """The path of a schema that is loaded; the type of an option. Raises BadParameter and SchemaMistake."""
    _load(path)
    return path


def struct_type(place: str, imports: Sequence[str] = ()) -> "StructType":
    """The struct that FILE.capnp:Type names; the type of --schema. Raises BadParameter and SchemaMistake."""
    from hootbus.schemas import is_struct_type

    path, colon, name = place.rpartition(":")
    if not colon or not path:
        raise click.BadParameter(f"{place!r} is not FILE.capnp:Type")
    found = _load(path, imports)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not is_struct_type(found):
        raise click.BadParameter(f"{path} has no struct {name!r}")
    return found


def _load(path: str, imports: Sequence[str] = ()) -> Any:  # noqa: ANN401  # what a schema has depends on its text
    from hootbus.schemas import SchemaError, load

    try:
        return load(path, imports)
    except SchemaError as error:
        if os.path.isfile(path):
            raise SchemaMistake(str(error)) from None
        raise click.BadParameter(str(error)) from None


def plain(content: "Readable") -> dict[str, object]:
    """A body as JSON can say it: `body` where it can be decoded, else `base64`; `content_type` says which it was."""
    from hootbus.frames.errors import BadBody
    from hootbus.frames.protocol import ContentType
    from hootbus.schemas import BodyError, FieldError, schema_of
    from hootbus.schemas.forms import write_capnp_json

    shown: dict[str, object] = {"content_type": content.content_type.name.lower()}
    if content.content_type is ContentType.EMPTY:
        return shown
    try:
        if content.content_type is ContentType.JSON:
            return shown | {"body": content.json()}
        if content.content_type is ContentType.CAPNPROTO:
            shown["schema"] = f"{content.schema_id:#018x}"
            if (schema := schema_of(content.schema_id)) is not None:
                return shown | {"body": json.loads(write_capnp_json(content.capnp(schema)))}
    except (BadBody, BodyError, FieldError) as error:
        # It is shown as the bytes that it is.
        shown["error"] = str(error).splitlines()[0]
    return shown | {"base64": base64.b64encode(content.raw).decode()}
