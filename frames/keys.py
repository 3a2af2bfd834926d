"""Keys of CURVE, in the files of zmq.auth: `NAME.key` to show around, `NAME.key_secret` for its owner alone.

libzmq encrypts and authenticates each connection with them: the peer knows the broker's public key beforehand, the
broker finds out the peer's and asks whether it is let in (`hootbus.bus.zap`). A secret that others can read is none, so
a file that they can is refused wherever one is read.
"""

import os
import re
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

PUBLIC_SUFFIX: Final = ".key"
SECRET_SUFFIX: Final = ".key_secret"
KEY_VARIABLE: Final = "HOOT_KEY"
BROKER_KEY_VARIABLE: Final = "HOOT_BROKER_KEY"
# Its table of rights is that of all keys without one of their own.
DEFAULT_NAME: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_Z85: Final = re.compile(rb"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_FINGERPRINT_CHARS: Final = 8
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
# A certificate has a few hundred bytes. What is larger was not meant.
_FILE_BYTES_MAX: Final = 64 * 1024


class KeysError(ValueError):
    """A key that is missing, is none, or lies where others can get at it; the text says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class Keys(msgspec.Struct, frozen=True):
    """Who one is: a key pair, and the public key of the broker that one talks to. All three as 40 bytes of Z85.

    A broker's own have no `broker`. The secret is in no `repr`.
    """

    public: bytes
    secret: bytes
    broker: bytes = b""

    @classmethod
    def load(cls, key: str | os.PathLike[str], broker_key: str | os.PathLike[str] | None = None) -> Self:
        """Reads `NAME.key_secret`, and the broker's `NAME.key`. Raises KeysError that says what is wrong with one."""
        public, secret = read_secret(Path(key))
        return cls(public, secret, read_public(Path(broker_key)) if broker_key is not None else b"")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """The keys that HOOT_KEY and HOOT_BROKER_KEY name, None if neither is set. Raises KeysError."""
        key, broker_key = environ.get(KEY_VARIABLE), environ.get(BROKER_KEY_VARIABLE)
        if not key and not broker_key:
            return None
        if not key or not broker_key:
            given, missing = (KEY_VARIABLE, BROKER_KEY_VARIABLE) if key else (BROKER_KEY_VARIABLE, KEY_VARIABLE)
            raise KeysError(f"{given} is set and {missing} is not: a peer needs its own key and the broker's")
        return cls.load(key, broker_key)

    def __repr__(self) -> str:
        return f"<Keys {fingerprint(self.public)}>"


# For a bus that has none, whatever the environment says.
NO_KEYS: Final = Keys(b"", b"")


def resolve_keys(given: Keys | None) -> Keys | None:
    """The keys to use: those given, else the environment's. None for a bus without keys. Raises KeysError."""
    keys = Keys.from_environment() if given is None else given
    if keys is not None and keys.public and not keys.broker:
        raise KeysError("the broker's public key is missing: without it nobody knows who answers")
    return keys if keys is not None and keys.public else None


def fingerprint(public: bytes) -> str:
    """The beginning of a public key: enough for people to tell a few keys apart, never to let one in by."""
    return public[:_FINGERPRINT_CHARS].decode(errors="replace")


def new_pair(name: str, folder: Path) -> tuple[Path, Path]:
    """Makes `NAME.key` and `NAME.key_secret` in the folder, which is made for its owner alone if it is not there.

    Raises KeysError if one of them exists: whoever trusts the old key would be locked out. Also for a name that no
    broker would let in.
    """
    from zmq.auth import create_certificates

    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r} is no name for a key; use at most 64 of A-Z, a-z, 0-9, '.', '_' and '-'")
    if name == DEFAULT_NAME:
        raise KeysError(f"{name!r} names the rights of all others; call the key something else")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written where nobody else can look, and put in place only when it is closed to others: the library's file is
        # open to them for a moment.
        with tempfile.TemporaryDirectory(prefix=".new", dir=folder) as private:
            public, secret = (Path(path) for path in create_certificates(private, name))
            secret.chmod(0o600)
            public.chmod(0o644)
            _put(secret, folder)
            try:
                _put(public, folder)
            except KeysError:
                (folder / secret.name).unlink()
                raise
    except OSError as error:
        raise KeysError(f"cannot write keys to {folder}: {error.strerror}") from None
    return folder / public.name, folder / secret.name


def _put(made: Path, folder: Path) -> None:
    try:
        # A link, as that never takes another file's place.
        os.link(made, folder / made.name)
    except FileExistsError:
        raise KeysError(f"{folder / made.name} exists; take another name, or remove both files first") from None


def read_public(path: Path) -> bytes:
    """The public key in a certificate that holds nothing else. Raises KeysError.

    A secret is refused, as it would otherwise work, and be handed to everybody.
    """
    require_own(path, private=False)
    public, secret = _certificate(path)
    if secret is not None:
        raise KeysError(f"{path} is a secret key, for its owner alone; give NAME{PUBLIC_SUFFIX} here")
    return public


def read_secret(path: Path) -> tuple[bytes, bytes]:
    """Public and secret key of a certificate that is its owner's alone. Raises KeysError."""
    # First: whoever gives the public one by mistake is not to be told that it should be closed to others.
    public, secret = _certificate(path)
    if secret is None:
        raise KeysError(f"{path} has no secret key; give the file NAME{SECRET_SUFFIX}")
    require_own(path, private=True)
    import zmq

    if zmq.curve_public(secret) != public:
        raise KeysError(f"{path}: its public key is not that of its secret one")
    return public, secret


def require_own(path: Path, *, private: bool) -> None:
    """Raises KeysError if others could have written the file or folder, or, if it is `private`, could read it.

    What belongs to root is as good as one's own unless it is to be private.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise KeysError(f"{path}: {error.strerror}") from None
    if found.st_uid != os.getuid() and (private or found.st_uid != 0):
        raise KeysError(f"{path} belongs to another user (uid {found.st_uid})")
    mode = stat.S_IMODE(found.st_mode)
    if private and mode & _OTHERS:
        raise KeysError(f"others can get at the secret key in {path} (mode {mode:04o}); run: chmod 600 {path}")
    if mode & _OTHERS_MAY_WRITE:
        raise KeysError(f"others may write to {path} (mode {mode:04o}); run: chmod go-w {path}")


def require_file(path: Path, bytes_max: int) -> None:
    """Raises KeysError for what is no ordinary file, as reading a pipe would wait for ever, or larger than that.

    Raises OSError if it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise KeysError(f"{path} is no ordinary file")
    if found.st_size > bytes_max:
        raise KeysError(f"{path} is too large: {found.st_size} bytes, at most {bytes_max}")


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    from zmq.auth import load_certificate

    try:
        require_file(path, _FILE_BYTES_MAX)
        public, secret = load_certificate(path)
    except (
        OSError,
        ValueError,
        IndexError,
    ) as error:  # IndexError: it ends in the middle of a line, as while it is copied
        if isinstance(error, KeysError):
            raise
        reason = error.strerror if isinstance(error, OSError) else "it has no key in the form of zmq.auth"
        raise KeysError(f"{path}: {reason}; `hoot keys new` makes one") from None
    for key in (public, secret):
        if key is not None and not _Z85.fullmatch(key):
            raise KeysError(f"{path}: a key is 40 characters of Z85")
    return public, secret


def public_files(folder: Path) -> list[Path]:
    """The public keys in a folder, by name; none if it cannot be read."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.name.endswith(PUBLIC_SUFFIX))
    return []
