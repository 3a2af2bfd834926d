"""One address for a bus, and the endpoints that follow from it."""

import os
import re
import tempfile
from collections.abc import Mapping
from typing import Final

import msgspec

# sun_path of a Unix socket has 108 bytes, the last one 0.
_IPC_PATH_BYTES_MAX: Final = 107
_TCP: Final = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\]|[^:/\[\]\s]+):(?P<port>[0-9]{1,5})")
# The port between requests and subscribe is kept for the event feed of Hootenanny peers.
_SUBSCRIBE_PORT: Final = 2
_PUBLISH_PORT: Final = 3
_PORT_MAX: Final = 65535


class BusAddress(msgspec.Struct, frozen=True):
    """Where a bus is: `tcp://HOST:PORT` or `ipc://DIRECTORY`, and the three endpoints of its sockets."""

    text: str
    requests: str
    subscribe: str
    publish: str

    @property
    def directory(self) -> str | None:
        """The folder of an ipc bus, None for tcp."""
        return self.text.removeprefix("ipc://") if self.text.startswith("ipc://") else None

    @property
    def port(self) -> int | None:
        """The port of a tcp bus, None for ipc; 0 asks a broker to pick one."""
        return None if self.directory is not None else int(self.text.rpartition(":")[2])


def parse_address(text: str) -> BusAddress:
    """The address in `text`. Raises ValueError that says what an address looks like."""
    if text.startswith("ipc://"):
        return _ipc(text)
    match = _TCP.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no bus address; use tcp://HOST:PORT or ipc://DIRECTORY")
    host, port = match["host"], int(match["port"])
    if port + _PUBLISH_PORT > _PORT_MAX:
        raise ValueError(f"{text!r}: the port must leave room for {_PUBLISH_PORT} more, so at most {_PORT_MAX - 3}")
    return BusAddress(
        text=f"tcp://{host}:{port}",
        requests=f"tcp://{host}:{port}",
        subscribe=f"tcp://{host}:{port + _SUBSCRIBE_PORT}",
        publish=f"tcp://{host}:{port + _PUBLISH_PORT}",
    )


def default_address(environ: Mapping[str, str] = os.environ) -> BusAddress:
    """`HOOT_BUS` if set, else the user's own ipc bus: under XDG_RUNTIME_DIR, or in a folder of the temporary one.

    Raises ValueError for a HOOT_BUS that is no address, and if that folder is another user's.
    """
    if given := environ.get("HOOT_BUS"):
        return parse_address(given)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return parse_address(f"ipc://{os.path.join(runtime, 'hootbus')}")
    return parse_address(f"ipc://{_own_folder(os.path.join(tempfile.gettempdir(), f'hootbus-{os.getuid()}'))}")


def resolve_address(given: str | None) -> BusAddress:
    """The bus to use: the one given, else `default_address`."""
    return parse_address(given) if given else default_address()


def _own_folder(path: str) -> str:
    """The path, unless somebody else was there first: everyone may write to the temporary directory.

    Raises ValueError then, as that somebody would get our requests.
    """
    try:
        owner = os.lstat(path).st_uid
    except FileNotFoundError:
        return path
    if owner != os.getuid():
        raise ValueError(f"{path} belongs to another user; set HOOT_BUS or XDG_RUNTIME_DIR to a place of your own")
    return path


def _ipc(text: str) -> BusAddress:
    directory = text.removeprefix("ipc://")
    if not directory:
        raise ValueError(f"{text!r} names no directory; use ipc://DIRECTORY")
    directory = os.path.abspath(directory)
    longest = os.path.join(directory, "subscribe.sock")
    if len(os.fsencode(longest)) > _IPC_PATH_BYTES_MAX:
        raise ValueError(
            f"{longest!r} has {len(os.fsencode(longest))} bytes; a socket's path may have {_IPC_PATH_BYTES_MAX}. "
            "Use a shorter directory."
        )
    return BusAddress(
        text=f"ipc://{directory}",
        requests=f"ipc://{os.path.join(directory, 'requests.sock')}",
        subscribe=f"ipc://{longest}",
        publish=f"ipc://{os.path.join(directory, 'publish.sock')}",
    )
