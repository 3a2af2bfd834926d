"""Is this machine set up right, and is a bus there: each question is one check with a finding and an advice."""

import os
import platform
import resource
import socket
import stat
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import msgspec

from hootbus.frames.address import BusAddress
from hootbus.frames.keys import KEY_VARIABLE, Keys, KeysError, fingerprint

_ASK_S: Final = 3.0
# Each connection of the broker takes one; a few hundred are gone soon, and at the limit libzmq accepts nobody.
_DESCRIPTORS_MIN: Final = 4096
# What the broker counts of peers that are not who they should be.
_REFUSALS: Final = ("handshakes_denied", "handshakes_failed")
_REFUSED_MESSAGES: Final = ("identity_taken", "key_unknown")
_SOCKETS: Final = ("requests.sock", "subscribe.sock", "publish.sock")


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One finding; `advice` says what to do about it, empty if nothing."""

    name: str
    state: State
    finding: str
    advice: str = ""


def examine(bus: BusAddress) -> list[Check]:
    """All checks, in the order in which one would look."""
    return [check for look in _CHECKS for check in look(bus)]


def _versions(bus: BusAddress) -> Iterator[Check]:
    import zmq

    found = [f"Python {platform.python_version()}", f"libzmq {zmq.zmq_version()}"]
    missing = []
    for package in ("hootbus", "pyzmq", "pycapnp", "msgspec", "numpy"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        yield Check("versions", State.FAIL, f"not installed: {', '.join(missing)}", "pip install hootbus")
    else:
        yield Check("versions", State.OK, ", ".join(found))


def _native(bus: BusAddress) -> Iterator[Check]:
    from hootbus.bus import core
    from hootbus.frames.wire import NATIVE

    compiled = not core.__file__.endswith(".py")
    if NATIVE and compiled:
        yield Check("native module", State.OK, "messages move in one call each, and the hot path is compiled")
    elif NATIVE:
        finding = "messages move in one call each, but the hot path is not compiled: slower, same behaviour"
        yield Check(
            "native module",
            State.WARN,
            finding,
            "install a wheel, or reinstall without HOOTBUS_COMPILE=0; pip install -v says why",
        )
    elif os.environ.get("HOOT_NATIVE") == "0":
        yield Check(
            "native module", State.WARN, "switched off by HOOT_NATIVE=0: slower, same behaviour", "unset HOOT_NATIVE"
        )
    else:
        advice = "install a wheel, or a C compiler and reinstall"
        yield Check("native module", State.WARN, "not compiled: slower, same behaviour", advice)


def _alignment(bus: BusAddress) -> Iterator[Check]:
    from hootbus.frames.context import aligned_context, probe

    context = aligned_context()
    try:
        alignment = probe(context)
    finally:
        context.term()
    finding = f"{alignment.aligned} of {alignment.probed} frames on an 8-byte boundary"
    if alignment.holds:
        yield Check("alignment", State.OK, f"{finding}: bodies are read in place")
    elif alignment.probed:
        yield Check("alignment", State.WARN, f"{finding}: the others are copied", "install pyzmq's own wheel")
    else:
        yield Check("alignment", State.FAIL, "no frame came through an ipc socket", "is the temporary folder writable?")


def _descriptors(bus: BusAddress) -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A broker raises its own limit to the hard one.
    if hard == resource.RLIM_INFINITY or hard >= _DESCRIPTORS_MIN:
        shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
        yield Check("descriptors", State.OK, f"{soft}, which a broker raises to {shown}")
    else:
        advice = f"raise the limit (ulimit -Hn {_DESCRIPTORS_MIN}, or LimitNOFILE in systemd)"
        yield Check("descriptors", State.WARN, f"at most {hard}: so many connections, no more", advice)


def _folder(bus: BusAddress) -> Iterator[Check]:
    directory = bus.directory
    if directory is None:
        yield from _reach(bus)
        return
    try:
        found = os.stat(directory)
    except FileNotFoundError:
        yield Check("folder", State.OK, f"{directory} is not there yet; `hoot broker` makes it, for this user alone")
        return
    except OSError as error:
        yield Check("folder", State.FAIL, f"{directory}: {error.strerror}", "choose another with --bus or HOOT_BUS")
        return
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        yield Check("folder", State.FAIL, f"{directory} is no folder", "choose another with --bus or HOOT_BUS")
    elif found.st_uid != os.getuid():
        yield Check("folder", State.FAIL, f"{directory} belongs to user {found.st_uid}", "choose another with --bus")
    elif mode & (stat.S_IRWXG | stat.S_IRWXO):
        advice = f"chmod 700 {directory}"
        yield Check("folder", State.FAIL, f"others can get at {directory} (mode {mode:04o})", advice)
    else:
        yield Check("folder", State.OK, f"{directory} is this user's alone (mode {mode:04o})")


def _reach(bus: BusAddress) -> Iterator[Check]:
    from hootbus.bus.guard import CannotServe, require_loopback

    try:
        require_loopback(bus.requests, insecure=False)
    except CannotServe:
        finding = f"{bus.text} can be reached from other machines"
        if os.environ.get(KEY_VARIABLE):
            yield Check("address", State.OK, f"{finding}, by those whose keys are let in")
        else:
            advice = "use keys (docs/security.md), a loopback address, or a network that is closed to strangers"
            yield Check("address", State.WARN, finding, advice)
    else:
        yield Check("address", State.OK, f"{bus.text} is this machine's own")


def _keys(bus: BusAddress) -> Iterator[Check]:
    try:
        keys = Keys.from_environment()
    except KeysError as error:
        yield Check("keys", State.FAIL, str(error), "`hoot keys new` makes a pair; see docs/security.md")
        return
    if keys is None:
        yield Check("keys", State.OK, "none: for a bus without, that all may use who reach its address")
    else:
        finding = f"this is {fingerprint(keys.public)}…, and the broker is to be {fingerprint(keys.broker)}…"
        yield Check("keys", State.OK, finding)


def _broker(bus: BusAddress) -> Iterator[Check]:
    from hootbus.frames.errors import Denied, HootError
    from hootbus.workers import Client

    if not _somebody_listens(bus):
        yield from _nobody(bus)
        return
    try:
        with Client(bus.text) as client:
            status = client.call("hoot.broker/status", timeout=_ASK_S).json()
        finding = f"version {status['version']} is {status['state']}, pid {status['pid']}, workers: {status['workers']}"
        theirs = status["version"]
        refused = {name: status["counters"].get(name, 0) for name in _REFUSALS}
        refused |= {name: status["dropped"].get(name, 0) for name in _REFUSED_MESSAGES}
    except KeysError:
        # Said already, with the keys.
        return
    except Denied as error:
        yield Check("broker", State.FAIL, f"the one at {bus.text}: {error.message}", "its log names who is refused")
        return
    except (HootError, KeyError, TypeError) as error:
        finding = f"something listens at {bus.text} but does not answer as a broker ({error})"
        yield Check("broker", State.FAIL, finding, "stop what serves there, or choose another address with --bus")
        return
    if theirs == version("hootbus"):
        yield Check("broker", State.OK, finding)
        yield from _refusals(refused)
    else:
        yield Check("broker", State.WARN, f"{finding}; this is {version('hootbus')}", "restart it with this version")


def _refusals(refused: dict[str, int]) -> Iterator[Check]:
    if any(refused.values()):
        counted = ", ".join(f"{name} {count}" for name, count in refused.items() if count)
        yield Check("refusals", State.WARN, counted, "the broker's log says who it was; see docs/security.md")


def _nobody(bus: BusAddress) -> Iterator[Check]:
    left = [path for path in _socket_paths(bus) if os.path.exists(path)]
    if left:
        finding = f"{len(left)} stale ones of a broker that was killed"
        yield Check("sockets", State.WARN, finding, "the next broker removes them")
    yield Check("broker", State.WARN, f"none at {bus.text}", f"start one: hoot broker --bus {bus.text}")


def _somebody_listens(bus: BusAddress) -> bool:
    if bus.directory is not None:
        return any(map(_listens, _socket_paths(bus)))
    host = bus.text.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    try:
        with socket.create_connection((host, bus.port or 0), _ASK_S):
            return True
    except OSError:
        return False


def _socket_paths(bus: BusAddress) -> list[str]:
    return [os.path.join(bus.directory, name) for name in _SOCKETS] if bus.directory is not None else []


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


_CHECKS: Final[tuple[Callable[[BusAddress], Iterator[Check]], ...]] = (
    _versions,
    _native,
    _alignment,
    _descriptors,
    _folder,
    _keys,
    _broker,
)
