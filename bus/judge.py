"""The judge: whether a schema is what its sender announced, and whether two versions understand each other.

It is a process of its own, as it takes apart what a peer has sent: it may run out of memory or of time without harm to
the broker, which starts another one then. Cases come through its standard input, verdicts go out of its standard
output, each behind its length; it ends with its input, and so with the broker.
"""

import hashlib
import resource
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO, Final

import msgspec

from hootbus.bus.judgement import DIFFERENCES_MAX, WORD_CHARS_MAX, Case, Claim, Finding, Verdict
from hootbus.schemas import BodyError, Method
from hootbus.schemas.evolution import interoperable
from hootbus.schemas.fingerprint import fingerprint
from hootbus.schemas.model import Schema
from hootbus.schemas.transfer import read_request

LENGTH: Final = struct.Struct("<Q")
_MEMORY_BYTES_MAX: Final = 1 << 30
# What is kept of known versions: as much as one service may have, by default. Read, a schema takes several times as
# many bytes as it came in.
_KEPT_MAX: Final = 256
_KEPT_BYTES_MAX: Final = 64 << 20


class _Unsound(Exception):
    """The schema is none, or not the one that was announced."""


class Shelf:
    """Schemas that were read, by the hash of their bytes, as each case brings all known ones anew.

    Those that were not asked for the longest go first: so many are kept, of so many bytes.
    """

    def __init__(self, count: int = _KEPT_MAX, size: int = _KEPT_BYTES_MAX) -> None:
        self._count = count
        self._size = size
        self._kept: OrderedDict[bytes, tuple[int, Schema]] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, nodes: bytes) -> Schema:
        """The schema that these bytes are. Raises BodyError."""
        key = hashlib.sha256(nodes).digest()
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[1]
        schema = read_request(nodes)
        self._kept[key] = len(nodes), schema
        self._held += len(nodes)
        while len(self._kept) > self._count or self._held > self._size:
            self._held -= self._kept.popitem(last=False)[1][0]
        return schema

    def clear(self) -> None:
        """Forgets them all."""
        self._kept.clear()
        self._held = 0


def judge(case: Case, read_known: Callable[[bytes], Schema] = read_request) -> Verdict:
    """The verdict on a claim: it must be true, and go together with all that are known."""
    claim = case.claim
    try:
        schema = _read(claim.nodes)
        names = _names(claim, schema)
    except _Unsound as error:
        return Verdict(Finding.UNSOUND, (str(error),))
    # Without those that repeat another: a type may be that of several methods, and of several versions.
    words = [*dict.fromkeys(word for known in case.known for word in _differences(claim, schema, known, read_known))]
    if not words:
        return Verdict(Finding.FINE, names=names)
    if len(words) > DIFFERENCES_MAX:
        words[DIFFERENCES_MAX:] = [f"and {len(words) - DIFFERENCES_MAX} more differences"]
    return Verdict(Finding.INCOMPATIBLE, tuple(word[:WORD_CHARS_MAX] for word in words))


def judge_from(shelf: Shelf, case: Case) -> Verdict:
    """The verdict, with known versions from the shelf."""
    try:
        return judge(case, shelf.read)
    except MemoryError:
        # The case alone may be small enough.
        shelf.clear()
        return judge(case)


def _read(nodes: bytes) -> Schema:
    try:
        return read_request(nodes)
    except BodyError as error:
        raise _Unsound(f"it is none: {error}") from None


def _names(claim: Claim, schema: Schema) -> tuple[tuple[str, str], ...]:
    """What the types are called, once each was found to have the fingerprint that was stated."""
    return tuple(
        (
            _name(schema, method.request_type, method.request_fingerprint),
            _name(schema, method.reply_type, method.reply_fingerprint),
        )
        for method in claim.methods
    )


def _name(schema: Schema, type_id: int, stated: int) -> str:
    if not stated:
        return ""
    try:
        node = schema.node(type_id)
        found = fingerprint(schema, type_id)
    except (LookupError, TypeError) as error:
        raise _Unsound(str(error)) from None
    if found != stated:
        raise _Unsound(f"{node.path} has the fingerprint {found:#018x}, and {stated:#018x} was stated")
    return node.path[:WORD_CHARS_MAX]


def _differences(claim: Claim, schema: Schema, known: Claim, read_known: Callable[[bytes], Schema]) -> Iterator[str]:
    """In words, where one of both would misread the other: what was known as, and is claimed to be."""
    others = {method.name: method for method in known.methods}
    pairs = [(method, others[method.name]) for method in claim.methods if method.name in others]
    differing = [pair for pair in pairs if _types(pair[0]) != _types(pair[1])]
    if not differing:
        return
    other_schema = read_known(known.nodes)
    for method, other in differing:
        for (type_id, stated), (other_id, other_stated) in zip(_types(method), _types(other), strict=True):
            if stated and other_stated and (type_id, stated) != (other_id, other_stated):
                yield from map(str, interoperable(other_schema, other_id, schema, type_id))


def _types(method: Method) -> tuple[tuple[int, int], tuple[int, int]]:
    return (
        (method.request_type, method.request_fingerprint),
        (method.reply_type, method.reply_fingerprint),
    )


def serve(cases: BinaryIO, verdicts: BinaryIO, seconds: float) -> None:
    """Judges what comes until nothing more does, each case in `seconds` of the processor's time at most.

    The first thing out, before any verdict, is a length of 0: from now on time is a case's own.
    """
    verdicts.write(LENGTH.pack(0))
    verdicts.flush()
    # Of what the gate has let in. A claim that is only asked about must not take its place.
    shelf = Shelf()
    while len(head := cases.read(LENGTH.size)) == LENGTH.size:
        case = msgspec.msgpack.decode(cases.read(*LENGTH.unpack(head)), type=Case)
        _limit_time(seconds)
        answer = msgspec.msgpack.encode(judge_from(shelf, case))
        verdicts.write(LENGTH.pack(len(answer)) + answer)
        verdicts.flush()


def _limit_time(seconds: float) -> None:
    """The kernel ends this process when it has worked for so long, also if nobody is left to do it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 1)


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    # Not every system can limit everything, and none sets a limit above what it has been given itself.
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (most, hard))


def main() -> None:
    """The judge's process; its argument is how many seconds a case may take."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, _MEMORY_BYTES_MAX)
    serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]))


if __name__ == "__main__":
    main()
