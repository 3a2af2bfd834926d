"""Frame 7, the options: one Cap'n Proto segment holding one struct without pointers, read at fixed offsets.

The layout is `schemas/options.capnp`; a test holds this codec against the compiled schema. It evolves as every
Cap'n Proto struct does: fields beyond the sender's size are 0, fields beyond ours are ignored.
"""

import struct
from typing import Final

from hootbus.frames.buffer import Buffer
from hootbus.frames.errors import BadFrame
from hootbus.frames.protocol import OPTIONS_BYTES_MAX
from hootbus.frames.value import Value

U32_MAX: Final = 2**32 - 1

_WORD: Final = 8
_DATA_WORDS: Final = 4
_FIELDS: Final = struct.Struct("<IHHQIIQ")
_FRAME: Final = struct.Struct("<QIHHQIIQ")
# A struct pointer with offset 0, four data words and no pointers.
_ROOT: Final = _DATA_WORDS << 32
_ROOT_BYTES: Final = _ROOT.to_bytes(_WORD, "little")


class Options(Value):
    """What our peers say beside HOOT01's seven frames; all zero means nothing said.

    `deadline_ms` is the time left when sent (0 = none), `flags` are `Flag` bits, `status` is 0 or an error's number,
    `schema_id` the body's root type, `sequence` the index of a PARTIAL or how many were taken, `credit` how many more
    are welcome or who answered a gather, `fingerprint` which version of its types the sender of a REQUEST knows.
    """

    __match_args__ = ("deadline_ms", "flags", "status", "schema_id", "sequence", "credit", "fingerprint")

    def __init__(
        self,
        deadline_ms: int = 0,
        flags: int = 0,
        status: int = 0,
        schema_id: int = 0,
        sequence: int = 0,
        credit: int = 0,
        fingerprint: int = 0,
    ) -> None:
        self.deadline_ms: Final = deadline_ms
        self.flags: Final = flags
        self.status: Final = status
        self.schema_id: Final = schema_id
        self.sequence: Final = sequence
        self.credit: Final = credit
        self.fingerprint: Final = fingerprint


NO_OPTIONS: Final = Options()
_NO_OPTIONS_FRAME: Final = _ROOT_BYTES + bytes(_DATA_WORDS * _WORD)


def write_options(options: Options) -> bytes:
    """The frame's bytes (40 of them)."""
    if options is NO_OPTIONS:
        return _NO_OPTIONS_FRAME
    return _FRAME.pack(
        _ROOT,
        options.deadline_ms,
        options.flags,
        options.status,
        options.schema_id,
        options.sequence,
        options.credit,
        options.fingerprint,
    )


def read_options(frame: Buffer) -> Options:
    """The options in a frame of whole words. Raises BadFrame for what is no pointer-first struct segment."""
    if type(frame) is bytes and len(frame) == _FRAME.size:
        if frame == _NO_OPTIONS_FRAME:
            return NO_OPTIONS
        if frame.startswith(_ROOT_BYTES):
            return _options(frame[_WORD:])
    return _options(_data(frame))


def _options(fields: bytes) -> Options:
    deadline_ms, flags, status, schema_id, sequence, credit, fingerprint = _FIELDS.unpack(fields)
    return Options(deadline_ms, flags, status, schema_id, sequence, credit, fingerprint)


def _data(frame: Buffer) -> bytes:
    """The struct's data section in our size, from a frame of another version's."""
    size = len(frame)
    if size % _WORD or not _WORD <= size <= OPTIONS_BYTES_MAX:
        raise BadFrame(f"options: {size} bytes, not 8 to {OPTIONS_BYTES_MAX} in whole words")
    segment = bytes(frame)
    pointer = int.from_bytes(segment[:_WORD], "little")
    if pointer & 0xFFFF_FFFF:
        raise BadFrame("options: the first word is no struct pointer with offset 0")
    data_words, pointer_words = pointer >> 32 & 0xFFFF, pointer >> 48
    if (1 + data_words + pointer_words) * _WORD > size:
        raise BadFrame(f"options: a struct of {data_words}+{pointer_words} words in a frame of {size} bytes")
    known = min(data_words, _DATA_WORDS) * _WORD
    return segment[_WORD : _WORD + known].ljust(_DATA_WORDS * _WORD, b"\0")
