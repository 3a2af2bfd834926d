"""What must hold before a broker serves: one broker per address, a private folder, descriptors enough."""

import fcntl
import ipaddress
import os
import resource
import stat
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final

from hootbus.frames.address import BusAddress

if TYPE_CHECKING:
    from hootbus.bus.dialout import DialOut

_LOCK_NAME: Final = "broker.lock"
# What a socket's file is called while nobody is let in.
_ASIDE: Final = ".full"
_PRIVATE: Final = 0o700
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class CannotServe(Exception):
    """A broker cannot start here; the text says why and what to do."""


class IpcFolder:
    """The folder of an ipc bus while a broker serves it: made if need be, private, locked.

    Two processes can bind one ipc path, and the second would take it over without an error (measured); so a lock is
    held for the broker's life. The kernel lets go of it however the process ends.
    """

    def __init__(self, address: BusAddress) -> None:
        assert address.directory is not None, address
        self._directory = address.directory
        # These and no others: the folder may be one that other programs have their sockets in.
        endpoints = (address.requests, address.subscribe, address.publish)
        self._sockets = [endpoint.removeprefix("ipc://") for endpoint in endpoints]
        self._lock = -1

    def __enter__(self) -> "IpcFolder":
        directory = self._directory
        try:
            os.makedirs(directory, mode=_PRIVATE, exist_ok=True)
            found = os.stat(directory)
        except OSError as error:
            raise CannotServe(f"cannot make the folder {directory}: {error.strerror}") from None
        if found.st_uid != os.getuid():
            raise CannotServe(f"{directory} belongs to another user; choose a folder of your own with --bus")
        if found.st_mode & _OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise CannotServe(f"others can get at {directory} (mode {mode:04o}); run: chmod 700 {directory}")
        lock = os.path.join(directory, _LOCK_NAME)
        try:
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CannotServe(f"cannot open {lock}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._lock, 32).decode(errors="replace").strip()
            self._unlock()
            raise CannotServe(f"a broker already serves ipc://{directory} (pid {pid or 'unknown'})") from None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
            self._remove_sockets()
        except OSError as error:
            self._unlock()
            raise CannotServe(f"cannot take over {directory}: {error.strerror}") from None
        return self

    def make_private(self) -> None:
        """Closes the bound sockets to everybody else, whatever the umask."""
        for path in self._sockets:
            os.chmod(path, 0o600)

    def move_door(self, is_open: bool) -> None:
        """Lets nobody connect any more, or everybody again. Connections that there are stay."""
        for path in self._sockets:
            aside = path + _ASIDE
            # Our own end may have taken them away already.
            with suppress(FileNotFoundError):
                os.rename(*((aside, path) if is_open else (path, aside)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._remove_sockets()
        finally:
            self._unlock()

    def _remove_sockets(self) -> None:
        """Those of a broker that was killed would look like one that serves."""
        for path in self._sockets:
            for name in (path, path + _ASIDE):
                with suppress(FileNotFoundError):
                    os.unlink(name)

    def _unlock(self) -> None:
        os.close(self._lock)
        self._lock = -1


def raise_descriptor_limit() -> int:
    """Raises the soft limit of open descriptors to the hard one, and returns it.

    At the limit libzmq spins and accepts nobody (measured), so a broker wants all it may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):
            # macOS announces "unlimited" and refuses it; the soft limit then stands.
            return soft
    return hard


def is_loopback(endpoint: str) -> bool:
    """Whether nobody reaches the endpoint but from this machine."""
    if not endpoint.startswith("tcp://"):
        return True
    host = endpoint.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def require_loopback(endpoint: str, *, insecure: bool, keyed: bool = False) -> None:
    """Raises CannotServe for a tcp endpoint that other machines reach, unless `keyed`: nobody asks who they are."""
    if not (insecure or keyed or is_loopback(endpoint)):
        raise CannotServe(
            f"{endpoint} can be reached from other machines, and everyone there could use the bus. "
            "Give it keys (--key and --allow; docs/security.md), serve a loopback address, "
            "or say --insecure if the network is closed to strangers."
        )


def require_closed(event_feed: str, dialled: "Iterable[DialOut]", *, insecure: bool) -> None:
    """Raises CannotServe where a broker with keys would have an opening without: such keys would promise too much."""
    if insecure:
        return
    if event_feed.startswith("tcp://"):
        raise CannotServe(
            f"Hootenanny's subscribers know no keys, so whoever reaches {event_feed} would read the events. "
            "Serve them at ipc://..., in a folder of your own, or say --insecure."
        )
    for target in dialled:
        if not is_loopback(target.endpoint):
            raise CannotServe(
                f"{target.service} at {target.endpoint} would be dialled without keys, over a network. "
                "Have it connect as a worker, or reach it through a tunnel at a loopback address, or say --insecure."
            )
