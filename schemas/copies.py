"""Copies of schema files and of all that they import: what is compiled in their place.

Two processes compile the same files, one after the other, and must see the same bytes whoever writes to the files in
between. So every file is read once, and kept: what is loaded later may import it, and then it must be what it was.

In a copy every token stands on a line of its own (see tokens), and an import names the copy of what it imports. That
also makes one file of a file that is imported by several paths; the compiler would take the second path for a second
file, whose ids are all taken. Copies lie on the disk only while something is compiled.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import capnp

from hootbus.schemas.errors import SchemaError
from hootbus.schemas.tokens import Token, place_of, references, spread, tokens_of

# Our own files are compiled where they lie.
PACKAGED: Final = Path(__file__).resolve().parent

# Cap'n Proto's own files, such as `/capnp/c++.capnp`, are left to the compiler, which imports one of them unasked:
# `-> stream` needs `/capnp/stream.capnp`.
CAPNP_IMPORTS: Final = str(Path(capnp.__file__).resolve().parent.parent)

# A large schema has some hundred KB. This is for what is no schema at all.
SOURCE_BYTES_MAX: Final = 8 * 1024 * 1024


class Key(NamedTuple):
    """A file, by its path without symbolic links. What is to be embedded is copied as it is."""

    path: Path
    embedded: bool


class Original(NamedTuple):
    """A file as it was when it was read. `targets` are the files that its imports name, by the number of the token."""

    source: bytes
    tokens: Sequence[Token]
    targets: Mapping[int, Key]

    def position(self, line: int) -> tuple[int, int]:
        """Line and column, from 1, of what the compiler has found in this line, from 0, of the copy."""
        if line == 0:
            return 1, 1
        start = self.tokens[line - 1].start if line <= len(self.tokens) else len(self.source)
        return place_of(self.source, start)


class Copy(NamedTuple):
    """`text` is what the compiler finds under `name` in the folder of copies."""

    key: Key
    original: Original
    name: str
    text: bytes


class Copies:
    """The copies of all files that were loaded so far."""

    def __init__(self) -> None:
        self._kept: dict[Key, Copy] = {}
        self._twins: dict[Path, Path] = {}

    @cached_property
    def _folder(self) -> Path:
        # The same for the life of the process, as the compiler knows a file again by its path. Nobody can guess its
        # name before it is first made, and it is an error if somebody else has made it again.
        return Path(os.path.realpath(tempfile.gettempdir()), f"hootbus-{os.urandom(8).hex()}")

    @property
    def kept(self) -> Sequence[Copy]:
        return [*self._kept.values()]

    def file(self, path: Path) -> Path:
        """The file without symbolic links; for one that is byte for byte one of our own, as in a checkout, our own.

        Its ids are taken by ours. Once it was that one, it stays so, whatever is written to it later.
        """
        real = Path(os.path.realpath(path))
        if real not in self._twins and not _is_twin(real):
            return real
        return self._twins.setdefault(real, PACKAGED / real.name)

    def take(self, path: Path, folders: Sequence[str]) -> list[Copy]:
        """Copies of the file, which comes first, and of what it needs and is not kept yet. Raises SchemaError."""
        originals = self._read(path, folders)
        names = {key: copy.name for key, copy in self._kept.items()}
        for key in originals:
            names[key] = _unused(key.path.name, set(names.values()))
        return [Copy(key, it, names[key], self._text(it, names)) for key, it in originals.items()]

    def keep(self, copies: Sequence[Copy]) -> None:
        self._kept.update({copy.key: copy for copy in copies})

    @contextmanager
    def laid_out(self, more: Sequence[Copy]) -> Iterator[Path]:
        """The folder with all kept copies and these. Raises OSError where there is no room for temporary files."""
        self._folder.mkdir(mode=0o700)
        try:
            for copy in [*self._kept.values(), *more]:
                (self._folder / copy.name).write_bytes(copy.text)
            yield self._folder
        finally:
            shutil.rmtree(self._folder)

    def _read(self, path: Path, folders: Sequence[str]) -> dict[Key, Original]:
        """The file, and all that it imports and embeds, as far as it is neither kept nor our own."""
        read: dict[Key, Original] = {}
        waiting = [(path, False)]
        while waiting:
            path, embedded = waiting.pop()
            key = self._key(path, embedded)
            if key in read or key in self._kept or is_packaged(key.path):
                continue
            source = _source(key)
            tokens = [] if embedded else _tokens(key.path, source)
            targets = {}
            for number, name, to_embed in references(tokens):
                if _is_capnps_own(name):
                    continue
                # Seen from the file as it was named: a link's neighbours are the link's, as for `capnp compile`.
                target = _find(name, path.parent, folders)
                if target is None:
                    said = f"Couldn't read file for embed: {name}" if to_embed else f"Import failed: {name}"
                    raise SchemaError(key.path, *place_of(source, tokens[number].start), said)
                targets[number] = self._key(target, to_embed)
                waiting.append((target, to_embed))
            read[key] = Original(source, tokens, targets)
        return read

    def _key(self, path: Path, embedded: bool) -> Key:
        return Key(Path(os.path.realpath(path)) if embedded else self.file(path), embedded)

    def _text(self, original: Original, names: Mapping[Key, str]) -> bytes:
        if not original.tokens:
            return original.source
        tokens = list(original.tokens)
        for number, target in original.targets.items():
            # The compiler knows our own files by the path by which it has loaded them, if that is made a relative one.
            name = names.get(target) or os.path.relpath(target.path, self._folder)
            tokens[number] = Token(f'"{name}"'.encode(), tokens[number].start)
        return spread(tokens)


def is_packaged(path: Path) -> bool:
    return path.parent == PACKAGED


def _is_twin(path: Path) -> bool:
    """Whether a file elsewhere has the name and the bytes of one of our own."""
    own = PACKAGED / path.name
    if path == own or path.suffix != ".capnp" or not (os.path.isfile(own) and os.path.isfile(path)):
        return False
    try:
        return path.stat().st_size == own.stat().st_size and path.read_bytes() == own.read_bytes()
    except OSError:
        # Whoever reads it next says what is wrong.
        return False


def _is_capnps_own(name: str) -> bool:
    return name.startswith("/capnp/") and os.path.isfile(CAPNP_IMPORTS + name)


def _source(key: Key) -> bytes:
    try:
        source = key.path.read_bytes()
    except OSError as error:
        raise SchemaError(key.path, 0, 0, (error.strerror or str(error)).lower()) from error
    if len(source) > SOURCE_BYTES_MAX and not key.embedded:
        raise SchemaError(key.path, 0, 0, f"{len(source)} bytes are no schema: the limit is {SOURCE_BYTES_MAX}")
    return source


def _tokens(path: Path, source: bytes) -> list[Token]:
    tokens = tokens_of(source)
    for token in tokens:
        # The compiler does not look into text, and pycapnp fails when it reads the constant.
        if token.text.startswith((b'"', b"`")):
            try:
                token.text.decode()
            except UnicodeDecodeError as error:
                raise SchemaError(path, *place_of(source, token.start + error.start), "not UTF-8") from error
    return tokens


def _find(name: str, neighbours: Path, folders: Sequence[str]) -> Path | None:
    """The file that an import names."""
    bases = folders if name.startswith("/") else [neighbours]
    paths = (os.path.normpath(f"{base}/{name}") for base in bases)
    return next((Path(path) for path in paths if os.path.isfile(path)), None)


def _unused(name: str, used: set[str]) -> str:
    """The file's name, if it is not taken: it becomes part of the names of schemas, as in `envelope.capnp:Envelope`."""
    # Nothing that could hide the name in the compiler's complaints, and room for a number. pycapnp wants the ending.
    stem = re.sub(r"[^\w+-]", "_", name.removesuffix(".capnp"), flags=re.ASCII)[:100]
    candidate = f"{stem}.capnp"
    return candidate if candidate not in used else f"{stem}.{len(used)}.capnp"
