"""Cap'n Proto messages in the forms in which they lie in files: read one after the other, and written."""

import struct
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Final, NoReturn, cast

import click

from hootbus.bus.cli.settings import Failed

if TYPE_CHECKING:
    from hootbus.schemas import Segments, StructType

# Under the names that the capnp tool gives them.
FORMS: Final = ("binary", "packed", "flat", "flat-packed", "canonical", "text", "json")
# These need a schema; and all others would garble a terminal.
READABLE: Final = ("text", "json")
# These have no table that says where a message ends.
SINGLE: Final = ("flat", "flat-packed", "canonical")
# These can have more than one segment.
SEGMENTED: Final = ("binary", "packed")

_WORD: Final = 8
_CHUNK_BYTES: Final = 1 << 20


def conversion(text: str) -> tuple[str, str]:
    """The two forms of FROM:TO; the type of an argument. Raises BadParameter."""
    source, _, target = text.partition(":")
    if source not in FORMS or target not in FORMS:
        raise click.BadParameter(f"{text!r} is not FROM:TO, each one of {', '.join(FORMS)}")
    return source, target


def read_messages(
    file: IO[bytes], form: str, schema: "StructType | None", *, cut_short: "Callable[[Segments], object] | None" = None
) -> "Iterator[Segments]":
    """The messages of a file, as they come. Raises Failed, which says which one is wrong.

    `cut_short` is shown what there is of a binary message whose end is missing.
    """
    from hootbus.schemas import BodyError, FieldError

    messages = _READERS[form](file, schema)
    count = 0
    while True:
        try:
            message = next(messages, None)
        except BodyError as error:
            if cut_short is not None and error.origin is not None:
                cut_short(cast("Segments", error.origin))
            fail(error, count)
        except FieldError as error:
            fail(error, count)
        except UnicodeDecodeError as error:
            raise Failed("bad_body", f"the input is not UTF-8 at byte {error.start}") from None
        if message is None:
            break
        count += 1
        if not len(message[0]):
            raise Failed("bad_body", f"message {count} has no words: no message begins here")
        yield message
    if not count:
        raise Failed("bad_body", "there is no message in the input")


def written(parts: "Segments", form: str, schema: "StructType | None", *, short: bool, segment_words: int) -> bytes:
    """A message in this form; `segment_words` is 0 for one segment. Raises BodyError or FieldError."""
    from hootbus.schemas import read_capnp
    from hootbus.schemas.canonical import canonical
    from hootbus.schemas.forms import pack, pack_body, split_body, write_capnp_json, write_text

    if form in READABLE:
        assert schema is not None
        reader = read_capnp(parts, schema)
        text = write_text(reader, pretty=not short) if form == "text" else write_capnp_json(reader)
        return text.encode() + b"\n"
    if form == "canonical":
        return bytes(canonical(parts))
    if form in SEGMENTED:
        body = split_body(parts, segment_words) if segment_words else _framed(_joined(parts))
        return pack_body(body) if form == "packed" else body
    words = _joined(parts)
    return pack(words) if form == "flat-packed" else bytes(words)


def fail(error: Exception, index: int) -> NoReturn:
    """Raises Failed for what is wrong with a message, which is named if it is not the first."""
    which = f"message {index + 1}: " if index else ""
    raise Failed("bad_body", f"{which}{error}") from None


def _binary(file: IO[bytes], schema: object) -> "Iterator[Segments]":
    from hootbus.schemas import BodyError, segments
    from hootbus.schemas.segments import SEGMENTS_MAX

    while head := _read(file, 4):
        count = int.from_bytes(head, "little") + 1
        if len(head) == 4 and count > SEGMENTS_MAX:
            hint = "; this may be text or JSON" if _is_text(head) else ""
            raise BodyError("", f"{count} segments, at most {SEGMENTS_MAX}: no message begins here{hint}")
        table_bytes = (4 + 4 * count + 7) // _WORD * _WORD
        table = head + _read(file, table_bytes - 4)
        if len(table) < table_bytes:
            raise BodyError("", "the input ends within a segment table")
        sizes = struct.unpack_from(f"<{count}I", table, 4)
        words = _read(file, _WORD * sum(sizes))
        if (missing := _WORD * sum(sizes) - len(words)) > 0:
            parts = _beginnings(memoryview(words), sizes)
            origin = parts if len(parts[0]) else None
            raise BodyError("", f"the input ends {missing} bytes before the message does", origin)
        yield segments(table + words) if words else (memoryview(b""),)


def _is_text(head: bytes) -> bool:
    """Whether all are characters that texts are made of."""
    return all(byte in b"\t\r\n" or ord(" ") <= byte <= ord("~") for byte in head)


def _beginnings(words: memoryview, sizes: tuple[int, ...]) -> "Segments":
    """What there is of a message's segments, in whole words."""
    parts = []
    for size in sizes:
        part, words = words[: _WORD * size], words[_WORD * size :]
        parts.append(part[: len(part) // _WORD * _WORD])
    return tuple(parts)


def _read(file: IO[bytes], size: int) -> bytes:
    """So many bytes, fewer at the end. In pieces: what a table says is not worth memory before the bytes are there."""
    parts: list[bytes] = []
    while size and (part := file.read(min(size, _CHUNK_BYTES))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _packed(file: IO[bytes], schema: object) -> "Iterator[Segments]":
    import io

    from hootbus.schemas.forms import unpack

    packed = file.read()
    if packed.startswith(b"\0"):
        # A table of zeros; and what a binary message of one segment, which is not packed, begins with.
        raise Failed("bad_body", "message 1 has no words: is the input packed?")
    yield from _binary(io.BytesIO(unpack(packed)), schema)


def _flat(file: IO[bytes], schema: object) -> "Iterator[Segments]":
    yield from _bare(file.read())


def _flat_packed(file: IO[bytes], schema: object) -> "Iterator[Segments]":
    from hootbus.schemas.forms import unpack

    yield from _bare(unpack(file.read()))


def _bare(words: bytes) -> "Iterator[Segments]":
    from hootbus.schemas import BodyError

    if len(words) % _WORD:
        raise BodyError("", f"{len(words)} bytes are no whole words")
    if words:
        yield (memoryview(words),)


def _text(file: IO[bytes], schema: "StructType | None") -> "Iterator[Segments]":
    from hootbus.schemas import segments
    from hootbus.schemas.forms import read_texts

    assert schema is not None
    for body in read_texts(file.read().decode(), schema):
        yield segments(body.buffer)


def _json(file: IO[bytes], schema: "StructType | None") -> "Iterator[Segments]":
    from hootbus.schemas import segments
    from hootbus.schemas.forms import read_capnp_jsons

    assert schema is not None
    for body in read_capnp_jsons(file.read().decode(), schema):
        yield segments(body.buffer)


_READERS: "Final[dict[str, Callable[[IO[bytes], StructType | None], Iterator[Segments]]]]" = {
    "binary": _binary,
    "packed": _packed,
    "flat": _flat,
    "flat-packed": _flat_packed,
    "canonical": _flat,
    "text": _text,
    "json": _json,
}


def _joined(parts: "Segments") -> "memoryview | bytearray":
    """The words of one segment: of several, the message's canonical ones."""
    from hootbus.schemas.canonical import canonical

    return parts[0] if len(parts) == 1 else canonical(parts)


def _framed(words: "memoryview | bytearray") -> bytes:
    return b"".join((struct.pack("<II", 0, len(words) // _WORD), words))
