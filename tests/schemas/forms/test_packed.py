"""The packed form: the specification's examples, what Cap'n Proto itself writes, and bounds that hold for any bytes."""

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capnp_tool import convert, needs_tool
from hootbus.schemas.errors import BodyError
from hootbus.schemas.forms import pack, pack_body, unpack

WORD = 8


def words(*values: str) -> bytes:
    """Words in hexadecimal, zeros at their ends left out."""
    return b"".join(bytes.fromhex(value).ljust(WORD, b"\0") for value in values)


FULL = b"\x11\x22\x33\x44\x55\x66\x77\x88"
ONE_ZERO = b"\x11\x22\x33\x00\x55\x66\x77\x88"
TWO_ZEROS = b"\x11\x22\x00\x00\x55\x66\x77\x88"
SPARSE = b"\x00\x00\x07\x00\x00\x00\x00\x00"
ZERO = bytes(WORD)

# What stands for itself in a run of any kind, and what ends it.
KINDS = [FULL, ONE_ZERO, TWO_ZEROS, SPARSE, ZERO]

VECTORS = [
    # Cap'n Proto encoding, "Packing".
    (words("08000000 03000200", "19000000 aa010000"), "51 08 03 02 31 19 aa 01"),
    (bytes(4 * WORD), "00 03"),
    (bytes([0x8A]) * 32, "ff" + "8a" * 8 + "03" + "8a" * 24),
    (b"", ""),
    (ZERO, "00 00"),
    (SPARSE, "04 07"),
    (FULL, "ff 1122334455667788 00"),
    # A run of literal words takes words with one zero, which may not begin it, and ends before one with two.
    (ONE_ZERO + FULL + ONE_ZERO, "f7 11223355667788 ff 1122334455667788 01 1122330055667788"),
    (FULL + TWO_ZEROS, "ff 1122334455667788 00 f3 112255667788"),
    (FULL + ZERO + FULL, "ff 1122334455667788 00 00 00 ff 1122334455667788 00"),
    # No run is longer than its count can say.
    (bytes(256 * WORD), "00 ff"),
    (bytes(257 * WORD), "00 ff 00 00"),
    (FULL * 256, "ff 1122334455667788 ff" + "1122334455667788" * 255),
    (FULL * 257, "ff 1122334455667788 ff" + "1122334455667788" * 255 + "ff 1122334455667788 00"),
    (FULL * 256 + ONE_ZERO, "ff 1122334455667788 ff" + "1122334455667788" * 255 + "f7 11223355667788"),
]


@pytest.mark.parametrize(("unpacked", "packed"), VECTORS)
def test_what_is_packed_is_what_the_specification_says(unpacked: bytes, packed: str) -> None:
    assert pack(unpacked).hex() == bytes.fromhex(packed).hex()
    assert unpack(bytes.fromhex(packed)) == unpacked


def stretches(rng: random.Random, count: int) -> bytes:
    """So many stretches of words of one kind, some longer than a run, some than what is packed at once."""
    lengths = (1, 1, 2, 3, 255, 256, 257, 511, 512, 513, rng.randrange(1, 20_000))
    return b"".join(rng.choice(KINDS) * rng.choice(lengths) for _ in range(count))


