"""Cap'n Proto by hand, just enough for envelopes: what a peer that shares no code with the bus would put on the wire.

Layouts are those of WIRE §1 ("Schema layouts"), written out as words, so that a wrong schema of ours cannot agree with
itself here. Messages have one segment.
"""

import struct
from dataclasses import dataclass, field
from typing import Final, TypeAlias

WORD: Final = 8
REGISTER: Final = 0
PING: Final = 1
PONG: Final = 2
ERROR: Final = 25


@dataclass(frozen=True)
class Struct:
    """Data words and pointers of one struct."""

    data: bytes = b""
    pointers: "tuple[Node, ...]" = ()


Node: TypeAlias = Struct | str | bytes | list["Node"] | list[Struct] | None


def message(root: Node) -> bytes:
    """The stream-framed bytes of a message."""
    words = bytearray(WORD)
    _place(words, 0, root)
    return struct.pack("<II", 0, len(words) // WORD) + bytes(words)


def _place(words: bytearray, at: int, node: Node) -> None:
    start = len(words)
    offset = (start - at - WORD) // WORD
    match node:
        case None:
            return
        case Struct():
            struct.pack_into("<IHH", words, at, offset << 2, len(node.data) // WORD, len(node.pointers))
            words += node.data + bytes(WORD * len(node.pointers))
            _pointers(words, start + len(node.data), node.pointers)
        case str() | bytes():
            text = (node.encode() if isinstance(node, str) else node) + b"\0"
            struct.pack_into("<II", words, at, offset << 2 | 1, len(text) << 3 | 2)
            words += text + bytes(-len(text) % WORD)
        case [Struct() as first, *_]:
            size = len(first.data) // WORD + len(first.pointers)
            struct.pack_into("<II", words, at, offset << 2 | 1, size * len(node) << 3 | 7)
            words += struct.pack("<IHH", len(node) << 2, len(first.data) // WORD, len(first.pointers))
            words += bytes(WORD * size * len(node))
            for index, item in enumerate(node):
                assert isinstance(item, Struct), "a list of structs has nothing else"
                here = start + WORD * (1 + size * index)
                words[here : here + len(item.data)] = item.data
                _pointers(words, here + len(item.data), item.pointers)
        case _:
            struct.pack_into("<II", words, at, offset << 2 | 1, len(node) << 3 | 6)
            words += bytes(WORD * len(node))
            _pointers(words, start, tuple(node))


def _pointers(words: bytearray, at: int, nodes: "tuple[Node, ...]") -> None:
    for index, node in enumerate(nodes):
        _place(words, at + WORD * index, node)


def envelope(request_id: bytes, arm: int, content: Node = None) -> bytes:
    """An `Envelope` with this arm of its payload."""
    payload = Struct(struct.pack("<HHI", arm, 0, 0), (content,))
    return message(Struct(b"", (Struct(request_id), "", payload)))


def register(
    request_id: bytes,
    *,
    slots: int = 1,
    methods: tuple[str, ...] = (),
    typed: tuple[str, ...] = (),
    lost_after_ms: int = 0,
    name: str = "a worker",
) -> bytes:
    """`Envelope.register`. One slot is the field's default, so its bits are 0: a peer that knows no slots.

    Methods that are `typed` state a request's type, 1, with a fingerprint, 2.
    """
    extension = int(slots != 1 or bool(methods) or bool(typed))
    data = struct.pack("<HHIII", 0, extension, slots ^ 1, lost_after_ms, 4711)
    offered: list[Struct] = [Struct(bytes(5 * WORD), (method,)) for method in methods]
    offered += [Struct(struct.pack("<5Q", 0, 1, 0, 2, 0), (method,)) for method in typed]
    capabilities: list[Node] = ["a capability"]
    pointers = (Struct(bytes(16)), name, capabilities, "a host", "1.0", offered or None)
    return envelope(request_id, REGISTER, Struct(data, pointers))


@dataclass(frozen=True)
class Envelope:
    """What a test looks at in a received one. `texts` are those of an error, `data` the content's data words."""

    request_id: bytes
    arm: int
    data: bytes = b""
    texts: tuple[str, ...] = field(default=())


def read_envelope(body: bytes) -> Envelope:
    """The envelope in a body of one segment. Anything else fails, in whatever way."""
    segments, size = struct.unpack_from("<II", body)
    assert segments == 0, "one segment"
    words = body[WORD:]
    assert len(words) == WORD * size, "the segment is all there is behind its table"
    _, root = _struct(words, 0)
    identifier, _ = _struct(words, root)
    payload, pointers = _struct(words, root + 2 * WORD)
    (arm,) = struct.unpack_from("<H", payload)
    if arm == ERROR:
        _, error = _struct(words, pointers)
        return Envelope(identifier, arm, b"", tuple(_text(words, error + WORD * index) for index in range(3)))
    if arm == PONG:
        content, inner = _struct(words, pointers)
        worker, _ = _struct(words, inner)
        return Envelope(identifier, arm, worker + content)
    return Envelope(identifier, arm)


def _struct(words: bytes, at: int) -> tuple[bytes, int]:
    """A struct's data, and where its pointers begin."""
    offset, data_words, _ = struct.unpack_from("<iHH", words, at)
    assert offset & 3 == 0, "a struct pointer"
    start = at + WORD + (offset >> 2) * WORD
    return words[start : start + WORD * data_words], start + WORD * data_words


def _text(words: bytes, at: int) -> str:
    offset, size = struct.unpack_from("<iI", words, at)
    if not offset and not size:
        return ""
    assert offset & 3 == 1, "a list pointer"
    assert size & 7 == 2, "a list of bytes"
    start = at + WORD + (offset >> 2) * WORD
    return words[start : start + (size >> 3) - 1].decode()
