"""Frame 7: it evolves as every Cap'n Proto struct does, and what is no such struct is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hootbus.frames.errors import BadFrame
from hootbus.frames.options import NO_OPTIONS, U32_MAX, Options, read_options, write_options
from hootbus.frames.protocol import OPTIONS_BYTES_MAX

FULL = Options(deadline_ms=1, flags=2, status=3, schema_id=4, sequence=5, credit=6, fingerprint=7)
U16_MAX, U64_MAX = 2**16 - 1, 2**64 - 1

every_options = st.builds(
    Options,
    deadline_ms=st.integers(0, U32_MAX),
    flags=st.integers(0, U16_MAX),
    status=st.integers(0, U16_MAX),
    schema_id=st.integers(0, U64_MAX),
    sequence=st.integers(0, U32_MAX),
    credit=st.integers(0, U32_MAX),
    fingerprint=st.integers(0, U64_MAX),
)


def pointer(data_words: int, pointer_words: int = 0, low: int = 0) -> bytes:
    """A struct's root pointer; `low` is its offset and kind."""
    return struct.pack("<IHH", low, data_words, pointer_words)


@given(every_options)
def test_what_is_written_is_read(options: Options) -> None:
    frame = write_options(options)
    assert len(frame) == 40
    assert read_options(frame) == options


@given(st.binary(max_size=OPTIONS_BYTES_MAX + 16))
def test_any_bytes_are_options_or_a_bad_frame(frame: bytes) -> None:
    try:
        options = read_options(frame)
    except BadFrame as error:
        assert str(error).startswith("bad_frame: options: ")
    else:
        assert read_options(write_options(options)) == options


@given(every_options, st.integers(0, 4), st.integers(0, 3), st.integers(0, 3))
def test_a_struct_of_any_version_is_read(options: Options, words: int, pointers: int, behind: int) -> None:
    """An older peer's struct has fewer words, a newer one's has pointers and words that we do not know."""
    data = write_options(options)[8 : 8 + 8 * words]
    frame = pointer(words, pointers) + data + b"\xff" * 8 * (pointers + behind)
    cut = read_options(frame)
    assert write_options(cut)[8:] == data.ljust(32, b"\0")


def test_the_fields_stand_where_the_wire_says() -> None:
    assert write_options(FULL) == bytes.fromhex(
        "00000000 04000000  01000000 0200 0300  0400000000000000  05000000 06000000  0700000000000000"
    )


def test_a_newer_peers_further_words_are_ignored() -> None:
    data = write_options(FULL)[8:]
    assert read_options(pointer(6) + data + b"\xff" * 16) == FULL


def test_an_older_peers_missing_words_are_zero() -> None:
    data = write_options(FULL)[8:]
    assert read_options(pointer(0)) == NO_OPTIONS
    assert read_options(pointer(1) + data[:8]) == Options(deadline_ms=1, flags=2, status=3)
    assert read_options(pointer(2) + data[:16]) == Options(deadline_ms=1, flags=2, status=3, schema_id=4)
    without = Options(deadline_ms=1, flags=2, status=3, schema_id=4, sequence=5, credit=6)
    assert read_options(pointer(3) + data[:24]) == without


def test_words_the_pointer_does_not_claim_are_not_read() -> None:
    assert read_options(pointer(1) + write_options(FULL)[8:]) == Options(deadline_ms=1, flags=2, status=3)


def test_nothing_said_is_one_value() -> None:
    assert write_options(NO_OPTIONS) == write_options(Options()) == pointer(4) + bytes(32)
    assert read_options(write_options(Options())) is NO_OPTIONS


@pytest.mark.parametrize("size", [0, 1, 7, 9, 39, 41, OPTIONS_BYTES_MAX - 1, OPTIONS_BYTES_MAX + 1])
def test_a_frame_of_no_whole_words_is_refused(size: int) -> None:
    with pytest.raises(BadFrame, match=f"options: {size} bytes"):
        read_options(bytes(size))


def test_the_largest_frame_is_taken_one_word_more_is_not() -> None:
    words = OPTIONS_BYTES_MAX // 8 - 1
    assert read_options(pointer(words) + bytes(8 * words)) == NO_OPTIONS
    with pytest.raises(BadFrame):
        read_options(pointer(words + 1) + bytes(8 * (words + 1)))


@pytest.mark.parametrize(
    ("data_words", "pointer_words", "words"), [(1, 0, 0), (4, 0, 3), (3, 1, 3), (0, 1, 0), (U16_MAX, U16_MAX, 3)]
)
def test_a_struct_larger_than_its_frame_is_refused(data_words: int, pointer_words: int, words: int) -> None:
    with pytest.raises(BadFrame, match="in a frame of"):
        read_options(pointer(data_words, pointer_words) + bytes(8 * words))


@pytest.mark.parametrize(
    ("what", "low"), [("list", 1), ("far", 2), ("capability", 3), ("offset 1", 4), ("offset -1", 0xFFFF_FFFC)]
)
def test_a_root_that_is_no_struct_pointer_with_offset_0_is_refused(what: str, low: int) -> None:
    with pytest.raises(BadFrame, match="no struct pointer with offset 0"):
        read_options(pointer(3, 0, low) + bytes(24))