def noise(rng: random.Random, count: int) -> bytes:
    """Words whose bytes are zero now more, now less often."""
    generator = np.random.default_rng(rng.randrange(1 << 32))
    density = np.repeat(generator.choice([0.0, 0.1, 0.5, 0.8, 0.95, 1.0], count // 50 + 1), 50 * WORD)
    values = generator.integers(1, 256, len(density), np.uint8)
    return bytes(np.where(generator.random(len(density)) < density, values, 0).astype(np.uint8))


def plainly_packed(unpacked: bytes) -> bytes:
    """The specification, word by word."""
    todo = [unpacked[at : at + WORD] for at in range(0, len(unpacked), WORD)]
    packed = bytearray()
    while todo:
        word = todo.pop(0)
        tag = sum(1 << bit for bit, byte in enumerate(word) if byte)
        packed.append(tag)
        packed += word.replace(b"\0", b"")
        if tag not in (0x00, 0xFF):
            continue
        zeros = range(8, 9) if word == ZERO else range(2)
        count = 0
        while count < min(255, len(todo)) and todo[count].count(0) in zeros:
            count += 1
        packed.append(count)
        packed += b"".join(todo[:count]) if word != ZERO else b""
        del todo[:count]
    return bytes(packed)


@pytest.mark.parametrize("seed", range(12))
def test_blocks_are_packed_as_if_there_were_none(seed: int) -> None:
    rng = random.Random(seed)
    unpacked = stretches(rng, 12) + noise(rng, 9_000)
    packed = pack(unpacked)
    assert packed == plainly_packed(unpacked)
    assert unpack(packed) == unpacked


@settings(max_examples=200)
@given(st.lists(st.sampled_from(KINDS), max_size=30).map(b"".join))
def test_any_order_of_words_is_packed_and_unpacked(unpacked: bytes) -> None:
    packed = pack(unpacked)
    assert packed == plainly_packed(unpacked)
    assert unpack(packed) == unpacked


@settings(max_examples=100)
@given(st.lists(st.sampled_from(KINDS), max_size=9).map(b"".join), st.lists(st.sampled_from(KINDS)).map(b"".join))
def test_what_was_packed_in_pieces_is_unpacked_at_once(one: bytes, other: bytes) -> None:
    assert unpack(pack(one) + pack(other)) == one + other


@pytest.mark.parametrize("buffer", [memoryview, bytearray, lambda raw: np.frombuffer(raw, np.float64)])
def test_any_buffer_is_packed(buffer: type) -> None:
    unpacked = stretches(random.Random(1), 3)
    assert pack(buffer(unpacked)) == pack(unpacked)
    assert unpack(memoryview(bytearray(pack(unpacked)))) == unpacked


def message(content: bytes) -> bytes:
    """A body whose root has one list, of these words."""
    pointers = (1 << 48).to_bytes(8, "little") + (1 | 5 << 32 | len(content) // WORD << 35).to_bytes(8, "little")
    return (len(content) // WORD + 2 << 32).to_bytes(8, "little") + pointers + content


@needs_tool
@pytest.mark.parametrize("segment_words", [None, 1, 40])
def test_messages_are_packed_as_by_the_tool(segment_words: int | None) -> None:
    contents = [stretches(random.Random(seed), 4) + noise(random.Random(seed), 400) for seed in range(30)]
    bodies = list(map(message, contents))
    # The tool copies what it converts, and lays it out in segments as it likes.
    options = [] if segment_words is None else [f"--segment-size={segment_words}"]
    laid_out = convert("binary:binary", b"".join(bodies), *options)
    packed = convert("binary:packed", b"".join(bodies), *options)
    assert unpack(packed) == laid_out
    assert b"".join(map(pack_body, split(laid_out))) == packed
    assert convert("packed:binary", b"".join(map(pack_body, bodies)), *options) == laid_out
    assert convert("packed:binary", b"".join(map(pack, bodies)), *options) == laid_out


def split(bodies: bytes) -> list[bytes]:
    """Bodies that follow each other, one by one."""
    found, at = [], 0
    while at < len(bodies):
        count = int.from_bytes(bodies[at : at + 4], "little") + 1
        sizes = np.frombuffer(bodies, "<u4", count, at + 4)
        size = (count // 2 + 1 + int(sizes.sum())) * WORD
        found.append(bodies[at : at + size])
        at += size
    return found


def test_a_run_does_not_go_from_segment_to_segment() -> None:
    table = bytes.fromhex("01000000 01000000 01000000 00000000")
    body = table + ZERO + ZERO
    assert pack_body(body).hex(" ") == "11 01 01 01 01 00 00 00 00"
    assert pack(body).hex(" ") == "11 01 01 01 01 00 01"
    assert unpack(pack_body(body)) == body


def test_what_is_no_body_or_no_words_is_not_packed() -> None:
    with pytest.raises(BodyError, match="13 bytes are no whole words"):
        pack(b"13 bytes long")
    with pytest.raises(BodyError, match="the segment table says 808 bytes"):
        pack_body(bytes.fromhex("00000000 64000000") + bytes(16))


@pytest.mark.parametrize(
    "packed", ["00", "01", "51 08 03", "ff", "ff 1122334455667788", "ff 1122334455667788 01 11223344556677", "04 07 ff"]
)
def test_packed_bytes_that_end_too_soon_are_refused(packed: str) -> None:
    with pytest.raises(BodyError, match="packed bytes end"):
        unpack(bytes.fromhex(packed))


@settings(max_examples=1000)
@given(st.binary(max_size=80))
def test_any_bytes_are_unpacked_or_refused(packed: bytes) -> None:
    try:
        unpacked = unpack(packed)
    except BodyError:
        return
    assert len(unpacked) % WORD == 0
    assert unpack(pack(unpacked)) == unpacked


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    bomb = b"\x00\xff" * 200_000
    tracemalloc.start()
    try:
        with pytest.raises(BodyError, match="409600000 bytes when unpacked, at most 268435456"):
            unpack(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(bomb)


def test_as_much_as_is_allowed_is_unpacked() -> None:
    packed = b"\x00\x03\x04\x07"
    assert unpack(packed, size_max=40) == bytes(32) + SPARSE
    with pytest.raises(BodyError, match="40 bytes when unpacked, at most 39"):
        unpack(packed, size_max=39)
