"""The files behind the rights: a folder with the public keys that are let in, and a TOML file of what each may do.

They are read again when they have changed. What is broken then leaves the rights as they were, as an operator who
makes a typo must neither lock everyone out nor let anyone in; only a key whose file is gone is let in no more.
"""

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec

from hootbus.bus.access import Access, Known, Rights
from hootbus.frames.keys import (
    DEFAULT_NAME,
    PUBLIC_SUFFIX,
    KeysError,
    fingerprint,
    public_files,
    read_public,
    require_file,
    require_own,
)

# Some ten thousand keys' tables. The broker does nothing else while it reads them.
_RIGHTS_BYTES_MAX: Final = 4 * 1024 * 1024

# Of how many letters in common a table of no key's counts as a misspelt [default].
_MISSPELT: Final = 0.8
_Stamp = tuple[tuple[str, int, int, int, int, int], ...]


class Keyring:
    """Reads both, says what is wrong with them, and keeps what was last right.

    `rights` None: every key that is let in may do all but administer.
    """

    def __init__(self, folder: Path, rights: Path | None = None) -> None:
        self._folder = folder
        self._rights = rights
        self._stamp: _Stamp = ()
        self._keys: dict[str, bytes] = {}
        self._tables: dict[str, Rights] = {}
        self._default = Rights()
        self.notes: list[str] = []

    def read(self) -> Access:
        """What holds at the start. Raises KeysError if anything at all is wrong."""
        complaints = self.reread()
        if complaints:
            raise KeysError("\n".join(complaints))
        return self.access()

    def access(self) -> Access:
        """What was last read, as the judge."""
        return Access({key: Known(name, self.rights_of(name)) for name, key in self._keys.items()})

    def rights_of(self, name: str) -> Rights:
        """What a key of this name may do."""
        return self._tables.get(name, self._default)

    def named(self) -> dict[str, bytes]:
        """The keys that are let in, by name."""
        return dict(self._keys)

    def changed(self) -> bool:
        """Whether a file is another than when it was last read."""
        return self._look() != self._stamp

    def reread(self) -> list[str]:
        """Reads what there is now. What is wrong with it, each in a line; of that the old holds."""
        # Taken before: what changes while it is read is read again.
        self._stamp = self._look()
        complaints = self._read_keys()
        if self._rights is not None:
            try:
                self._read_rights(self._rights)
            except KeysError as error:
                complaints.append(str(error))
        # A right for nobody is a typo, or what a key that was taken out has left behind: no reason to stop.
        self.notes = [
            f"{self._rights}: [{name}] is about no key, as there is no {self._folder / (name + PUBLIC_SUFFIX)}"
            for name in self._tables
            if name not in self._keys
        ]
        return complaints

    def _look(self) -> _Stamp:
        paths = [self._folder, *public_files(self._folder)]
        if self._rights is not None:
            paths.append(self._rights)
        stamps = []
        for path in paths:
            try:
                found = os.stat(path)
            except OSError:
                stamps.append((str(path), 0, 0, 0, 0, 0))
            else:
                stamps.append((str(path), found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode, found.st_uid))
        return tuple(stamps)

    def _read_keys(self) -> list[str]:
        try:
            require_own(self._folder, private=False)
            if not self._folder.is_dir():
                raise KeysError(f"{self._folder} is no folder")
        except KeysError as error:
            return [str(error)]
        complaints: list[str] = []
        found: dict[str, bytes] = {}
        for path in public_files(self._folder):
            name = path.name.removesuffix(PUBLIC_SUFFIX)
            try:
                if name == DEFAULT_NAME:
                    raise KeysError(
                        f"{path}: {DEFAULT_NAME!r} names the rights of all others; call the key something else"
                    )
                key = read_public(path)
                if key in found.values():
                    raise KeysError(f"{path}: this key is let in under another name already")
            except KeysError as error:
                complaints.append(str(error))
                if name in self._keys and self._keys[name] not in found.values():
                    found[name] = self._keys[name]
            else:
                found[name] = key
        self._keys = found
        return complaints

    def _read_rights(self, path: Path) -> None:
        require_own(path, private=False)
        try:
            require_file(path, _RIGHTS_BYTES_MAX)
            tables = tomllib.loads(path.read_text())
        except KeysError:
            raise
        except OSError as error:
            raise KeysError(f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:
            raise KeysError(f"{path}: {error}") from None
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise KeysError(
                    f"{path}: {name!r} stands in no table; rights are in [{DEFAULT_NAME}] or in [NAME] of a key"
                )
            # Noted alone, it would give everybody what it was to take from them.
            if name not in {DEFAULT_NAME, *self._keys} and get_close_matches(
                name.lower(), [DEFAULT_NAME], cutoff=_MISSPELT
            ):
                raise KeysError(
                    f"{path}: [{name}] is about no key; call it [{DEFAULT_NAME}] if it is meant for all others"
                )
        base: dict[str, Any] = tables.pop(DEFAULT_NAME, {})
        default = _rights(path, DEFAULT_NAME, base)
        # What a key's own table does not say, the default's does.
        self._tables = {name: _rights(path, name, base | table) for name, table in tables.items()}
        self._default = default


def _rights(path: Path, name: str, table: dict[str, Any]) -> Rights:
    try:
        return msgspec.convert(table, Rights)
    except msgspec.ValidationError as error:
        raise KeysError(f"{path}: [{name}]: {error}; there are {', '.join(Rights.__struct_fields__)}") from None


def described(name: str, key: bytes, rights: Rights) -> dict[str, Any]:
    """A key for people: whose it is, how it begins, and what it may do."""
    return {"name": name, "key": fingerprint(key), **msgspec.to_builtins(rights)}
