"""The versions of its types that a service's workers speak, and which requests all of them understand.

Workers of one service may have been built from different versions of a schema. The gate lets in only those whose types
can be read by all others, so a request that any of them understands is understood by each of them. What a request was
written with, its options say by the type's id and its fingerprint; a body is never looked into.
"""

from collections.abc import Iterator
from typing import Final

from hootbus.frames.errors import SchemaMismatch
from hootbus.frames.options import Options
from hootbus.frames.protocol import UNKNOWN_VERSION
from hootbus.schemas import Method
from hootbus.schemas.fingerprint import method_fingerprint


class Version:
    """Methods and their types, as the workers that speak it state them.

    `nodes` is the schema that one of them has sent, `names` what the request and the reply of each method are called
    in it. `workers` is how many speak it now.
    """

    workers: int = 0

    def __init__(self, methods: tuple[Method, ...], nodes: bytes, names: tuple[tuple[str, str], ...]) -> None:
        self.methods: Final = methods
        self.nodes: Final = nodes
        self.names: Final = names


class Spoken:
    """What may be said under one service frame: by type ids with their names, and by fingerprints.

    `compared` are fingerprints that no worker has, of clients whose schema was compared with those of all versions.
    """

    def __init__(self) -> None:
        self.types: dict[int, str] = {}
        self.fingerprints: set[int] = set()
        self.compared: dict[int, None] = {}


class Versions:
    """Those of one service. `epoch` changes when one comes: what was understood before may not be now."""

    epoch: int = 0

    def __init__(self, service: bytes) -> None:
        self._service = service
        self._versions: dict[tuple[Method, ...], Version] = {}
        self._spoken: dict[bytes, Spoken] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def __iter__(self) -> Iterator[Version]:
        return iter(self._versions.values())

    def find(self, methods: tuple[Method, ...]) -> Version | None:
        """The version of workers that state these methods."""
        return self._versions.get(methods)

    def join(self, version: Version) -> None:
        """One more worker speaks it."""
        version.workers += 1
        if version.workers == 1:
            self._versions[version.methods] = version
            # What clients were found to understand was compared without this one.
            self._spoken = self._gather()
            self.epoch += 1

    def part(self, version: Version) -> None:
        """One worker less speaks it; with the last it is forgotten, so that a service may begin anew."""
        version.workers -= 1
        if not version.workers:
            del self._versions[version.methods]
            before, self._spoken = self._spoken, self._gather()
            for frame, spoken in self._spoken.items():
                spoken.compared = before[frame].compared

    def objection(self, frame: bytes, options: Options | None) -> SchemaMismatch | None:
        """Why a request under this service frame could be misread by a worker; None if it cannot.

        Nothing is said of methods without types, nor to requests that state none.
        """
        spoken = self._spoken.get(frame)
        if options is None:
            return None
        if spoken is None:
            if not self._spoken or frame.partition(b"/")[0] == self._service:
                return None
            # Another service's, of which this one is the default: it names no method of this one.
            spoken = self._spoken.get(self._service)
            if spoken is None:
                return None
        fingerprint, schema_id = options.fingerprint, options.schema_id
        if fingerprint and (fingerprint in spoken.fingerprints or fingerprint in spoken.compared):
            return None
        if schema_id and spoken.types and schema_id not in spoken.types:
            takes = " or ".join(f"{name} (@{type_id:#018x})" for type_id, name in spoken.types.items())
            shown = frame.decode(errors="replace")
            return SchemaMismatch(f"{shown} takes {takes}, and this is a message of type @{schema_id:#018x}")
        if not fingerprint:
            return None
        shown = frame.decode(errors="replace")
        text = f"{shown}: no worker speaks the version {fingerprint:#018x} of its types; compare the schemas"
        return SchemaMismatch(text, details=UNKNOWN_VERSION)

    def understands(self, frame: bytes, fingerprint: int, most: int) -> bool:
        """A client's schema was compared with all versions, and they understand each other.

        Of more than `most` such the oldest is forgotten: its clients will have it compared again. True if one was.
        """
        spoken = self._spoken.get(frame)
        if spoken is None:
            return False
        spoken.compared[fingerprint] = None
        if len(spoken.compared) <= most:
            return False
        del spoken.compared[next(iter(spoken.compared))]
        return True

    def _gather(self) -> dict[bytes, Spoken]:
        gathered: dict[bytes, Spoken] = {}
        untyped: set[bytes] = set()
        for version in self._versions.values():
            for method, (request, _) in zip(version.methods, version.names, strict=True):
                frames = [self._service + b"/" + method.name.encode()]
                if method.is_default:
                    frames.append(self._service)
                for frame in frames:
                    spoken = gathered.setdefault(frame, Spoken())
                    spoken.fingerprints |= fingerprints_of(method)
                    if method.request_fingerprint:
                        spoken.types[method.request_type] = request
                    else:
                        untyped.add(frame)
        for frame in untyped:
            # Some worker takes anything there.
            gathered[frame].types.clear()
        return gathered


def stated(methods: tuple[Method, ...]) -> tuple[Method, ...]:
    """The methods whose types a worker tells the version of, in an order of their own: what makes its version."""
    if len(methods) == 1 and not methods[0].is_default:
        (only,) = methods
        methods = (_as_default(only),)
    typed = [method for method in methods if method.request_fingerprint or method.reply_fingerprint]
    return tuple(sorted(typed, key=_name))


def fingerprints_of(method: Method) -> set[int]:
    """By what a client's request may name this version of a method: with the type of the reply, or without."""
    found = {method.request_fingerprint} if method.request_fingerprint else set()
    if method.reply_fingerprint:
        found.add(method_fingerprint(method.request_fingerprint, method.reply_fingerprint))
    return found


def _name(method: Method) -> str:
    return method.name


def _as_default(method: Method) -> Method:
    """A service's only method needs no name."""
    return Method(
        name=method.name,
        is_default=True,
        request_type=method.request_type,
        reply_type=method.reply_type,
        request_fingerprint=method.request_fingerprint,
        reply_fingerprint=method.reply_fingerprint,
    )
