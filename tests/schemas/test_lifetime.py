"""What outlives what: views and readers of a body stay valid, and in place, when all that brought it is gone."""

import gc
import os
import struct
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.schemas import BodyError, StructReader, array, load, read_capnp, segments, view, write_struct
from hootbus.schemas.segments import COPIES, SEGMENTS_MAX
from hootbus.workers import Event, Request, Worker

SHAPES = load(Path(__file__).with_name("shapes.capnp"))
Shapes = SHAPES.Shapes

MEGABYTE: Final = 1 << 20
# More than what malloc keeps for later use, so that freed memory goes back to the system.
LARGE: Final = 48 * MEGABYTE
REREADS: Final = 100_000

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks at this process's memory through /proc")


def large(size: int) -> dict[str, Any]:
    """Fields of about so many bytes: half of them numbers, half of them Data."""
    floats = np.arange(size // 8, dtype=np.float32)
    return {
        "floats": floats,
        "blob": np.resize(np.arange(251, dtype=np.uint8), size // 2),
        "title": "large",
        "inner": {"values": [1, 2, 3]},
    }


def address(memory: Any) -> int:  # noqa: ANN401  # whatever has a buffer
    return int(np.frombuffer(memory, np.uint8).__array_interface__["data"][0])


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def inside(part: Any, whole: Any) -> bool:  # noqa: ANN401  # whatever has a buffer
    start = address(whole)
    return start <= address(part) and address(part) + memoryview(part).nbytes <= start + memoryview(whole).nbytes


class Kept:
    """A worker that keeps what it was sent, as careless handlers do."""

    def __init__(self) -> None:
        self.floats: Any = None
        self.blob: memoryview | None = None
        self.reader: StructReader | None = None

    def take(self, size: int) -> None:
        """Send a body through a bus of its own, all of which is gone when this returns."""
        worker = Worker("keeper")

        @worker.method
        def keep(request: Request) -> None:
            self.floats = request.array("floats", Shapes)
            self.blob = request.view("blob")
            self.reader = request.capnp(Shapes)
            assert inside(self.floats, request.raw)
            assert inside(self.blob, request.raw)

        with EmbeddedBroker() as bus:
            bus.worker(worker)
            bus.client().call("keeper/keep", write_struct(Shapes, **large(size)))

    def check(self) -> None:
        """What is kept is what was sent."""
        if self.floats is not None:
            assert self.floats[[0, 1000, -1]].tolist() == [0, 1000, len(self.floats) - 1]
        if self.blob is not None:
            assert bytes(self.blob[1000:1010]) == bytes(number % 251 for number in range(1000, 1010))
        if self.reader is not None:
            assert (self.reader.title, list(self.reader.inner.values)) == ("large", [1, 2, 3])
            assert self.reader.floats[1000] == 1000


@linux_only
def test_what_is_kept_outlives_handler_socket_and_context_and_is_let_go_with_the_last_view() -> None:
    kept = Kept()
    kept.take(LARGE)
    gc.collect()
    held = resident()
    kept.check()
    for name in ("floats", "reader"):
        setattr(kept, name, None)
        gc.collect()
        kept.check()
        assert resident() > held - LARGE // 2
    kept.blob = None
    gc.collect()
    assert resident() < held - LARGE * 3 // 4


def test_a_slice_or_an_element_alone_keeps_the_body_alive() -> None:
    def kept() -> tuple[Any, ...]:
        found = read_capnp(bytearray(write_struct(Shapes, **large(4 * MEGABYTE)).buffer), Shapes)
        return np.asarray(found.floats)[5:8], found.blob[5:8], found.inner.values, found.inner

    floats, blob, values, inner = kept()
    gc.collect()
    # Freed memory would be taken by this.
    noise = [bytearray(b"\xff" * MEGABYTE) for _ in range(16)]
    assert floats.tolist() == [5, 6, 7]
    assert bytes(blob) == b"\x05\x06\x07"
    assert (list(values), inner.values[2], len(noise)) == ([1, 2, 3], 3, 16)


def test_nothing_of_a_100_mb_body_is_copied() -> None:
    body = write_struct(Shapes, **large(100 * MEGABYTE)).buffer
    copied = COPIES.copied
    tracemalloc.start()
    try:
        parts = segments(body)
        reader = read_capnp(parts, Shapes)
        found = [array(parts, Shapes, "floats"), view(parts, Shapes, "blob"), np.asarray(reader.floats), reader.blob]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(inside(part, body) for part in found)
    assert sum(memoryview(part).nbytes for part in found) > 190 * MEGABYTE
    assert peak < MEGABYTE
    assert COPIES.copied == copied


def test_a_100_mb_message_is_built_in_its_own_size() -> None:
    fields = large(100 * MEGABYTE) | {"blob": np.zeros(50 * MEGABYTE, np.uint8)}
    tracemalloc.start()
    try:
        body = write_struct(Shapes, **fields)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(body.buffer) + MEGABYTE


def test_what_is_read_cannot_be_made_writable() -> None:
    for body in (bytearray(write_struct(Shapes, **large(8000)).buffer), write_struct(Shapes, **large(8000)).buffer):
        reader = read_capnp(body, Shapes)
        arrays = (array(body, Shapes, "floats"), array(body, Shapes, "blob"), np.asarray(reader.floats))
        for found in (*arrays, arrays[0][3:], arrays[0].view(np.uint8)):
            with pytest.raises(ValueError, match="WRITEABLE"):
                found.flags.writeable = True
            with pytest.raises(ValueError, match="read-only"):
                found[0] = 9
        for seen in (view(body, Shapes, "blob"), view(body, Shapes, "title"), reader.blob, reader.blob.cast("b")):
            assert seen.readonly
            with pytest.raises(TypeError, match="read-only"):
                seen[0] = 9
        with pytest.raises(AttributeError):
            setattr(reader, "title", "mine")  # noqa: B010  # as a static check sees it, too


def test_consumers_of_one_event_share_one_frame_that_none_of_them_can_change() -> None:
    def consume(event: Event) -> tuple[Any, memoryview]:
        return event.array("floats", Shapes), event.view("blob", Shapes)

    with EmbeddedBroker() as bus, ThreadPoolExecutor(4) as consumers:
        subscriber = bus.subscriber("shapes")
        bus.publisher().publish("shapes.large", write_struct(Shapes, **large(MEGABYTE)))
        event = subscriber.receive(10)
        found = list(consumers.map(consume, [event] * 8))
    raw = event.raw
    del event, subscriber
    gc.collect()
    assert {(address(floats), address(blob)) for floats, blob in found} == {
        (address(found[0][0]), address(found[0][1]))
    }
    for floats, blob in found:
        assert inside(floats, raw)
        assert inside(blob, raw)
        assert not floats.flags.writeable
        assert blob.readonly
        assert floats[-1] == len(floats) - 1


def test_a_field_may_be_read_for_ever() -> None:
    body = write_struct(Shapes, **large(64_000))
    reader = read_capnp(body.buffer, Shapes)
    # pycapnp's own reader gives up after 2000 times so much.
    for _ in range(REREADS):
        assert len(reader.blob) == 32_000
        assert reader.inner.values[2] == 3


@pytest.mark.parametrize("count", [1, 2, SEGMENTS_MAX - 1, SEGMENTS_MAX])
def test_so_many_segments_are_read(count: int) -> None:
    assert read_capnp(in_segments(count), SHAPES.Before).levels[0] == 7


def test_one_segment_more_is_refused() -> None:
    for count in (SEGMENTS_MAX + 1, SEGMENTS_MAX + 2, 1 << 16):
        with pytest.raises(BodyError, match=f"{count} segments, at most 512"):
            segments(in_segments(count))


def in_segments(count: int) -> bytes:
    """A message whose list of one number lies in the last segment, the others being empty."""
    far = struct.pack("<Q", 2 | (count - 1) << 32)
    first = struct.pack("<Q", 1 << 48) + (far if count > 1 else b"")
    last = struct.pack("<QQ", 1 | (4 | 1 << 3) << 32, 7)
    parts = [first + last] if count == 1 else [first, *[b""] * (count - 2), last]
    table = struct.pack(f"<{count + 1}I", count - 1, *(len(part) // 8 for part in parts))
    return table + bytes(-len(table) % 8) + b"".join(parts)
