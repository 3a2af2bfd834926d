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
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import capnp

from hootbus.schemas.errors import SchemaError
from hootbus.schemas.tokens import Token, has_id, place_of, references, spread, tokens_of

# Our own files are compiled where they lie.
PACKAGED: Final = Path(__file__).resolve().parent

# So are Cap'n Proto's, such as `/capnp/c++.capnp`, one of which the compiler imports unasked: `-> stream` needs
# `/capnp/stream.capnp`.
CAPNP_OWN: Final = Path(capnp.__file__).resolve().parent
CAPNP_IMPORTS: Final = str(CAPNP_OWN.parent)

_FOR_CXX: Final = CAPNP_OWN / "c++.capnp"
_FOR_CXX_ID: Final = 0xBDF8_7D7B_B830_4E81

# Files of Cap'n Proto's own that pycapnp does not bring: `/capnp/compat/json.capnp`, ours, with the official ids.
# Looked at before all other folders, as one file from two of them would be two files with the same ids. Its name is no
# identifier, as setuptools would take it for a package.
SUPPLIED: Final = str(PACKAGED / "import-path")

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

    def text(self) -> bytes:
        """The source."""
        return self.source

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
    """The copies of all files that were loaded so far; those in the folders `own` are compiled where they lie."""

    def __init__(self, own: Sequence[Path]) -> None:
        self._own = own
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

    def original(self, file: Path) -> Original:
        """What a file was when it was loaded; of our own and Cap'n Proto's what they are."""
        copy = self._kept.get(Key(file, embedded=False))
        if copy is not None:
            return copy.original
        return self._original(Key(file, embedded=False), file, (), [CAPNP_IMPORTS])

    def file(self, path: Path) -> Path:
        """The file without symbolic links; for one that is byte for byte one of our own, as in a checkout, our own.

        Its ids are taken by ours. So it is with any version of `c++.capnp`, of which many projects have a copy: it has
        nothing but names for C++. Once it was that one, it stays so, whatever is written to it later.
        """
        real = Path(os.path.realpath(path))
        if real not in self._twins and (own := self._own_twin(real)) is not None:
            self._twins[real] = own
        return self._twins.get(real, real)

    def take(self, paths: Sequence[Path], folders: Sequence[str]) -> list[Copy]:
        """Copies of the files, which come first, and of what they need and is not kept yet. Raises SchemaError."""
        originals = self._read(paths, folders)
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

    def own_imports(self, original: Original) -> list[Path]:
        """The files of Cap'n Proto's and of ours that a file imports."""
        found = [
            target.path for target in original.targets.values() if self.is_own(target.path) and not target.embedded
        ]
        # `-> stream` imports it unasked.
        if any(arrow.text == b"->" and word.text == b"stream" for arrow, word in pairwise(original.tokens)):
            found.append(CAPNP_OWN / "stream.capnp")
        return found

    def is_own(self, path: Path) -> bool:
        """Whether this is a file of Cap'n Proto's or of ours, which is compiled where it lies."""
        return path.parent in self._own

    def _own_twin(self, path: Path) -> Path | None:
        """The one of our own files, or of Cap'n Proto's, whose name and bytes a file elsewhere has."""
        if path.suffix != ".capnp" or self.is_own(path) or not os.path.isfile(path):
            return None
        try:
            for own in (folder / path.name for folder in self._own):
                if own.is_file() and (_is_same(own, path) or (own == _FOR_CXX and _has_id(path, _FOR_CXX_ID))):
                    return own
        except OSError:
            # Whoever reads it next says what is wrong.
            pass
        return None

    def _read(self, paths: Sequence[Path], folders: Sequence[str]) -> dict[Key, Original]:
        """The files, and all that they import and embed, as far as it is neither kept nor our own."""
        read: dict[Key, Original] = {}
        waiting = [(path, False) for path in reversed(paths)]
        while waiting:
            path, embedded = waiting.pop()
            key = self._key(path, embedded)
            if key in read or key in self._kept or self.is_own(key.path):
                continue
            read[key] = original = self._original(key, path, paths, folders)
            waiting += [(target.path, target.embedded) for target in original.targets.values()]
        return read

    def _original(self, key: Key, named: Path, given: Sequence[Path], folders: Sequence[str]) -> Original:
        """The file as it is now. It is seen from where it was named: a link's neighbours are the link's."""
        source = _source(key)
        tokens = [] if key.embedded else _tokens(key.path, source)
        targets = {}
        for number, name, embedded in references(tokens):
            target = _given(name, given) or _find(name, named.parent, folders)
            if target is None:
                said = f"Couldn't read file for embed: {name}" if embedded else f"Import failed: {name}"
                raise SchemaError(key.path, *place_of(source, tokens[number].start), said)
            targets[number] = self._key(target, embedded)
        return Original(source, tokens, targets)

    def _key(self, path: Path, embedded: bool) -> Key:
        return Key(Path(os.path.realpath(path)) if embedded else self.file(path), embedded)

    def _own_name(self, path: Path) -> str:
        """What the compiler knows an own file by: the name by which it imports it, or has loaded it."""
        return f"/capnp/{path.name}" if path.parent == CAPNP_OWN else os.path.relpath(path, self._folder)

    def _text(self, original: Original, names: Mapping[Key, str]) -> bytes:
        if not original.tokens:
            return original.source
        tokens = list(original.tokens)
        for number, target in original.targets.items():
            name = names.get(target) or self._own_name(target.path)
            tokens[number] = Token(f'"{name}"'.encode(), tokens[number].start)
        return spread(tokens)


def _is_same(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()


def _has_id(path: Path, number: int) -> bool:
    return path.stat().st_size <= SOURCE_BYTES_MAX and has_id(tokens_of(path.read_bytes()), number)


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


def _given(name: str, paths: Sequence[Path]) -> Path | None:
    """The file among those given which has the name that is imported from a folder of imports.

    Of another version of Cap'n Proto's own files, say, which import each other as "/capnp/c++.capnp".
    """
    return next((path for path in paths if str(path).endswith(name)), None) if name.startswith("/") else None


def _find(name: str, neighbours: Path, folders: Sequence[str]) -> Path | None:
    """The file that an import names."""
    bases = [SUPPLIED, *folders] if name.startswith("/") else [neighbours]
    paths = (os.path.normpath(f"{base}/{name}") for base in bases)
    return next((Path(path) for path in paths if os.path.isfile(path)), None)


def _unused(name: str, used: set[str]) -> str:
    """The file's name, if it is not taken: it becomes part of the names of schemas, as in `envelope.capnp:Envelope`."""
    # Nothing that could hide the name in the compiler's complaints, and room for a number. pycapnp wants the ending.
    stem = re.sub(r"[^\w+-]", "_", name.removesuffix(".capnp"), flags=re.ASCII)[:100]
    candidate = f"{stem}.capnp"
    return candidate if candidate not in used else f"{stem}.{len(used)}.capnp"
