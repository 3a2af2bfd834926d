"""The packed form: of each word a tag with one bit for each byte, and then the bytes that are not zero.

Runs of zero words, and of words with hardly a zero in them, are counted instead of tagged (Cap'n Proto encoding,
"Packing"). numpy moves the bytes, a block at a time. Only where runs begin when packing, and where tags are when
unpacking, depends on what came before: that is found out first, by a regular expression over tags, and by going
from tag to tag.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from hootbus.schemas.errors import BodyError
from hootbus.schemas.segments import WORD, segments

if TYPE_CHECKING:
    from typing_extensions import Buffer

Octets = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]

UNPACKED_BYTES_MAX: Final = 256 * 1024 * 1024

# The tags of words that begin a run. One more byte, behind the word's own bytes, counts the words that follow.
_ZEROS: Final = 0x00
_LITERALS: Final = 0xFF
# The tags of a whole message, taken apart: runs of zero words, of literal ones, and what is between runs. A word with
# one zero byte is as long with a tag as without, so it does not end a run of literal words.
_STRETCHES: Final = re.compile(rb"\x00{1,256}|\xff[\x7f\xbf\xdf\xef\xf7\xfb\xfd\xfe\xff]{0,255}|[^\x00\xff]+")

# How many bytes a tag, its word's bytes and the count of its run take. The words of a literal run are not included.
_TOKEN_BYTES: Final = tuple(1 + tag.bit_count() + (tag in (_ZEROS, _LITERALS)) for tag in range(256))
_TOKEN_SIZES: Final = np.array(_TOKEN_BYTES, np.intp)

# A word as it is written: any of these bytes may be left out.
_ROW: Final = np.dtype([("tag", "u1"), ("word", "<u8"), ("count", "u1")])
_ALL_WRITTEN: Final = 0x0101_0101_0101_0101

# What numpy makes of so many stays in the processor's cache. A token is at most 256 words long.
_BLOCK_WORDS: Final = 8 * 1024
_BLOCK_TOKENS: Final = 1024


def pack(words: "Buffer") -> bytes:
    """The words, packed: bare ones, without regard to any segment table among them.

    What is packed in pieces can be unpacked at once. Raises BodyError unless these are whole words.
    """
    view = memoryview(words)
    if view.nbytes % WORD:
        raise BodyError("", f"{view.nbytes} bytes are no whole words")
    return b"".join(_packed_blocks(np.frombuffer(view, "<u8")))


def pack_body(body: "Buffer") -> bytes:
    """A stream-framed body, packed, to the byte as Cap'n Proto itself does it: no run goes from segment to segment.

    `unpack` turns it into the same body again. Raises BodyError if this is no body.
    """
    parts = segments(body)
    view = memoryview(body).cast("B")
    table = view[: view.nbytes - sum(map(len, parts))]
    return b"".join(map(pack, (table, *parts)))


def unpack(packed: "Buffer", *, size_max: int = UNPACKED_BYTES_MAX) -> bytes:
    """The words again, at most `size_max` bytes of them: two bytes of packed zeros may stand for 2 KiB.

    Raises BodyError if there are more, before memory is taken for them, or if the last word is not complete.
    """
    source = bytes(packed)
    tags, runs = _tokens(source)
    size = (len(tags) + int(runs.sum())) * WORD
    if size > size_max:
        raise BodyError("", f"{size} bytes when unpacked, at most {size_max}")
    return b"".join(_unpacked_blocks(np.frombuffer(source, np.uint8), tags, runs))


def _packed_blocks(words: Words) -> Iterator[bytes]:
    at = 0
    while at < len(words):
        block = words[at : at + _BLOCK_WORDS]
        count, packed = _pack_block(block, is_last=at + len(block) == len(words))
        yield packed
        at += count


def _pack_block(words: Words, *, is_last: bool) -> tuple[int, bytes]:
    """How many of the words were packed, and into what. A run that may go on behind the block is left to the next."""
    is_set = words.view(np.uint8) != 0
    tags = np.packbits(is_set, bitorder="little")
    ends = np.cumsum([len(stretch) for stretch in _STRETCHES.findall(tags.tobytes())])
    starts = np.concatenate(([0], ends[:-1]))
    is_run = _is_run(tags[starts])
    count = len(words)
    if is_run[-1] and not is_last:
        count = int(starts[-1])
    starts, ends = starts[is_run], ends[is_run]
    # A row for each word, and one of the same shape that says which of its bytes are written.
    rows, written = np.zeros(len(words), _ROW), np.zeros(len(words), _ROW)
    rows["tag"], rows["word"] = tags, words
    written["tag"], written["word"] = 1, is_set.view("<u8")
    rows["count"][starts], written["count"][starts] = ends - starts - 1, 1
    # The other words of a run have no tag, and those of a literal one are written with their zeros.
    steps = np.zeros(len(words) + 1, np.int8)
    steps[starts + 1] = 1
    steps[ends] -= 1
    counted = np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_)
    written["tag"][counted] = 0
    written["word"][counted & (tags != _ZEROS)] = _ALL_WRITTEN
    return count, np.compress(written[:count].view(np.bool_), rows[:count].view(np.uint8)).tobytes()


def _tokens(packed: bytes) -> tuple[Octets, Octets]:
    """All tags, and for each how many more words are in its run."""
    tags, counts = bytearray(), bytearray()
    at, end = 0, len(packed)
    while at < end:
        tag = packed[at]
        at += _TOKEN_BYTES[tag]
        tags.append(tag)
        if _ZEROS < tag < _LITERALS:
            continue
        if at > end:
            break
        count = packed[at - 1]
        counts.append(count)
        if tag == _LITERALS:
            at += count * WORD
    if at > end:
        raise BodyError("", f"packed bytes end {at - end} short of the end of a word")
    found = np.frombuffer(tags, np.uint8)
    runs = np.zeros(len(tags), np.uint8)
    runs[_is_run(found)] = np.frombuffer(counts, np.uint8)
    return found, runs


def _unpacked_blocks(packed: Octets, tags: Octets, runs: Octets) -> Iterator[bytes]:
    at = 0
    for first in range(0, len(tags), _BLOCK_TOKENS):
        block = slice(first, first + _BLOCK_TOKENS)
        size, words = _unpack_block(packed[at:], tags[block], runs[block])
        yield words
        at += size


def _unpack_block(packed: Octets, tags: Octets, runs: Octets) -> tuple[int, bytes]:
    """How many bytes these tokens take, and the words that they stand for."""
    counts = runs.astype(np.intp)
    tokens = _TOKEN_SIZES[tags]
    sizes = tokens + np.where(tags == _LITERALS, counts * WORD, 0)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    # What remains without the tags and the counts are the bytes of the words, in order.
    is_byte = np.ones(ends[-1], np.bool_)
    is_byte[starts] = False
    is_byte[(starts + tokens - 1)[_is_run(tags)]] = False
    is_set = np.unpackbits(np.repeat(tags, counts + 1), bitorder="little").view(np.bool_)
    words = np.zeros(len(is_set), np.uint8)
    words[np.flatnonzero(is_set)] = np.compress(is_byte, packed[: ends[-1]])
    return int(ends[-1]), words.tobytes()


def _is_run(tags: Octets) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = (tags == _ZEROS) | (tags == _LITERALS)
    return found
