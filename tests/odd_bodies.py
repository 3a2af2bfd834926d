"""Bodies as nobody writes them, but anybody may: scattered over segments, at odd addresses, word by word."""

from hootbus.schemas import Builder, StructType


def scattered(struct: StructType) -> Builder:
    """A builder whose segments hold one object each, so that every pointer is a far one, or a double far one."""
    return struct.new_message(num_first_segment_words=1, allocate_seg_callable=lambda words: bytearray(words * 8))


def misaligned(body: bytes) -> memoryview:
    """The same bytes at an odd address."""
    return memoryview(b"\0" + body)[1:]


def one_segment(*words: int) -> bytes:
    """A message of these words."""
    return b"".join(word.to_bytes(8, "little") for word in (len(words) << 32, *words))
